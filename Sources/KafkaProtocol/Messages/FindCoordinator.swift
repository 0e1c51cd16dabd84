public import NIOCore

/// Asks which broker coordinates a group or a transaction.
///
/// One `key` up to version 3, a batch of `keys` later (KIP-699).
public struct FindCoordinatorRequest: Sendable, Hashable {
    public var key: String = ""
    /// 0 group, 1 transaction, 2 share group.
    public var keyType: Int8 = 0
    public var keys: [String] = []

    public init() {}

    public init(key: String = "", keyType: Int8 = 0, keys: [String] = []) {
        self.key = key
        self.keyType = keyType
        self.keys = keys
    }
}

extension FindCoordinatorRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&key, until: 3)
        try wire.visit(&keyType, since: 1)
        try wire.visit(&keys, since: 4)
    }
}

extension FindCoordinatorRequest: KafkaRequest {
    public typealias Response = FindCoordinatorResponse

    public static var apiKey: APIKey { .findCoordinator }

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

/// The answer to `FindCoordinatorRequest`: the fields of one broker up to version 3, `coordinators`
/// later.
public struct FindCoordinatorResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var errorMessage: String? = nil
    public var nodeID: Int32 = 0
    public var host: String = ""
    public var port: Int32 = 0
    public var coordinators: [Coordinator] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        errorMessage: String? = nil, nodeID: Int32 = 0, host: String = "", port: Int32 = 0,
        coordinators: [Coordinator] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.nodeID = nodeID
        self.host = host
        self.port = port
        self.coordinators = coordinators
    }

    /// The coordinator of one key.
    public struct Coordinator: Sendable, Hashable {
        public var key: String = ""
        public var nodeID: Int32 = 0
        public var host: String = ""
        public var port: Int32 = 0
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil

        public init() {}

        public init(
            key: String = "", nodeID: Int32 = 0, host: String = "", port: Int32 = 0,
            errorCode: ErrorCode = .none, errorMessage: String? = nil
        ) {
            self.key = key
            self.nodeID = nodeID
            self.host = host
            self.port = port
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }
    }
}

extension FindCoordinatorResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&errorCode, until: 3)
        try wire.visit(&errorMessage, since: 1, until: 3)
        try wire.visit(&nodeID, until: 3)
        try wire.visit(&host, until: 3)
        try wire.visit(&port, until: 3)
        try wire.visit(&coordinators, since: 4)
    }
}

extension FindCoordinatorResponse.Coordinator: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&key)
        try wire.visit(&nodeID)
        try wire.visit(&host)
        try wire.visit(&port)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
    }
}

extension FindCoordinatorResponse: KafkaResponse {
    public static var apiKey: APIKey { .findCoordinator }

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
