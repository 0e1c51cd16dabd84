public import Model
public import NIOCore

/// Where clients reach a broker through one of its listeners.
public struct ClientEndpoint: Hashable, Sendable {
    public let listener: String
    public let host: String
    public let port: UInt16

    public init(listener: String, host: String, port: UInt16) {
        self.listener = listener
        self.host = host
        self.port = port
    }
}

/// What a broker says of itself and only it can say: how to reach it, and what it runs.
public struct SelfDescription: Hashable, Sendable {
    public var addresses: [MeshAddress]
    public var endpoints: [ClientEndpoint]
    public var rack: String
    public var softwareVersion: String
    public var featureLevel: UInt16
    /// Since when it leads what it leads: raised by each of its unclean starts.
    public var leaderEpoch: Int32
    /// What it is for, as its operator set it.
    public var roles: MemberRoles

    public init(
        addresses: [MeshAddress], endpoints: [ClientEndpoint] = [], rack: String = "",
        softwareVersion: String = "", featureLevel: UInt16 = 1, leaderEpoch: Int32 = 0,
        roles: MemberRoles = .all
    ) {
        self.addresses = addresses
        self.endpoints = endpoints
        self.rack = rack
        self.softwareVersion = softwareVersion
        self.featureLevel = featureLevel
        self.leaderEpoch = leaderEpoch
        self.roles = roles
    }
}

/// The life of a member that a statement is about: a higher boot epoch outranks any incarnation.
public struct MemberLife: Hashable, Comparable, Sendable {
    public let boot: BootEpoch
    public let incarnation: Incarnation

    public init(boot: BootEpoch, incarnation: Incarnation) {
        self.boot = boot
        self.incarnation = incarnation
    }

    public static func < (left: MemberLife, right: MemberLife) -> Bool {
        if left.boot != right.boot { return left.boot < right.boot }
        return left.incarnation < right.incarnation
    }
}

/// A member's signed statement about itself, passed on byte for byte.
///
/// Nobody can forge another's address or goodbye. The higher life wins; statements about older
/// boots are history and never about "me". Its layout:
///
///     0        version, 1
///     1        node id, Int32
///     5        boot epoch, UInt64
///     13       incarnation, UInt32
///     17       flags: 1 leaving, 2 holds no partitions, 4 never votes
///     18       feature level, UInt16
///     20       leader epoch, Int32
///     24       count, then addresses: host text, port UInt16
///     ..       count, then endpoints: listener text, host text, port UInt16
///     ..       rack text, software version text
///     ..       Ed25519 signature of everything before it, 64 bytes
public struct SelfRecord: Hashable, Sendable {
    public let node: NodeID
    public let life: MemberLife
    public let isLeaving: Bool
    public let description: SelfDescription
    /// The whole record with its signature, as it arrived.
    public let encoded: ByteBuffer

    /// Describes and signs; nil where it would not fit its bound.
    public init?(
        node: NodeID, life: MemberLife, isLeaving: Bool, description: SelfDescription,
        signer: some RecordSigner
    ) {
        guard Self.isBounded(description) else { return nil }
        self.node = node
        self.life = life
        self.isLeaving = isLeaving
        self.description = description
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(
            UInt8(1), node.rawValue, life.boot.rawValue, life.incarnation.rawValue,
            Self.flags(isLeaving, description.roles), description.featureLevel,
            description.leaderEpoch)
        bytes.writeInteger(UInt8(description.addresses.count))
        for address in description.addresses {
            bytes.writeText(address.host)
            bytes.writeInteger(address.port)
        }
        bytes.writeInteger(UInt8(description.endpoints.count))
        for endpoint in description.endpoints {
            bytes.writeText(endpoint.listener)
            bytes.writeText(endpoint.host)
            bytes.writeInteger(endpoint.port)
        }
        bytes.writeText(description.rack)
        bytes.writeText(description.softwareVersion)
        let signature = signer.sign(bytes, context: .selfRecord)
        bytes.writeSignature(signature)
        guard bytes.readableBytes <= GossipLimits.selfRecordBytes else { return nil }
        encoded = bytes
    }

    /// A record of a broker that does everything is as it was before there were roles.
    private static func flags(_ isLeaving: Bool, _ roles: MemberRoles) -> UInt8 {
        (isLeaving ? 1 : 0) | (roles.contains(.broker) ? 0 : 2) | (roles.contains(.voter) ? 0 : 4)
    }

    private static func roles(in flags: UInt8) -> MemberRoles {
        var roles: MemberRoles = []
        if flags & 2 == 0 { roles.insert(.broker) }
        if flags & 4 == 0 { roles.insert(.voter) }
        return roles
    }

    private static func isBounded(_ description: SelfDescription) -> Bool {
        let texts =
            description.addresses.map(\.host) + description.endpoints.map(\.listener)
            + description.endpoints.map(\.host)
            + [description.rack, description.softwareVersion]
        return !description.roles.isDisjoint(with: .all)
            && description.addresses.count <= GossipLimits.addressesPerMember
            && description.endpoints.count <= GossipLimits.endpointsPerMember
            && texts.allSatisfy { $0.utf8.count <= GossipLimits.textBytes }
    }

    public init(decoding encoded: ByteBuffer) throws(GossipDecodeError) {
        guard encoded.readableBytes <= GossipLimits.selfRecordBytes else { throw .overLimit }
        var bytes = encoded
        let version = try bytes.take(UInt8.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        node = NodeID(try bytes.take(Int32.self))
        let boot = BootEpoch(try bytes.take(UInt64.self))
        life = MemberLife(boot: boot, incarnation: Incarnation(try bytes.take(UInt32.self)))
        let flags = try bytes.take(UInt8.self)
        let roles = Self.roles(in: flags)
        guard flags <= 7, !roles.isEmpty else { throw .invalidValue }
        isLeaving = flags & 1 != 0
        let featureLevel = try bytes.take(UInt16.self)
        let leaderEpoch = try bytes.take(Int32.self)
        guard leaderEpoch >= 0 else { throw .invalidValue }
        var addresses: [MeshAddress] = []
        let addressCount = Int(try bytes.take(UInt8.self))
        guard addressCount <= GossipLimits.addressesPerMember else { throw .overLimit }
        for _ in 0..<addressCount {
            let host = try bytes.takeText(maximum: GossipLimits.textBytes)
            addresses.append(MeshAddress(host: host, port: try bytes.take(UInt16.self)))
        }
        var endpoints: [ClientEndpoint] = []
        let endpointCount = Int(try bytes.take(UInt8.self))
        guard endpointCount <= GossipLimits.endpointsPerMember else { throw .overLimit }
        for _ in 0..<endpointCount {
            let listener = try bytes.takeText(maximum: GossipLimits.textBytes)
            let host = try bytes.takeText(maximum: GossipLimits.textBytes)
            endpoints.append(
                ClientEndpoint(listener: listener, host: host, port: try bytes.take(UInt16.self)))
        }
        let rack = try bytes.takeText(maximum: GossipLimits.textBytes)
        let softwareVersion = try bytes.takeText(maximum: GossipLimits.textBytes)
        _ = try bytes.takeSignature()
        try bytes.finish()
        description = SelfDescription(
            addresses: addresses, endpoints: endpoints, rack: rack,
            softwareVersion: softwareVersion, featureLevel: featureLevel, leaderEpoch: leaderEpoch,
            roles: roles)
        self.encoded = encoded
    }

    /// Whether the member that holds `key` signed it.
    func isSigned(by key: PublicKey, _ signer: some RecordSigner) -> Bool {
        var body = encoded
        guard let signed = body.readSlice(length: encoded.readableBytes - ByteBuffer.signatureBytes)
        else { return false }
        guard let signature = try? body.takeSignature() else { return false }
        return signer.isValid(signature, of: signed, context: .selfRecord, by: key)
    }
}
