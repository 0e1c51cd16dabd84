public import Model

/// Who leads a partition and under which epoch: a value that somebody decided, never an assumption.
///
/// A broker with one voter decides it by itself; with more it is the chosen value of the
/// partition's register. Whoever sees a higher epoch drops the lower (KIP-101).
public struct Leadership: Hashable, Sendable {
    public let leader: NodeID
    public let epoch: LeaderEpoch
    /// All brokers that hold a copy, in placement order: the first is the preferred leader.
    public let replicas: [NodeID]
    /// The replicas whose copies count for the high watermark.
    public let inSyncReplicas: [NodeID]

    public init(
        leader: NodeID, epoch: LeaderEpoch, replicas: [NodeID], inSyncReplicas: [NodeID]
    ) {
        precondition(epoch > .unknown, "a leadership has a real epoch")
        precondition(inSyncReplicas.contains(leader), "a leader is in its own in-sync set")
        self.leader = leader
        self.epoch = epoch
        self.replicas = replicas
        self.inSyncReplicas = inSyncReplicas
    }
}

/// What an acknowledgement waits for, the producer's `acks`.
public enum Acknowledgement: Hashable, Sendable {
    /// 0: nothing is answered.
    case none
    /// 1: the leader's copy, synced where the topic is `flush: sync`.
    case leader
    /// -1: every in-sync copy, synced where the topic is `flush: sync`.
    case all

    /// Kafka's number on the wire; nil where it is none of 0, 1 and -1.
    public init?(wire: Int16) {
        switch wire {
        case 0: self = .none
        case 1: self = .leader
        case -1: self = .all
        default: return nil
        }
    }
}
