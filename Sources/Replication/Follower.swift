public import Model

/// How far a log goes when its broker begins to lead.
public struct LogPosition: Hashable, Sendable {
    public let end: Offset
    /// What survives a power cut.
    public let synced: Offset
    /// What it knew as a follower; the new leader's starts there.
    public let highWatermark: Offset

    public init(end: Offset, synced: Offset, highWatermark: Offset = .zero) {
        self.end = end
        self.synced = synced
        self.highWatermark = highWatermark
    }
}

/// An in-sync set that was proposed and is not decided.
public struct InSyncProposal: Hashable, Sendable {
    public let inSync: [ReplicaID]
    /// An outcome was not learned: from then on only the register tells, whatever becomes of
    /// further attempts.
    public internal(set) var isUnknown = false
    /// Of the latest attempt.
    var serial: UInt64
    var isUnderWay = true
    /// When to propose it again, if it is not under way.
    var retryAt: Instant
}

/// A replica that copies from this leader, as its leader knows it; one for each other replica, in
/// placement order.
struct Follower: Hashable, Sendable {
    let node: NodeID
    /// Which copy attached under this epoch; nil while none is.
    var attached: ReplicaID?
    /// When its link broke, while it has not attached again.
    var lostAt: Instant?
    /// What it vouches for; nil until it attached, so that nothing is committed on a guess.
    var end: Offset?
    /// The copies that the in-sync set and the proposed one name; a commit waits for both.
    var required: ReplicaID?
    var alsoRequired: ReplicaID?
    /// When it last held all that there was then.
    var caughtUp: Instant
    /// Its broker is not heard of, so holding all that there is does not mean that it has caught
    /// up.
    var isSilent = false
    /// That was said again since the last tick.
    var isSilentStill = false
    /// It moved since it last fell out: one that is stuck where it was does not join again.
    var hasMoved = false
    /// Hysteresis: how often it fell out in a row, and from when on it may join again.
    var falls = 0
    var joinedAt: Instant
    var rejoinNotBefore: Instant

    init(node: NodeID, now: Instant) {
        self.node = node
        caughtUp = now
        joinedAt = now
        rejoinNotBefore = now
    }
}

/// The leader's log end at a moment of the last second: a follower that reaches it had caught up
/// with that moment (Kafka's rule, at the resolution of these samples).
struct EndSample: Hashable, Sendable {
    let at: Instant
    let end: Offset
}
