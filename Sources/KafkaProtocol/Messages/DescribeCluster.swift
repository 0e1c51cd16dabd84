public import NIOCore

/// Asks for the brokers of the cluster (KIP-700).
public struct DescribeClusterRequest: Sendable, Hashable {
    public var includeClusterAuthorizedOperations: Bool = false
    /// 1 brokers, 2 controllers.
    public var endpointType: Int8 = 1
    public var includeFencedBrokers: Bool = false

    public init() {}

    public init(
        includeClusterAuthorizedOperations: Bool = false, endpointType: Int8 = 1,
        includeFencedBrokers: Bool = false
    ) {
        self.includeClusterAuthorizedOperations = includeClusterAuthorizedOperations
        self.endpointType = endpointType
        self.includeFencedBrokers = includeFencedBrokers
    }
}

extension DescribeClusterRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&includeClusterAuthorizedOperations)
        try wire.visit(&endpointType, since: 1)
        try wire.visit(&includeFencedBrokers, since: 2)
    }
}

extension DescribeClusterRequest: KafkaRequest {
    public typealias Response = DescribeClusterResponse

    public static var apiKey: APIKey { .describeCluster }

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

/// The answer to `DescribeClusterRequest`.
public struct DescribeClusterResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var errorMessage: String? = nil
    /// 1 brokers, 2 controllers.
    public var endpointType: Int8 = 1
    public var clusterID: String = ""
    public var controllerID: Int32 = -1
    public var brokers: [Broker] = []
    /// A bit for each operation allowed; `Int32.min` where nobody asked.
    public var clusterAuthorizedOperations: Int32 = .min

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none,
        errorMessage: String? = nil, endpointType: Int8 = 1, clusterID: String = "",
        controllerID: Int32 = -1, brokers: [Broker] = [], clusterAuthorizedOperations: Int32 = .min
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.endpointType = endpointType
        self.clusterID = clusterID
        self.controllerID = controllerID
        self.brokers = brokers
        self.clusterAuthorizedOperations = clusterAuthorizedOperations
    }

    /// Where a broker listens; version 2 tells whether it is fenced.
    public struct Broker: Sendable, Hashable {
        public var brokerID: Int32 = 0
        public var host: String = ""
        public var port: Int32 = 0
        public var rack: String? = nil
        public var isFenced: Bool = false

        public init() {}

        public init(
            brokerID: Int32 = 0, host: String = "", port: Int32 = 0, rack: String? = nil,
            isFenced: Bool = false
        ) {
            self.brokerID = brokerID
            self.host = host
            self.port = port
            self.rack = rack
            self.isFenced = isFenced
        }
    }
}

extension DescribeClusterResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode)
        try wire.visit(&errorMessage)
        try wire.visit(&endpointType, since: 1)
        try wire.visit(&clusterID)
        try wire.visit(&controllerID)
        try wire.visit(&brokers)
        try wire.visit(&clusterAuthorizedOperations)
    }
}

extension DescribeClusterResponse.Broker: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&brokerID)
        try wire.visit(&host)
        try wire.visit(&port)
        try wire.visit(&rack)
        try wire.visit(&isFenced, since: 2)
    }
}

extension DescribeClusterResponse: KafkaResponse {
    public static var apiKey: APIKey { .describeCluster }

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
