import Gossip
import Model
import NIOCore
import Sodium

/// Signs what this broker says of itself and of others with its identity key.
///
/// Ed25519 is deterministic, so the gossip machine stays a pure function of its inputs. A
/// signature costs 15 us, a check 40 us; both happen for news only.
final class MeshSigner: RecordSigner {
    private let key: SigningKey

    init(key: consuming SigningKey) { self.key = key }

    func sign(_ bytes: ByteBuffer, context: SignatureContext) -> Signature {
        key.sign(bytes, for: Self.purpose(of: context))
    }

    func isValid(
        _ signature: Signature, of bytes: ByteBuffer, context: SignatureContext, by key: PublicKey
    ) -> Bool {
        key.verifies(signature, of: bytes, for: Self.purpose(of: context))
    }

    private static func purpose(of context: SignatureContext) -> SigningContext {
        switch context {
        case .selfRecord: .selfRecord
        case .accusation: .suspicion
        }
    }
}
