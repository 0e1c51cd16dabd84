public import Model
public import NIOCore

/// What a member is for: at least one of the two.
public struct MemberRoles: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Holds partitions.
    public static let broker = MemberRoles(rawValue: 1)
    /// May be chosen into the roster; alone, it is a witness that holds no partitions.
    public static let voter = MemberRoles(rawValue: 2)
    /// What a broker is for that nobody gave a part.
    public static let all: MemberRoles = [.broker, .voter]
}

/// The value of `members/<node id>`: which key and which store a node id belongs to.
///
/// The only authority on membership: gossip follows the table, and a revoked member is dropped at
/// once. Its layout:
///
///     0        version, 1
///     1        node id, Int32
///     5        public key, 32 bytes
///     37       store id, 16 bytes
///     53       admission number, UInt32
///     57       roles
///     58       revoked, 0 or 1
public struct AdmissionRecord: Hashable, Sendable {
    public let node: NodeID
    public let key: PublicKey
    public let store: StoreID
    public let number: AdmissionNumber
    public let roles: MemberRoles
    public let isRevoked: Bool

    public init(
        node: NodeID, key: PublicKey, store: StoreID, number: AdmissionNumber,
        roles: MemberRoles = .all, isRevoked: Bool = false
    ) {
        self.node = node
        self.key = key
        self.store = store
        self.number = number
        self.roles = roles
        self.isRevoked = isRevoked
    }

    /// The register that holds it.
    public var registerKey: String { Self.registerKey(of: node) }

    public static func registerKey(of node: NodeID) -> String {
        GossipLimits.admissionPrefix + String(node.rawValue)
    }

    /// The member that a register admits; nil where the key is of another kind.
    public static func node(ofRegister key: String) -> NodeID? {
        guard key.hasPrefix(GossipLimits.admissionPrefix) else { return nil }
        return Int32(key.dropFirst(GossipLimits.admissionPrefix.count)).map(NodeID.init)
    }

    public func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt8(1), node.rawValue)
        bytes.writeWords(key.words)
        bytes.writeMultipleIntegers(
            store.high, store.low, number.rawValue, roles.rawValue, UInt8(isRevoked ? 1 : 0))
        return bytes
    }

    public init(decoding bytes: ByteBuffer) throws(GossipDecodeError) {
        var bytes = bytes
        let version = try bytes.take(UInt8.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        node = NodeID(try bytes.take(Int32.self))
        key = PublicKey(words: try bytes.takeWords())
        let high = try bytes.take(UInt64.self)
        store = StoreID(high: high, low: try bytes.take(UInt64.self))
        number = AdmissionNumber(try bytes.take(UInt32.self))
        roles = MemberRoles(rawValue: try bytes.take(UInt8.self))
        let revoked = try bytes.take(UInt8.self)
        guard revoked <= 1 else { throw .invalidValue }
        isRevoked = revoked == 1
        try bytes.finish()
    }
}
