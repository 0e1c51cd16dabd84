import Model

/// Why a handshake ended without a link. The number is what travels in a closing message.
public enum HandshakeRefusal: UInt8, Error, Sendable, CaseIterable {
    /// Not a message of this protocol, or not the next one.
    case malformed = 1
    /// The peer speaks another version.
    case versionMismatch = 2
    /// A message was not sealed by whom the keys were agreed with: somebody in between, or damage.
    case notAuthentic = 3
    /// The peer belongs to another mesh.
    case foreignCluster = 4
    /// The peer isn't a member and has no admission secret that is accepted.
    case wrongSecret = 5
    /// The peer was a member and is one no more.
    case revoked = 6
    /// The node id that the peer claims is bound to another key or store.
    case duplicateNodeID = 7
    /// The peer's boot epoch isn't higher than one seen before: a cloned or rolled-back disk.
    case staleBoot = 8
    /// Somebody else answers at the address.
    case unexpectedPeer = 9
    /// The address is our own.
    case ownAddress = 10
    /// The peer did not finish in time.
    case timedOut = 12
    /// The connection ended first.
    case disconnected = 13
    /// The owner refuses the peer for a reason of its own.
    case unwelcome = 14
    /// Two processes with the peer's store were seen at once: neither is taken.
    case duplicateStore = 15
}

/// How a handshake failed, and on which side.
struct HandshakeFailure: Error, Equatable {
    let refusal: HandshakeRefusal
    /// Whether the peer said so. What it said before keys were agreed is a hint and no proof.
    let isRemote: Bool
    /// The member that said so, where it had proved its key before.
    var member: NodeID?

    init(_ refusal: HandshakeRefusal, isRemote: Bool = false) {
        self.refusal = refusal
        self.isRemote = isRemote
    }
}
