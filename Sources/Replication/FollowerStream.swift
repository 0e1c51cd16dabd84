import DequeModule
public import Model

/// Which attempt of a follower to attach a message belongs to, so that what an earlier one left on
/// its way is told from what the current one asked for.
///
/// Made of the boot epoch and a counter: it never repeats.
public struct AttachSession: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The `count`th of a boot: 2^24 reconnections of one partition outlast any process.
    init(boot: BootEpoch, count: UInt32) {
        rawValue = boot.rawValue << 24 | UInt64(count & 0xFF_FFFF)
    }

    @inlinable public static func < (left: AttachSession, right: AttachSession) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Where a follower's log stands when it asks its leader for what comes next.
public struct AttachRequest: Hashable, Sendable {
    public let session: AttachSession
    public let leaderEpoch: LeaderEpoch
    public let replica: ReplicaID
    /// Of its last record; unknown where it has none.
    public let lastEpoch: LeaderEpoch
    public let end: Offset
    /// Up to where it vouches for its log: what is synced where the topic is `flush: sync`.
    public let vouchedEnd: Offset
    public let logStart: Offset

    public init(
        session: AttachSession, leaderEpoch: LeaderEpoch, replica: ReplicaID,
        lastEpoch: LeaderEpoch, end: Offset, vouchedEnd: Offset, logStart: Offset
    ) {
        self.session = session
        self.leaderEpoch = leaderEpoch
        self.replica = replica
        self.lastEpoch = lastEpoch
        self.end = end
        self.vouchedEnd = vouchedEnd
        self.logStart = logStart
    }
}

/// What a leader says of a follower's log.
public enum LogAgreement: Hashable, Sendable {
    /// Both are the same up to there, which is the follower's end; records follow from it on.
    case agreed(from: Offset)
    /// The leader's log has the largest epoch up to the follower's last one end there; the
    /// follower cuts to where both may be the same and asks again (KIP-101, KIP-279).
    case truncate(epoch: LeaderEpoch, end: Offset)
    /// The leader has nothing of what comes next any more: the follower empties its log and
    /// begins at the leader's log start.
    case startOver(at: Offset)
}

/// What a leader still has to send to one follower of one partition: the place in the log, and
/// the credit.
///
/// Owned by the shard of the partition, one for each attached follower. Decides from where and how
/// much to read; the shell reads and sends. One read is under way at a time, so that sends are in
/// order. Costs a few words and at most `streamSendsInFlight` entries.
public struct FollowerStream: Sendable {
    /// A read that the shell has to do and to send.
    public struct Send: Hashable, Sendable {
        public let from: Offset
        /// At least one batch is sent even where it is larger.
        public let maxBytes: Int
        /// The follower is far behind: read it from the disk, off the loop, and throttled.
        public let isCatchUp: Bool
    }

    public let replica: ReplicaID
    public let leaderEpoch: LeaderEpoch
    public let session: AttachSession
    /// The next offset to read.
    public private(set) var next: Offset
    /// What the follower vouched for last.
    public private(set) var acknowledged: Offset
    public private(set) var bytesInFlight = 0
    /// It waits until its broker has taken more of other partitions: the shell's own note.
    public var isInLine = false
    private var sends = Deque<InFlight>()
    private var isReading = false
    private var told: (watermark: Offset, logStart: Offset)?

    private struct InFlight {
        var end: Offset
        var bytes: Int
    }

    /// A stream that begins where the logs agree.
    public init(_ request: AttachRequest) {
        replica = request.replica
        leaderEpoch = request.leaderEpoch
        session = request.session
        next = request.end
        acknowledged = request.vouchedEnd
    }

    /// Whether that request begins a stream in place of this one; an earlier session's, which comes
    /// late, does not, or the follower would wait for a stream that nobody feeds.
    public func isReplaced(by request: AttachRequest) -> Bool {
        request.replica != replica || request.session > session
    }

    /// The leader's answer to a follower, from `found`: the largest epoch of the leader's log that
    /// is not above the follower's last one, and where it ends (`PartitionLog.endOffset(for:)`).
    package static func answer(
        _ request: AttachRequest, logStart: Offset, logEnd: Offset,
        found: (epoch: LeaderEpoch, end: Offset)?, rules: ReplicationRules = ReplicationRules()
    ) -> LogAgreement {
        let end = request.end
        if end < logStart { return .startOver(at: logStart) }
        if end == logStart { return .agreed(from: end) }
        if end == request.logStart {
            // An empty log agrees with every other that reaches it.
            return end <= logEnd ? .agreed(from: end) : .startOver(at: logStart)
        }
        guard rules.truncationByEpoch else {
            return end <= logEnd
                ? .agreed(from: end) : .truncate(epoch: request.lastEpoch, end: logEnd)
        }
        // Everything from this log's start on is of newer epochs: nothing of the follower's is.
        guard let found else { return .truncate(epoch: .unknown, end: logStart) }
        if found.epoch == request.lastEpoch, end <= found.end { return .agreed(from: end) }
        return .truncate(epoch: found.epoch, end: min(found.end, end))
    }

    /// What to send now; nil where nothing is left, no credit is, or a read is under way. Followed
    /// by `sent` or `readFailed`.
    ///
    /// - Parameter hotFrom: what comes before it is not in memory.
    public mutating func read(logEnd: Offset, hotFrom: Offset) -> Send? {
        let credit = ReplicationLimits.streamBytesInFlight - bytesInFlight
        guard !isReading, next < logEnd, credit > 0 else { return nil }
        isReading = true
        return Send(from: next, maxBytes: credit, isCatchUp: next < hotFrom)
    }

    /// Whether a read that began there is what it waits for.
    public func awaits(_ from: Offset) -> Bool { isReading && next == from }

    /// Records up to `end` are on their way, with the watermark that went with them.
    public mutating func sent(
        through end: Offset, bytes: Int, highWatermark: Offset, logStart: Offset
    ) {
        precondition(isReading && end >= next, "sends are in order, one at a time")
        isReading = false
        told = (highWatermark, logStart)
        guard end > next else { return }
        next = end
        bytesInFlight += bytes
        if sends.count < ReplicationLimits.streamSendsInFlight {
            sends.append(InFlight(end: end, bytes: bytes))
        } else {
            sends[sends.count - 1].end = end
            sends[sends.count - 1].bytes += bytes
        }
    }

    /// The read did not end well, or brought nothing; it may be tried again.
    public mutating func readFailed() { isReading = false }

    /// Gives the credit of what the follower holds back.
    public mutating func acknowledge(_ end: Offset) {
        acknowledged = max(acknowledged, min(end, next))
        while let first = sends.first, first.end <= acknowledged {
            bytesInFlight -= first.bytes
            sends.removeFirst()
        }
    }

    /// Whether the follower has to be told of a watermark or a log start that no records carried;
    /// saying so counts as told, and many partitions share one message.
    public mutating func tell(highWatermark: Offset, logStart: Offset) -> Bool {
        if let told, told.watermark == highWatermark, told.logStart == logStart { return false }
        told = (highWatermark, logStart)
        return true
    }
}
