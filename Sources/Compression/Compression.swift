internal import CCodecs
public import Model
public import NIOCore

/// Why bytes could not be put through a codec.
public enum CompressionError: Error, Hashable, Sendable {
    /// Not what the codec writes, or cut short.
    case corrupt
    /// Unfolds to more than was allowed.
    case tooLarge(limit: Int)
    /// The codec's library could not get memory or refused its parameters.
    case failed
}

/// The four codecs of Kafka's record batches, each in the framing that its clients use: gzip, the
/// Java snappy stream (and bare snappy blocks), LZ4 frames, zstd frames.
///
/// Whole buffers, because a batch is one. Output is bounded by the caller before any of it is
/// produced, so a few bytes cannot unfold into all memory. Stateless; any thread.
public enum Compression {
    /// Unfolds all readable bytes; refuses to make more than `limit` of them.
    public static func decompress(
        _ input: ByteBuffer, codec: Codec, limit: Int
    ) throws(CompressionError) -> ByteBuffer {
        precondition(limit >= 0)
        guard codec != .none else {
            guard input.readableBytes <= limit else { throw .tooLarge(limit: limit) }
            return input
        }
        // Grows as the data asks for, so that what a header claims decides nothing.
        var capacity = min(limit, max(4096, input.readableBytes * 4))
        while true {
            var status = GOSSAMER_CODEC_FAILED
            var output = ByteBuffer()
            unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, capacity)) {
                target in
                unsafe input.withUnsafeReadableBytes { source in
                    var written = 0
                    status = unsafe gossamer_decompress(
                        CInt(codec.rawValue), source.baseAddress, source.count,
                        target.baseAddress, capacity, &written)
                    return status == GOSSAMER_CODEC_OK ? written : 0
                }
            }
            switch status {
            case GOSSAMER_CODEC_OK: return output
            case GOSSAMER_CODEC_FULL:
                guard capacity < limit else { throw .tooLarge(limit: limit) }
                capacity = capacity > limit / 4 ? limit : capacity * 4
            case GOSSAMER_CODEC_CORRUPT: throw .corrupt
            default: throw .failed
            }
        }
    }

    /// Folds all readable bytes, at the codec's default level.
    public static func compress(
        _ input: ByteBuffer, codec: Codec
    ) throws(CompressionError) -> ByteBuffer {
        guard codec != .none else { return input }
        let bound = gossamer_compress_bound(CInt(codec.rawValue), input.readableBytes)
        var status = GOSSAMER_CODEC_FAILED
        var output = ByteBuffer()
        unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, bound)) { target in
            unsafe input.withUnsafeReadableBytes { source in
                var written = 0
                status = unsafe gossamer_compress(
                    CInt(codec.rawValue), source.baseAddress, source.count, target.baseAddress,
                    bound, &written)
                return status == GOSSAMER_CODEC_OK ? written : 0
            }
        }
        guard status == GOSSAMER_CODEC_OK else { throw .failed }
        return output
    }
}

extension RecordBatchBuilder {
    /// The batch with its records compressed.
    public func finish(codec: Codec) throws(CompressionError) -> ByteBuffer {
        try finish(codec: codec) { (payload) throws(CompressionError) in
            try Compression.compress(payload, codec: codec)
        }
    }
}
