import CSodium
public import NIOCore

/// Bytes that nobody else may learn: owned by one place, compared in constant time, wiped at the
/// end.
///
/// Guarded ones lie in `sodium_malloc` memory: locked against swapping where the system allows it,
/// out of core dumps, between inaccessible pages. That costs four pages each, so it is for the few
/// that live as long as the process (identity key, admission secret); session keys are plain heap.
@safe
public struct SecretBytes: ~Copyable {
    public let count: Int
    private let base: UnsafeMutablePointer<UInt8>
    private let isGuarded: Bool

    /// Zeroes, to be filled by this target.
    init(zeroed count: Int, guarded: Bool = false) {
        precondition(count > 0)
        Libsodium.start()
        self.count = count
        isGuarded = guarded
        if guarded {
            guard let memory = unsafe sodium_malloc(count) else {
                preconditionFailure("no memory for a secret of \(count) bytes")
            }
            unsafe base = memory.assumingMemoryBound(to: UInt8.self)
        } else {
            unsafe base = .allocate(capacity: count)
        }
        unsafe sodium_memzero(base, count)
    }

    /// Fresh from the system's generator.
    public init(randomCount count: Int, guarded: Bool = false) {
        self.init(zeroed: count, guarded: guarded)
        unsafe randombytes_buf(base, count)
    }

    /// Copies readable bytes; nil where there are none. The caller's copy is the caller's to wipe.
    public init?(copying bytes: ByteBuffer, guarded: Bool = false) {
        guard bytes.readableBytes > 0 else { return nil }
        self.init(zeroed: bytes.readableBytes, guarded: guarded)
        unsafe bytes.withUnsafeReadableBytes { source in
            unsafe UnsafeMutableRawBufferPointer(start: base, count: count).copyMemory(from: source)
        }
    }

    deinit {
        if isGuarded {
            unsafe sodium_free(base)  // wipes first
        } else {
            unsafe sodium_memzero(base, count)
            unsafe base.deallocate()
        }
    }

    var pointer: UnsafePointer<UInt8> { unsafe UnsafePointer(base) }
    var mutablePointer: UnsafeMutablePointer<UInt8> { unsafe base }

    /// A second owner of the same bytes.
    public borrowing func duplicate(guarded: Bool = false) -> SecretBytes {
        let copy = SecretBytes(zeroed: count, guarded: guarded)
        unsafe copy.base.update(from: base, count: count)
        return copy
    }

    /// Writes the bytes out, for a key file; whoever asks answers for the copy.
    public borrowing func write(into buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: count)
        unsafe buffer.writeBytes(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Constant time for equal lengths.
    public borrowing func isEqual(to other: borrowing SecretBytes) -> Bool {
        unsafe count == other.count && sodium_memcmp(base, other.base, count) == 0
    }
}

// Safe: it can't be copied, so one owner at a time has the pointer, and nothing writes to what it
// points at after the initializer returned it.
extension SecretBytes: @unchecked Sendable {}
