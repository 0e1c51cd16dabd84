public import Model

/// What a leader says that gives its leadership away, after it has stopped serving.
public enum Consent: Hashable, Sendable {
    /// It does not serve. Whether anybody has under its epoch it does not know.
    case stopped
    /// It had served under its epoch. So whatever was promised to leaders before it binds nobody
    /// any more (`CompleteSetLease`), and its successor may serve at once.
    case served
}

/// The value of the register `partition/<topic id>/<n>`: who leads, under which epoch, and whose
/// copies count.
///
/// Everything that has an invariant within one partition is in its one register, so that one
/// change of it is atomic (reference, section 3). A register that was never written means "as
/// placed": `initial`. Changed only by the functions beside it, which are pure, guarded and keep:
///
/// - the leader is in the in-sync set, which is never empty and has replicas only;
/// - no replica is twice in a list, nor both in sync and last eligible;
/// - a change of the leader raises the leader epoch, every change the partition epoch.
public struct PartitionState: Hashable, Sendable {
    /// Nil where nobody leads: the partition is offline.
    public internal(set) var leader: NodeID?
    public internal(set) var leaderEpoch: LeaderEpoch
    public internal(set) var partitionEpoch: PartitionEpoch
    /// In placement order: the first is the preferred leader. While a reassignment runs, the
    /// target comes first and what it removes after that.
    public internal(set) var replicas: [NodeID]
    public internal(set) var adding: [NodeID]
    public internal(set) var removing: [NodeID]
    public internal(set) var inSync: [ReplicaID]
    /// KIP-966's ELR: replicas that left the in-sync set while it was too small to commit, so they
    /// hold all that is committed.
    public internal(set) var lastEligible: [ReplicaID]
    /// Whom this change of leader deposed: a voter refuses the change while the lease that it
    /// granted to that broker may be valid. Nil in every other change. A copy and not only a node:
    /// a broker that has lost something since does not lead any more, and the lease of its new
    /// life keeps nobody from being elected.
    public internal(set) var deposed: ReplicaID?
    /// The deposed leader gave the leadership away itself, after it had stopped serving.
    public internal(set) var consent: Consent?
    /// An operator elected this leader although records may be lost with it.
    public internal(set) var isUnclean: Bool

    /// What a register that was never written means.
    public static func initial(
        placement: [ReplicaID], epoch: LeaderEpoch = LeaderEpoch(0)
    ) -> PartitionState {
        precondition(!placement.isEmpty, "a partition is placed somewhere")
        precondition(placement.count <= ReplicationLimits.replicasMaximum, "a bounded placement")
        return PartitionState(
            leader: placement[0].node, leaderEpoch: epoch, partitionEpoch: .initial,
            replicas: placement.map(\.node), adding: [], removing: [], inSync: placement,
            lastEligible: [], deposed: nil, consent: nil, isUnclean: false)
    }

    /// Everybody who may be elected without losing what is committed: the in-sync set, then the
    /// last eligible ones.
    public var electable: [ReplicaID] { inSync + lastEligible }

    /// What `min.insync.replicas` means here: never more than there are replicas, but for those
    /// that a move has only begun to add.
    public func effectiveMinInSync(_ configured: Int) -> Int {
        max(1, min(configured, replicas.count - adding.count))
    }

    public var consented: Bool { consent != nil }

    /// The copy that leads.
    public var leaderID: ReplicaID? {
        leader.flatMap { leader in inSync.first { $0.node == leader } }
    }

    /// Whether a broker that has just read the register (so that voters promised) may begin to lead
    /// by it: it is the very copy that was elected, and the epoch is above the one that its first
    /// such read in this life showed. An epoch up to that one may have been led by an earlier
    /// life, of which this one does not know what it wrote: it has to be elected anew.
    public func names(_ id: ReplicaID, after first: LeaderEpoch) -> Bool {
        leaderID == id && leaderEpoch > first
    }

    /// The place of a replica in placement order; those that are not placed come last.
    func rank(_ node: NodeID) -> Int { replicas.firstIndex(of: node) ?? replicas.count }

    func inPlacementOrder(_ ids: [ReplicaID]) -> [ReplicaID] {
        ids.sorted { (rank($0.node), $0) < (rank($1.node), $1) }
    }
}
