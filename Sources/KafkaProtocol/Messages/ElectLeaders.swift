public import NIOCore

/// Asks for an election of partition leaders (KIP-183, with the kind of election KIP-460).
///
///     [election type, from 1][topics, null for all][timeout]
public struct ElectLeadersRequest: Sendable, Hashable {
    /// 0 makes the preferred replica lead, 1 whichever is alive where none is in sync.
    public var electionType: Int8 = 0
    /// Nil for all partitions.
    public var topics: [Topic]? = []
    public var timeoutMilliseconds: Int32 = 60_000

    public init() {}

    public init(
        electionType: Int8 = 0, topics: [Topic]? = [], timeoutMilliseconds: Int32 = 60_000
    ) {
        self.electionType = electionType
        self.topics = topics
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// The partitions of one topic that shall have an election.
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

extension ElectLeadersRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&electionType, since: 1)
        try wire.visit(&topics)
        try wire.visit(&timeoutMilliseconds)
    }
}

extension ElectLeadersRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

extension ElectLeadersRequest: KafkaRequest {
    public typealias Response = ElectLeadersResponse

    public static var apiKey: APIKey { .electLeaders }

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

/// How each election of an `ElectLeadersRequest` went.
public struct ElectLeadersResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var topics: [Topic] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none, topics: [Topic] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
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

    /// The result of one partition; ELECTION_NOT_NEEDED where the right replica leads already.
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

extension ElectLeadersResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode, since: 1)
        try wire.visit(&topics)
    }
}

extension ElectLeadersResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ElectLeadersResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
    }
}

extension ElectLeadersResponse: KafkaResponse {
    public static var apiKey: APIKey { .electLeaders }

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
