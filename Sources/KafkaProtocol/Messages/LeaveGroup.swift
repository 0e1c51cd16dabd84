public import NIOCore

/// Takes members out of a group: one `memberID` up to version 2, `members` later.
public struct LeaveGroupRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var memberID: String = ""
    public var members: [Member] = []

    public init() {}

    public init(groupID: String = "", memberID: String = "", members: [Member] = []) {
        self.groupID = groupID
        self.memberID = memberID
        self.members = members
    }

    /// A member that leaves; a static one is named by its instance id.
    public struct Member: Sendable, Hashable {
        public var memberID: String = ""
        public var groupInstanceID: String? = nil
        public var reason: String? = nil

        public init() {}

        public init(memberID: String = "", groupInstanceID: String? = nil, reason: String? = nil) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.reason = reason
        }
    }
}

extension LeaveGroupRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&memberID, until: 2)
        try wire.visit(&members, since: 3)
    }
}

extension LeaveGroupRequest.Member: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID)
        try wire.visit(&reason, since: 5)
    }
}

extension LeaveGroupRequest: KafkaRequest {
    public typealias Response = LeaveGroupResponse

    public static var apiKey: APIKey { .leaveGroup }

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

/// The answer to `LeaveGroupRequest`.
public struct LeaveGroupResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var members: [Member] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none, members: [Member] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.members = members
    }

    /// Whether one member has left.
    public struct Member: Sendable, Hashable {
        public var memberID: String = ""
        public var groupInstanceID: String? = nil
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(
            memberID: String = "", groupInstanceID: String? = nil, errorCode: ErrorCode = .none
        ) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.errorCode = errorCode
        }
    }
}

extension LeaveGroupResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&errorCode)
        try wire.visit(&members, since: 3)
    }
}

extension LeaveGroupResponse.Member: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID)
        try wire.visit(&errorCode)
    }
}

extension LeaveGroupResponse: KafkaResponse {
    public static var apiKey: APIKey { .leaveGroup }

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
