public import Model
public import Replication

/// What somebody wants to become of a partition's register: one of the guarded changes of
/// `PartitionState`, as a value.
///
/// Guarded by the partition epoch that its author saw, so that it is made on top of a state that is
/// known to be chosen, and once. Run by whichever broker proposes.
public enum PartitionOperation: Hashable, Sendable {
    case elect(ReplicaID, members: [ElectionMember], answers: [StoreAnswer])
    case electUnclean(ReplicaID)
    case alterInSync([ReplicaID], by: NodeID, epoch: LeaderEpoch)
    case leaveInSync(ReplicaID)
    /// To nobody where no in-sync replica is there to follow.
    /// `leaves` also takes the leader before out of the in-sync set.
    case transfer(to: NodeID?, from: NodeID, epoch: LeaderEpoch, leaves: Bool)
    /// The copy that a half accepted election deposes has stopped, and agrees.
    case agree(ReplicaID)
    case reassign([NodeID])
    case completeReassignment
    case cancelReassignment

    func applied(
        to state: PartitionState, expecting: PartitionEpoch, minInSync: Int,
        rules: ReplicationRules
    ) -> PartitionState.Outcome {
        switch self {
        case .elect(let candidate, let members, let answers):
            state.elect(
                candidate, expecting: expecting, members: members, answers: answers,
                minInSync: minInSync, rules: rules)
        case .electUnclean(let candidate):
            state.electUnclean(candidate, expecting: expecting)
        case .alterInSync(let next, let leader, let epoch):
            state.alterInSync(
                to: next, by: leader, leaderEpoch: epoch, expecting: expecting,
                minInSync: minInSync, rules: rules)
        case .leaveInSync(let replica):
            state.leaveInSync(
                replica, expecting: expecting, minInSync: minInSync, rules: rules)
        case .transfer(let successor, let leader, let epoch, let leaves):
            state.transfer(
                to: successor, from: leader, leaderEpoch: epoch, expecting: expecting,
                leaving: leaves, minInSync: minInSync, rules: rules)
        case .agree(let former): state.agreed(by: former)
        case .reassign(let target): state.reassign(to: target, expecting: expecting)
        case .completeReassignment:
            state.completeReassignment(
                expecting: expecting, minInSync: minInSync, rules: rules)
        case .cancelReassignment:
            state.cancelReassignment(expecting: expecting, minInSync: minInSync, rules: rules)
        }
    }
}

/// A change of one partition's register with everything that its function needs.
///
/// `initial` is what the register means where it was never written: the placement of the topic's
/// record, which never changes for a partition once it is chosen.
public struct PartitionChange: Hashable, Sendable {
    public let operation: PartitionOperation
    public let initial: PartitionState
    public let expecting: PartitionEpoch
    public let minInSync: Int

    public init(
        _ operation: PartitionOperation, initial: PartitionState, expecting: PartitionEpoch,
        minInSync: Int
    ) {
        self.operation = operation
        self.initial = initial
        self.expecting = expecting
        self.minInSync = minInSync
    }
}

/// The name of a partition's register: `partition/<topic id>/<n>`.
///
/// The topic's id in 32 hexadecimal digits, the index in decimal ones without leading zeros; keyed
/// by id and not by name, so that a topic that is made again under its name starts from nothing.
public enum PartitionRegister {
    private static let prefix = "partition/"

    public static func key(_ partition: TopicPartition) -> String {
        prefix + hexadecimal(partition.topic.high) + hexadecimal(partition.topic.low)
            + "/\(partition.index.rawValue)"
    }

    /// The partition that a register is about; nil for any other register.
    public static func partition(of key: String) -> TopicPartition? {
        guard key.hasPrefix(prefix) else { return nil }
        let rest = key.utf8.dropFirst(prefix.utf8.count)
        guard rest.count >= 34, rest.count <= 43, rest.dropFirst(32).first == UInt8(ascii: "/"),
            let high = UInt64(String(rest.prefix(16)) ?? "", radix: 16),
            let low = UInt64(String(rest.dropFirst(16).prefix(16)) ?? "", radix: 16),
            let index = Int32(String(rest.dropFirst(33)) ?? ""), index >= 0
        else { return nil }
        let partition = TopicPartition(
            topic: TopicID(high: high, low: low), index: PartitionIndex(index))
        // One spelling for each partition: others are no name of it.
        return Self.key(partition) == key ? partition : nil
    }

    private static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
