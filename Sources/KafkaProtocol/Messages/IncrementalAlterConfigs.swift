public import NIOCore

/// Changes single configs of resources (KIP-339).
public struct IncrementalAlterConfigsRequest: Sendable, Hashable {
    public var resources: [Resource] = []
    public var validateOnly: Bool = false

    public init() {}

    public init(resources: [Resource] = [], validateOnly: Bool = false) {
        self.resources = resources
        self.validateOnly = validateOnly
    }

    /// One resource and its changes.
    public struct Resource: Sendable, Hashable {
        public var resourceType: Int8 = 0
        public var resourceName: String = ""
        public var configs: [Config] = []

        public init() {}

        public init(resourceType: Int8 = 0, resourceName: String = "", configs: [Config] = []) {
            self.resourceType = resourceType
            self.resourceName = resourceName
            self.configs = configs
        }
    }

    /// A change: operation 0 sets, 1 deletes, 2 appends to a list, 3 subtracts from it.
    public struct Config: Sendable, Hashable {
        public var name: String = ""
        public var configOperation: Int8 = 0
        public var value: String? = nil

        public init() {}

        public init(name: String = "", configOperation: Int8 = 0, value: String? = nil) {
            self.name = name
            self.configOperation = configOperation
            self.value = value
        }
    }
}

extension IncrementalAlterConfigsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&resources)
        try wire.visit(&validateOnly)
    }
}

extension IncrementalAlterConfigsRequest.Resource: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&resourceType)
        try wire.visit(&resourceName)
        try wire.visit(&configs)
    }
}

extension IncrementalAlterConfigsRequest.Config: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&configOperation)
        try wire.visit(&value)
    }
}

extension IncrementalAlterConfigsRequest: KafkaRequest {
    public typealias Response = IncrementalAlterConfigsResponse

    public static var apiKey: APIKey { .incrementalAlterConfigs }

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

/// The answer to `IncrementalAlterConfigsRequest`.
public struct IncrementalAlterConfigsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var resources: [Resource] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, resources: [Resource] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.resources = resources
    }

    /// The result of one resource.
    public struct Resource: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil
        public var resourceType: Int8 = 0
        public var resourceName: String = ""

        public init() {}

        public init(
            errorCode: ErrorCode = .none, errorMessage: String? = nil, resourceType: Int8 = 0,
            resourceName: String = ""
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.resourceType = resourceType
            self.resourceName = resourceName
        }
    }
}

extension IncrementalAlterConfigsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&resources)
    }
}

extension IncrementalAlterConfigsResponse.Resource: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&resourceType)
        try wire.visit(&resourceName)
    }
}

extension IncrementalAlterConfigsResponse: KafkaResponse {
    public static var apiKey: APIKey { .incrementalAlterConfigs }

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
