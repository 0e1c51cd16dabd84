import Model
import NIOCore

@testable import Paxos

/// Section 9, steps (b) to (d), for one register and always in a hurry: identity with all voters,
/// the floor on all voters, then the removal.
struct Collector {
    enum Step: Equatable {
        case prepare
        case accept
        case raise
        case remove
        case done
    }

    static let node = NodeID(900)
    var step = Step.prepare
    var ballot: Ballot
    var answered: [NodeID] = []
    var value: ByteBuffer?
    var highest = Ballot.zero
    var requestID: UInt64 = 0
    var tries = 0
}

extension SearchMesh {
    /// Starts, or asks again whoever has not answered.
    mutating func collect() {
        if collector == nil {
            let counter = UInt64(1 + random(6))
            collector = Collector(
                ballot: Ballot(counter: counter, proposer: Collector.node, boot: BootEpoch(1)))
            ask()
        } else {
            guard collector?.step != .done else { return }
            ask(isRepeat: true)
        }
        schedule.add(.collect, at: now + 40)
    }

    private mutating func ask(isRepeat: Bool = false) {
        guard var collector, collector.step != .done else { return }
        // A promise is given once: what is lost must be asked for with a higher ballot.
        if isRepeat, collector.step == .prepare { return again(above: collector.ballot) }
        if !isRepeat {
            collector.requestID += 1
            collector.answered = []
        }
        self.collector = collector
        let pause = 1 + Int64(collector.step == .remove ? random(40) : 0)
        let body: PaxosRequest.Body
        switch collector.step {
        case .prepare: body = .prepare(collector.ballot, [Self.key])
        case .accept:
            guard let value = collector.value else { return }
            body = .accept(collector.ballot, [Proposal(key: Self.key, value: value)])
        case .raise: body = .raiseFloor(collector.ballot)
        case .remove, .done:
            body = .remove([Tombstone(key: Self.key, ballot: collector.ballot)])
        }
        for voter in roster.voters {
            let request = PaxosRequest(
                generation: roster.generation, store: voter.store, body: body)
            // Swift and sure, so that the removal overtakes what is stuck elsewhere.
            let event = Event.request(
                slot: Int(voter.node.rawValue), from: Collector.node,
                requestID: collector.requestID, request)
            schedule.add(event, at: now + pause + Int64(random(3)))
        }
    }

    mutating func sweep(_ reply: PaxosReply, from: NodeID, requestID: UInt64) {
        guard var collector, requestID == collector.requestID, !collector.answered.contains(from)
        else { return }
        switch reply.body {
        case .prepared(_, _, let answers):
            guard case .promised(let ballot, let value)? = answers.first else {
                return again(answers)
            }
            if ballot > collector.highest {
                collector.highest = ballot
                collector.value = value
            }
        case .accepted(_, let answers):
            guard answers == [.accepted] else { return again(above: collector.ballot) }
        case .floorRaised, .removed: break
        default: return again(above: collector.ballot)
        }
        collector.answered.append(from)
        self.collector = collector
        guard collector.answered.count == roster.voters.count else { return }
        switch collector.step {
        case .prepare:
            let envelope = collector.value.flatMap { try? Envelope(decoding: $0) }
            self.collector?.step = envelope.map { $0.value == nil } ?? false ? .accept : .done
        case .accept: self.collector?.step = .raise
        case .raise: self.collector?.step = .remove
        case .remove, .done:
            self.collector?.step = .done
            collected = true
        }
        ask()
    }

    /// A lost race: from the start with a higher ballot.
    private mutating func again(_ answers: [PrepareAnswer]) {
        guard case .conflict(let conflict)? = answers.first else { return }
        again(above: max(conflict.maxSeen, conflict.floor))
    }

    private mutating func again(above ballot: Ballot) {
        guard var collector, collector.tries < 8 else { return }
        collector.tries += 1
        collector.step = .prepare
        collector.highest = .zero
        collector.value = nil
        collector.ballot = Ballot(
            counter: ballot.counter + 1, proposer: Collector.node, boot: BootEpoch(1))
        self.collector = collector
        ask()
    }
}
