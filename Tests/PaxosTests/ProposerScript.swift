import Model
import NIOCore

@testable import Paxos

/// A proposer with three scripted voters.
struct Script {
    var proposer: Proposer
    var effects: [Proposer.Effect] = []
    var now: Int64 = 0

    init(_ roster: Roster? = .three) {
        proposer = Proposer(node: NodeID(1), boot: BootEpoch(1), roster: roster, seed: 1)
    }

    mutating func feed(_ input: Proposer.Input) {
        effects = []
        proposer.handle(input, now: Instant(nanoseconds: now * 1_000_000), into: &effects)
    }

    mutating func wake(after milliseconds: Int64) {
        now += milliseconds
        feed(.wake)
    }

    var sent: [(node: NodeID, id: UInt64, request: PaxosRequest)] {
        effects.compactMap { effect in
            guard case .send(let node, let id, let request) = effect else { return nil }
            return (node, id, request)
        }
    }

    var outcomes: [Outcome]? {
        for case .done(_, let outcomes) in effects { return outcomes }
        return nil
    }

    /// Answers what was sent to one voter.
    mutating func reply(
        _ sent: [(node: NodeID, id: UInt64, request: PaxosRequest)], _ node: Int32,
        _ body: PaxosReply.Body, store: StoreID? = nil
    ) {
        guard let request = sent.last(where: { $0.node == NodeID(node) }) else { return }
        let reply = PaxosReply(
            generation: RosterGeneration(1), store: store ?? request.request.store, body: body)
        feed(.reply(from: NodeID(node), requestID: request.id, reply))
    }

    /// Two voters promise, showing `value`; what is sent then.
    mutating func promise(
        _ shown: Ballot = .zero, _ value: ByteBuffer? = nil
    ) -> [(node: NodeID, id: UInt64, request: PaxosRequest)] {
        let prepares = sent
        guard case .prepare(let ballot, let keys)? = prepares.first?.request.body else { return [] }
        let answers = keys.map { _ in
            PrepareAnswer.promised(acceptedBallot: shown, value: value)
        }
        for node in [1, 2] as [Int32] {
            reply(prepares, node, .prepared(ballot, floor: .zero, answers))
        }
        return sent
    }
}
