import CSodium
public import Model
public import NIOCore

/// What a signature is for: one made for a purpose means nothing for another.
public enum SigningContext: Sendable, CaseIterable {
    case initiatorHandshake
    case responderHandshake
    case selfRecord
    case suspicion

    var label: StaticString {
        switch self {
        case .initiatorHandshake: "gossamer handshake initiator 1"
        case .responderHandshake: "gossamer handshake responder 1"
        case .selfRecord: "gossamer self-record 1"
        case .suspicion: "gossamer suspicion 1"
        }
    }

    /// What is signed: BLAKE2b(label, message). The hash is plain Ed25519's message, not Ed25519ph:
    /// contexts are wanted, and libsodium's prehash has none.
    func digest(_ message: ByteBuffer) -> Digest {
        var hasher = GenericHasher()
        hasher.update(label: label)
        hasher.update(message)
        return hasher.finish()
    }
}

/// The key pair that is a broker's identity (Ed25519), in guarded memory.
///
/// Made at the first start and kept in the data directory as its seed. Used for signatures only:
/// key agreement has keys of its own. A signature costs about 15 us.
public struct SigningKey: ~Copyable, Sendable {
    public let publicKey: PublicKey
    /// Seed and public key, as libsodium wants them.
    private let secret: SecretBytes

    /// A new identity.
    public init() {
        self.init(seed: SecretBytes(randomCount: Limits.keyBytes, guarded: true))
    }

    /// The identity of a key file: 32 bytes, or nothing.
    public init?(keyFile bytes: ByteBuffer) {
        guard bytes.readableBytes == Limits.keyBytes,
            let seed = SecretBytes(copying: bytes, guarded: true)
        else { return nil }
        self.init(seed: seed)
    }

    private init(seed: consuming SecretBytes) {
        secret = SecretBytes(zeroed: Int(crypto_sign_secretkeybytes()), guarded: true)
        var key = [UInt8](repeating: 0, count: Limits.keyBytes)
        let failed = unsafe crypto_sign_seed_keypair(&key, secret.mutablePointer, seed.pointer)
        precondition(failed == 0, "every seed is an Ed25519 key")
        publicKey = unsafe key.withUnsafeBufferPointer {
            unsafe PublicKey(words: InlineWords4(bytes: $0.baseAddress!))
        }
    }

    /// The 32 bytes of the key file.
    public borrowing func seed() -> SecretBytes {
        let seed = SecretBytes(zeroed: Limits.keyBytes, guarded: true)
        _ = unsafe crypto_sign_ed25519_sk_to_seed(seed.mutablePointer, secret.pointer)
        return seed
    }

    public borrowing func sign(_ message: ByteBuffer, for context: SigningContext) -> Signature {
        let digest = context.digest(message)
        var words = (
            UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0),
            UInt64(0)
        )
        return unsafe withUnsafeMutableBytes(of: &words) { out in
            let bytes = unsafe out.baseAddress!.assumingMemoryBound(to: UInt8.self)
            let failed = unsafe digest.words.withBytes {
                unsafe crypto_sign_detached(
                    bytes, nil, $0, UInt64(Limits.keyBytes), secret.pointer)
            }
            precondition(failed == 0, "Ed25519 signs anything")
            return unsafe Signature(
                r: InlineWords4(bytes: bytes), s: InlineWords4(bytes: bytes + Limits.keyBytes))
        }
    }
}

extension PublicKey {
    /// Whether the holder of this key signed the message for this purpose. About 40 us.
    public func verifies(
        _ signature: Signature, of message: ByteBuffer, for context: SigningContext
    ) -> Bool {
        Libsodium.start()
        let digest = context.digest(message)
        return unsafe signature.r.withBytes { r in
            unsafe signature.s.withBytes { s in
                unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { bytes in
                    let base = bytes.baseAddress!
                    unsafe base.initialize(from: r, count: 32)
                    unsafe (base + 32).initialize(from: s, count: 32)
                    return unsafe digest.words.withBytes { message in
                        unsafe words.withBytes { key in
                            unsafe crypto_sign_verify_detached(base, message, 32, key) == 0
                        }
                    }
                }
            }
        }
    }
}
