import CSodium
public import Model
public import NIOCore

/// A 32-byte BLAKE2b hash.
public struct Digest: Hashable, Sendable {
    public let words: InlineWords4

    @inlinable public init(words: InlineWords4) { self.words = words }

    /// The hash of some bytes.
    public init(of bytes: ByteBuffer) {
        var hasher = GenericHasher()
        hasher.update(bytes)
        self = hasher.finish()
    }
}

/// BLAKE2b with outputs of 32 bytes, keyed or not, fed piece by piece.
///
/// Keyed with a secret it is the MAC of admission proofs and the derivation of every session key.
/// Costs one allocation of 384 bytes, which is wiped.
@safe
public struct GenericHasher: ~Copyable {
    private let state: OpaqueState

    public init() {
        Libsodium.start()
        unsafe state = OpaqueState.allocate(byteCount: Self.stateBytes, alignment: 64)
        let failed = unsafe crypto_generichash_init(
            OpaquePointer(state), nil, 0, Limits.keyBytes)
        precondition(failed == 0, "BLAKE2b without a key takes any input")
    }

    /// A secret of 16 to 64 bytes is the key.
    public init(key: borrowing SecretBytes) {
        precondition((16...64).contains(key.count), "BLAKE2b takes keys of 16 to 64 bytes")
        Libsodium.start()
        unsafe state = OpaqueState.allocate(byteCount: Self.stateBytes, alignment: 64)
        let failed = unsafe crypto_generichash_init(
            OpaquePointer(state), key.pointer, key.count,
            Limits.keyBytes)
        precondition(failed == 0, "BLAKE2b takes keys of this length")
    }

    deinit {
        unsafe sodium_memzero(state, Self.stateBytes)
        unsafe state.deallocate()
    }

    private typealias OpaqueState = UnsafeMutableRawPointer
    private static let stateBytes = crypto_generichash_statebytes()

    private mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        let failed = unsafe crypto_generichash_update(
            OpaquePointer(state),
            base.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
        precondition(failed == 0, "BLAKE2b takes any input")
    }

    public mutating func update(_ bytes: ByteBuffer) {
        unsafe bytes.withUnsafeReadableBytes { unsafe update($0) }
    }

    /// The text and a zero, so that no label is the beginning of another.
    public mutating func update(label: StaticString) {
        unsafe update(
            UnsafeRawBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount))
        update(UInt8(0))
    }

    public mutating func update(_ digest: Digest) { update(digest.words) }

    public mutating func update(_ words: InlineWords4) {
        unsafe words.withBytes {
            unsafe update(UnsafeRawBufferPointer(start: $0, count: Limits.keyBytes))
        }
    }

    public mutating func update(_ integer: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: integer.bigEndian) { unsafe update($0) }
    }

    /// The hash, where it is no secret.
    public consuming func finish() -> Digest {
        let bytes = finishSecret()
        return unsafe Digest(words: InlineWords4(bytes: bytes.pointer))
    }

    /// The hash as a key.
    public consuming func finishSecret() -> SecretBytes {
        let out = SecretBytes(zeroed: Limits.keyBytes)
        let failed = unsafe crypto_generichash_final(
            OpaquePointer(state), out.mutablePointer,
            out.count)
        precondition(failed == 0, "BLAKE2b finishes once")
        return out
    }
}

extension SecretBytes {
    /// A key for one purpose: BLAKE2b(key: self, label, context). Nothing leads back to `self`.
    public borrowing func derive(_ label: StaticString, _ context: Digest) -> SecretBytes {
        var hasher = GenericHasher(key: self)
        hasher.update(label: label)
        hasher.update(context)
        return hasher.finishSecret()
    }
}

extension GenericHasher {
    /// Whether the hash is this one, in constant time: how MACs are checked.
    public consuming func finishMatches(_ digest: Digest) -> Bool {
        let bytes = finishSecret()
        return unsafe digest.words.withBytes {
            unsafe sodium_memcmp($0, bytes.pointer, Limits.keyBytes) == 0
        }
    }
}
