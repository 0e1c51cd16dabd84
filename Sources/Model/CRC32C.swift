internal import CRuntime
public import NIOCore

/// The checksum of record batches and of every file that the log writes (RFC 3720 B.4).
///
/// Costs about 0.04 ns a byte where the processor has the instruction.
public enum CRC32C {
    /// The checksum of `length` bytes of `buffer` from the absolute index `start`.
    ///
    /// The range must lie within the readable bytes; that is the caller's invariant.
    public static func checksum(
        of buffer: ByteBuffer, at start: Int, length: Int, continuing crc: UInt32 = 0
    ) -> UInt32 {
        precondition(
            length >= 0 && start >= buffer.readerIndex && start <= buffer.writerIndex - length,
            "checksum range outside of the buffer")
        return unsafe buffer.withUnsafeReadableBytes { bytes in
            let offset = start - buffer.readerIndex
            guard let base = bytes.baseAddress else { return crc }
            return unsafe gossamer_crc32c(crc, base + offset, length)
        }
    }

    /// The checksum of all readable bytes.
    public static func checksum(of buffer: ByteBuffer, continuing crc: UInt32 = 0) -> UInt32 {
        checksum(
            of: buffer, at: buffer.readerIndex, length: buffer.readableBytes, continuing: crc)
    }

    /// The same by tables alone: the reference that tests hold the hardware path against.
    package static func portableChecksum(of buffer: ByteBuffer) -> UInt32 {
        unsafe buffer.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return unsafe gossamer_crc32c_portable(0, base, bytes.count)
        }
    }
}
