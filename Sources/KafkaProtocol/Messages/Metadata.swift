public import Model
public import NIOCore

/// Asks for brokers, topics, leaders and replicas.
public struct MetadataRequest: Sendable, Hashable {
    /// Nil for all topics; an empty list means the same in version 0 and none later.
    public var topics: [Topic]? = nil
    public var allowAutoTopicCreation: Bool = true
    public var includeClusterAuthorizedOperations: Bool = false
    public var includeTopicAuthorizedOperations: Bool = false

    public init() {}

    public init(
        topics: [Topic]? = nil, allowAutoTopicCreation: Bool = true,
        includeClusterAuthorizedOperations: Bool = false,
        includeTopicAuthorizedOperations: Bool = false
    ) {
        self.topics = topics
        self.allowAutoTopicCreation = allowAutoTopicCreation
        self.includeClusterAuthorizedOperations = includeClusterAuthorizedOperations
        self.includeTopicAuthorizedOperations = includeTopicAuthorizedOperations
    }

    /// A topic by name or, from version 10 on, by id.
    public struct Topic: Sendable, Hashable {
        public var topicID: TopicID = .zero
        public var name: String? = nil

        public init() {}

        public init(topicID: TopicID = .zero, name: String? = nil) {
            self.topicID = topicID
            self.name = name
        }
    }
}

extension MetadataRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics, nullableSince: 1)
        try wire.visit(&allowAutoTopicCreation, since: 4)
        try wire.visit(&includeClusterAuthorizedOperations, since: 8, until: 10)
        try wire.visit(&includeTopicAuthorizedOperations, since: 8)
    }
}

extension MetadataRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topicID, since: 10)
        try wire.visit(&name, nullableSince: 10)
    }
}

extension MetadataRequest: KafkaRequest {
    public typealias Response = MetadataResponse

    public static var apiKey: APIKey { .metadata }

    /// Also reads what librdkafka (2.16 is one) sends for "all topics" in the flexible versions: a
    /// null list of four zero bytes where one is meant. Kafka reads one and ignores the rest; here
    /// the three too many go, so that the flags behind them are read as they were meant.
    public static func decode(_ body: ByteBuffer, version: Int16) throws(WireError) -> Self {
        do throws(WireError) {
            return try decodeMessage(body, version: version)
        } catch {
            var rest = body
            guard apiKey.isFlexible(version), rest.readInteger(as: UInt32.self) == 0 else {
                throw error
            }
            rest.moveReaderIndex(to: body.readerIndex + 3)
            guard let message: Self = try? decodeMessage(rest, version: version) else {
                throw error
            }
            return message
        }
    }

    public func encode(version: Int16, into out: inout ByteBuffer) throws(WireError) {
        try encodeMessage(self, version: version, into: &out)
    }

    public func encodedSize(version: Int16) throws(WireError) -> Int {
        try sizeOfMessage(self, version: version)
    }
}

/// The picture of the cluster by which clients find leaders.
///
/// From version 9 on clients trust its leader epochs: what is unknown is -1, never 0.
public struct MetadataResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var brokers: [Broker] = []
    public var clusterID: String? = nil
    /// Where clients send changes of topics; -1 makes them wait.
    public var controllerID: Int32 = -1
    public var topics: [Topic] = []
    /// A bit for each operation allowed; `Int32.min` where nobody asked.
    public var clusterAuthorizedOperations: Int32 = .min
    /// For the whole request (version 13, KIP-1102).
    public var errorCode: ErrorCode = .none

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, brokers: [Broker] = [], clusterID: String? = nil,
        controllerID: Int32 = -1, topics: [Topic] = [], clusterAuthorizedOperations: Int32 = .min,
        errorCode: ErrorCode = .none
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.brokers = brokers
        self.clusterID = clusterID
        self.controllerID = controllerID
        self.topics = topics
        self.clusterAuthorizedOperations = clusterAuthorizedOperations
        self.errorCode = errorCode
    }

    /// One topic with its partitions.
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

    /// Leader and replicas of one partition.
    public struct Partition: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var index: Int32 = 0
        public var leaderID: Int32 = 0
        public var leaderEpoch: Int32 = -1
        public var replicaNodes: [Int32] = []
        public var isrNodes: [Int32] = []
        public var offlineReplicas: [Int32] = []

        public init() {}

        public init(
            errorCode: ErrorCode = .none, index: Int32 = 0, leaderID: Int32 = 0,
            leaderEpoch: Int32 = -1, replicaNodes: [Int32] = [], isrNodes: [Int32] = [],
            offlineReplicas: [Int32] = []
        ) {
            self.errorCode = errorCode
            self.index = index
            self.leaderID = leaderID
            self.leaderEpoch = leaderEpoch
            self.replicaNodes = replicaNodes
            self.isrNodes = isrNodes
            self.offlineReplicas = offlineReplicas
        }
    }

    /// Where a broker listens.
    public struct Broker: Sendable, Hashable {
        public var nodeID: Int32 = 0
        public var host: String = ""
        public var port: Int32 = 0
        public var rack: String? = nil

        public init() {}

        public init(nodeID: Int32 = 0, host: String = "", port: Int32 = 0, rack: String? = nil) {
            self.nodeID = nodeID
            self.host = host
            self.port = port
            self.rack = rack
        }
    }
}

extension MetadataResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 3)
        try wire.visit(&brokers)
        try wire.visit(&clusterID, since: 2)
        try wire.visit(&controllerID, since: 1)
        try wire.visit(&topics)
        try wire.visit(&clusterAuthorizedOperations, since: 8, until: 10)
        try wire.visit(&errorCode, since: 13)
    }
}

extension MetadataResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&name, nullableSince: 12)
        try wire.visit(&topicID, since: 10)
        try wire.visit(&isInternal, since: 1)
        try wire.visit(&partitions)
        try wire.visit(&topicAuthorizedOperations, since: 8)
    }
}

extension MetadataResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&index)
        try wire.visit(&leaderID)
        try wire.visit(&leaderEpoch, since: 7)
        try wire.visit(&replicaNodes)
        try wire.visit(&isrNodes)
        try wire.visit(&offlineReplicas, since: 5)
    }
}

extension MetadataResponse.Broker: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&nodeID)
        try wire.visit(&host)
        try wire.visit(&port)
        try wire.visit(&rack, since: 1)
    }
}

extension MetadataResponse: KafkaResponse {
    public static var apiKey: APIKey { .metadata }

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
