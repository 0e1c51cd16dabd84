public import Model

/// What a follower's log holds, and how much of it is known to be committed.
public struct FollowerPosition: Hashable, Sendable {
    public internal(set) var logStart: Offset
    public internal(set) var end: Offset
    /// What survives a power cut.
    public internal(set) var synced: Offset
    /// Of the last record; unknown in an empty log.
    public internal(set) var lastEpoch: LeaderEpoch
    public internal(set) var highWatermark: Offset
    /// What the leader said last; its records may be on their way still.
    var leaderWatermark = Offset.zero

    public init(
        logStart: Offset = .zero, end: Offset = .zero, synced: Offset = .zero,
        lastEpoch: LeaderEpoch = .unknown, highWatermark: Offset = .zero
    ) {
        precondition(logStart <= end && synced <= end && highWatermark <= end, "a log's order")
        self.logStart = logStart
        self.end = end
        self.synced = synced
        self.lastEpoch = lastEpoch
        self.highWatermark = highWatermark
    }

    /// What the broker takes along when it begins to lead.
    public var asLeader: LogPosition {
        LogPosition(end: end, synced: synced, highWatermark: highWatermark)
    }
}

/// How far the leader is: it goes with every message to a follower.
public struct LeaderProgress: Hashable, Sendable {
    public let highWatermark: Offset
    public let logStart: Offset

    public init(highWatermark: Offset, logStart: Offset) {
        self.highWatermark = highWatermark
        self.logStart = logStart
    }
}

/// Why a leader does not take a follower on now; it asks again after a pause.
public enum AttachRefusal: UInt8, Hashable, Sendable, CaseIterable {
    /// The epoch is older than the leader's: the follower's table is behind.
    case fencedEpoch = 1
    /// No such partition here.
    case unknownPartition = 2
    /// The broker does not lead, or not yet under that epoch.
    case notLeader = 3
    /// The replica is none of this partition's.
    case notReplica = 4
    /// The log can't be read here.
    case storage = 5
}

/// A follower had to cut what it knew to be committed: a rule was broken, a disk lied, or more
/// failed at once than the topic tolerates. An operator hears of it.
public struct ReplicationAlarm: Hashable, Sendable {
    public let leader: NodeID
    public let leaderEpoch: LeaderEpoch
    /// Where the log is cut.
    public let cut: Offset
    public let highWatermark: Offset
}
