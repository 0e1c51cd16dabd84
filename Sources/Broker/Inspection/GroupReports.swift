/// A group's committed offsets and its lag, from one broker's copy of what gossip told of them.
public struct GroupCopyReport: Codable, Sendable, Equatable {
    public var group: String
    /// The partition of the offsets topic that the group belongs to, and who leads it.
    public var slot: Int32
    public var coordinator: Int32?
    /// How long ago the coordinator said that these were its positions; nil where it never did.
    public var ageMilliseconds: Int64?
    /// The bounds of the copy have kept positions out: some may be missing.
    public var isPartial: Bool
    /// The sum of those that are known.
    public var lag: Int64
    public var partitions: [GroupPartitionReport]
}

/// One position.
public struct GroupPartitionReport: Codable, Sendable, Equatable {
    public var topic: String
    public var partition: Int32
    public var currentOffset: Int64
    public var metadata: String
    /// When it was committed, by the coordinator's clock.
    public var committedAt: Int64
    /// The leader epoch of the commit's record and its offset in the slot's log.
    public var slotEpoch: Int64
    public var slotOffset: Int64
    /// Nil where no leader of the partition was heard of.
    public var logEndOffset: Int64?
    public var endAgeMilliseconds: Int64?
    public var lag: Int64?
}

/// What a recovery did for one slot that the answering broker coordinates.
public struct RecoveryReport: Codable, Sendable, Equatable {
    public var slot: Int32
    /// Why nothing, or not everything, was written.
    public var refusal: String?
    /// Positions that the slot's log lacked and that were written back, with the age of each.
    public var recovered: [GroupCopyReport]
    /// Positions of which the log has a later word.
    public var kept: Int
}
