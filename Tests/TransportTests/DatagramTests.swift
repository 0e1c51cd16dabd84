import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

/// The testing library's macros can't look into a call that changes its value.
private func of<T>(_ value: T) -> T { value }

private let alice = Person(number: 1)
private let bob = Person(number: 2)

@Suite struct ReplayWindowTests {
    @Test("RFC 6479: each counter once, in any order within the window") func anyOrder() {
        var window = ReplayWindow()
        for counter: UInt64 in [5, 3, 4, 0, 1_023, 1_024, 70, 64, 63] {
            #expect(window.admits(counter))
            window.insert(counter)
            #expect(!window.admits(counter))
        }
    }

    @Test func theEdgeIsExact() {
        for newest: UInt64 in [1_024, 1_025, 5_000, 1_087, 1_088, 1 << 32] {
            var window = ReplayWindow()
            window.insert(newest)
            #expect(window.admits(newest - 1_023))
            #expect(!window.admits(newest - 1_024))
            window.insert(newest - 1_023)
            #expect(!window.admits(newest - 1_023))
        }
    }

    @Test func aModelAgrees() {
        var generator = SeededGenerator(seed: 11)
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var newest: UInt64 = 0
        for _ in 0..<200_000 {
            let jump = generator.next() % 100 == 0 ? generator.next() % 3_000 : 3
            let back = generator.next() % 1_200
            let counter = generator.next() % 2 == 0 ? newest + jump : newest - min(newest, back)
            let isOld = !seen.isEmpty && newest >= 1_024 && counter <= newest - 1_024
            let expected = !isOld && !seen.contains(counter)
            #expect(window.admits(counter) == expected)
            guard expected else { continue }
            window.insert(counter)
            seen.insert(counter)
            newest = max(newest, counter)
        }
    }
}

/// Both ends of one handshake as tables of datagram keys.
private struct Ends {
    var one = DatagramTable()
    var two = DatagramTable()
    let first: DatagramSession
    let second: DatagramSession
    let now = Instant(nanoseconds: 0)

    init?(_ alice: Person = alice, _ bob: Person = bob, ephemeral: UInt8 = 1) {
        let outcome = shake(
            Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: ephemeral)
        guard let left = outcome.initiator, let right = outcome.responder else { return nil }
        first = DatagramSession(
            keys: left.established(), receiveKeyID: 11, isInitiator: true,
            own: alice.identity.claim(), peer: NodeID(bob.number), now: now)
        second = DatagramSession(
            keys: right.established(), receiveKeyID: 22, isInitiator: false,
            own: bob.identity.claim(), peer: NodeID(alice.number), now: now)
        one.insert(first, keepsCurrent: false, now: now)
        two.insert(second, keepsCurrent: false, now: now)
    }
}

@Suite struct DatagramTests {
    private let payload = ByteBuffer(string: "ping")

    private func drop(_ table: inout DatagramTable, _ wire: ByteBuffer, at: Int64 = 0)
        -> DatagramRefusal?
    {
        var bytes = wire
        do throws(DatagramRefusal) {
            _ = try table.open(&bytes, now: Instant(nanoseconds: 0).advanced(byMilliseconds: at))
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [true, false]) func datagramsArriveOnce(aes: Bool) throws {
        var ends = try #require(Ends(alice.with { $0.offersAES = aes }))
        for _ in 0..<3 {
            let wire = ends.first.seal(payload)
            #expect(wire.readableBytes == payload.readableBytes + DatagramTable.overhead)
            var bytes = wire
            let from = try ends.two.open(&bytes, now: ends.now).peer
            #expect(from == NodeID(1) && bytes == payload)
            #expect(drop(&ends.two, wire) == .replayed)
        }
        var back = ends.second.seal(payload)
        #expect(try ends.one.open(&back, now: ends.now).peer == NodeID(2))
    }

    @Test func aDatagramSentBackIsRefused() throws {
        var ends = try #require(Ends())
        #expect(drop(&ends.one, ends.first.seal(payload)) == .unknownKey)
        var wire = ends.first.seal(payload)
        wire.setInteger(UInt32(11), at: 1)
        #expect(drop(&ends.one, wire) == .notAuthentic)
    }

    @Test func everyFlippedBitAndEveryStrictPrefixIsRefused() throws {
        var ends = try #require(Ends())
        let wire = ends.first.seal(payload)
        for index in 0..<wire.readableBytes {
            for bit in 0..<8 {
                var changed = wire
                let byte = changed.getInteger(at: index, as: UInt8.self) ?? 0
                changed.setInteger(byte ^ (1 << UInt8(bit)), at: index)
                let expected: DatagramRefusal =
                    index == 0 ? .malformed : index < 5 ? .unknownKey : .notAuthentic
                #expect(drop(&ends.two, changed) == expected)
            }
            #expect(drop(&ends.two, wire.getSlice(at: 0, length: index) ?? wire) != nil)
        }
        #expect(drop(&ends.two, wire) == nil, "what was refused left no trace")
    }

    @Test func oversizedAndRandomBytesAreRefused() throws {
        var ends = try #require(Ends())
        let most = ends.first.seal(
            ByteBuffer(repeating: 1, count: MeshTransport.datagramPayloadMaximum))
        #expect(most.readableBytes == 1_400)
        #expect(drop(&ends.two, most) == nil)
        let over = ends.first.seal(
            ByteBuffer(repeating: 1, count: MeshTransport.datagramPayloadMaximum + 1))
        #expect(drop(&ends.two, over) == .oversized)
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<5_000 {
            var noise = ByteBuffer(integer: DatagramTable.type)
            if generator.next() % 2 == 0 { noise.writeInteger(UInt32(22)) }
            for _ in 0..<(generator.next() % 1_500) {
                noise.writeInteger(UInt8(truncatingIfNeeded: generator.next()))
            }
            #expect(drop(&ends.two, noise) != nil)
        }
    }

    @Test func aRestartedBrokerIsNotFedItsPast() throws {
        let before = try #require(Ends())
        let recorded = before.first.seal(payload)
        // The same ephemeral keys and key ids, but another boot: the worst that could be repeated.
        var after = try #require(
            Ends(
                alice,
                bob.with {
                    $0.boot = 2
                    $0.nonce = 2
                }))
        #expect(drop(&after.two, recorded) == .notAuthentic)
        var sender = try #require(
            Ends(
                alice.with {
                    $0.boot = 2
                    $0.nonce = 2
                }, bob))
        #expect(drop(&sender.two, recorded) == .notAuthentic)
    }

    @Test func replacedKeysOpenForAGraceAndNoLonger() throws {
        var old = try #require(Ends(ephemeral: 1))
        let new = try #require(Ends(ephemeral: 2))
        let outcome = shake(Side(alice, knows: [bob]), Side(bob, knows: [alice]), ephemeral: 2)
        let keys = try #require(outcome.responder)
        let next = DatagramSession(
            keys: keys.established(), receiveKeyID: 33, isInitiator: false,
            own: bob.identity.claim(), peer: NodeID(1), now: old.now)
        old.two.insert(next, keepsCurrent: false, now: old.now)
        #expect(!old.second.mayStillSend(now: old.now) && next.mayStillSend(now: old.now))
        let grace = Limits.datagramGraceMilliseconds
        #expect(drop(&old.two, old.first.seal(payload), at: grace) == nil)
        #expect(drop(&old.two, old.first.seal(payload), at: grace + 1) == .unknownKey)
        var wire = new.first.seal(payload)
        wire.setInteger(UInt32(33), at: 1)
        #expect(drop(&old.two, wire, at: grace + 1) == nil)
    }

    @Test func keysEndAfterAnHour() throws {
        var ends = try #require(Ends())
        let hour = Limits.datagramKeyMilliseconds
        #expect(ends.first.mayStillSend(now: ends.now.advanced(byMilliseconds: hour - 1)))
        #expect(!ends.first.mayStillSend(now: ends.now.advanced(byMilliseconds: hour)))
        let last = hour + Limits.datagramGraceMilliseconds
        #expect(drop(&ends.two, ends.first.seal(payload), at: last) == nil)
        #expect(drop(&ends.two, ends.first.seal(payload), at: last + 1) == .unknownKey)
        ends.two.expire(now: ends.now.advanced(byMilliseconds: last + 1))
        #expect(ends.two.peers == 0 && !ends.two.has(22))
    }

    @Test func keysOfAnEarlierBootEndAtOnce() throws {
        var old = try #require(Ends())
        let later = alice.with {
            $0.boot = 2
            $0.nonce = 2
        }
        let outcome = shake(Side(later, knows: [bob]), Side(bob, knows: [alice]))
        let keys = try #require(outcome.responder)
        let next = DatagramSession(
            keys: keys.established(), receiveKeyID: 33, isInitiator: false,
            own: bob.identity.claim(), peer: NodeID(1), now: old.now)
        // Even where the older pair would be preferred.
        old.two.insert(next, keepsCurrent: true, now: old.now)
        #expect(old.two.session(with: NodeID(1)) === next)
        #expect(drop(&old.two, old.first.seal(payload)) == .unknownKey)
        old.two.remove(NodeID(1))
        #expect(old.two.session(with: NodeID(1)) == nil && !old.two.has(33))
    }
}

@Suite struct TokenBucketTests {
    @Test func aSourceHasItsBurstAndThenItsRate() {
        var buckets = TokenBuckets(burst: 3, perSecond: 2)
        let start = Instant(nanoseconds: 0)
        let taken = (0..<5).map { _ in buckets.take("a", now: start) }
        #expect(taken == [true, true, true, false, false])
        #expect(of(buckets.take("b", now: start)))
        let later = start.advanced(byMilliseconds: 1_000)
        #expect((0..<3).map { _ in buckets.take("a", now: later) } == [true, true, false])
    }

    @Test func sourcesAreBounded() {
        var buckets = TokenBuckets(burst: 2, perSecond: 1)
        let start = Instant(nanoseconds: 0)
        for index in 0..<5_000 { _ = buckets.take("source \(index)", now: start) }
        #expect(buckets.sources <= Limits.bucketSources + 1)
        #expect(!of(buckets.take("yet another", now: start)))
        let later = start.advanced(byMilliseconds: 5_000)
        #expect(of(buckets.take("yet another", now: later)))
    }
}
