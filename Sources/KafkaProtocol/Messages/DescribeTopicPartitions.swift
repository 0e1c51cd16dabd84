public import Model
public import NIOCore

/// Asks for partitions page by page (KIP-966).
public struct DescribeTopicPartitionsRequest: Sendable, Hashable {
    public var topics: [Topic] = []
    public var responsePartitionLimit: Int32 = 2000
    public var cursor: Cursor? = nil

    public init() {}

    public init(topics: [Topic] = [], responsePartitionLimit: Int32 = 2000, cursor: Cursor? = nil) {
        self.topics = topics
        self.responsePartitionLimit = responsePartitionLimit
        self.cursor = cursor
    }

    /// The first partition of the page.
    public struct Cursor: Sendable, Hashable {
        public var topicName: String = ""
        public var partitionIndex: Int32 = 0

        public init() {}

        public init(topicName: String = "", partitionIndex: Int32 = 0) {
            self.topicName = topicName
            self.partitionIndex = partitionIndex
        }
    }

    /// A topic by name.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""

        public init() {}

        public init(name: String = "") {
            self.name = name
        }
    }
}

extension DescribeTopicPartitionsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&responsePartitionLimit)
        try wire.visit(&cursor)
    }
}

extension DescribeTopicPartitionsRequest.Cursor: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topicName)
        try wire.visit(&partitionIndex)
    }
}

extension DescribeTopicPartitionsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
    }
}

extension DescribeTopicPartitionsRequest: KafkaRequest {
    public typealias Response = DescribeTopicPartitionsResponse

    public static var apiKey: APIKey { .describeTopicPartitions }

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

/// The answer to `DescribeTopicPartitionsRequest`: one page.
public struct DescribeTopicPartitionsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []
    public var nextCursor: Cursor? = nil

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = [], nextCursor: Cursor? = nil
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
        self.nextCursor = nextCursor
    }

    /// Where the next page begins.
    public struct Cursor: Sendable, Hashable {
        public var topicName: String = ""
        public var partitionIndex: Int32 = 0

        public init() {}

        public init(topicName: String = "", partitionIndex: Int32 = 0) {
            self.topicName = topicName
            self.partitionIndex = partitionIndex
        }
    }

    /// The partitions of one topic on this page.
    public struct Topic: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var name: String? = nil
        public var topicID: TopicID = .zero
        public var isInternal: Bool = false
        public var partitions: [Partition] = []
        /// A bit for each operation allowed; `Int32.min` where nobody asked.
        public var topicAuthorizedOperations: Int32 = .min

        public init() {}

        public init(
            errorCode: ErrorCode = .none, name: String? = nil, topicID: TopicID = .zero,
            isInternal: Bool = false, partitions: [Partition] = [],
            topicAuthorizedOperations: Int32 = .min
        ) {
            self.errorCode = errorCode
            self.name = name
            self.topicID = topicID
            self.isInternal = isInternal
            self.partitions = partitions
            self.topicAuthorizedOperations = topicAuthorizedOperations
        }
    }

    /// Leader and replicas of one partition, with those still eligible to lead.
    public struct Partition: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var index: Int32 = 0
        public var leaderID: Int32 = 0
        public var leaderEpoch: Int32 = -1
        public var replicaNodes: [Int32] = []
        public var isrNodes: [Int32] = []
        public var eligibleLeaderReplicas: [Int32]? = nil
        public var lastKnownELR: [Int32]? = nil
        public var offlineReplicas: [Int32] = []

        public init() {}

        public init(
            errorCode: ErrorCode = .none, index: Int32 = 0, leaderID: Int32 = 0,
            leaderEpoch: Int32 = -1, replicaNodes: [Int32] = [], isrNodes: [Int32] = [],
            eligibleLeaderReplicas: [Int32]? = nil, lastKnownELR: [Int32]? = nil,
            offlineReplicas: [Int32] = []
        ) {
            self.errorCode = errorCode
            self.index = index
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.replicaNodes = replicaNodes
            self.isrNodes = isrNodes
            self.eligibleLeaderReplicas = eligibleLeaderReplicas
            self.lastKnownELR = lastKnownELR
            self.offlineReplicas = offlineReplicas
        }
    }
}

extension DescribeTopicPartitionsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
        try wire.visit(&nextCursor)
    }
}

extension DescribeTopicPartitionsResponse.Cursor: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topicName)
        try wire.visit(&partitionIndex)
    }
}

extension DescribeTopicPartitionsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&name)
        try wire.visit(&topicID)
        try wire.visit(&isInternal)
        try wire.visit(&partitions)
        try wire.visit(&topicAuthorizedOperations)
    }
}

extension DescribeTopicPartitionsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&index)
        try wire.visit(&leaderID)
        try wire.visit(&leaderEpoch)
        try wire.visit(&replicaNodes)
        try wire.visit(&isrNodes)
        try wire.visit(&eligibleLeaderReplicas)
        try wire.visit(&lastKnownELR)
        try wire.visit(&offlineReplicas)
    }
}

extension DescribeTopicPartitionsResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeTopicPartitions }

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
