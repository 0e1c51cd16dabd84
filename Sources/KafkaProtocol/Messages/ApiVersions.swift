public import NIOCore

/// Asks which requests a broker answers; the first request of a connection.
public struct ApiVersionsRequest: Sendable, Hashable {
    public var clientSoftwareName: String = ""
    public var clientSoftwareVersion: String = ""

    public init() {}

    public init(clientSoftwareName: String = "", clientSoftwareVersion: String = "") {
        self.clientSoftwareName = clientSoftwareName
        self.clientSoftwareVersion = clientSoftwareVersion
    }
}

extension ApiVersionsRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&clientSoftwareName, since: 3)
        try wire.visit(&clientSoftwareVersion, since: 3)
    }
}

extension ApiVersionsRequest: KafkaRequest {
    public typealias Response = ApiVersionsResponse

    public static var apiKey: APIKey { .apiVersions }

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

/// The table of a broker.
///
/// A client whose version is too new gets it in version 0 with UNSUPPORTED_VERSION and tries again
/// (KIP-511). Finalized features are left out: transactions of version 2 and the new group protocol
/// are not offered. Below version 4 a feature must not have 0 as its lowest version.
public struct ApiVersionsResponse: Sendable, Hashable {
    public var errorCode: ErrorCode = .none
    public var apiKeys: [Range] = []
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var supportedFeatures: [SupportedFeature] = []

    public init() {}

    public init(
        errorCode: ErrorCode = .none, apiKeys: [Range] = [], throttleTimeMilliseconds: Int32 = 0,
        supportedFeatures: [SupportedFeature] = []
    ) {
        self.errorCode = errorCode
        self.apiKeys = apiKeys
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.supportedFeatures = supportedFeatures
    }

    /// The levels of a feature that the broker could run.
    public struct SupportedFeature: Sendable, Hashable {
        public var name: String = ""
        public var minVersion: Int16 = 0
        public var maxVersion: Int16 = 0

        public init() {}

        public init(name: String = "", minVersion: Int16 = 0, maxVersion: Int16 = 0) {
            self.name = name
            self.minVersion = minVersion
            self.maxVersion = maxVersion
        }
    }

    /// The versions of one request.
    public struct Range: Sendable, Hashable {
        public var apiKey: Int16 = 0
        public var minVersion: Int16 = 0
        public var maxVersion: Int16 = 0

        public init() {}

        public init(apiKey: Int16 = 0, minVersion: Int16 = 0, maxVersion: Int16 = 0) {
            self.apiKey = apiKey
            self.minVersion = minVersion
            self.maxVersion = maxVersion
        }
    }
}

extension ApiVersionsResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&errorCode)
        try wire.visit(&apiKeys)
        try wire.visit(&throttleTimeMilliseconds, since: 1)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 3, !supportedFeatures.isEmpty { present |= 1 << 0 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 3: try wire.visit(&supportedFeatures)
        default: return false
        }
        return true
    }
}

extension ApiVersionsResponse.SupportedFeature: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name)
        try wire.visit(&minVersion)
        try wire.visit(&maxVersion)
    }
}

extension ApiVersionsResponse.Range: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&apiKey)
        try wire.visit(&minVersion)
        try wire.visit(&maxVersion)
    }
}

extension ApiVersionsResponse: KafkaResponse {
    public static var apiKey: APIKey { .apiVersions }

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
