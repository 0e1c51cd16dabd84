public import NIOCore

/// Asks for the sizes of logs; no list of topics means all.
public struct DescribeLogDirsRequest: Sendable, Hashable {
    public var topics: [Topic]? = nil

    public init() {}

    public init(topics: [Topic]? = nil) {
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

extension DescribeLogDirsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
    }
}

extension DescribeLogDirsRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitionIndexes)
    }
}

extension DescribeLogDirsRequest: KafkaRequest {
    public typealias Response = DescribeLogDirsResponse

    public static var apiKey: APIKey { .describeLogDirs }

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

/// The answer to `DescribeLogDirsRequest`.
public struct DescribeLogDirsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var logDirectories: [LogDirectory] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        logDirectories: [LogDirectory] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.logDirectories = logDirectories
    }

    /// One data directory with the logs in it and the room on its volume.
    public struct LogDirectory: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var path: String = ""
        public var topics: [Topic] = []
        public var totalBytes: Int64 = -1
        public var usableBytes: Int64 = -1
        /// Whether no new partitions go there (version 5, KIP-1066).
        public var isCordoned: Bool = false

        public init() {}

        public init(
            errorCode: ErrorCode = .none, path: String = "", topics: [Topic] = [],
            totalBytes: Int64 = -1, usableBytes: Int64 = -1, isCordoned: Bool = false
        ) {
            self.errorCode = errorCode
            self.path = path
            self.topics = topics
            self.totalBytes = totalBytes
            self.usableBytes = usableBytes
            self.isCordoned = isCordoned
        }
    }

    /// The logs of one topic.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// The size of one log in bytes.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var partitionSize: Int64 = 0
        public var offsetLag: Int64 = 0
        /// Whether the log is a copy that will replace the current one.
        public var isFuture: Bool = false

        public init() {}

        public init(
            index: Int32 = 0, partitionSize: Int64 = 0, offsetLag: Int64 = 0,
            isFuture: Bool = false
        ) {
            self.index = index
            self.partitionSize = partitionSize
            self.offsetLag = offsetLag
            self.isFuture = isFuture
        }
    }
}

extension DescribeLogDirsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode, since: 3)
        try wire.visit(&logDirectories)
    }
}

extension DescribeLogDirsResponse.LogDirectory: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&path)
        try wire.visit(&topics)
        try wire.visit(&totalBytes, since: 4)
        try wire.visit(&usableBytes, since: 4)
        try wire.visit(&isCordoned, since: 5)
    }
}

extension DescribeLogDirsResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension DescribeLogDirsResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&partitionSize)
        try wire.visit(&offsetLag)
        try wire.visit(&isFuture)
    }
}

extension DescribeLogDirsResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeLogDirs }

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
