public import Model
public import NIOCore

/// Appends record batches to partitions.
///
/// Version 3 is the first with batches of format 2 and the first that is served; 0 to 2 are only
/// decoded to be refused. With `acks` 0 no response is sent at all. From version 13 on topics have
/// ids instead of names (KIP-516), so that nobody writes on into another topic of the same name.
public struct ProduceRequest: Sendable, Hashable {
    public var transactionalID: String? = nil
    /// -1 all replicas in sync, 1 the leader, 0 nobody and no response.
    public var acks: Int16 = -1
    public var timeoutMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    /// Where ids took the place of names (KIP-516).
    public static let firstVersionByID: Int16 = 13

    public init() {}

    public init(
        transactionalID: String? = nil, acks: Int16 = -1, timeoutMilliseconds: Int32 = 0,
        topics: [Topic] = []
    ) {
        self.transactionalID = transactionalID
        self.acks = acks
        self.timeoutMilliseconds = timeoutMilliseconds
        self.topics = topics
    }

    /// The partitions of one topic that get records.
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

    /// The batches for one partition, as the producer made them.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        /// A slice of the frame, not yet checked in any way.
        public var records: ByteBuffer? = nil

        public init() {}

        public init(index: Int32 = 0, records: ByteBuffer? = nil) {
            self.index = index
            self.records = records
        }
    }
}

extension ProduceRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&transactionalID, since: 3)
        try wire.visit(&acks)
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&topics)
    }
}

extension ProduceRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, until: 12)
        try wire.visit(&topicID, since: 13)
        try wire.visit(&partitions)
    }
}

extension ProduceRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visitRecords(&records)
    }
}

extension ProduceRequest: KafkaRequest {
    public typealias Response = ProduceResponse

    public static var apiKey: APIKey { .produce }

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

/// The offsets that the batches of a `ProduceRequest` got, or why they were refused.
public struct ProduceResponse: Sendable, Hashable {
    public var topics: [Topic] = []
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var nodeEndpoints: [NodeEndpoint] = []

    public init() {}

    public init(
        topics: [Topic] = [], throttleTimeMilliseconds: Int32 = 0,
        nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.topics = topics
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
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

    /// The result of one partition; with NOT_LEADER_OR_FOLLOWER it names the leader (KIP-951).
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var baseOffset: Int64 = 0
        /// The time of the broker, where the topic uses it; -1 otherwise.
        public var logAppendTimeMilliseconds: Int64 = -1
        public var logStartOffset: Int64 = -1
        public var recordErrors: [RecordError] = []
        public var errorMessage: String? = nil
        public var currentLeader: CurrentLeader = CurrentLeader()

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, baseOffset: Int64 = 0,
            logAppendTimeMilliseconds: Int64 = -1, logStartOffset: Int64 = -1,
            recordErrors: [RecordError] = [], errorMessage: String? = nil,
            currentLeader: CurrentLeader = CurrentLeader()
        ) {
            self.index = index
            self.errorCode = errorCode
            self.baseOffset = baseOffset
            self.logAppendTimeMilliseconds = logAppendTimeMilliseconds
            self.logStartOffset = logStartOffset
            self.recordErrors = recordErrors
            self.errorMessage = errorMessage
            self.currentLeader = currentLeader
        }
    }

    /// One record that caused the refusal of its batch (KIP-467).
    public struct RecordError: Sendable, Hashable {
        public var batchIndex: Int32 = 0
        public var batchIndexErrorMessage: String? = nil

        public init() {}

        public init(batchIndex: Int32 = 0, batchIndexErrorMessage: String? = nil) {
            self.batchIndex = batchIndex
            self.batchIndexErrorMessage = batchIndexErrorMessage
        }
    }
}

extension ProduceResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&throttleTimeMilliseconds, since: 1)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 10, !nodeEndpoints.isEmpty { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 10: try wire.visit(&nodeEndpoints)
        default: return false
        }
        return true
    }
}

extension ProduceResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, until: 12)
        try wire.visit(&topicID, since: 13)
        try wire.visit(&partitions)
    }
}

extension ProduceResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&baseOffset)
        try wire.visit(&logAppendTimeMilliseconds, since: 2)
        try wire.visit(&logStartOffset, since: 5)
        try wire.visit(&recordErrors, since: 8)
        try wire.visit(&errorMessage, since: 8)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 10, currentLeader != .init() { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 10: try wire.visit(&currentLeader)
        default: return false
        }
        return true
    }
}

extension ProduceResponse.RecordError: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&batchIndex)
        try wire.visit(&batchIndexErrorMessage)
    }
}

extension ProduceResponse: KafkaResponse {
    public static var apiKey: APIKey { .produce }

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
