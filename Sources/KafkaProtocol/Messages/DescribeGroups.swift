public import NIOCore

/// Asks for the state and the members of groups.
public struct DescribeGroupsRequest: Sendable, Hashable {
    public var groupIDs: [String] = []
    public var includeAuthorizedOperations: Bool = false

    public init() {}

    public init(groupIDs: [String] = [], includeAuthorizedOperations: Bool = false) {
        self.groupIDs = groupIDs
        self.includeAuthorizedOperations = includeAuthorizedOperations
    }
}

extension DescribeGroupsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupIDs)
        try wire.visit(&includeAuthorizedOperations, since: 3)
    }
}

extension DescribeGroupsRequest: KafkaRequest {
    public typealias Response = DescribeGroupsResponse

    public static var apiKey: APIKey { .describeGroups }

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

/// The answer to `DescribeGroupsRequest`.
public struct DescribeGroupsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var groups: [Group] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.groups = groups
    }

    /// One group; version 6 can say why it is not there.
    public struct Group: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil
        public var groupID: String = ""
        public var groupState: String = ""
        public var protocolType: String = ""
        public var protocolData: String = ""
        public var members: [Member] = []
        /// A bit for each operation allowed; `Int32.min` where nobody asked.
        public var authorizedOperations: Int32 = .min

        public init() {}

        public init(
            errorCode: ErrorCode = .none, errorMessage: String? = nil, groupID: String = "",
            groupState: String = "", protocolType: String = "", protocolData: String = "",
            members: [Member] = [], authorizedOperations: Int32 = .min
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.groupID = groupID
            self.groupState = groupState
            self.protocolType = protocolType
            self.protocolData = protocolData
            self.members = members
            self.authorizedOperations = authorizedOperations
        }
    }

    /// One member with its subscription and its assignment.
    public struct Member: Sendable, Hashable {
        public var memberID: String = ""
        public var groupInstanceID: String? = nil
        public var clientID: String = ""
        public var clientHost: String = ""
        public var memberMetadata: ByteBuffer = ByteBuffer()
        public var memberAssignment: ByteBuffer = ByteBuffer()

        public init() {}

        public init(
            memberID: String = "", groupInstanceID: String? = nil, clientID: String = "",
            clientHost: String = "", memberMetadata: ByteBuffer = ByteBuffer(),
            memberAssignment: ByteBuffer = ByteBuffer()
        ) {
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.clientID = clientID
            self.clientHost = clientHost
            self.memberMetadata = memberMetadata
            self.memberAssignment = memberAssignment
        }
    }
}

extension DescribeGroupsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&groups)
    }
}

extension DescribeGroupsResponse.Group: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage, since: 6)
        try wire.visit(&groupID)
        try wire.visit(&groupState)
        try wire.visit(&protocolType)
        try wire.visit(&protocolData)
        try wire.visit(&members)
        try wire.visit(&authorizedOperations, since: 3)
    }
}

extension DescribeGroupsResponse.Member: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&memberID)
        try wire.visit(&groupInstanceID, since: 4)
        try wire.visit(&clientID)
        try wire.visit(&clientHost)
        try wire.visit(&memberMetadata)
        try wire.visit(&memberAssignment)
    }
}

extension DescribeGroupsResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeGroups }

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
