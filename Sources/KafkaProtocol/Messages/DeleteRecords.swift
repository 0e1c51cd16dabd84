public import NIOCore

/// Moves the start of logs forward (KIP-107).
public struct DeleteRecordsRequest: Sendable, Hashable {
    public var topics: [Topic] = []
    public var timeoutMilliseconds: Int32 = 0

    public init() {}

    public init(topics: [Topic] = [], timeoutMilliseconds: Int32 = 0) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// The partitions of one topic that are cut.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The first offset to keep in one partition; -1 for the high-water mark.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var offset: Int64 = 0

        public init() {}

        public init(index: Int32 = 0, offset: Int64 = 0) {
            self.index = index
            self.offset = offset
        }
    }
}

extension DeleteRecordsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&timeoutMilliseconds)
    }
}

extension DeleteRecordsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension DeleteRecordsRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&offset)
    }
}

extension DeleteRecordsRequest: KafkaRequest {
    public typealias Response = DeleteRecordsResponse

    public static var apiKey: APIKey { .deleteRecords }

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

/// The answer to `DeleteRecordsRequest`.
public struct DeleteRecordsResponse: Sendable, Hashable {
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

    /// The new start of one log.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var lowWatermark: Int64 = 0
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(index: Int32 = 0, lowWatermark: Int64 = 0, errorCode: ErrorCode = .none) {
            self.index = index
            self.lowWatermark = lowWatermark
            self.errorCode = errorCode
        }
    }
}

extension DeleteRecordsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension DeleteRecordsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension DeleteRecordsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&lowWatermark)
        try wire.visit(&errorCode)
    }
}

extension DeleteRecordsResponse: KafkaResponse {
    public static var apiKey: APIKey { .deleteRecords }

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
