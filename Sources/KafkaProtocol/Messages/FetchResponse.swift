public import Model
public import NIOCore

/// The record batches that a `FetchRequest` asked for.
///
/// The only large response: a broker encodes it in parts, around records that never pass through
/// memory of its own (`encodeParts`). From version 13 on topics have ids instead of names
/// (KIP-516); from 16 on the leaders named in partitions come with their addresses (KIP-951).
///
///     [throttle][error][session id][topics]{0: node endpoints, from 16}
///     partition  [index][error][high watermark][last stable][log start][aborted]
///                [preferred replica][records]{0: diverging epoch, 1: current leader, 2: snapshot}
public struct FetchResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    /// 0 where no session was begun.
    public var sessionID: Int32 = 0
    public var topics: [Topic] = []
    /// From version 16 on.
    public var nodeEndpoints: [NodeEndpoint] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none, sessionID: Int32 = 0,
        topics: [Topic] = [], nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.sessionID = sessionID
        self.topics = topics
        self.nodeEndpoints = nodeEndpoints
    }

    /// The results of one topic.
    public struct Topic: Sendable, Hashable {
        /// Up to version 12.
        public var name: String = ""
        /// From version 13 on.
        public var topicID: TopicID = .zero
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", topicID: TopicID = .zero, partitions: [Partition] = []) {
            self.name = name
            self.topicID = topicID
            self.partitions = partitions
        }
    }

    /// The batches of one partition and the bounds of its log.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var highWatermark: Int64 = 0
        public var lastStableOffset: Int64 = -1
        public var logStartOffset: Int64 = -1
        public var divergingEpoch: DivergingEpoch = DivergingEpoch()
        /// Beside NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH (KIP-951).
        public var currentLeader: CurrentLeader = CurrentLeader()
        public var snapshotID: SnapshotID = SnapshotID()
        public var abortedTransactions: [AbortedTransaction]? = nil
        /// The replica that the consumer should read from; -1 for the leader.
        public var preferredReadReplica: Int32 = -1
        public var records: Records = .null

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, highWatermark: Int64 = 0,
            lastStableOffset: Int64 = -1, logStartOffset: Int64 = -1,
            divergingEpoch: DivergingEpoch = DivergingEpoch(),
            currentLeader: CurrentLeader = CurrentLeader(), snapshotID: SnapshotID = SnapshotID(),
            abortedTransactions: [AbortedTransaction]? = nil, preferredReadReplica: Int32 = -1,
            records: Records = .null
        ) {
            self.index = index
            self.errorCode = errorCode
            self.highWatermark = highWatermark
            self.lastStableOffset = lastStableOffset
            self.logStartOffset = logStartOffset
            self.divergingEpoch = divergingEpoch
            self.currentLeader = currentLeader
            self.snapshotID = snapshotID
            self.abortedTransactions = abortedTransactions
            self.preferredReadReplica = preferredReadReplica
            self.records = records
        }
    }

    /// A transaction whose records a read_committed consumer must skip.
    public struct AbortedTransaction: Sendable, Hashable {
        public var producerID: Int64 = 0
        public var firstOffset: Int64 = 0

        public init() {}

        public init(producerID: Int64 = 0, firstOffset: Int64 = 0) {
            self.producerID = producerID
            self.firstOffset = firstOffset
        }
    }

    /// The snapshot that a follower has to fetch first; carried for completeness of the version.
    public struct SnapshotID: Sendable, Hashable {
        public var endOffset: Int64 = -1
        public var epoch: Int32 = -1

        public init() {}

        public init(endOffset: Int64 = -1, epoch: Int32 = -1) {
            self.endOffset = endOffset
            self.epoch = epoch
        }
    }

    /// The last epoch and its end offset that leader and fetcher agree upon (KIP-595).
    public struct DivergingEpoch: Sendable, Hashable {
        public var epoch: Int32 = -1
        public var endOffset: Int64 = -1

        public init() {}

        public init(epoch: Int32 = -1, endOffset: Int64 = -1) {
            self.epoch = epoch
            self.endOffset = endOffset
        }
    }
}

extension FetchResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode, since: 7)
        try wire.visit(&sessionID, since: 7)
        try wire.visit(&topics)
    }

    func presentTags(version: Int16) -> UInt32 {
        version >= 16 && !nodeEndpoints.isEmpty ? 1 << 0 : 0
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        guard tag == 0, wire.version >= 16 else { return false }
        try wire.visit(&nodeEndpoints)
        return true
    }
}

extension FetchResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, until: 12)
        try wire.visit(&topicID, since: 13)
        try wire.visit(&partitions)
    }
}

extension FetchResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&highWatermark)
        try wire.visit(&lastStableOffset)
        try wire.visit(&logStartOffset, since: 5)
        try wire.visit(&abortedTransactions)
        try wire.visit(&preferredReadReplica, since: 11)
        try wire.visitRecords(&records)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 12, divergingEpoch != .init() { present |= 1 << 0 }
        if version >= 12, currentLeader != .init() { present |= 1 << 1 }
        if version >= 12, snapshotID != .init() { present |= 1 << 2 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 12: try wire.visit(&divergingEpoch)
        case 1 where wire.version >= 12: try wire.visit(&currentLeader)
        case 2 where wire.version >= 12: try wire.visit(&snapshotID)
        default: return false
        }
        return true
    }
}

extension FetchResponse.AbortedTransaction: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&producerID)
        try wire.visit(&firstOffset)
    }
}

extension FetchResponse.SnapshotID: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&endOffset)
        try wire.visit(&epoch)
    }
}

extension FetchResponse.DivergingEpoch: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&epoch)
        try wire.visit(&endOffset)
    }
}

extension FetchResponse: KafkaResponse {
    public static var apiKey: APIKey { .fetch }

    public static func decode(_ body: ByteBuffer, version: Int16) throws(WireError) -> Self {
        try decodeMessage(body, version: version)
    }

    public func encode(version: Int16, into out: inout ByteBuffer) throws(WireError) {
        try encodeMessage(self, version: version, into: &out)
    }

    public func encodedSize(version: Int16) throws(WireError) -> Int {
        try sizeOfMessage(self, version: version)
    }
}
