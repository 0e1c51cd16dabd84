public import Model

/// A copy as the leader of its partition knows it.
public struct FollowerCopy: Hashable, Sendable {
    public let node: NodeID
    /// It copies under this epoch.
    public let isAttached: Bool
    /// It counts for a commit.
    public let isInSync: Bool
    /// What it vouches for; nil until it attached.
    public let end: Offset?
    /// For how long it has not held all that there was.
    public let behindMilliseconds: Int64
    /// How often it fell out of the in-sync set in a row.
    public let falls: Int
}

extension PartitionMachine {
    /// All copies but the leader's, in placement order; empty where this broker does not lead.
    public var copies: [FollowerCopy] {
        guard let state else { return [] }
        return followers.map { follower in
            let isLevel = follower.end.map { $0 >= end } ?? false
            return FollowerCopy(
                node: follower.node, isAttached: follower.attached != nil,
                isInSync: state.inSync.contains { $0.node == follower.node }, end: follower.end,
                behindMilliseconds: isLevel
                    ? 0 : max(0, lastTick.milliseconds(since: follower.caughtUp)),
                falls: follower.falls)
        }
    }

    /// The other copies that hold what is said to be held by all: those in sync, and those that a
    /// proposal which may be chosen takes in.
    public var inSyncFollowers: [ReplicaID] {
        guard let state else { return [] }
        let proposed = (proposal?.inSync ?? []).filter { !state.inSync.contains($0) }
        return (state.inSync + proposed).filter { $0 != selfID }
    }

    /// Whether an in-sync set is proposed and not decided yet.
    public var isChangingInSync: Bool { proposal != nil }
}
