import CSodium
public import NIOCore

/// The library as a whole: its start, its randomness and its comparison.
///
/// Every type of this target starts the library by itself, so that nobody can forget to; an
/// explicit start serves to find a broken installation before anything else happens.
public enum Libsodium {
    private static let started: Bool = sodium_init() >= 0

    /// Prepares libsodium once per process; any thread, any number of times.
    ///
    /// Traps where the system can't give random bytes: no key made then would be one.
    public static func start() { precondition(started, "libsodium can't start") }

    /// Eight random bytes from the system, for nonces, key ids and jitter.
    public static func randomWord() -> UInt64 {
        start()
        var word: UInt64 = 0
        unsafe randombytes_buf(&word, MemoryLayout<UInt64>.size)
        return word
    }

    /// Appends random bytes from the system.
    public static func writeRandomBytes(count: Int, into buffer: inout ByteBuffer) {
        start()
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
            unsafe randombytes_buf(room.baseAddress!, count)
            return count
        }
    }

    /// Whether two buffers hold the same bytes, in a time that depends on their lengths only.
    public static func constantTimeEqual(_ left: ByteBuffer, _ right: ByteBuffer) -> Bool {
        guard left.readableBytes == right.readableBytes else { return false }
        guard left.readableBytes > 0 else { return true }
        return unsafe left.withUnsafeReadableBytes { one in
            unsafe right.withUnsafeReadableBytes { other in
                unsafe sodium_memcmp(one.baseAddress!, other.baseAddress!, one.count) == 0
            }
        }
    }
}
