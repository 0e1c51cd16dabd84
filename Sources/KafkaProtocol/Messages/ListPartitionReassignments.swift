public import NIOCore

/// Asks which partitions are on the move (KIP-455).
///
///     [timeout][topics, null for all]
public struct ListPartitionReassignmentsRequest: Sendable, Hashable {
    public var timeoutMilliseconds: Int32 = 60_000
    /// Nil for all topics.
    public var topics: [Topic]? = nil

    public init() {}

    public init(timeoutMilliseconds: Int32 = 60_000, topics: [Topic]? = nil) {
        self.timeoutMilliseconds = timeoutMilliseconds
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

extension ListPartitionReassignmentsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&topics)
    }
}

extension ListPartitionReassignmentsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

extension ListPartitionReassignmentsRequest: KafkaRequest {
    public typealias Response = ListPartitionReassignmentsResponse

    public static var apiKey: APIKey { .listPartitionReassignments }

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

/// The moves that a `ListPartitionReassignmentsRequest` asked about; what does not move is absent.
public struct ListPartitionReassignmentsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var errorMessage: String? = nil
    public var topics: [Topic] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        errorMessage: String? = nil, topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.topics = topics
    }

    /// The moving partitions of one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// One partition with its replicas now, and those that come and go.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var replicas: [Int32] = []
        public var addingReplicas: [Int32] = []
        public var removingReplicas: [Int32] = []

        public init() {}

        public init(
            index: Int32 = 0, replicas: [Int32] = [], addingReplicas: [Int32] = [],
            removingReplicas: [Int32] = []
        ) {
            self.index = index
            self.replicas = replicas
            self.addingReplicas = addingReplicas
            self.removingReplicas = removingReplicas
        }
    }
}

extension ListPartitionReassignmentsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&topics)
    }
}

extension ListPartitionReassignmentsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ListPartitionReassignmentsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&replicas)
        try wire.visit(&addingReplicas)
        try wire.visit(&removingReplicas)
    }
}

extension ListPartitionReassignmentsResponse: KafkaResponse {
    public static var apiKey: APIKey { .listPartitionReassignments }

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
