public import NIOCore

/// Keeps a member alive within its generation.
public struct HeartbeatRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var generationID: Int32 = 0
    public var memberID: String = ""
    public var groupInstanceID: String? = nil

    public init() {}

    public init(
        groupID: String = "", generationID: Int32 = 0, memberID: String = "",
        groupInstanceID: String? = nil
    ) {
        self.groupID = groupID
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
    }
}

extension HeartbeatRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&generationID)
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 3)
    }
}

extension HeartbeatRequest: KafkaRequest {
    public typealias Response = HeartbeatResponse

    public static var apiKey: APIKey { .heartbeat }

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

/// The answer to `HeartbeatRequest`; REBALANCE_IN_PROGRESS calls the member to join again.
public struct HeartbeatResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
    }
}

extension HeartbeatResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&errorCode)
    }
}

extension HeartbeatResponse: KafkaResponse {
    public static var apiKey: APIKey { .heartbeat }

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
