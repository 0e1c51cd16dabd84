public import NIOCore

/// Deletes stored positions of a group (KIP-496); the legacy encoding is its only one.
public struct OffsetDeleteRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var topics: [Topic] = []

    public init() {}

    public init(groupID: String = "", topics: [Topic] = []) {
        self.groupID = groupID
        self.topics = topics
    }

    /// The partitions of one topic whose positions go.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// One partition.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0

        public init() {}

        public init(index: Int32 = 0) {
            self.index = index
        }
    }
}

extension OffsetDeleteRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&topics)
    }
}

extension OffsetDeleteRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetDeleteRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
    }
}

extension OffsetDeleteRequest: KafkaRequest {
    public typealias Response = OffsetDeleteResponse

    public static var apiKey: APIKey { .offsetDelete }

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

/// The answer to `OffsetDeleteRequest`.
public struct OffsetDeleteResponse: Sendable, Hashable {
    public var errorCode: ErrorCode = .none
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(
        errorCode: ErrorCode = .none, throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []
    ) {
        self.errorCode = errorCode
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

    /// The result of one partition.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(index: Int32 = 0, errorCode: ErrorCode = .none) {
            self.index = index
            self.errorCode = errorCode
        }
    }
}

extension OffsetDeleteResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension OffsetDeleteResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetDeleteResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
    }
}

extension OffsetDeleteResponse: KafkaResponse {
    public static var apiKey: APIKey { .offsetDelete }

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
