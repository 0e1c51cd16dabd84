public import NIOCore

/// Enters a group, or a new generation of it.
///
/// From version 4 on a newcomer is told its member id first and joins again (KIP-394); 5 brings
/// static members (KIP-345), 8 the reason, 9 an answer that may say that the assignment stands.
public struct JoinGroupRequest: Sendable, Hashable {
    public var groupID: String = ""
    public var sessionTimeoutMilliseconds: Int32 = 0
    /// -1 before version 1, where the session timeout serves.
    public var rebalanceTimeoutMilliseconds: Int32 = -1
    public var memberID: String = ""
    public var groupInstanceID: String? = nil
    public var protocolType: String = ""
    public var protocols: [SupportedProtocol] = []
    public var reason: String? = nil

    public init() {}

    public init(
        groupID: String = "", sessionTimeoutMilliseconds: Int32 = 0,
        rebalanceTimeoutMilliseconds: Int32 = -1, memberID: String = "",
        groupInstanceID: String? = nil, protocolType: String = "",
        protocols: [SupportedProtocol] = [], reason: String? = nil
    ) {
        self.groupID = groupID
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
        self.protocolType = protocolType
        self.protocols = protocols
        self.reason = reason
    }

    /// An assignor that the member knows, with its subscription.
    public struct SupportedProtocol: Sendable, Hashable {
        public var name: String = ""
        public var metadata: ByteBuffer = ByteBuffer()

        public init() {}

        public init(name: String = "", metadata: ByteBuffer = ByteBuffer()) {
            self.name = name
            self.metadata = metadata
        }
    }
}

extension JoinGroupRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&sessionTimeoutMilliseconds)
        try wire.visit(&rebalanceTimeoutMilliseconds, since: 1)
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 5)
        try wire.visit(&protocolType)
        try wire.visit(&protocols)
        try wire.visit(&reason, since: 8)
    }
}

extension JoinGroupRequest.SupportedProtocol: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&metadata)
    }
}

extension JoinGroupRequest: KafkaRequest {
    public typealias Response = JoinGroupResponse

    public static var apiKey: APIKey { .joinGroup }

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

/// The generation that a member has joined; the leader also gets all members.
public struct JoinGroupResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var generationID: Int32 = -1
    public var protocolType: String? = nil
    public var protocolName: String? = nil
    public var leader: String = ""
    /// Whether the leader shall not assign anew (version 9, KIP-814).
    public var skipAssignment: Bool = false
    public var memberID: String = ""
    public var members: [Member] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        generationID: Int32 = -1, protocolType: String? = nil, protocolName: String? = nil,
        leader: String = "", skipAssignment: Bool = false, memberID: String = "",
        members: [Member] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.generationID = generationID
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.leader = leader
        self.skipAssignment = skipAssignment
        self.memberID = memberID
        self.members = members
    }

    /// A member with the subscription for the chosen assignor, for the leader to assign.
    public struct Member: Sendable, Hashable {
        public var memberID: String = ""
        public var groupInstanceID: String? = nil
        public var metadata: ByteBuffer = ByteBuffer()

        public init() {}

        public init(
            memberID: String = "", groupInstanceID: String? = nil,
            metadata: ByteBuffer = ByteBuffer()
        ) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.metadata = metadata
        }
    }
}

extension JoinGroupResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 2)
        try wire.visit(&errorCode)
        try wire.visit(&generationID)
        try wire.visit(&protocolType, since: 7)
        try wire.visit(&protocolName, nullableSince: 7)
        try wire.visit(&leader)
        try wire.visit(&skipAssignment, since: 9)
        try wire.visit(&memberID)
        try wire.visit(&members)
    }
}

extension JoinGroupResponse.Member: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 5)
        try wire.visit(&metadata)
    }
}

extension JoinGroupResponse: KafkaResponse {
    public static var apiKey: APIKey { .joinGroup }

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
