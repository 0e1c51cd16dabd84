public import NIOCore

/// Asks for the stored positions of a group, from version 8 on of several groups.
///
/// Up to version 7 `groupID` and `topics` are used, later `groups`. No list of topics means all
/// (version 2).
public struct OffsetFetchRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var topics: [Topic]? = nil
    public var groups: [Group] = []
    public var requireStable: Bool = false

    public init() {}

    public init(
        groupID: String = "", topics: [Topic]? = nil, groups: [Group] = [],
        requireStable: Bool = false
    ) {
        self.groupID = groupID
        self.topics = topics
        self.groups = groups
        self.requireStable = requireStable
    }

    /// One group and the partitions that are asked about.
    public struct Group: Sendable, Hashable {
        public var groupID: String = ""
        public var memberID: String? = nil
        public var memberEpoch: Int32 = -1
        public var topics: [Topic]? = nil

        public init() {}

        public init(
            groupID: String = "", memberID: String? = nil, memberEpoch: Int32 = -1,
            topics: [Topic]? = nil
        ) {
            self.groupID = groupID
            self.memberID = memberID
            self.memberEpoch = memberEpoch
            self.topics = topics
        }
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

extension OffsetFetchRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID, until: 7)
        try wire.visit(&topics, nullableSince: 2, until: 7)
        try wire.visit(&groups, since: 8)
        try wire.visit(&requireStable, since: 7)
    }
}

extension OffsetFetchRequest.Group: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&memberID, since: 9)
        try wire.visit(&memberEpoch, since: 9)
        try wire.visit(&topics)
    }
}

extension OffsetFetchRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

extension OffsetFetchRequest: KafkaRequest {
    public typealias Response = OffsetFetchResponse

    public static var apiKey: APIKey { .offsetFetch }

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

/// The answer to `OffsetFetchRequest`: `topics` up to version 7, `groups` later.
public struct OffsetFetchResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var topics: [Topic] = []
    public var errorCode: ErrorCode = .none
    public var groups: [Group] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = [], errorCode: ErrorCode = .none,
        groups: [Group] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
        self.errorCode = errorCode
        self.groups = groups
    }

    /// The positions of one group.
    public struct Group: Sendable, Hashable {
        public var groupID: String = ""
        public var topics: [Topic] = []
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(groupID: String = "", topics: [Topic] = [], errorCode: ErrorCode = .none) {
            self.groupID = groupID
            self.topics = topics
            self.errorCode = errorCode
        }
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

    /// The position in one partition; -1 where none is stored.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var committedOffset: Int64 = 0
        public var committedLeaderEpoch: Int32 = -1
        public var metadata: String? = nil
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(
            index: Int32 = 0, committedOffset: Int64 = 0, committedLeaderEpoch: Int32 = -1,
            metadata: String? = nil, errorCode: ErrorCode = .none
        ) {
            self.index = index
            self.committedOffset = committedOffset
            self.committedLeaderEpoch = committedLeaderEpoch
            self.metadata = metadata
            self.errorCode = errorCode
        }
    }
}

extension OffsetFetchResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 3)
        try wire.visit(&topics, until: 7)
        try wire.visit(&errorCode, since: 2, until: 7)
        try wire.visit(&groups, since: 8)
    }
}

extension OffsetFetchResponse.Group: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&topics)
        try wire.visit(&errorCode)
    }
}

extension OffsetFetchResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension OffsetFetchResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&committedOffset)
        try wire.visit(&committedLeaderEpoch, since: 5)
        try wire.visit(&metadata)
        try wire.visit(&errorCode)
    }
}

extension OffsetFetchResponse: KafkaResponse {
    public static var apiKey: APIKey { .offsetFetch }

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
