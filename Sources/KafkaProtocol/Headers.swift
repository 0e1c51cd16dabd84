public import NIOCore

/// What precedes the body of every request.
///
///     [apiKey int16][apiVersion int16][correlationID int32][clientID nullable string]
///     [tagged fields, from the first flexible version of the key on]
///
/// The client id keeps its legacy encoding in every version, so that a broker can read the header
/// of a version that it does not know.
public struct RequestHeader: Sendable, Hashable {
    public var apiKey: Int16
    public var apiVersion: Int16
    public var correlationID: Int32
    public var clientID: String?

    public init(apiKey: Int16, apiVersion: Int16, correlationID: Int32, clientID: String? = nil) {
        self.apiKey = apiKey
        self.apiVersion = apiVersion
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// The key, where it is one of ours.
    public var api: APIKey? { APIKey(rawValue: apiKey) }

    /// The key, where it is one of ours and the version is in its range.
    ///
    /// Nil for an ApiVersions request that is too new: it gets the body of version 0 with
    /// UNSUPPORTED_VERSION and is tried again lower, not a closed connection (KIP-511).
    public var supported: APIKey? {
        guard let api, api.supports(apiVersion) else { return nil }
        return api
    }

    /// Reads the header and leaves the reader index of `frame` at the body.
    ///
    /// The tagged fields are read where key and version are known; otherwise nobody can decode
    /// the body anyway.
    public static func decode(_ frame: inout ByteBuffer) throws(WireError) -> RequestHeader {
        guard
            let (key, version, correlationID, length) = frame.readMultipleIntegers(
                as: (Int16, Int16, Int32, Int16).self)
        else { throw .truncated }
        guard length >= -1 else { throw .negativeLength(Int32(length)) }
        var clientID: String?
        if length >= 0 {
            guard let bytes = frame.readSlice(length: Int(length)) else { throw .truncated }
            guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
                throw .invalidUTF8
            }
            clientID = text
        }
        let header = RequestHeader(
            apiKey: key, apiVersion: version, correlationID: correlationID, clientID: clientID)
        if let api = header.supported, api.isFlexible(version) { try skipTags(&frame) }
        return header
    }

    /// Appends the header in the version that goes with key and version.
    public func encode(into out: inout ByteBuffer) throws(WireError) {
        let name = clientID ?? ""
        guard name.utf8.count <= WireLimits.legacyStringLengthMax else {
            throw .tooLong(name.utf8.count)
        }
        out.writeMultipleIntegers(
            apiKey, apiVersion, correlationID, clientID == nil ? -1 : Int16(name.utf8.count))
        out.writeString(name)
        if let api, api.isFlexible(apiVersion) { out.writeInteger(0 as UInt8) }
    }
}

/// What precedes the body of every response.
///
///     [correlationID int32][tagged fields, where the request header had them]
///
/// ApiVersions never has the tagged fields: its client does not know yet what it may expect.
public struct ResponseHeader: Sendable, Hashable {
    public var correlationID: Int32

    public init(correlationID: Int32) { self.correlationID = correlationID }

    public static func isFlexible(_ api: APIKey, version: Int16) -> Bool {
        api != .apiVersions && api.isFlexible(version)
    }

    /// Reads the header and leaves the reader index of `frame` at the body.
    public static func decode(
        _ frame: inout ByteBuffer, for api: APIKey, version: Int16
    ) throws(WireError) -> ResponseHeader {
        guard let correlationID = frame.readInteger(as: Int32.self) else { throw .truncated }
        if isFlexible(api, version: version) { try skipTags(&frame) }
        return ResponseHeader(correlationID: correlationID)
    }

    public func encode(for api: APIKey, version: Int16, into out: inout ByteBuffer) {
        out.writeInteger(correlationID)
        if Self.isFlexible(api, version: version) { out.writeInteger(0 as UInt8) }
    }
}

/// A struct without ordinary fields: what is left of a header whose tags nobody knows.
private struct UnknownTags: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {}
}

private func skipTags(_ frame: inout ByteBuffer) throws(WireError) {
    if frame.getInteger(at: frame.readerIndex, as: UInt8.self) == 0 {
        frame.moveReaderIndex(forwardBy: 1)
        return
    }
    let whole = frame
    let result: Result<Int, WireError> = unsafe whole.withUnsafeReadableBytes { bytes in
        do throws(WireError) {
            var reader = unsafe WireReader(bytes, of: whole, version: 0, flexible: true)
            var tags = UnknownTags()
            try tags.traverse(&reader)
            return .success(bytes.count - reader.remaining)
        } catch {
            return .failure(error)
        }
    }
    frame.moveReaderIndex(forwardBy: try result.get())
}
