public import Model
public import NIOCore
public import Replication
public import Storage

/// Why one partition's part of a request failed; the shell gives each its Kafka error code.
public enum PartitionError: Hashable, Sendable {
    case unknownTopicOrPartition
    /// No topic has the id: it was deleted, or this broker has not heard of it yet.
    case unknownTopicID
    /// The log is still being opened after a start.
    case loading
    case notLeader
    case fencedLeaderEpoch
    case unknownLeaderEpoch
    case offsetOutOfRange
    case corruptMessage
    case messageTooLarge
    case unsupportedMessageFormat
    case invalidRecord
    case invalidTimestamp
    case outOfOrderSequence
    case duplicateSequence
    case invalidProducerEpoch
    case unknownProducer
    case invalidTopic
    case policyViolation
    case storage
    case timedOut
    /// The leader is new and does not know yet where what is committed ends.
    case offsetNotAvailable
    /// Too few replicas are in sync: nothing was appended, or it was and may be lost.
    case notEnoughReplicas
    case notEnoughReplicasAfterAppend
}

/// A producer's batches for the partitions of one shard, as received.
public struct ProduceWork: Sendable {
    /// One partition's batches.
    public struct Part: Sendable {
        public let partition: TopicPartition
        public let records: ByteBuffer

        public init(partition: TopicPartition, records: ByteBuffer) {
            self.partition = partition
            self.records = records
        }
    }

    public let token: UInt64
    public let acknowledgement: Acknowledgement
    public let deadline: Instant
    public let origin: AppendOrigin
    public let parts: [Part]

    public init(
        token: UInt64, acknowledgement: Acknowledgement, deadline: Instant, origin: AppendOrigin,
        parts: [Part]
    ) {
        self.token = token
        self.acknowledgement = acknowledgement
        self.deadline = deadline
        self.origin = origin
        self.parts = parts
    }
}

/// What became of one part of a produce request.
public struct ProduceResult: Hashable, Sendable {
    public var error: PartitionError?
    public var base = Offset(-1)
    /// Set where the topic stamps records at their append.
    public var logAppendTime = Timestamp.none
    public var logStart = Offset(-1)

    public init(error: PartitionError? = nil) { self.error = error }
}

/// A consumer's positions in the partitions of one shard.
public struct FetchWork: Sendable {
    /// One partition's position and the client's beliefs about its leader.
    public struct Part: Sendable {
        public let partition: TopicPartition
        public let offset: Offset
        /// The epoch that the client believes in; unknown where it has none (KIP-320).
        public let currentLeaderEpoch: LeaderEpoch
        /// The epoch of the last record that it read, for the detection of a truncation.
        public let lastFetchedEpoch: LeaderEpoch
        public let maxBytes: Int
        /// The client takes what a follower holds too (KIP-392).
        public let readsFollowers: Bool

        public init(
            partition: TopicPartition, offset: Offset, currentLeaderEpoch: LeaderEpoch,
            lastFetchedEpoch: LeaderEpoch, maxBytes: Int, readsFollowers: Bool = false
        ) {
            self.readsFollowers = readsFollowers
            self.partition = partition
            self.offset = offset
            self.currentLeaderEpoch = currentLeaderEpoch
            self.lastFetchedEpoch = lastFetchedEpoch
            self.maxBytes = maxBytes
        }
    }

    public let token: UInt64
    public let minBytes: Int
    public let maxBytes: Int
    /// Until when the shard may hold the request back for more bytes.
    public let deadline: Instant
    public let parts: [Part]

    public init(
        token: UInt64, minBytes: Int, maxBytes: Int, deadline: Instant, parts: [Part]
    ) {
        self.token = token
        self.minBytes = minBytes
        self.maxBytes = maxBytes
        self.deadline = deadline
        self.parts = parts
    }
}

/// What one part of a fetch gets.
public struct FetchResult: Sendable {
    public var error: PartitionError?
    public var highWatermark = Offset(-1)
    public var logStart = Offset(-1)
    public var records: LogRead = .empty
    /// Where the client's log and this one part ways (KIP-595's diverging epoch), if they do.
    public var diverging: (epoch: LeaderEpoch, end: Offset)?

    public init(error: PartitionError? = nil) { self.error = error }
}

/// A question about offsets, times or producers of one partition.
public enum PartitionQuestion: Sendable {
    /// ListOffsets: -1 latest, -2 earliest, -3 of the greatest timestamp, else by time.
    case offset(at: Int64, currentLeaderEpoch: LeaderEpoch)
    /// OffsetForLeaderEpoch: where the given epoch ends.
    case end(of: LeaderEpoch, currentLeaderEpoch: LeaderEpoch)
    case producers
    case size
    /// What its leader knows of the copies.
    case copies
    /// DeleteRecords: -1 means up to the high watermark. Copies that are in sync are waited for as
    /// long as that.
    case delete(before: Int64, timeoutMilliseconds: Int64 = 30_000)
}

/// The answer to a `PartitionQuestion`.
public enum PartitionAnswer: Sendable {
    case offset(Offset, Timestamp, LeaderEpoch)
    case end(LeaderEpoch, Offset)
    case producers([(id: ProducerID, entry: ProducerEntry)])
    case size(bytes: Int64)
    case copies(LeaderCopies)
    case deleted(lowWatermark: Offset)
    case failed(PartitionError)
}

/// A partition as its leader knows it, for operators.
public struct LeaderCopies: Sendable {
    public let epoch: LeaderEpoch
    public let start: Offset
    public let end: Offset
    public let highWatermark: Offset
    /// Its broker holds the lease by which it may serve.
    public let isServing: Bool
    /// An in-sync set is proposed and not decided yet.
    public let isChangingInSync: Bool
    public let followers: [FollowerCopy]
}
