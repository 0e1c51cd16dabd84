public import NIOCore

/// Asks for the idempotent producers that partitions remember (KIP-664).
public struct DescribeProducersRequest: Sendable, Hashable {
    public var topics: [Topic] = []

    public init() {}

    public init(topics: [Topic] = []) {
        self.topics = topics
    }

    /// The partitions of one topic that are asked about.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitionIndexes: [Int32] = []

        public init() {}

        public init(name: String = "", partitionIndexes: [Int32] = []) {
            self.name = name
            self.partitionIndexes = partitionIndexes
        }
    }
}

extension DescribeProducersRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
    }
}

extension DescribeProducersRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

extension DescribeProducersRequest: KafkaRequest {
    public typealias Response = DescribeProducersResponse

    public static var apiKey: APIKey { .describeProducers }

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

/// The answer to `DescribeProducersRequest`.
public struct DescribeProducersResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// The results of one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The producers of one partition.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil
        public var activeProducers: [Producer] = []

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, errorMessage: String? = nil,
            activeProducers: [Producer] = []
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.activeProducers = activeProducers
        }
    }

    /// What the leader remembers of one producer.
    public struct Producer: Sendable, Hashable {
        public var producerID: Int64 = 0
        public var producerEpoch: Int32 = 0
        public var lastSequence: Int32 = -1
        public var lastTimestamp: Int64 = -1
        public var coordinatorEpoch: Int32 = 0
        public var currentTransactionStartOffset: Int64 = -1

        public init() {}

        public init(
            producerID: Int64 = 0, producerEpoch: Int32 = 0, lastSequence: Int32 = -1,
            lastTimestamp: Int64 = -1, coordinatorEpoch: Int32 = 0,
            currentTransactionStartOffset: Int64 = -1
        ) {
            self.producerID = producerID
            self.producerEpoch = producerEpoch
            self.lastSequence = lastSequence
            self.lastTimestamp = lastTimestamp
            self.coordinatorEpoch = coordinatorEpoch
            self.currentTransactionStartOffset = currentTransactionStartOffset
        }
    }
}

extension DescribeProducersResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension DescribeProducersResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension DescribeProducersResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&activeProducers)
    }
}

extension DescribeProducersResponse.Producer: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&producerID)
        try wire.visit(&producerEpoch)
        try wire.visit(&lastSequence)
        try wire.visit(&lastTimestamp)
        try wire.visit(&coordinatorEpoch)
        try wire.visit(&currentTransactionStartOffset)
    }
}

extension DescribeProducersResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeProducers }

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
