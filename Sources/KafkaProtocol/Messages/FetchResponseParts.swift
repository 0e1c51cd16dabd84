public import NIOCore

extension FetchResponse {
    /// The record batches of one partition.
    ///
    /// A broker answers `deferred`: it names the size and sends the bytes itself, from a shared
    /// buffer or a file, between the parts that `encodeParts` yields. Decoding gives `bytes`, a
    /// slice of the frame, or `null`.
    public enum Records: Sendable, Hashable {
        case null
        case bytes(ByteBuffer)
        case deferred(size: Int)

        /// The bytes, where they are here.
        public var buffer: ByteBuffer? {
            if case .bytes(let buffer) = self { buffer } else { nil }
        }

        /// The bytes that the records fill on the wire.
        public var size: Int {
            switch self {
            case .null: 0
            case .bytes(let buffer): buffer.readableBytes
            case .deferred(let size): size
            }
        }
    }

    /// A piece of a response frame, to be sent in order.
    ///
    ///     bytes  [length int32][header]..[records length] | records(0) | bytes .. | records(1) ..
    public enum Part: Sendable, Hashable {
        case bytes(ByteBuffer)
        /// The n-th `deferred` records of the response, counted over all topics and partitions.
        case records(Int)
    }

    /// Encodes a whole frame around the deferred records; the length in front counts them too.
    ///
    /// The byte parts are slices of one buffer. Deferred records of size 0 need no bytes and are
    /// named all the same, so that the indexes stay in step with the partitions.
    public func encodeParts(
        correlationID: Int32, version: Int16, allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(WireError) -> [Part] {
        let flexible = try Self.apiKey.encoding(of: version)
        let size = try sizeOfMessage(self, version: version, flexible: flexible)
        var out = allocator.buffer(capacity: size.written + 16)
        out.writeInteger(0 as Int32)
        ResponseHeader(correlationID: correlationID)
            .encode(for: Self.apiKey, version: version, into: &out)
        let bodyStart = out.writerIndex
        let cuts = try encodeMessage(self, version: version, flexible: flexible, into: &out)
        let length = out.writerIndex - 4 + size.deferred
        guard length <= WireLimits.messageSizeMax else { throw .tooLong(length) }
        out.setInteger(Int32(length), at: 0)
        var parts: [Part] = []
        parts.reserveCapacity(2 * cuts.count + 1)
        for (index, cut) in cuts.enumerated() {
            let count = bodyStart + cut - out.readerIndex
            if let piece = out.readSlice(length: count), count > 0 { parts.append(.bytes(piece)) }
            parts.append(.records(index))
        }
        if out.readableBytes > 0 { parts.append(.bytes(out)) }
        return parts
    }
}
