public import NIOCore

/// Asks where leader epochs end, to detect truncation (KIP-101, KIP-320).
public struct OffsetForLeaderEpochRequest: Sendable, Hashable {
    /// -1 for a consumer, -2 where the version does not say.
    public var replicaID: Int32 = -2
    public var topics: [Topic] = []

    public init() {}

    public init(replicaID: Int32 = -2, topics: [Topic] = []) {
        self.replicaID = replicaID
        self.topics = topics
    }

    /// The partitions of one topic that are asked about.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The epoch that is asked about in one partition.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var currentLeaderEpoch: Int32 = -1
        public var leaderEpoch: Int32 = 0

        public init() {}

        public init(index: Int32 = 0, currentLeaderEpoch: Int32 = -1, leaderEpoch: Int32 = 0) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.leaderEpoch = leaderEpoch
        }
    }
}

extension OffsetForLeaderEpochRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&replicaID, since: 3)
        try wire.visit(&topics)
    }
}

extension OffsetForLeaderEpochRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetForLeaderEpochRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&currentLeaderEpoch)
        try wire.visit(&leaderEpoch)
    }
}

extension OffsetForLeaderEpochRequest: KafkaRequest {
    public typealias Response = OffsetForLeaderEpochResponse

    public static var apiKey: APIKey { .offsetForLeaderEpoch }

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

/// The answer to `OffsetForLeaderEpochRequest`.
public struct OffsetForLeaderEpochResponse: Sendable, Hashable {
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

    /// The last epoch not above the one asked for, and its end offset.
    public struct Partition: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var index: Int32 = 0
        public var leaderEpoch: Int32 = -1
        public var endOffset: Int64 = -1

        public init() {}

        public init(
            errorCode: ErrorCode = .none, index: Int32 = 0, leaderEpoch: Int32 = -1,
            endOffset: Int64 = -1
        ) {
            self.errorCode = errorCode
            self.index = index
            self.leaderEpoch = leaderEpoch
            self.endOffset = endOffset
        }
    }
}

extension OffsetForLeaderEpochResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&topics)
    }
}

extension OffsetForLeaderEpochResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetForLeaderEpochResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&index)
        try wire.visit(&leaderEpoch)
        try wire.visit(&endOffset)
    }
}

extension OffsetForLeaderEpochResponse: KafkaResponse {
    public static var apiKey: APIKey { .offsetForLeaderEpoch }

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
