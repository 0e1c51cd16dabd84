public import Model
public import NIOCore

/// Creates topics.
public struct CreateTopicsRequest: Sendable, Hashable {
    public var topics: [Topic] = []
    public var timeoutMilliseconds: Int32 = 60000
    public var validateOnly: Bool = false

    public init() {}

    public init(
        topics: [Topic] = [], timeoutMilliseconds: Int32 = 60000, validateOnly: Bool = false
    ) {
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
        self.validateOnly = validateOnly
    }

    /// One topic: counts (-1 for the default of the broker, version 4) or explicit assignments.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        /// -1 where assignments are given or the default is wanted.
        public var partitionCount: Int32 = 0
        /// -1 where assignments are given or the default is wanted.
        public var replicationFactor: Int16 = 0
        public var assignments: [ReplicaAssignment] = []
        public var configs: [Config] = []

        public init() {}

        public init(
            name: String = "", partitionCount: Int32 = 0, replicationFactor: Int16 = 0,
            assignments: [ReplicaAssignment] = [], configs: [Config] = []
        ) {
            self.name = name
            self.partitionCount = partitionCount
            self.replicationFactor = replicationFactor
            self.assignments = assignments
            self.configs = configs
        }
    }

    /// A topic config that differs from the default.
    public struct Config: Sendable, Hashable {
        public var name: String = ""
        public var value: String? = nil

        public init() {}

        public init(name: String = "", value: String? = nil) {
            self.name = name
            self.value = value
        }
    }

    /// The brokers of one partition, the preferred leader first.
    public struct ReplicaAssignment: Sendable, Hashable {
        public var partitionIndex: Int32 = 0
        public var brokerIDs: [Int32] = []

        public init() {}

        public init(partitionIndex: Int32 = 0, brokerIDs: [Int32] = []) {
            self.partitionIndex = partitionIndex
            self.brokerIDs = brokerIDs
        }
    }
}

extension CreateTopicsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&validateOnly)
    }
}

extension CreateTopicsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionCount)
        try wire.visit(&replicationFactor)
        try wire.visit(&assignments)
        try wire.visit(&configs)
    }
}

extension CreateTopicsRequest.Config: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&value)
    }
}

extension CreateTopicsRequest.ReplicaAssignment: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&partitionIndex)
        try wire.visit(&brokerIDs)
    }
}

extension CreateTopicsRequest: KafkaRequest {
    public typealias Response = CreateTopicsResponse

    public static var apiKey: APIKey { .createTopics }

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

/// The answer to `CreateTopicsRequest`.
public struct CreateTopicsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// The result of one topic; version 5 tells its shape and configs, version 7 its id.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var topicID: TopicID = .zero
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil
        public var topicConfigErrorCode: ErrorCode = .none
        public var partitionCount: Int32 = -1
        public var replicationFactor: Int16 = -1
        public var configs: [Config]? = nil

        public init() {}

        public init(
            name: String = "", topicID: TopicID = .zero, errorCode: ErrorCode = .none,
            errorMessage: String? = nil, topicConfigErrorCode: ErrorCode = .none,
            partitionCount: Int32 = -1, replicationFactor: Int16 = -1, configs: [Config]? = nil
        ) {
            self.name = name
            self.topicID = topicID
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.topicConfigErrorCode = topicConfigErrorCode
            self.partitionCount = partitionCount
            self.replicationFactor = replicationFactor
            self.configs = configs
        }
    }

    /// An effective config of the new topic.
    public struct Config: Sendable, Hashable {
        public var name: String = ""
        public var value: String? = nil
        public var readOnly: Bool = false
        /// 1 topic, 2 broker (dynamic), 3 all brokers (dynamic), 4 broker (file), 5 default.
        public var configSource: Int8 = -1
        public var isSensitive: Bool = false

        public init() {}

        public init(
            name: String = "", value: String? = nil, readOnly: Bool = false,
            configSource: Int8 = -1, isSensitive: Bool = false
        ) {
            self.name = name
            self.value = value
            self.readOnly = readOnly
            self.configSource = configSource
            self.isSensitive = isSensitive
        }
    }
}

extension CreateTopicsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension CreateTopicsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&topicID, since: 7)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&partitionCount, since: 5)
        try wire.visit(&replicationFactor, since: 5)
        try wire.visit(&configs, since: 5)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 5, topicConfigErrorCode != .none { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 5: try wire.visit(&topicConfigErrorCode)
        default: return false
        }
        return true
    }
}

extension CreateTopicsResponse.Config: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&value)
        try wire.visit(&readOnly)
        try wire.visit(&configSource)
        try wire.visit(&isSensitive)
    }
}

extension CreateTopicsResponse: KafkaResponse {
    public static var apiKey: APIKey { .createTopics }

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
