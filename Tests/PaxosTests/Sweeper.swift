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
    mutating func collect() {
        guard sweeper == nil else { return }
        let counter = UInt64(3 + random(12))
        sweeper = Sweeper(
            ballot: Ballot(counter: counter, proposer: Sweeper.node, boot: BootEpoch(1)))
        ask()
    }

    private mutating func ask() {
        guard var sweeper, sweeper.step != .done else { return }
        sweeper.requestID += 1
        sweeper.answered = []
        self.sweeper = sweeper
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
            transmit(
                .request(
                    slot: Int(voter.node.rawValue), from: Sweeper.node,
                    requestID: sweeper.requestID, request))
        }
    }

    mutating func sweep(_ reply: PaxosReply, from: NodeID, requestID: UInt64) {
        guard var sweeper, requestID == sweeper.requestID, !sweeper.answered.contains(from)
        else { return }
        switch reply.body {
        case .prepared(_, _, let answers):
            guard case .promised(let ballot, let value)? = answers.first else { return again() }
            if ballot > sweeper.highest {
                sweeper.highest = ballot
                sweeper.value = value
            }
        case .accepted(_, let answers):
            guard answers == [.accepted] else { return again() }
        case .floorRaised, .removed: break
        default: return again()
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
        case .remove, .done: self.sweeper?.step = .done
        }
        ask()
    }

    /// A lost race: from the start with a higher ballot.
    private mutating func again() {
        guard var sweeper, sweeper.tries < 3 else { return }
        sweeper.tries += 1
        sweeper.step = .prepare
        sweeper.highest = .zero
        sweeper.value = nil
        sweeper.ballot = Ballot(
            counter: sweeper.ballot.counter + 3, proposer: Sweeper.node, boot: BootEpoch(1))
        self.sweeper = sweeper
        ask()
    }
}
