import Model
import NIOCore
import Testing
import Transport

@testable import Broker

/// How blank brokers agree on who begins: by value, without sockets.
@Suite struct FormingTests {
    private static let seeds = (1...3).compactMap { HostPort(parsing: "b\($0):7946") }

    private func key(_ number: UInt64) -> PublicKey {
        PublicKey(words: InlineWords4(number, 0, 0, 0))
    }

    /// Brokers by number, all linked to all, until nobody says anything any more.
    private func run(
        _ count: Int, expected: Int = 3, cut: Set<UInt64> = [],
        lists: [UInt64: [HostPort]] = [:]
    ) -> (founders: [UInt64], complaints: Int) {
        var brokers: [UInt64: Forming] = [:]
        for number in 1...UInt64(count) {
            brokers[number] = Forming(
                expected: expected, seeds: lists[number] ?? Self.seeds, own: key(number))
        }
        var queue: [(from: UInt64, to: UInt64, Forming.Message)] = []
        var founders: [UInt64] = []
        var complaints = 0
        func take(_ actions: [Forming.Action], of number: UInt64) {
            for action in actions {
                switch action {
                case .send(let message, let link): queue.append((number, link.rawValue, message))
                case .found: founders.append(number)
                case .disagree: complaints += 1
                }
            }
        }
        for one in brokers.keys.sorted() {
            for other in brokers.keys.sorted() where one != other {
                guard !cut.contains(one), !cut.contains(other) else { continue }
                // A link is named by who is at its other end.
                take(brokers[one]?.opened(LinkID(other), key(other)) ?? [], of: one)
            }
        }
        for _ in 0..<200 {
            guard !queue.isEmpty else {
                for number in brokers.keys.sorted() {
                    take(brokers[number]?.askIfComplete() ?? [], of: number)
                }
                if queue.isEmpty { break }
                continue
            }
            let (from, to, message) = queue.removeFirst()
            take(brokers[to]?.received(message, on: LinkID(from)) ?? [], of: to)
            if !founders.isEmpty, queue.isEmpty { break }
        }
        return (founders, complaints)
    }

    @Test func theLowestKeyBeginsWhenAllAreThere() {
        #expect(run(3).founders.first == 1)
        #expect(Set(run(3).founders) == [1], "nobody else does")
    }

    @Test func withoutOneOfThemNobodyBegins() {
        #expect(run(2).founders.isEmpty)
        for missing: UInt64 in 1...3 { #expect(run(3, cut: [missing]).founders.isEmpty) }
    }

    @Test func anotherListIsRefusedLoudly() {
        let other = [3: Array(Self.seeds.dropLast())] as [UInt64: [HostPort]]
        let result = run(3, lists: other)
        #expect(result.founders.isEmpty)
        #expect(result.complaints > 0)
    }

    @Test func aYesEndsWithItsLink() {
        var forming = Forming(expected: 3, seeds: Self.seeds, own: key(1))
        for other: UInt64 in 2...3 {
            _ = forming.opened(LinkID(other), key(other))
            _ = forming.received(hello, on: LinkID(other))
        }
        #expect(forming.received(.yes, on: LinkID(2)).isEmpty)
        forming.closed(LinkID(2))
        #expect(forming.received(.yes, on: LinkID(3)).isEmpty, "two of three is not all")
    }

    private var hello: Forming.Message {
        var forming = Forming(expected: 3, seeds: Self.seeds, own: key(9))
        guard case .send(let message, _)? = forming.opened(LinkID(1), key(1)).first else {
            return .yes
        }
        return message
    }

    @Test func messagesAreReadAsTheyWereWritten() {
        for message: Forming.Message in [.hello(expected: 3, list: 7), .ask, .yes] {
            let bytes = message.encoded()
            #expect(Forming.Message(decoding: bytes) == message)
            for length in 0..<bytes.readableBytes {
                let prefix = bytes.getSlice(at: 0, length: length) ?? ByteBuffer()
                #expect(Forming.Message(decoding: prefix) == nil)
            }
        }
        #expect(Forming.Message(decoding: ByteBuffer(bytes: [9])) == nil)
        #expect(Forming.Message(decoding: ByteBuffer(bytes: [2, 0])) == nil)
    }
}
