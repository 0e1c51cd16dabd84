public import NIOCore

/// Raises the number of partitions of topics.
public struct CreatePartitionsRequest: Sendable, Hashable {
    public var topics: [Topic] = []
    public var timeoutMilliseconds: Int32 = 0
    public var validateOnly: Bool = false

    public init() {}

    public init(topics: [Topic] = [], timeoutMilliseconds: Int32 = 0, validateOnly: Bool = false) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
        self.validateOnly = validateOnly
    }

    /// The new total of one topic; no assignments means that the broker assigns.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var count: Int32 = 0
        public var assignments: [Assignment]? = nil

        public init() {}

        public init(name: String = "", count: Int32 = 0, assignments: [Assignment]? = nil) {
            self.name = name
            self.count = count
            self.assignments = assignments
        }
    }

    /// The brokers of one new partition.
    public struct Assignment: Sendable, Hashable {
        public var brokerIDs: [Int32] = []

        public init() {}

        public init(brokerIDs: [Int32] = []) {
            self.brokerIDs = brokerIDs
        }
    }
}

extension CreatePartitionsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&validateOnly)
    }
}

extension CreatePartitionsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&count)
        try wire.visit(&assignments)
    }
}

extension CreatePartitionsRequest.Assignment: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&brokerIDs)
    }
}

extension CreatePartitionsRequest: KafkaRequest {
    public typealias Response = CreatePartitionsResponse

    public static var apiKey: APIKey { .createPartitions }

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

/// The answer to `CreatePartitionsRequest`.
public struct CreatePartitionsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// The result of one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil

        public init() {}

        public init(name: String = "", errorCode: ErrorCode = .none, errorMessage: String? = nil) {
            self.name = name
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }
    }
}

extension CreatePartitionsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension CreatePartitionsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
    }
}

extension CreatePartitionsResponse: KafkaResponse {
    public static var apiKey: APIKey { .createPartitions }

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
