public import NIOCore

/// Stores the positions of a group.
public struct OffsetCommitRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var generationIDOrMemberEpoch: Int32 = -1
    public var memberID: String = ""
    public var groupInstanceID: String? = nil
    /// Until version 4; -1 for the setting of the broker.
    public var retentionTimeMilliseconds: Int64 = -1
    public var topics: [Topic] = []

    public init() {}

    public init(
        groupID: String = "", generationIDOrMemberEpoch: Int32 = -1, memberID: String = "",
        groupInstanceID: String? = nil, retentionTimeMilliseconds: Int64 = -1, topics: [Topic] = []
    ) {
        self.groupID = groupID
        self.generationIDOrMemberEpoch = generationIDOrMemberEpoch
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.retentionTimeMilliseconds = retentionTimeMilliseconds
        self.topics = topics
    }

    /// The positions in one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The position in one partition: the offset of the next record to be read.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var committedOffset: Int64 = 0
        public var committedLeaderEpoch: Int32 = -1
        public var metadata: String? = nil

        public init() {}

        public init(
            index: Int32 = 0, committedOffset: Int64 = 0, committedLeaderEpoch: Int32 = -1,
            metadata: String? = nil
        ) {
            self.index = index
            self.committedOffset = committedOffset
            self.committedLeaderEpoch = committedLeaderEpoch
            self.metadata = metadata
        }
    }
}

extension OffsetCommitRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&generationIDOrMemberEpoch)
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 7)
        try wire.visit(&retentionTimeMilliseconds, until: 4)
        try wire.visit(&topics)
    }
}

extension OffsetCommitRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetCommitRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&committedOffset)
        try wire.visit(&committedLeaderEpoch, since: 6)
        try wire.visit(&metadata)
    }
}

extension OffsetCommitRequest: KafkaRequest {
    public typealias Response = OffsetCommitResponse

    public static var apiKey: APIKey { .offsetCommit }

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

/// The answer to `OffsetCommitRequest`.
public struct OffsetCommitResponse: Sendable, Hashable {
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

    /// Whether the position of one partition was stored.
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

extension OffsetCommitResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 3)
        try wire.visit(&topics)
    }
}

extension OffsetCommitResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetCommitResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
    }
}

extension OffsetCommitResponse: KafkaResponse {
    public static var apiKey: APIKey { .offsetCommit }

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
