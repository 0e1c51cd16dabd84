/// A partition as the broker that answers has it in its table.
public struct PartitionReport: Codable, Sendable, Equatable {
    public var topic: String
    public var partition: Int32
    public var leader: Int32?
    public var leaderEpoch: Int32
    public var partitionEpoch: Int32
    /// In placement order: the first is the preferred leader.
    public var replicas: [Int32]
    public var adding: [Int32]
    public var removing: [Int32]
    public var inSync: [Int32]
    /// Those in sync that are there and have lost nothing since.
    public var live: [Int32]
    public var lastEligible: [Int32]
    /// Who may lead now, the first first.
    public var successors: [Int32]
    /// What `min.insync.replicas` means for it.
    public var minInSync: Int
    /// Each copy that the register names; only where one topic was asked for.
    public var copies: [CopyReport]?
    /// What the leader knows; from the leader only.
    public var led: LedReport?
    /// The register that decides about it, and its topic's id in hexadecimal digits; only where
    /// one topic was asked for.
    public var register: String?
    public var topicId: String?
}

/// One copy of a partition, as its register names it.
public struct CopyReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var admission: UInt32
    public var logEpoch: UInt64
    public var isInSync: Bool
    /// `current`, `doubted`, `away` or `restarted`.
    public var standing: String
}

/// A partition as its leader knows it.
public struct LedReport: Codable, Sendable, Equatable {
    public var leaderEpoch: Int32
    public var startOffset: Int64
    public var endOffset: Int64
    public var highWatermark: Int64
    /// It holds the lease by which it may serve.
    public var isServing: Bool
    public var isChangingInSync: Bool
    public var backups: [BackupReport]
}

/// A backup as the leader knows it.
public struct BackupReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var isAttached: Bool
    public var isInSync: Bool
    public var endOffset: Int64?
    /// Records that it lacks; nil where it never told how far it is.
    public var lag: Int64?
    /// For how long it has not held all that there was.
    public var behindMilliseconds: Int64
}
