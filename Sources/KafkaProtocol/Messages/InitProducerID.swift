public import NIOCore

/// Asks for a producer id (KIP-98); from version 3 on an own id may get its next epoch (KIP-360).
public struct InitProducerIDRequest: Sendable, Hashable {
    public var transactionalID: String? = nil
    public var transactionTimeoutMilliseconds: Int32 = 0
    public var producerID: Int64 = -1
    public var producerEpoch: Int16 = -1

    public init() {}

    public init(
        transactionalID: String? = nil, transactionTimeoutMilliseconds: Int32 = 0,
        producerID: Int64 = -1, producerEpoch: Int16 = -1
    ) {
        self.transactionalID = transactionalID
        self.transactionTimeoutMilliseconds = transactionTimeoutMilliseconds
        self.producerID = producerID
        self.producerEpoch = producerEpoch
    }
}

extension InitProducerIDRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&transactionalID)
        try wire.visit(&transactionTimeoutMilliseconds)
        try wire.visit(&producerID, since: 3)
        try wire.visit(&producerEpoch, since: 3)
    }
}

extension InitProducerIDRequest: KafkaRequest {
    public typealias Response = InitProducerIDResponse

    public static var apiKey: APIKey { .initProducerID }

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

/// The identity of an idempotent producer.
public struct InitProducerIDResponse: Sendable, Hashable {
    /// How long the client shall wait before its next request, because of a quota.
    public var throttleTimeMilliseconds: Int32 = 0
    public var errorCode: ErrorCode = .none
    public var producerID: Int64 = -1
    public var producerEpoch: Int16 = 0

    public init() {}

    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: ErrorCode = .none, producerID: Int64 = -1,
        producerEpoch: Int16 = 0
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.producerID = producerID
        self.producerEpoch = producerEpoch
    }
}

extension InitProducerIDResponse: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&throttleTimeMilliseconds)
        try wire.visit(&errorCode)
        try wire.visit(&producerID)
        try wire.visit(&producerEpoch)
    }
}

extension InitProducerIDResponse: KafkaResponse {
    public static var apiKey: APIKey { .initProducerID }

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
