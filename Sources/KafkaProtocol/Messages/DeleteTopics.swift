public import Model
public import NIOCore

/// Deletes topics: `topicNames` up to version 5, `topics` by name or id in version 6.
public struct DeleteTopicsRequest: Sendable, Hashable {
    public var topics: [Topic] = []
    public var topicNames: [String] = []
    public var timeoutMilliseconds: Int32 = 0

    public init() {}

    public init(topics: [Topic] = [], topicNames: [String] = [], timeoutMilliseconds: Int32 = 0) {
        self.topics = topics
        self.topicNames = topicNames
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// A topic by name or by id.
    public struct Topic: Sendable, Hashable {
        public var name: String? = nil
        public var topicID: TopicID = .zero

        public init() {}

        public init(name: String? = nil, topicID: TopicID = .zero) {
            self.name = name
            self.topicID = topicID
        }
    }
}

extension DeleteTopicsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics, since: 6)
        try wire.visit(&topicNames, until: 5)
        try wire.visit(&timeoutMilliseconds)
    }
}

extension DeleteTopicsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&topicID)
    }
}

extension DeleteTopicsRequest: KafkaRequest {
    public typealias Response = DeleteTopicsResponse

    public static var apiKey: APIKey { .deleteTopics }

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

/// The answer to `DeleteTopicsRequest`.
public struct DeleteTopicsResponse: Sendable, Hashable {
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
        public var name: String? = nil
        public var topicID: TopicID = .zero
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil

        public init() {}

        public init(
            name: String? = nil, topicID: TopicID = .zero, errorCode: ErrorCode = .none,
            errorMessage: String? = nil
        ) {
            self.name = name
            self.topicID = topicID
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }
    }
}

extension DeleteTopicsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension DeleteTopicsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, nullableSince: 6)
        try wire.visit(&topicID, since: 6)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage, since: 5)
    }
}

extension DeleteTopicsResponse: KafkaResponse {
    public static var apiKey: APIKey { .deleteTopics }

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
