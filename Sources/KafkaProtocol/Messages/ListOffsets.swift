public import NIOCore

/// Asks for offsets by timestamp, or for the ends of logs by special timestamps.
///
/// -1 latest, -2 earliest, -3 the record of the greatest timestamp (version 7), -4 earliest local
/// (version 8), -5 latest tiered (version 9).
public struct ListOffsetsRequest: Sendable, Hashable {
    /// -1 for a consumer.
    public var replicaID: Int32 = -1
    /// 0 read_uncommitted, 1 read_committed.
    public var isolationLevel: Int8 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(replicaID: Int32 = -1, isolationLevel: Int8 = 0, topics: [Topic] = []) {
        self.replicaID = replicaID
        self.isolationLevel = isolationLevel
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

    /// The timestamp to look for in one partition.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var currentLeaderEpoch: Int32 = -1
        public var timestamp: Int64 = 0

        public init() {}

        public init(index: Int32 = 0, currentLeaderEpoch: Int32 = -1, timestamp: Int64 = 0) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.timestamp = timestamp
        }
    }
}

extension ListOffsetsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&replicaID)
        try wire.visit(&isolationLevel, since: 2)
        try wire.visit(&topics)
    }
}

extension ListOffsetsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ListOffsetsRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&currentLeaderEpoch, since: 4)
        try wire.visit(&timestamp)
    }
}

extension ListOffsetsRequest: KafkaRequest {
    public typealias Response = ListOffsetsResponse

    public static var apiKey: APIKey { .listOffsets }

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

/// The answer to `ListOffsetsRequest`.
public struct ListOffsetsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// The offsets of one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The offset found in one partition; -1 where there is none.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var timestamp: Int64 = -1
        public var offset: Int64 = -1
        public var leaderEpoch: Int32 = -1

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, timestamp: Int64 = -1,
            offset: Int64 = -1, leaderEpoch: Int32 = -1
        ) {
            self.index = index
            self.errorCode = errorCode
            self.timestamp = timestamp
            self.offset = offset
            self.leaderEpoch = leaderEpoch
        }
    }
}

extension ListOffsetsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 2)
        try wire.visit(&topics)
    }
}

extension ListOffsetsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ListOffsetsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&timestamp)
        try wire.visit(&offset)
        try wire.visit(&leaderEpoch, since: 4)
    }
}

extension ListOffsetsResponse: KafkaResponse {
    public static var apiKey: APIKey { .listOffsets }

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
