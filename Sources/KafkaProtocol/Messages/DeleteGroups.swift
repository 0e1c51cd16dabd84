public import NIOCore

/// Deletes groups without members.
public struct DeleteGroupsRequest: Sendable, Hashable {
    public var groupIDs: [String] = []

    public init() {}

    public init(groupIDs: [String] = []) {
        self.groupIDs = groupIDs
    }
}

extension DeleteGroupsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupIDs)
    }
}

extension DeleteGroupsRequest: KafkaRequest {
    public typealias Response = DeleteGroupsResponse

    public static var apiKey: APIKey { .deleteGroups }

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

/// The answer to `DeleteGroupsRequest`.
public struct DeleteGroupsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var groups: [Group] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.groups = groups
    }

    /// The result of one group.
    public struct Group: Sendable, Hashable {
        public var groupID: String = ""
        public var errorCode: ErrorCode = .none

        public init() {}

        public init(groupID: String = "", errorCode: ErrorCode = .none) {
            self.groupID = groupID
            self.errorCode = errorCode
        }
    }
}

extension DeleteGroupsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&groups)
    }
}

extension DeleteGroupsResponse.Group: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&groupID)
        try wire.visit(&errorCode)
    }
}

extension DeleteGroupsResponse: KafkaResponse {
    public static var apiKey: APIKey { .deleteGroups }

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
