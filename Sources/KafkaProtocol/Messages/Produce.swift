public import NIOCore

/// Part of the message.
public struct ProduceRequest: Sendable, Hashable {
    public var transactionalID: String? = nil
    public var acks: Int16 = 0
    public var timeoutMilliseconds: Int32 = 0
    public var topics: [Topic] = []

    public init() {}

    public init(
        transactionalID: String? = nil, acks: Int16 = 0, timeoutMilliseconds: Int32 = 0,
        topics: [Topic] = []
    ) {
        self.transactionalID = transactionalID
        self.acks = acks
        self.timeoutMilliseconds = timeoutMilliseconds
        self.topics = topics
    }

    /// Part of the message.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// Part of the message.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var records: ByteBuffer? = nil

        public init() {}

        public init(index: Int32 = 0, records: ByteBuffer? = nil) {
            self.index = index
            self.records = records
        }
    }
}

extension ProduceRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&transactionalID, since: 3)
        try wire.visit(&acks)
        try wire.visit(&timeoutMilliseconds)
        try wire.visit(&topics)
    }
}

extension ProduceRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ProduceRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visitRecords(&records)
    }
}

extension ProduceRequest: KafkaRequest {
    public typealias Response = ProduceResponse

    public static var apiKey: APIKey { .produce }

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

/// Part of the message.
public struct ProduceResponse: Sendable, Hashable {
    public var topics: [Topic] = []
    public var throttleTimeMilliseconds: Int32 = 0
    public var nodeEndpoints: [NodeEndpoint] = []

    public init() {}

    public init(
        topics: [Topic] = [], throttleTimeMilliseconds: Int32 = 0,
        nodeEndpoints: [NodeEndpoint] = []
    ) {
        self.topics = topics
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.nodeEndpoints = nodeEndpoints
    }

    /// Part of the message.
    public struct Topic: Sendable, Hashable {
        public var name: String = ""
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", partitions: [Partition] = []) {
            self.name = name
            self.partitions = partitions
        }
    }

    /// Part of the message.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var baseOffset: Int64 = 0
        public var logAppendTimeMilliseconds: Int64 = -1
        public var logStartOffset: Int64 = -1
        public var recordErrors: [RecordError] = []
        public var errorMessage: String? = nil
        public var currentLeader: CurrentLeader = CurrentLeader()

        public init() {}

        public init(
            index: Int32 = 0, errorCode: ErrorCode = .none, baseOffset: Int64 = 0,
            logAppendTimeMilliseconds: Int64 = -1, logStartOffset: Int64 = -1,
            recordErrors: [RecordError] = [], errorMessage: String? = nil,
            currentLeader: CurrentLeader = CurrentLeader()
        ) {
            self.index = index
            self.errorCode = errorCode
            self.baseOffset = baseOffset
            self.logAppendTimeMilliseconds = logAppendTimeMilliseconds
            self.logStartOffset = logStartOffset
            self.recordErrors = recordErrors
            self.errorMessage = errorMessage
            self.currentLeader = currentLeader
        }
    }

    /// Part of the message.
    public struct RecordError: Sendable, Hashable {
        public var batchIndex: Int32 = 0
        public var batchIndexErrorMessage: String? = nil

        public init() {}

        public init(batchIndex: Int32 = 0, batchIndexErrorMessage: String? = nil) {
            self.batchIndex = batchIndex
            self.batchIndexErrorMessage = batchIndexErrorMessage
        }
    }
}

extension ProduceResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&topics)
        try wire.visit(&throttleTimeMilliseconds, since: 1)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 10, !nodeEndpoints.isEmpty { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 10: try wire.visit(&nodeEndpoints)
        default: return false
        }
        return true
    }
}

extension ProduceResponse.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&partitions)
    }
}

extension ProduceResponse.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&errorCode)
        try wire.visit(&baseOffset)
        try wire.visit(&logAppendTimeMilliseconds, since: 2)
        try wire.visit(&logStartOffset, since: 5)
        try wire.visit(&recordErrors, since: 8)
        try wire.visit(&errorMessage, since: 8)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 10, currentLeader != .init() { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 10: try wire.visit(&currentLeader)
        default: return false
        }
        return true
    }
}

extension ProduceResponse.RecordError: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&batchIndex)
        try wire.visit(&batchIndexErrorMessage)
    }
}

extension ProduceResponse: KafkaResponse {
    public static var apiKey: APIKey { .produce }

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
