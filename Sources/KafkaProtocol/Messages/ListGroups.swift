public import NIOCore

/// Asks for the groups of a broker, filtered by state (version 4) and type (version 5).
public struct ListGroupsRequest: Sendable, Hashable {
    public var statesFilter: [String] = []
    public var typesFilter: [String] = []

    public init() {}

    public init(statesFilter: [String] = [], typesFilter: [String] = []) {
        self.statesFilter = statesFilter
        self.typesFilter = typesFilter
    }
}

extension ListGroupsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&statesFilter, since: 4)
        try wire.visit(&typesFilter, since: 5)
    }
}

extension ListGroupsRequest: KafkaRequest {
    public typealias Response = ListGroupsResponse

    public static var apiKey: APIKey { .listGroups }

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

/// The answer to `ListGroupsRequest`.
public struct ListGroupsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var groups: [Group] = []

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none, groups: [Group] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.groups = groups
    }

    /// One group.
    public struct Group: Sendable, Hashable {
        public var groupID: String = ""
        public var protocolType: String = ""
        public var groupState: String = ""
        public var groupType: String = ""

        public init() {}

        public init(
            groupID: String = "", protocolType: String = "", groupState: String = "",
            groupType: String = ""
        ) {
            self.groupID = groupID
            self.protocolType = protocolType
            self.groupState = groupState
            self.groupType = groupType
        }
    }
}

extension ListGroupsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds, since: 1)
        try wire.visit(&errorCode)
        try wire.visit(&groups)
    }
}

extension ListGroupsResponse.Group: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&protocolType)
        try wire.visit(&groupState, since: 4)
        try wire.visit(&groupType, since: 5)
    }
}

extension ListGroupsResponse: KafkaResponse {
    public static var apiKey: APIKey { .listGroups }

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
