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
    case transfer(to: NodeID?, from: NodeID, epoch: LeaderEpoch, Consent, leaves: Bool)
    /// The copy that a half accepted election deposes has stopped, and agrees.
    case agree(ReplicaID, Consent)
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
        case .transfer(let successor, let leader, let epoch, let consent, let leaves):
            state.transfer(
                to: successor, from: leader, leaderEpoch: epoch, expecting: expecting,
                consent: consent, leaving: leaves, minInSync: minInSync, rules: rules)
        case .agree(let former, let consent): state.agreed(by: former, consent)
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
        var bytes: [UInt8] = []
        bytes.reserveCapacity(prefix.utf8.count + 43)
        bytes.append(contentsOf: prefix.utf8)
        for word in [partition.topic.high, partition.topic.low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                bytes.append(digits[Int(word >> UInt64(shift) & 15)])
            }
        }
        bytes.append(UInt8(ascii: "/"))
        bytes.append(contentsOf: String(partition.index.rawValue).utf8)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The partition that a register is about; nil for any other register. Asked several times of
    /// each value that is chosen, so it makes no text of the parts.
    public static func partition(of key: String) -> TopicPartition? {
        guard key.utf8.count <= prefix.utf8.count + 43, key.hasPrefix(prefix) else { return nil }
        let rest = key.utf8.dropFirst(prefix.utf8.count)
        guard rest.count >= 34, let high = word(rest.prefix(16)),
            let low = word(rest.dropFirst(16).prefix(16)),
            rest.dropFirst(32).first == UInt8(ascii: "/"),
            let index = index(rest.dropFirst(33))
        else { return nil }
        return TopicPartition(
            topic: TopicID(high: high, low: low), index: PartitionIndex(index))
    }

    private static let digits = Array("0123456789abcdef".utf8)

    // One spelling for each partition: others are no name of it.

    private static func word(_ text: Substring.UTF8View) -> UInt64? {
        var value: UInt64 = 0
        for digit in text {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }

    private static func index(_ text: Substring.UTF8View) -> Int32? {
        var value: Int64 = 0
        for digit in text {
            guard case UInt8(ascii: "0")...UInt8(ascii: "9") = digit else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        let isCanonical = text.count == 1 || text.first != UInt8(ascii: "0")
        return isCanonical ? Int32(exactly: value) : nil
    }
}
