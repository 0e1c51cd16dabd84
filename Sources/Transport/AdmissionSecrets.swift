import Model
public import NIOCore
import Sodium

/// The ring of admission secrets: one that is shown, and one more that is still taken.
///
/// A secret proves that whoever set up a broker may do so; members are known by their keys and need
/// none, so that rotating it disturbs nobody. Kept in guarded memory, as BLAKE2b of the bytes.
public struct AdmissionSecrets: ~Copyable {
    /// Which secret of a ring a proof is of: the first eight bytes of its hash.
    typealias SecretID = UInt64

    private struct Entry: ~Copyable {
        let id: SecretID
        let key: SecretBytes

        init?(_ bytes: ByteBuffer) {
            let range = Limits.secretBytesMinimum...Limits.secretBytesMaximum
            guard range.contains(bytes.readableBytes) else { return nil }
            var hasher = GenericHasher()
            hasher.update(label: "gossamer admission key 1")
            hasher.update(bytes)
            key = hasher.finishSecret().duplicate(guarded: true)
            var naming = GenericHasher(key: key)
            naming.update(label: "gossamer admission key id 1")
            id = naming.finish().words.a
        }
    }

    private let current: Entry?
    private let previous: Entry?

    /// No secret: proves nothing, admits nobody.
    public init() {
        current = nil
        previous = nil
    }

    /// Nil where a secret has fewer than 16 bytes or more than 4,096.
    public init?(current: ByteBuffer, previous: ByteBuffer? = nil) {
        guard let now = Entry(current) else { return nil }
        if let previous {
            guard let before = Entry(previous) else { return nil }
            self.previous = consume before
        } else {
            self.previous = nil
        }
        self.current = consume now
    }

    /// A proof as it travels; id 0 and zeroes where there is none.
    struct Proof: Hashable {
        var id: SecretID
        var mac: Digest
    }

    borrowing func prove(_ transcript: Digest, isInitiator: Bool) -> Proof? {
        switch current {
        case .some(let entry):
            return Proof(
                id: entry.id,
                mac: Self.hasher(entry.key, transcript, isInitiator: isInitiator).finish())
        case .none: return nil
        }
    }

    /// What a proof that came from the initiator, or from the responder, is worth.
    borrowing func check(_ proof: Proof, of transcript: Digest, isInitiator: Bool)
        -> AdmissionProof
    {
        if proof.id == 0 { return .absent }
        switch current {
        case .some(let entry):
            if entry.id == proof.id {
                let hasher = Self.hasher(entry.key, transcript, isInitiator: isInitiator)
                return hasher.finishMatches(proof.mac) ? .current : .wrong
            }
        case .none: break
        }
        switch previous {
        case .some(let entry):
            if entry.id == proof.id {
                let hasher = Self.hasher(entry.key, transcript, isInitiator: isInitiator)
                return hasher.finishMatches(proof.mac) ? .previous : .wrong
            }
        case .none: break
        }
        return .unknownSecret
    }

    private static func hasher(
        _ key: borrowing SecretBytes, _ transcript: Digest, isInitiator: Bool
    ) -> GenericHasher {
        var hasher = GenericHasher(key: key)
        if isInitiator {
            hasher.update(label: "gossamer admission proof of the initiator 1")
        } else {
            hasher.update(label: "gossamer admission proof of the responder 1")
        }
        hasher.update(transcript)
        return hasher
    }
}
