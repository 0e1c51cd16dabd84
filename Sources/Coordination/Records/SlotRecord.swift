public import Model
public import NIOCore

/// One record of `__consumer_offsets` as bytes; a nil value is a tombstone.
///
/// This is what the coordinator hands to the log and gets back when a slot is loaded.
public struct SlotRecord: Hashable, Sendable {
    public var key: ByteBuffer
    public var value: ByteBuffer?

    public init(key: ByteBuffer, value: ByteBuffer?) {
        self.key = key
        self.value = value
    }
}

/// Why bytes of `__consumer_offsets` could not be understood.
public enum SlotRecordError: Error, Hashable, Sendable {
    /// The bytes end before the field does, or a length is negative where none may be.
    case truncated
    /// A string is not UTF-8.
    case invalidString
    /// A value of a version that only newer brokers write.
    case unsupportedValueVersion(Int16)
    /// A group that has members but no protocol: no broker writes that.
    case inconsistentGroup
}

/// A record of `__consumer_offsets`, understood.
///
/// The formats are those of Kafka (the JSON schemas OffsetCommitKey, OffsetCommitValue,
/// GroupMetadataKey and GroupMetadataValue), so its own tools read our log and we read its. We
/// write the version that a Kafka 4 broker writes and read all of them, flexible ones included.
/// A key of another version (KIP-848 groups, say) is `unknown` and no error: it is for others.
public enum SlotRecordContent: Hashable, Sendable {
    case offset(OffsetCommitKey, OffsetCommitValue?)
    case group(id: String, GroupMetadataValue?)
    case unknown(keyVersion: Int16)
}

/// Whose offset it is.
///
///     +------------+----------------+----------------+-----------------+
///     | version: 1 | group: string  | topic: string  | partition: i32  |   version 0 is the same
///     |    i16     | i16 len, UTF-8 | i16 len, UTF-8 |                 |
///     +------------+----------------+----------------+-----------------+
public struct OffsetCommitKey: Hashable, Sendable {
    public var groupID: String
    public var topic: String
    public var partition: PartitionIndex

    public init(groupID: String, topic: String, partition: PartitionIndex) {
        self.groupID = groupID
        self.topic = topic
        self.partition = partition
    }
}

/// A committed position.
///
///     version 3 (written)
///     +------------+-------------+------------------+------------------+----------------------+
///     | version: 3 | offset: i64 | leaderEpoch: i32 | metadata: string | commitTimestamp: i64 |
///     +------------+-------------+------------------+------------------+----------------------+
///     version 1 (written where the client set a retention: KIP-211 gives that precedence)
///     +------------+-------------+------------------+----------------------+-----------------+
///     | version: 1 | offset: i64 | metadata: string | commitTimestamp: i64 | expireTimestamp |
///     +------------+-------------+------------------+----------------------+-----------------+
///
/// Versions 0 and 2 lack epoch and expiry; version 4 is version 3 with compact strings and tags.
public struct OffsetCommitValue: Hashable, Sendable {
    public var offset: Offset
    public var leaderEpoch: LeaderEpoch
    public var metadata: String
    public var commitTimestamp: Timestamp
    public var expireTimestamp: Timestamp?

    public init(
        offset: Offset, leaderEpoch: LeaderEpoch, metadata: String, commitTimestamp: Timestamp,
        expireTimestamp: Timestamp? = nil
    ) {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
        self.commitTimestamp = commitTimestamp
        self.expireTimestamp = expireTimestamp
    }
}

/// A group as of its last generation; its key is a version (i16, 2) and the group id.
///
///     version 3 (written)
///     +------------+----------------------+-----------------+--------------------+
///     | version: 3 | protocolType: string | generation: i32 | protocol: string?  |
///     +------------+----------+-----------+-----------------+-----+--------------+
///     | leader: string?       | currentStateTimestamp: i64  | members: i32 count |
///     +-----------------------+-----------------------------+--------------------+
///     and for each member
///     +------------------+--------------------------+------------------+--------------------+
///     | memberId: string | groupInstanceId: string? | clientId: string | clientHost: string |
///     +------------------+----+---------------------+--+---------------+----+---------------+
///     | rebalanceTimeout: i32 | sessionTimeout: i32    | subscription: bytes | assignment: bytes
///     +-----------------------+------------------------+---------------------+---------------
///
/// A string is an i16 length and UTF-8, `string?` has -1 for null, bytes have an i32 length.
/// Version 0 lacks rebalanceTimeout, versions 0 and 1 the timestamp, versions below 3 the instance;
/// version 4 is version 3 with compact strings, bytes and arrays, and tags after each struct.
public struct GroupMetadataValue: Hashable, Sendable {
    public var protocolType: String
    public var generation: Int32
    public var protocolName: String?
    public var leaderID: String?
    public var currentStateTimestamp: Timestamp
    public var members: [Member]

    /// A member as it is stored; the subscription is its metadata for the chosen protocol.
    public struct Member: Hashable, Sendable {
        public var memberID: String
        public var groupInstanceID: String?
        public var clientID: String
        public var clientHost: String
        public var rebalanceTimeoutMilliseconds: Int32
        public var sessionTimeoutMilliseconds: Int32
        public var subscription: ByteBuffer
        public var assignment: ByteBuffer

        public init(
            memberID: String, groupInstanceID: String?, clientID: String, clientHost: String,
            rebalanceTimeoutMilliseconds: Int32, sessionTimeoutMilliseconds: Int32,
            subscription: ByteBuffer, assignment: ByteBuffer
        ) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.clientID = clientID
            self.clientHost = clientHost
            self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
            self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
            self.subscription = subscription
            self.assignment = assignment
        }
    }

    public init(
        protocolType: String, generation: Int32, protocolName: String?, leaderID: String?,
        currentStateTimestamp: Timestamp, members: [Member]
    ) {
        self.protocolType = protocolType
        self.generation = generation
        self.protocolName = protocolName
        self.leaderID = leaderID
        self.currentStateTimestamp = currentStateTimestamp
        self.members = members
    }
}
