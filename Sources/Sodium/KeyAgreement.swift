import CSodium
public import Model

/// The public half of an ephemeral key pair: 32 bytes that may travel in the clear.
public struct AgreementKey: Hashable, Sendable {
    public let words: InlineWords4

    @inlinable public init(words: InlineWords4) { self.words = words }
}

/// The two keys of one exchange, one for each direction.
public struct SessionKeys: ~Copyable, Sendable {
    public let transmit: SecretBytes
    public let receive: SecretBytes
}

/// An ephemeral X25519 key pair (`crypto_kx`), for one handshake and never for two.
///
/// `crypto_kx` is deterministic in both pairs: on keys that live long it would give every
/// connection the same traffic keys. Consuming it makes a second use impossible. About 60 us.
public struct KeyAgreement: ~Copyable, Sendable {
    public let publicKey: AgreementKey
    private let secret: SecretBytes

    public init() { self.init(seed: SecretBytes(randomCount: Limits.keyBytes)) }

    /// From a seed of 32 bytes: for tests, which want the same handshake twice.
    public init(seed: consuming SecretBytes) {
        precondition(seed.count == Limits.keyBytes)
        secret = SecretBytes(zeroed: Limits.keyBytes)
        let key = SecretBytes(zeroed: Limits.keyBytes)
        let failed = unsafe crypto_kx_seed_keypair(
            key.mutablePointer, secret.mutablePointer, seed.pointer)
        precondition(failed == 0, "every seed is a key pair")
        publicKey = unsafe AgreementKey(words: InlineWords4(bytes: key.pointer))
    }

    /// The keys shared with a peer; nil where its key is one of the few that share nothing.
    public consuming func sessionKeys(with peer: AgreementKey, asClient: Bool) -> SessionKeys? {
        let receive = SecretBytes(zeroed: Limits.keyBytes)
        let transmit = SecretBytes(zeroed: Limits.keyBytes)
        let failed = unsafe publicKey.words.withBytes { own in
            unsafe peer.words.withBytes { other in
                if asClient {
                    unsafe crypto_kx_client_session_keys(
                        receive.mutablePointer, transmit.mutablePointer, own, secret.pointer, other)
                } else {
                    unsafe crypto_kx_server_session_keys(
                        receive.mutablePointer, transmit.mutablePointer, own, secret.pointer, other)
                }
            }
        }
        guard failed == 0 else { return nil }
        return SessionKeys(transmit: transmit, receive: receive)
    }
}
