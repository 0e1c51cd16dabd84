import Model
import OrderedCollections
import Replication

/// A request to move partitions, on its way.
struct ReassignmentRound {
    let token: UInt64
    let allowsFactorChange: Bool
    let wishes: [ReassignmentWish]
    var outcomes: [ReplicaOutcome]
    /// Those that are to be decided still.
    var places: [Int] = []
    var attempts = 0
    /// When they are asked for again.
    var dueAt = Instant(nanoseconds: 0)

    init(token: UInt64, allowsFactorChange: Bool, wishes: [ReassignmentWish]) {
        self.token = token
        self.allowsFactorChange = allowsFactorChange
        self.wishes = wishes
        outcomes = wishes.map { ReplicaOutcome(topic: $0.topic, index: $0.index) }
    }
}

/// Partitions that operators move to other brokers, and moves that they call off.
///
/// Any broker has the beginning decided; it is in the register from then on, so it survives every
/// restart. The leader ends it, once all new copies are in sync (`tend`).
extension Control {
    /// Partitions in one request: each costs a decision.
    private static let reassignmentsMaximum = 10_000

    /// Between two times that a partition is asked for which changed in the middle, or whose leader
    /// has to go first; and how often: well within the patience of a client.
    private static let againMilliseconds: Int64 = 100
    private static let attemptsMaximum = 50

    mutating func reassign(
        _ wishes: [ReassignmentWish], allowsFactorChange: Bool, _ token: UInt64, now: Now,
        into effects: inout [Effect]
    ) {
        let wishes = Array(wishes.prefix(Self.reassignmentsMaximum))
        var round = ReassignmentRound(
            token: token, allowsFactorChange: allowsFactorChange, wishes: wishes)
        var named: Set<String> = []
        for place in wishes.indices {
            let wish = wishes[place]
            guard named.insert("\(wish.topic)/\(wish.index)").inserted else {
                round.outcomes[place].error = .invalidAssignment
                round.outcomes[place].message = "the request names this partition twice"
                continue
            }
            round.places.append(place)
        }
        propose(round, now: now, into: &effects)
    }

    /// Has those of a request decided that are not yet, by what is known of them now.
    private mutating func propose(
        _ asked: ReassignmentRound, now: Now, into effects: inout [Effect]
    ) {
        var round = asked
        var proposals: [RegisterProposal] = []
        var ways: OrderedDictionary<NodeID, [LeaderWish]> = [:]
        round.places = []
        for place in asked.places {
            let wish = round.wishes[place]
            round.outcomes[place].error = nil
            round.outcomes[place].message = nil
            guard let entry = topics[wish.topic], let state = entry.state(wish.index),
                let initial = initial(of: entry.partition(wish.index), entry)
            else {
                round.outcomes[place].error = .unknown
                round.outcomes[place].message = "no partition \(wish.index) of '\(wish.topic)'"
                continue
            }
            let partition = entry.partition(wish.index)
            if let (error, message) = refusal(of: wish, state, round.allowsFactorChange) {
                round.outcomes[place].error = error
                round.outcomes[place].message = message
                continue
            }
            let target = wish.target?.map { NodeID($0) }
            if let leader = leaderInTheWay(state, target) {
                ways[leader, default: []].append(
                    LeaderWish(partition: partition, node: heir(state, target) ?? leader))
            }
            round.places.append(place)
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
            effects.append(.reply(token: round.token, .partitions(round.outcomes)))
            return
        }
        round.attempts += 1
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .reassignments(round), token: round.token, names: [], outcomes: [])
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
        _ decided: ReassignmentRound, _ decisions: [Decision], now: Now,
        into effects: inout [Effect]
    ) {
        var round = decided
        round.places = []
        for (place, decision) in zip(decided.places, decisions) {
            let refused = Self.refusal(in: decision)
            round.outcomes[place].error = refused?.0
            round.outcomes[place].message = refused?.1
            if Self.isWorthAnother(decision) { round.places.append(place) }
        }
        guard !round.places.isEmpty, round.attempts < Self.attemptsMaximum else {
            effects.append(.reply(token: round.token, .partitions(round.outcomes)))
            return
        }
        round.dueAt = now.instant.advanced(byMilliseconds: Self.againMilliseconds)
        reassignments.append(round)
    }

    mutating func reassignAgain(now: Now, into effects: inout [Effect]) {
        guard reassignments.contains(where: { $0.dueAt <= now.instant }) else { return }
        let due = reassignments.filter { $0.dueAt <= now.instant }
        reassignments.removeAll { $0.dueAt <= now.instant }
        for round in due { propose(round, now: now, into: &effects) }
    }

    /// Nothing is wrong with the wish: the partition was changed by somebody else meanwhile.
    private static func isWorthAnother(_ decision: Decision) -> Bool {
        switch decision {
        case .refused(.partition(.changed), _), .refused(.partition(.isLeader), _), .held: true
        case .chosen, .refused, .notChosen, .unknown: false
        }
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
