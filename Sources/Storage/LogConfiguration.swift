public import Model

/// What a topic's configuration says about each of its logs; the defaults are Kafka's.
///
/// Durations in milliseconds, sizes in bytes, under Kafka's names for them; a negative retention
/// means "without bound", as there.
public struct LogConfiguration: Sendable, Equatable {
    /// What becomes of old records; both may hold (`cleanup.policy`).
    public struct CleanupPolicy: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let delete = CleanupPolicy(rawValue: 1)
        public static let compact = CleanupPolicy(rawValue: 2)
    }

    /// `segment.bytes`
    public var segmentBytes: Int64 = 1 << 30
    /// `segment.ms`
    public var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// `index.interval.bytes`
    public var indexIntervalBytes: Int64 = 4096
    /// `retention.bytes`; negative for no bound
    public var retentionBytes: Int64 = -1
    /// `retention.ms`; negative for no bound
    public var retentionMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// `cleanup.policy`
    public var cleanupPolicy: CleanupPolicy = .delete
    /// `max.message.bytes`: the largest batch, not record
    public var maxMessageBytes: Int = 1_048_588
    /// `message.timestamp.type`
    public var timestampType: TimestampType = .create
    /// `message.timestamp.before.max.ms`
    public var timestampBeforeMaxMilliseconds: Int64 = .max
    /// `message.timestamp.after.max.ms`
    public var timestampAfterMaxMilliseconds: Int64 = 3_600_000
    /// `flush.messages`
    public var flushMessages: Int64 = .max
    /// `flush.ms`
    public var flushMilliseconds: Int64 = .max
    /// `delete.retention.ms`: how long a compacted topic keeps tombstones
    public var deleteRetentionMilliseconds: Int64 = 24 * 3_600_000
    /// `min.cleanable.dirty.ratio`
    public var minCleanableDirtyRatio: Double = 0.5
    /// `min.compaction.lag.ms`
    public var minCompactionLagMilliseconds: Int64 = 0
    /// `max.compaction.lag.ms`
    public var maxCompactionLagMilliseconds: Int64 = .max
    /// `producer.id.expiration.ms`
    public var producerExpirationMilliseconds: Int64 = 24 * 3_600_000

    package var rules = StorageRules()

    public init() {}

    var isCompacted: Bool { cleanupPolicy.contains(.compact) }

    /// A segment's positions are kept in 32 bits, as Kafka's are.
    static let maximumSegmentBytes = Int64(Int32.max)
}
