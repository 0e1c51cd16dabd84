public import NIOCore

/// Moves partitions to other brokers, or calls a move off (KIP-455).
///
///     [timeout][allow another replication factor, from 1][topics]
///     partition  [index][replicas, null to call the move off]
public struct AlterPartitionReassignmentsRequest: Sendable, Hashable {
    public var timeoutMilliseconds: Int32 = 60_000
    /// Whether a partition may get more or fewer replicas than it has (KIP-860).
    public var allowReplicationFactorChange: Bool = true
    public var topics: [Topic] = []

    public init() {}

    public init(
        timeoutMilliseconds: Int32 = 60_000, allowReplicationFactorChange: Bool = true,
        topics: [Topic] = []
    ) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.allowReplicationFactorChange = allowReplicationFactorChange
        self.topics = topics
    }

    /// The partitions of one topic that are moved.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// Where one partition goes.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        /// In placement order, the preferred leader first; nil calls a pending move off.
        public var replicas: [Int32]? = nil

        public init() {}

        public init(index: Int32 = 0, replicas: [Int32]? = nil) {
            self.index = index
            self.replicas = replicas
        }
    }
}

extension AlterPartitionReassignmentsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&allowReplicationFactorChange, since: 1)
        try wire.visit(&topics)
    }
}

extension AlterPartitionReassignmentsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension AlterPartitionReassignmentsRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&replicas)
    }
}

extension AlterPartitionReassignmentsRequest: KafkaRequest {
    public typealias Response = AlterPartitionReassignmentsResponse

    public static var apiKey: APIKey { .alterPartitionReassignments }

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

/// Whether each move of an `AlterPartitionReassignmentsRequest` was accepted.
public struct AlterPartitionReassignmentsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var allowReplicationFactorChange: Bool = true
    public var errorCode: ErrorCode = .none
    public var errorMessage: String? = nil
    public var topics: [Topic] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, allowReplicationFactorChange: Bool = true,
        errorCode: ErrorCode = .none, errorMessage: String? = nil, topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.allowReplicationFactorChange = allowReplicationFactorChange
        self.errorCode = errorCode
        self.errorMessage = errorMessage
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

    /// The result of one partition; NO_REASSIGNMENT_IN_PROGRESS where nothing could be called off.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, errorMessage: String? = nil
        ) {
            self.index = index
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }
    }
}

extension AlterPartitionReassignmentsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&allowReplicationFactorChange, since: 1)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&topics)
    }
}

extension AlterPartitionReassignmentsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension AlterPartitionReassignmentsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
    }
}

extension AlterPartitionReassignmentsResponse: KafkaResponse {
    public static var apiKey: APIKey { .alterPartitionReassignments }

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
