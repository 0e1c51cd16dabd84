import Model
import NIOCore

@testable import Paxos

/// Section 9, steps (b) to (d), for one register: identity with all voters, the floor on all
/// voters, then the removal.
struct Sweeper {
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
        if sweeper == nil {
            let counter = UInt64(1 + random(6))
            sweeper = Sweeper(
                ballot: Ballot(counter: counter, proposer: Sweeper.node, boot: BootEpoch(1)))
            ask()
        } else {
            guard sweeper?.step != .done else { return }
            ask(isRepeat: true)
        }
        schedule.add(.collect, at: now + 40)
    }

    private mutating func ask(isRepeat: Bool = false) {
        guard var sweeper, sweeper.step != .done else { return }
        // A promise is given once: what is lost must be asked for with a higher ballot.
        if isRepeat, sweeper.step == .prepare { return again(above: sweeper.ballot) }
        if !isRepeat {
            sweeper.requestID += 1
            sweeper.answered = []
        }
        self.sweeper = sweeper
        let pause = 1 + Int64(sweeper.step == .remove ? random(40) : 0)
        let body: PaxosRequest.Body
        switch sweeper.step {
        case .prepare: body = .prepare(sweeper.ballot, [Self.key])
        case .accept:
            guard let value = sweeper.value else { return }
            body = .accept(sweeper.ballot, [Proposal(key: Self.key, value: value)])
        case .raise: body = .raiseFloor(sweeper.ballot)
        case .remove, .done:
            body = .remove([Tombstone(key: Self.key, ballot: sweeper.ballot)])
        }
        for voter in roster.voters {
            let request = PaxosRequest(
                generation: roster.generation, store: voter.store, body: body)
            // Swift and sure, so that the removal overtakes what is stuck elsewhere.
            let event = Event.request(
                slot: Int(voter.node.rawValue), from: Sweeper.node,
                requestID: sweeper.requestID, request)
            schedule.add(event, at: now + pause + Int64(random(3)))
        }
    }

    mutating func sweep(_ reply: PaxosReply, from: NodeID, requestID: UInt64) {
        guard var sweeper, requestID == sweeper.requestID, !sweeper.answered.contains(from)
        else { return }
        switch reply.body {
        case .prepared(_, _, let answers):
            guard case .promised(let ballot, let value)? = answers.first else {
                return again(answers)
            }
            if ballot > sweeper.highest {
                sweeper.highest = ballot
                sweeper.value = value
            }
        case .accepted(_, let answers):
            guard answers == [.accepted] else { return again(above: sweeper.ballot) }
        case .floorRaised, .removed: break
        default: return again(above: sweeper.ballot)
        }
        sweeper.answered.append(from)
        self.sweeper = sweeper
        guard sweeper.answered.count == roster.voters.count else { return }
        switch sweeper.step {
        case .prepare:
            let envelope = sweeper.value.flatMap { try? Envelope(decoding: $0) }
            self.sweeper?.step = envelope.map { $0.value == nil } ?? false ? .accept : .done
        case .accept: self.sweeper?.step = .raise
        case .raise: self.sweeper?.step = .remove
        case .remove, .done:
            self.sweeper?.step = .done
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
        guard var sweeper, sweeper.tries < 8 else { return }
        sweeper.tries += 1
        sweeper.step = .prepare
        sweeper.highest = .zero
        sweeper.value = nil
        sweeper.ballot = Ballot(
            counter: ballot.counter + 1, proposer: Sweeper.node, boot: BootEpoch(1))
        self.sweeper = sweeper
        ask()
    }
}
