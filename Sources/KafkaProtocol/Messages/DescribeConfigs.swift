public import NIOCore

/// Asks for the configs of topics or brokers.
public struct DescribeConfigsRequest: Sendable, Hashable {
    public var resources: [Resource] = []
    public var includeSynonyms: Bool = false
    public var includeDocumentation: Bool = false

    public init() {}

    public init(
        resources: [Resource] = [], includeSynonyms: Bool = false,
        includeDocumentation: Bool = false
    ) {
        self.resources = resources
        self.includeSynonyms = includeSynonyms
        self.includeDocumentation = includeDocumentation
    }

    /// A resource (type 2 topic, 4 broker) and the keys wanted; no list means all.
    public struct Resource: Sendable, Hashable {
        public var resourceType: Int8 = 0
        public var resourceName: String = ""
        public var configurationKeys: [String]? = nil

        public init() {}

        public init(
            resourceType: Int8 = 0, resourceName: String = "", configurationKeys: [String]? = nil
        ) {
            self.resourceType = resourceType
            self.resourceName = resourceName
            self.configurationKeys = configurationKeys
        }
    }
}

extension DescribeConfigsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&resources)
        try wire.visit(&includeSynonyms)
        try wire.visit(&includeDocumentation, since: 3)
    }
}

extension DescribeConfigsRequest.Resource: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&resourceType)
        try wire.visit(&resourceName)
        try wire.visit(&configurationKeys)
    }
}

extension DescribeConfigsRequest: KafkaRequest {
    public typealias Response = DescribeConfigsResponse

    public static var apiKey: APIKey { .describeConfigs }

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

/// The answer to `DescribeConfigsRequest`.
public struct DescribeConfigsResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var resources: [Resource] = []

    public init() {}

    public init(throttleTimeMilliseconds: Int32 = 0, resources: [Resource] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.resources = resources
    }

    /// The configs of one resource.
    public struct Resource: Sendable, Hashable {
        public var errorCode: ErrorCode = .none
        public var errorMessage: String? = nil
        public var resourceType: Int8 = 0
        public var resourceName: String = ""
        public var configs: [Config] = []

        public init() {}

        public init(
            errorCode: ErrorCode = .none, errorMessage: String? = nil, resourceType: Int8 = 0,
            resourceName: String = "", configs: [Config] = []
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.resourceType = resourceType
            self.resourceName = resourceName
            self.configs = configs
        }
    }

    /// One config with its value, its source and its type.
    public struct Config: Sendable, Hashable {
        public var name: String = ""
        public var value: String? = nil
        public var readOnly: Bool = false
        /// 1 topic, 2 broker (dynamic), 3 all brokers (dynamic), 4 broker (file), 5 default.
        public var configSource: Int8 = -1
        public var isSensitive: Bool = false
        public var synonyms: [Synonym] = []
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
        public var configType: Int8 = 0
        public var documentation: String? = nil

        public init() {}

        public init(
            name: String = "", value: String? = nil, readOnly: Bool = false,
            configSource: Int8 = -1, isSensitive: Bool = false, synonyms: [Synonym] = [],
            configType: Int8 = 0, documentation: String? = nil
        ) {
            self.name = name
            self.value = value
            self.readOnly = readOnly
            self.configSource = configSource
            self.isSensitive = isSensitive
            self.synonyms = synonyms
            self.configType = configType
            self.documentation = documentation
        }
    }

    /// A config that would apply if the ones before it were absent.
    public struct Synonym: Sendable, Hashable {
        public var name: String = ""
        public var value: String? = nil
        public var source: Int8 = 0

        public init() {}

        public init(name: String = "", value: String? = nil, source: Int8 = 0) {
            self.name = name
            self.value = value
            self.source = source
        }
    }
}

extension DescribeConfigsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&resources)
    }
}

extension DescribeConfigsResponse.Resource: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&resourceType)
        try wire.visit(&resourceName)
        try wire.visit(&configs)
    }
}

extension DescribeConfigsResponse.Config: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&value)
        try wire.visit(&readOnly)
        try wire.visit(&configSource)
        try wire.visit(&isSensitive)
        try wire.visit(&synonyms)
        try wire.visit(&configType, since: 3)
        try wire.visit(&documentation, since: 3)
    }
}

extension DescribeConfigsResponse.Synonym: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&value)
        try wire.visit(&source)
    }
}

extension DescribeConfigsResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeConfigs }

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
