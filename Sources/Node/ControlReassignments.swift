import Model
import OrderedCollections
import Replication

/// Partitions that operators move to other brokers, and moves that they call off.
///
/// Any broker has the beginning decided; it is in the register from then on, so it survives every
/// restart. The leader ends it, once all new copies are in sync (`tend`).
extension Control {
    /// Partitions in one request: each costs a decision.
    private static let reassignmentsMaximum = 10_000

    mutating func reassign(
        _ wishes: [ReassignmentWish], allowsFactorChange: Bool, _ token: UInt64, now: Now,
        into effects: inout [Effect]
    ) {
        var outcomes: [ReplicaOutcome] = []
        var places: [Int] = []
        var proposals: [RegisterProposal] = []
        var named: Set<TopicPartition> = []
        var ways: OrderedDictionary<NodeID, [LeaderWish]> = [:]
        for wish in wishes.prefix(Self.reassignmentsMaximum) {
            var outcome = ReplicaOutcome(topic: wish.topic, index: wish.index)
            defer { outcomes.append(outcome) }
            guard let entry = topics[wish.topic], let state = entry.state(wish.index),
                let initial = initial(of: entry.partition(wish.index), entry)
            else {
                outcome.error = .unknown
                outcome.message = "no partition \(wish.index) of '\(wish.topic)'"
                continue
            }
            let partition = entry.partition(wish.index)
            if let (error, message) = refusal(of: wish, state, allowsFactorChange) {
                outcome.error = error
                outcome.message = message
                continue
            }
            guard named.insert(partition).inserted else {
                outcome.error = .invalidAssignment
                outcome.message = "the request names this partition twice"
                continue
            }
            let target = wish.target?.map { NodeID($0) }
            if let leader = leaderInTheWay(state, target) {
                ways[leader, default: []].append(
                    LeaderWish(partition: partition, node: heir(state, target) ?? leader))
            }
            places.append(outcomes.count)
            proposals.append(
                RegisterProposal(
                    key: PartitionRegister.key(partition),
                    operation: .partition(
                        PartitionChange(
                            target.map { .reassign($0) } ?? .cancelReassignment, initial: initial,
                            expecting: state.partitionEpoch,
                            minInSync: entry.configuration.minInSync))))
        }
        for (leader, list) in ways { ask(leader, for: list, now: now, into: &effects) }
        guard !proposals.isEmpty else {
            effects.append(.reply(token: token, .partitions(outcomes)))
            return
        }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .reassignments(outcomes, places), token: token, names: [], outcomes: [])
        effects.append(.propose(number, proposals))
    }

    private func refusal(
        of wish: ReassignmentWish, _ state: PartitionState, _ allowsFactorChange: Bool
    ) -> (ReplicaOutcomeError, String)? {
        guard let target = wish.target else {
            return state.adding.isEmpty && state.removing.isEmpty
                ? (.noReassignment, "no reassignment of this partition is running") : nil
        }
        if let reason = placementRefusal(of: [target]) { return (.invalidAssignment, reason) }
        let held = state.replicas.count { !state.adding.contains($0) }
        guard allowsFactorChange || target.count == held else {
            return (
                .invalidFactor,
                "\(target.count) replicas for a partition of \(held), and the request does not "
                    + "allow another count"
            )
        }
        return nil
    }

    /// The leader that has to go first: a copy that a call-off takes away again.
    private func leaderInTheWay(_ state: PartitionState, _ target: [NodeID]?) -> NodeID? {
        guard target == nil, let leader = state.leader, state.adding.contains(leader) else {
            return nil
        }
        return leader
    }

    private func heir(_ state: PartitionState, _ target: [NodeID]?) -> NodeID? {
        state.inSync.map(\.node).first { !state.adding.contains($0) }
    }

    mutating func reassignmentsDecided(
        _ outcomes: [ReplicaOutcome], _ places: [Int], _ decisions: [Decision],
        _ token: UInt64?, into effects: inout [Effect]
    ) {
        var outcomes = outcomes
        for (place, decision) in zip(places, decisions) {
            let refused = Self.refusal(in: decision)
            outcomes[place].error = refused?.0
            outcomes[place].message = refused?.1
        }
        guard let token else { return }
        effects.append(.reply(token: token, .partitions(outcomes)))
    }

    private static func refusal(in decision: Decision) -> (ReplicaOutcomeError, String)? {
        switch decision {
        case .chosen, .refused(.partition(.alreadyDone), _): nil
        case .refused(.partition(.reassignment), _):
            (.noReassignment, "no reassignment of this partition is running")
        case .refused(.partition(.changed), _):
            (.timedOut, "the partition changed meanwhile: ask again")
        case .refused(.partition(.isLeader), _):
            (.timedOut, "a copy that would be taken away leads still: ask again in a moment")
        case .refused(.partition(.tooManyReplicas), _):
            (
                .invalidAssignment,
                "at most \(ReplicationLimits.replicasMaximum) replicas, those that go counted in"
            )
        case .refused(.partition(let reason), _): (.invalidAssignment, "refused: \(reason)")
        case .refused: (.invalidAssignment, "the register refuses it")
        case .notChosen(let reason), .unknown(let reason): (.timedOut, reason)
        case .held: (.timedOut, "the voters hold it back: ask again")
        }
    }
}
