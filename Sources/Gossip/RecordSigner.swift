public import Model
public import NIOCore

/// What a signature is for; each purpose has its own, so that none can be replayed as another.
public enum SignatureContext: UInt8, Hashable, Sendable {
    case selfRecord = 1
    case accusation = 2
}

/// Signs as this member and checks what others signed.
///
/// Pure and deterministic (Ed25519 is): libsodium in production, a hash in simulation. Called for
/// what is news only: what is known already is dropped before its signature is looked at.
public protocol RecordSigner: Sendable {
    func sign(_ bytes: ByteBuffer, context: SignatureContext) -> Signature
    func isValid(
        _ signature: Signature, of bytes: ByteBuffer, context: SignatureContext, by key: PublicKey
    ) -> Bool
}
