import CSodium
public import NIOCore

/// One direction of a `crypto_secretstream` of libsodium: XChaCha20-Poly1305 records in an order
/// that nobody can change.
///
/// For links between processors of which one lacks AES. The sender makes a header of 24 bytes that
/// the receiver needs first; counters and rekeying are libsodium's own. Each record is one byte
/// (its tag, encrypted), the message, and the MAC.
///
///     tag u8 | message | MAC (16)
@safe
public struct SecretStream: ~Copyable {
    /// What a record adds.
    public static let overhead = 1 + Limits.tagBytes
    public static let headerBytes = Int(crypto_secretstream_xchacha20poly1305_headerbytes())

    private let state: UnsafeMutablePointer<crypto_secretstream_xchacha20poly1305_state>

    /// The sending side; its header is appended to `header`.
    public init(sendingWith key: borrowing SecretBytes, header: inout ByteBuffer) {
        precondition(key.count == Limits.keyBytes)
        Libsodium.start()
        let state = UnsafeMutablePointer<crypto_secretstream_xchacha20poly1305_state>
            .allocate(capacity: 1)
        unsafe self.state = state
        let count = Self.headerBytes
        unsafe header.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
            let failed = unsafe crypto_secretstream_xchacha20poly1305_init_push(
                state, room.baseAddress!.assumingMemoryBound(to: UInt8.self), key.pointer)
            precondition(failed == 0, "every key starts a stream")
            return count
        }
    }

    /// The receiving side; nil where the header hasn't the right length.
    public init?(receivingWith key: borrowing SecretBytes, header: ByteBuffer) {
        guard key.count == Limits.keyBytes, header.readableBytes == Self.headerBytes else {
            return nil
        }
        Libsodium.start()
        let state = UnsafeMutablePointer<crypto_secretstream_xchacha20poly1305_state>
            .allocate(capacity: 1)
        unsafe self.state = state
        let failed = unsafe header.withUnsafeReadableBytes { bytes in
            unsafe crypto_secretstream_xchacha20poly1305_init_pull(
                state, bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), key.pointer)
        }
        precondition(failed == 0, "every header starts a stream")
    }

    deinit {
        unsafe sodium_memzero(
            state, MemoryLayout<crypto_secretstream_xchacha20poly1305_state>.size)
        unsafe state.deallocate()
    }

    /// Encrypts where it lies what follows the byte at `start`, which is kept free for the tag,
    /// and appends the MAC. With `rekeying` both sides change the key after this record.
    public mutating func push(
        _ buffer: inout ByteBuffer, from start: Int, rekeying: Bool = false
    ) {
        buffer.reserveCapacity(minimumWritableBytes: Limits.tagBytes)
        let count = buffer.writerIndex - start - 1
        unsafe buffer.withVeryUnsafeMutableBytes { bytes in
            let base = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + start
            unsafe push(base + 1, count: count, to: base, nil, 0, rekeying)
        }
        buffer.moveWriterIndex(forwardBy: Limits.tagBytes)
    }

    /// Appends tag and MAC of the bytes from `start` to the writer index, which stay readable.
    public mutating func authenticate(
        _ buffer: inout ByteBuffer, from start: Int, rekeying: Bool = false
    ) {
        buffer.reserveCapacity(minimumWritableBytes: Self.overhead)
        let end = buffer.writerIndex
        unsafe buffer.withVeryUnsafeMutableBytes { bytes in
            let base = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe push(base + end, count: 0, to: base + end, base + start, end - start, rekeying)
        }
        buffer.moveWriterIndex(forwardBy: Self.overhead)
    }

    private mutating func push(
        _ message: UnsafePointer<UInt8>, count: Int, to sealed: UnsafeMutablePointer<UInt8>,
        _ data: UnsafePointer<UInt8>?, _ dataCount: Int, _ rekeying: Bool
    ) {
        let tag =
            rekeying
            ? crypto_secretstream_xchacha20poly1305_tag_rekey()
            : crypto_secretstream_xchacha20poly1305_tag_message()
        let failed = unsafe crypto_secretstream_xchacha20poly1305_push(
            state, sealed, nil, message, UInt64(count), data, UInt64(dataCount), tag)
        precondition(failed == 0, "sealing takes any message of this size")
    }

    /// Decrypts the next record, `count` bytes at `index`, to the end of `plain`; false, with
    /// `plain` as it was, where it is not the next genuine one.
    public mutating func pull(
        _ sealed: ByteBuffer, at index: Int, count: Int, into plain: inout ByteBuffer
    ) -> Bool {
        let size = count - Self.overhead
        guard size >= 0, index >= sealed.readerIndex, index + count <= sealed.writerIndex else {
            return false
        }
        var isGenuine = false
        unsafe sealed.withVeryUnsafeBytes { bytes in
            let base = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + index
            unsafe plain.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, size)) { room in
                isGenuine =
                    unsafe crypto_secretstream_xchacha20poly1305_pull(
                        state, room.baseAddress!.assumingMemoryBound(to: UInt8.self), nil, nil,
                        base,
                        UInt64(count), nil, 0) == 0
                return isGenuine ? size : 0
            }
        }
        return isGenuine
    }

    /// Whether `count` bytes at `index` are the next readable record with genuine tag and MAC.
    public mutating func isAuthentic(_ sealed: ByteBuffer, at index: Int, count: Int) -> Bool {
        let size = count - Self.overhead
        guard size >= 0, index >= sealed.readerIndex, index + count <= sealed.writerIndex else {
            return false
        }
        return unsafe sealed.withVeryUnsafeBytes { bytes in
            let base = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + index
            var nothing: UInt8 = 0
            return unsafe crypto_secretstream_xchacha20poly1305_pull(
                state, &nothing, nil, nil, base + size, UInt64(Self.overhead), base, UInt64(size))
                == 0
        }
    }
}

// Safe: it can't be copied, so one owner at a time has the pointer to the state that calls change.
extension SecretStream: @unchecked Sendable {}
