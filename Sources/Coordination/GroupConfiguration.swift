/// The settings of one slot's groups, each with Kafka's name for it and our default.
///
/// A value that the owner gives at the start; nothing here changes while a coordinator lives. The
/// properties called `maximum...` are the bounds on what strangers can make a slot remember.
public struct GroupConfiguration: Hashable, Sendable {
    /// `group.min.session.timeout.ms`: below it, a pause of the network looks like a death.
    public var minimumSessionTimeoutMilliseconds: Int32 = 6_000
    /// `group.max.session.timeout.ms`: above it, a dead member blocks its partitions too long.
    public var maximumSessionTimeoutMilliseconds: Int32 = 1_800_000
    /// `group.initial.rebalance.delay.ms`: how long the first join of an empty group waits for
    /// others, again and again while new ones keep coming, up to their rebalance timeout.
    ///
    /// Kafka waits 3,000 ms, which a user of one consumer feels at each start. Members of one
    /// deployment reach us within tens of milliseconds of each other, and each newcomer extends the
    /// wait, so 150 ms gathers them as well; a straggler costs one cheap further rebalance.
    public var initialRebalanceDelayMilliseconds: Int64 = 150
    /// How long a new member may wait in its first JoinGroup before it is dropped as abandoned: it
    /// cannot send heartbeats, because it does not know its id yet. Kafka's constant: five minutes.
    public var newMemberJoinTimeoutMilliseconds: Int64 = 300_000
    /// The shortest wait before a rebalance that nobody rejoined is tried again: clients choose
    /// their rebalance timeout, and one of zero must not become a busy loop.
    public var minimumRebalanceRetryMilliseconds: Int64 = 1_000
    /// `offsets.retention.minutes`, in milliseconds: seven days.
    public var offsetRetentionMilliseconds: Int64 = 7 * 24 * 60 * 60 * 1_000
    /// `offsets.retention.check.interval.ms`.
    public var offsetRetentionCheckMilliseconds: Int64 = 600_000
    /// `offset.metadata.max.bytes`: the note that a client may store beside an offset.
    public var maximumOffsetMetadataBytes: Int = 4_096
    /// `group.max.size`: a join costs time in proportion to the members, so the group is bounded.
    public var maximumMembersPerGroup: Int = 5_000
    /// Member ids that were given out and not used yet (KIP-394); each expires with its session
    /// timeout, and a flood of first joins must not grow without end before that.
    public var maximumPendingMembersPerGroup: Int = 5_000
    /// Groups in one slot: an id costs its sender nothing, so the slot must bound them.
    public var maximumGroups: Int = 100_000
    /// Offsets of one group: topics times partitions of a very large consumer.
    public var maximumOffsetsPerGroup: Int = 200_000
    /// Metadata bytes of one member over all its protocols: what the member costs while it lives.
    public var maximumMemberMetadataBytes: Int = 1 << 20
    /// Protocols that one member may offer: clients have a handful.
    public var maximumProtocolsPerMember: Int = 64
    /// Appends whose result is not known: while the log stalls, further commits are refused.
    public var maximumPendingAppends: Int = 10_000

    public init() {}
}

/// Bounds that formats fix and no setting can change.
enum Bound {
    /// The longest string in a record: its length is an int16.
    static let nameBytes = Int(Int16.max)
    /// How much of a client id goes into a member id, which has to fit a string with its suffix.
    static let memberIDPrefixBytes = 255
    /// Tombstones in one append: about a hundred bytes each, well inside any batch limit.
    static let tombstonesPerAppend = 1_000
    /// Bytes of tombstone keys in one append, for keys with very long names.
    static let tombstoneBytesPerAppend = 256 << 10
}
