public import NIOCore

/// Fetches the assignment of a member; the leader brings those of all members.
public struct SyncGroupRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var generationID: Int32 = 0
    public var memberID: String = ""
    public var groupInstanceID: String? = nil
    public var protocolType: String? = nil
    public var protocolName: String? = nil
    public var assignments: [MemberAssignment] = []

    public init() {}

    public init(
        groupID: String = "", generationID: Int32 = 0, memberID: String = "",
        groupInstanceID: String? = nil, protocolType: String? = nil, protocolName: String? = nil,
        assignments: [MemberAssignment] = []
    ) {
        self.groupID = groupID
        self.generationID = generationID
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignments = assignments
    }

    /// What one member is assigned, in a format that only clients read.
    public struct MemberAssignment: Sendable, Hashable {
        public var memberID: String = ""
        public var assignment: ByteBuffer = ByteBuffer()

        public init() {}

        public init(memberID: String = "", assignment: ByteBuffer = ByteBuffer()) {
            self.memberID = memberID
            self.assignment = assignment
        }
    }
}

extension SyncGroupRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&generationID)
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 3)
        try wire.visit(&protocolType, since: 5)
        try wire.visit(&protocolName, since: 5)
        try wire.visit(&assignments)
    }
}

extension SyncGroupRequest.MemberAssignment: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&memberID)
        try wire.visit(&assignment)
    }
}

extension SyncGroupRequest: KafkaRequest {
    public typealias Response = SyncGroupResponse

    public static var apiKey: APIKey { .syncGroup }

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

/// The assignment of the member that asked.
public struct SyncGroupResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var protocolType: String? = nil
    public var protocolName: String? = nil
    public var assignment: ByteBuffer = ByteBuffer()

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        protocolType: String? = nil, protocolName: String? = nil,
        assignment: ByteBuffer = ByteBuffer()
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignment = assignment
    }
}

extension SyncGroupResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&errorCode)
        try wire.visit(&protocolType, since: 5)
        try wire.visit(&protocolName, since: 5)
        try wire.visit(&assignment)
    }
}

extension SyncGroupResponse: KafkaResponse {
    public static var apiKey: APIKey { .syncGroup }

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
