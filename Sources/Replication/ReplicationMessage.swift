public import Model
public import NIOCore

/// What two brokers say to each other about the partitions that one leads and the other copies.
///
/// Many partitions share one authenticated link, so every message names its partitions; what is
/// said often and is small (acknowledgements, watermarks, promises) is said for many at once. The
/// link tells who sent a message; a message is in order behind those before it on its link.
///
///     version u8 = 1
///     kind u8
///     body                as the case says; integers are big-endian
///
///     partition           topic id 16 bytes, index i32
///     replica             node i32, admission u32, log epoch u64
///     progress            high watermark i64, log start i64
///     list                count u16, elements
public enum ReplicationMessage: Hashable, Sendable {
    /// 1: partition, session u64, leader epoch i32, replica, last epoch i32, end i64, vouched end
    /// i64, log start i64. Follower to leader.
    case attach(TopicPartition, AttachRequest)
    /// 2: partition, session u64, verdict u8 (1 agreed, 2 truncate, 3 start over), epoch i32,
    /// offset i64, progress. The answer.
    case attached(TopicPartition, AttachSession, LogAgreement, LeaderProgress)
    /// 3: partition, session u64, reason u8. The other answer, and the end of a stream.
    case refused(TopicPartition, AttachSession, AttachRefusal)
    /// 4: partition, session u64, leader epoch i32, base i64, progress, length u32, records.
    /// Leader to follower; the records are a slice of the message.
    case append(AppendMessage)
    /// 5: replica, list of (partition, leader epoch i32, end i64). Follower to leader.
    case acknowledged(ReplicaID, [AcknowledgedEnd])
    /// 6: list of (partition, session u64, progress). Leader to follower, without records.
    case progress([ProgressEntry])
    /// 7: partition, leader epoch i32. The follower wants no more of it.
    case detach(TopicPartition, LeaderEpoch)
    /// 8: serial u64, list of (partition, leader epoch i32). A leader asks that nobody campaigns.
    case recognise(UInt64, [LeadershipClaim])
    /// 9: serial u64, replica, list of the partitions for which the answer is no. All others of
    /// that serial are promised.
    case recognised(UInt64, ReplicaID, declined: [TopicPartition])
    /// 10: serial u64, replica, boot u64. A broker to a voter: what its replicas are now.
    case renewLease(UInt64, ReplicaID, BootEpoch)
    /// 11: serial u64, answer u8 (0 granted, 1 outdated, 2 full), life u64, depositions u32.
    case leaseAnswer(UInt64, LeaseAnswer)
    /// 12: boot u64. The broker has stopped serving.
    case releaseLease(BootEpoch)
    /// 13: list of partitions. A candidate asks what the receiver's store holds of them.
    case inquire([TopicPartition])
    /// 14: replica, list of (partition, last epoch i32, end i64). Those of them that it holds.
    case holdings(ReplicaID, [Holding])
    /// 15: nothing. Follower to leader: it is there, also where there is nothing to acknowledge.
    case present
    /// 16: list of (partition, node i32). To the leader of these: an operator wants them led by
    /// that replica.
    case giveWay([LeaderWish])
    /// 20: list of (topic id 16 bytes, name u16 + bytes). These topics are deleted: say when
    /// nothing of them is served any more.
    case stopTopics([TopicClaim])
    /// 21: list of topic ids. The answer: none of these is served or copied by the sender.
    case stoppedTopics([TopicID])
    /// 22: replica, list of (partition, leader epoch i32, start i64). Follower to leader: what lies
    /// before is dropped durably.
    case trimmed(ReplicaID, [TrimmedStart])
}

/// Where a follower's log durably begins.
public struct TrimmedStart: Hashable, Sendable {
    public let partition: TopicPartition
    public let leaderEpoch: LeaderEpoch
    public let start: Offset

    public init(partition: TopicPartition, leaderEpoch: LeaderEpoch, start: Offset) {
        self.partition = partition
        self.leaderEpoch = leaderEpoch
        self.start = start
    }
}

/// A topic that is said to be deleted, and its name, by which its register is found.
public struct TopicClaim: Hashable, Sendable {
    public let id: TopicID
    public let name: String

    public init(id: TopicID, name: String) {
        self.id = id
        self.name = name
    }
}

/// Which replica an operator wants to lead a partition.
public struct LeaderWish: Hashable, Sendable {
    public let partition: TopicPartition
    public let node: NodeID

    public init(partition: TopicPartition, node: NodeID) {
        self.partition = partition
        self.node = node
    }
}

/// What a store holds of one partition.
public struct Holding: Hashable, Sendable {
    public let partition: TopicPartition
    /// Of the last record; unknown in an empty log.
    public let lastEpoch: LeaderEpoch
    public let end: Offset

    public init(partition: TopicPartition, lastEpoch: LeaderEpoch, end: Offset) {
        self.partition = partition
        self.lastEpoch = lastEpoch
        self.end = end
    }
}

/// Records of one partition on their way to a follower, as they lie in the log.
public struct AppendMessage: Hashable, Sendable {
    public let partition: TopicPartition
    public let session: AttachSession
    public let leaderEpoch: LeaderEpoch
    /// The offset of the first record.
    public let base: Offset
    public let progress: LeaderProgress
    public let records: ByteBuffer

    public init(
        partition: TopicPartition, session: AttachSession, leaderEpoch: LeaderEpoch, base: Offset,
        progress: LeaderProgress, records: ByteBuffer
    ) {
        self.partition = partition
        self.session = session
        self.leaderEpoch = leaderEpoch
        self.base = base
        self.progress = progress
        self.records = records
    }
}

/// Up to where a follower holds one partition.
public struct AcknowledgedEnd: Hashable, Sendable {
    public let partition: TopicPartition
    public let leaderEpoch: LeaderEpoch
    public let end: Offset

    public init(partition: TopicPartition, leaderEpoch: LeaderEpoch, end: Offset) {
        self.partition = partition
        self.leaderEpoch = leaderEpoch
        self.end = end
    }
}

/// How far the leader of one partition is, for a follower that gets no records now.
public struct ProgressEntry: Hashable, Sendable {
    public let partition: TopicPartition
    public let session: AttachSession
    public let progress: LeaderProgress

    public init(partition: TopicPartition, session: AttachSession, progress: LeaderProgress) {
        self.partition = partition
        self.session = session
        self.progress = progress
    }
}

/// One leadership of which a leader asks that nobody campaigns against it.
public struct LeadershipClaim: Hashable, Sendable {
    public let partition: TopicPartition
    public let leaderEpoch: LeaderEpoch

    public init(partition: TopicPartition, leaderEpoch: LeaderEpoch) {
        self.partition = partition
        self.leaderEpoch = leaderEpoch
    }
}

/// Why bytes are no replication message; nothing was done with them.
public enum ReplicationCodecError: Error, Hashable, Sendable {
    case truncated
    case trailingBytes(Int)
    case unknownVersion(UInt8)
    case unknownKind(UInt8)
    /// A count or a length is above its bound.
    case tooLong(Int, maximum: Int)
    /// A field has a value that no sender writes.
    case outOfRange(String)
}
