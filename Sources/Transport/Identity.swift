public import Model
public import Sodium

/// The name of a mesh, minted once; empty while a broker is blank.
public struct ClusterID: Hashable, Sendable {
    public let rawValue: String

    /// Nil where it is longer than 64 bytes of UTF-8.
    public init?(_ rawValue: String) {
        guard rawValue.utf8.count <= Limits.clusterIDBytes else { return nil }
        self.rawValue = rawValue
    }

    private init() { rawValue = "" }

    /// What a blank broker says.
    public static let none = ClusterID()
}

/// What a process wants of the mesh.
public enum PeerRole: UInt8, Sendable, CaseIterable {
    /// A broker that has a place in the mesh, or thinks so.
    case broker = 1
    /// A broker that asks for one.
    case joiner = 2
    /// A command line: asks, and is never a member.
    case `operator` = 3
}

/// What a link does with its payload.
public enum LinkMode: UInt8, Sendable, CaseIterable {
    /// Encrypts and authenticates it: the default.
    case seal = 0
    /// Authenticates it and leaves it readable, for networks that are private already. Where two
    /// brokers differ, both seal.
    case authenticate = 1
}

/// A random number of one process start: part of every datagram key, so that a restarted broker
/// can't be fed its past, and what tells a reconnecting process from a clone of its disk.
public struct BootNonce: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random() -> BootNonce {
        BootNonce(high: Libsodium.randomWord(), low: Libsodium.randomWord())
    }
}

/// Who this process is: what it says of itself in a handshake, and the key that proves it.
///
/// Owned by the transport; changed through it (`update`) when the mesh gave the broker a name.
public struct LocalIdentity: ~Copyable {
    public let signingKey: SigningKey
    public var clusterID: ClusterID
    /// Nil until the mesh assigned one.
    public var nodeID: NodeID?
    public let storeID: StoreID
    public var bootEpoch: BootEpoch
    public let bootNonce: BootNonce
    public var role: PeerRole
    public var mode: LinkMode
    /// Whether AES is offered; false where the processor has none, or in tests of the other suite.
    public var offersAES: Bool
    /// Where this process takes datagrams and links; 0 until bound.
    var meshPort: UInt16 = 0

    public init(
        signingKey: consuming SigningKey, clusterID: ClusterID, nodeID: NodeID?, storeID: StoreID,
        bootEpoch: BootEpoch, role: PeerRole, mode: LinkMode = .seal,
        bootNonce: BootNonce = .random(), offersAES: Bool = CipherSuite.aes256GCM.isAvailable
    ) {
        self.signingKey = signingKey
        self.clusterID = clusterID
        self.nodeID = nodeID
        self.storeID = storeID
        self.bootEpoch = bootEpoch
        self.bootNonce = bootNonce
        self.role = role
        self.mode = mode
        self.offersAES = offersAES && CipherSuite.aes256GCM.isAvailable
    }

    borrowing func claim() -> PeerClaim {
        PeerClaim(
            role: role, clusterID: clusterID, publicKey: signingKey.publicKey, nodeID: nodeID,
            storeID: storeID, bootEpoch: bootEpoch, bootNonce: bootNonce, meshPort: meshPort,
            admission: .absent)
    }
}

/// What a peer's proof of the admission secret is worth.
public enum AdmissionProof: Sendable, CaseIterable {
    /// It showed none.
    case absent
    /// It showed one of a secret that isn't in the ring.
    case unknownSecret
    /// It named a secret of the ring and doesn't have it.
    case wrong
    case previous
    case current

    /// Whether the peer has a secret that is accepted.
    public var isValid: Bool { self == .current || self == .previous }
}

/// What a peer said of itself and signed, given to the owner to judge.
///
/// Its key is proved when the owner sees it; everything else is the key holder's word.
public struct PeerClaim: Hashable, Sendable {
    public var role: PeerRole
    public var clusterID: ClusterID
    public var publicKey: PublicKey
    public var nodeID: NodeID?
    public var storeID: StoreID
    public var bootEpoch: BootEpoch
    public var bootNonce: BootNonce
    /// Where the peer takes datagrams and links, at the address it connects from.
    public var meshPort: UInt16
    public var admission: AdmissionProof
    /// When this side sent what the peer's signature answers: the peer was there after that. Nil
    /// in what a process says of itself.
    public var challengedAt: Instant?
}

/// What the owner says to a claim.
public enum Verdict: Hashable, Sendable {
    /// Its key is bound to the node id that it claims.
    case member(NodeID)
    /// It proved the secret and may ask to join, and no more.
    case candidate
    /// It proved the secret and is a command line.
    case `operator`
    case refuse(HandshakeRefusal)
}

/// Who decides whom to talk to: the owner, by the table of members that it holds.
///
/// Called on the loop, synchronously, after the peer's key, cluster and proof were checked. The
/// transport holds the owner to it: a member has the id that it claims, and nobody else passes
/// without a valid proof. What the owner judges is revocation, the binding of node ids to keys, and
/// boot epochs (`BootLedger`). The side that connected asks again when the handshake is complete,
/// so the answer must not depend on how often it was given. It must not call the transport.
public protocol TrustStore: AnyObject {
    func judge(_ claim: PeerClaim) -> Verdict
}

/// The highest boot of each store that a broker has seen: finds cloned and rolled-back disks.
///
/// A pure value for the owner of a `TrustStore`, which decides what of it to keep on disk.
public struct BootLedger: Sendable {
    private struct Boot {
        var epoch: BootEpoch
        /// Nil where only the epoch was kept on disk.
        var nonce: BootNonce?
    }

    private var boots: [StoreID: Boot] = [:]

    public init() {}

    /// What was remembered on disk.
    public mutating func restore(_ store: StoreID, epoch: BootEpoch) {
        boots[store] = Boot(epoch: epoch, nonce: nil)
    }

    /// What others say of a store's boot: it is remembered where it is higher.
    public mutating func raise(_ store: StoreID, to epoch: BootEpoch) {
        if let known = boots[store], known.epoch >= epoch { return }
        boots[store] = Boot(epoch: epoch, nonce: nil)
    }

    /// The highest boot of a store that was seen or heard of.
    public func epoch(of store: StoreID) -> BootEpoch? { boots[store]?.epoch }

    /// Whether the claim's boot is a higher one, or the same process again; remembers it then.
    public mutating func accepts(_ claim: PeerClaim) -> Bool {
        if let known = boots[claim.storeID] {
            guard known.epoch <= claim.bootEpoch else { return false }
            if known.epoch == claim.bootEpoch, let nonce = known.nonce, nonce != claim.bootNonce {
                return false
            }
        }
        boots[claim.storeID] = Boot(epoch: claim.bootEpoch, nonce: claim.bootNonce)
        return true
    }
}
