public import NIOCore

/// A message of the Kafka protocol, either direction: the body without frame length and header.
///
/// Each conforming type has its own concrete `decode`, `encode` and `encodedSize`; generic code may
/// call them through this protocol, once per message and not once per field.
public protocol KafkaMessage: Sendable, Hashable {
    init()

    static var apiKey: APIKey { get }

    /// Reads a body that must fill `body` exactly; refuses versions out of the key's range.
    static func decode(_ body: ByteBuffer, version: Int16) throws(WireError) -> Self

    /// Appends the body in the encoding of `version`.
    func encode(version: Int16, into out: inout ByteBuffer) throws(WireError)

    /// The bytes that `encode` appends, deferred records included.
    func encodedSize(version: Int16) throws(WireError) -> Int
}

/// What a client sends.
public protocol KafkaRequest: KafkaMessage {
    associatedtype Response: KafkaResponse
}

/// What a broker answers.
public protocol KafkaResponse: KafkaMessage {}

extension KafkaRequest {
    /// Appends a whole frame: length, request header of the right version, body.
    public func encodeFrame(
        correlationID: Int32, clientID: String?, version: Int16, into out: inout ByteBuffer
    ) throws(WireError) {
        let start = out.writerIndex
        out.writeInteger(0 as Int32)
        let header = RequestHeader(
            apiKey: Self.apiKey.rawValue, apiVersion: version, correlationID: correlationID,
            clientID: clientID)
        do throws(WireError) {
            try header.encode(into: &out)
            try encode(version: version, into: &out)
            try sealFrame(startingAt: start, of: &out)
        } catch {
            out.moveWriterIndex(to: start)
            throw error
        }
    }
}

extension KafkaResponse {
    /// Appends a whole frame: length, response header of the right version, body.
    public func encodeFrame(
        correlationID: Int32, version: Int16, into out: inout ByteBuffer
    ) throws(WireError) {
        let start = out.writerIndex
        out.writeInteger(0 as Int32)
        ResponseHeader(correlationID: correlationID)
            .encode(for: Self.apiKey, version: version, into: &out)
        do throws(WireError) {
            try encode(version: version, into: &out)
            try sealFrame(startingAt: start, of: &out)
        } catch {
            out.moveWriterIndex(to: start)
            throw error
        }
    }
}

private func sealFrame(startingAt start: Int, of out: inout ByteBuffer) throws(WireError) {
    let length = out.writerIndex - start - 4
    guard length <= WireLimits.messageSizeMax else { throw .tooLong(length) }
    out.setInteger(Int32(length), at: start)
}

/// The one body of every concrete `decode`, inlined into it so that the traversal is specialised.
@inline(__always)
func decodeMessage<T: WireStruct>(
    _ body: ByteBuffer, version: Int16, flexible: Bool, allowTrailingBytes: Bool = false
) throws(WireError) -> T {
    let result: Result<T, WireError> = unsafe body.withUnsafeReadableBytes { bytes in
        do throws(WireError) {
            var reader = unsafe WireReader(bytes, of: body, version: version, flexible: flexible)
            var message = T()
            try message.traverse(&reader)
            guard reader.remaining == 0 || allowTrailingBytes else {
                throw .trailingBytes(reader.remaining)
            }
            return .success(message)
        } catch {
            return .failure(error)
        }
    }
    return try result.get()
}

@inline(__always)
func decodeMessage<T: WireStruct & KafkaMessage>(
    _ body: ByteBuffer, version: Int16
) throws(WireError) -> T {
    let flexible = try T.apiKey.encoding(of: version)
    return try decodeMessage(body, version: version, flexible: flexible)
}

/// The one body of every concrete `encodedSize`.
@inline(__always)
func sizeOfMessage<T: WireStruct>(
    _ message: T, version: Int16, flexible: Bool
) throws(WireError) -> (written: Int, deferred: Int) {
    var sizer = WireSizer(version: version, flexible: flexible)
    var copy = message
    try copy.traverse(&sizer)
    let total = sizer.size + sizer.deferredSize
    guard total <= WireLimits.messageSizeMax else { throw .tooLong(total) }
    return (sizer.size, sizer.deferredSize)
}

@inline(__always)
func sizeOfMessage<T: WireStruct & KafkaMessage>(
    _ message: T, version: Int16
) throws(WireError) -> Int {
    let flexible = try T.apiKey.encoding(of: version)
    let size = try sizeOfMessage(message, version: version, flexible: flexible)
    return size.written + size.deferred
}

/// The one body of every concrete `encode`; returns where deferred records belong, as offsets from
/// the first byte written.
@inline(__always)
@discardableResult
func encodeMessage<T: WireStruct>(
    _ message: T, version: Int16, flexible: Bool, into out: inout ByteBuffer
) throws(WireError) -> [Int] {
    let size = try sizeOfMessage(message, version: version, flexible: flexible).written
    var cuts: [Int] = []
    var failure: WireError?
    unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
        do throws(WireError) {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<size])
            var writer = unsafe WireWriter(room, version: version, flexible: flexible)
            var copy = message
            try copy.traverse(&writer)
            precondition(writer.offset == size, "the sizer and the writer disagree")
            cuts = writer.cuts
            return size
        } catch {
            failure = error
            return 0
        }
    }
    if let failure { throw failure }
    return cuts
}

@inline(__always)
func encodeMessage<T: WireStruct & KafkaMessage>(
    _ message: T, version: Int16, into out: inout ByteBuffer
) throws(WireError) {
    let flexible = try T.apiKey.encoding(of: version)
    let cuts = try encodeMessage(message, version: version, flexible: flexible, into: &out)
    precondition(cuts.isEmpty, "deferred records need encodeParts")
}
