import Model
import NIOCore
import Testing

@testable import Paxos

/// Three acceptors and some proposers that lose nothing, but deliver in any order.
private struct Crowd {
    enum Event {
        case request(Int, from: Int32, UInt64, PaxosRequest)
        case reply(Int, from: Int32, UInt64, PaxosReply)
        case persisted(Int, UInt64)
    }

    var acceptors = (1...3).map {
        Acceptor(
            cluster: "c", node: NodeID(Int32($0)), store: StoreID(high: UInt64($0), low: 1))
    }
    var proposers: [Proposer]
    var events: [Event] = []
    var outcomes: [Int: [Outcome]] = [:]
    var generator = SeededGenerator(seed: 7)
    var now: Int64 = 0
    var nextWake = Int64.max
    var messages = 0

    init(proposers count: Int) {
        proposers = (0..<count).map {
            Proposer(
                node: NodeID(Int32(100 + $0)), boot: BootEpoch(1), roster: .three,
                seed: UInt64($0))
        }
        for index in acceptors.indices {
            feed(index, .loaded([]))
            feed(index, .adopt(.three))
        }
    }

    mutating func feed(_ index: Int, _ input: Acceptor.Input) {
        var effects: [Acceptor.Effect] = []
        acceptors[index].handle(input, into: &effects)
        for effect in effects {
            switch effect {
            case .persist(let serial, _): events.append(.persisted(index, serial))
            case .reply(let to, let requestID, let reply):
                let event = Event.reply(
                    Int(to.rawValue) - 100, from: Int32(index + 1), requestID, reply)
                events.append(event)
            case .halted: break
            }
        }
    }

    mutating func feed(proposer index: Int, _ input: Proposer.Input) {
        var effects: [Proposer.Effect] = []
        proposers[index].handle(input, now: Instant(nanoseconds: now), into: &effects)
        for effect in effects {
            switch effect {
            case .send(let to, let requestID, let request):
                messages += 1
                let slot = Int(to.rawValue) - 1
                events.append(.request(slot, from: Int32(100 + index), requestID, request))
            case .wake(let at): nextWake = min(nextWake, at.nanoseconds)
            case .done(_, let outcomes): self.outcomes[index] = outcomes
            case .rosterLearned: break
            }
        }
    }

    mutating func run() {
        while outcomes.count < proposers.count {
            guard !events.isEmpty else {
                now = max(now, nextWake)
                nextWake = .max
                for index in proposers.indices { feed(proposer: index, .wake) }
                continue
            }
            let index = Int.random(in: events.indices, using: &generator)
            events.swapAt(index, events.count - 1)
            switch events.removeLast() {
            case .request(let slot, let from, let requestID, let request):
                feed(slot, .request(from: NodeID(from), requestID: requestID, request))
            case .reply(let proposer, let from, let requestID, let reply):
                feed(
                    proposer: proposer,
                    .reply(from: NodeID(from), requestID: requestID, reply))
            case .persisted(let slot, let serial): feed(slot, .persisted(serial: serial))
            }
        }
    }
}

private func append(_ letter: String, _ node: Int32, key: Int) -> RegisterChange {
    let operation = OperationID(node: NodeID(node), boot: BootEpoch(1), sequence: UInt64(key))
    return RegisterChange(key: "partition/\(1000 + key)", operation: operation) { current, _ in
        var value = current ?? ByteBuffer()
        value.writeString(letter)
        return .write(value)
    }
}

/// Many registers at once: what a failover asks for.
@Suite struct BatchTests {
    @Test("Section 6: a failover of 2,000 leaderships costs a few fsyncs and messages")
    func failover() {
        var crowd = Crowd(proposers: 1)
        crowd.feed(proposer: 0, .propose(token: 1, (0..<2000).map { append("a", 100, key: $0) }))
        crowd.run()
        #expect(
            crowd.outcomes[0]?.allSatisfy { if case .chosen = $0 { true } else { false } } == true)
        #expect(crowd.proposers[0].statistics.chosen == 2000)
        #expect(crowd.proposers[0].statistics.roundsPerChosenChange <= 1.05)
        // Eight messages in each phase, and what teaches the roster.
        #expect(crowd.messages <= 3 * 8 * 4)
        #expect(crowd.acceptors.allSatisfy { $0.statistics.batches <= 8 * 4 })
    }

    @Test("Duels over parts of a batch: every change is made once")
    func overlappingBatches() {
        var crowd = Crowd(proposers: 3)
        for (index, letter) in ["a", "b", "c"].enumerated() {
            let keys = index * 100..<index * 100 + 400
            let changes = keys.map { append(letter, Int32(100 + index), key: $0) }
            crowd.feed(proposer: index, .propose(token: 1, changes))
        }
        crowd.run()
        for proposer in crowd.proposers.indices {
            #expect(crowd.proposers[proposer].statistics.chosen == 400)
        }
        crowd.outcomes = [:]
        for index in 0..<3 {
            let keys = (0..<600).map { "partition/\(1000 + $0)" }
            crowd.feed(proposer: index, .read(token: 2, keys))
        }
        crowd.run()
        #expect(crowd.outcomes[0]?.count == 600)
        for (key, outcome) in (crowd.outcomes[0] ?? []).enumerated() {
            guard case .chosen(let chosen) = outcome else {
                #expect(Bool(false), "\(key) \(outcome)")
                continue
            }
            let expected = (0..<3).filter { ($0 * 100..<$0 * 100 + 400).contains(key) }
            let letters = chosen.value.map { String(buffer: $0) } ?? ""
            #expect(letters.sorted() == expected.map { ["a", "b", "c"][$0] })
        }
    }
}
