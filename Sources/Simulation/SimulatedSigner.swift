public import Gossip
public import Model
public import NIOCore

/// Signs by a hash, so that a simulation needs no cryptography: whoever knows the public key could
/// forge, which tests do on purpose.
public struct SimulatedSigner: RecordSigner {
    public let key: PublicKey

    public init(key: PublicKey) { self.key = key }

    /// The key of a simulated member.
    public static func key(of node: NodeID) -> PublicKey {
        var words = SeededGenerator(seed: UInt64(UInt32(bitPattern: node.rawValue)) &+ 0x5EED)
        return PublicKey(
            words: InlineWords4(words.next(), words.next(), words.next(), words.next()))
    }

    public func sign(_ bytes: ByteBuffer, context: SignatureContext) -> Signature {
        Self.signature(of: bytes, context, key)
    }

    public func isValid(
        _ signature: Signature, of bytes: ByteBuffer, context: SignatureContext, by key: PublicKey
    ) -> Bool {
        signature == Self.signature(of: bytes, context, key)
    }

    private static func signature(
        of bytes: ByteBuffer, _ context: SignatureContext, _ key: PublicKey
    ) -> Signature {
        let hash = ContentHash(of: bytes).rawValue ^ key.words.a
        var words = SeededGenerator(seed: hash &+ UInt64(context.rawValue))
        let r = InlineWords4(words.next(), key.words.b, key.words.c, key.words.d)
        return Signature(
            r: r, s: InlineWords4(words.next(), words.next(), words.next(), words.next()))
    }
}
