public import Model
public import Sodium

/// What two ends of a link are to each other.
public enum Standing: UInt8, Sendable, CaseIterable {
    case member = 1
    case candidate = 2
    case `operator` = 3
}

/// One link of this process, never used twice.
public struct LinkID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: LinkID, right: LinkID) -> Bool { left.rawValue < right.rawValue }
}

/// What a message is about, chosen by the owner.
///
/// Kinds from 128 up may be dropped where a queue is full (gossip repeats itself); of all others
/// none is lost silently: the link closes.
public struct MessageKind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public var isDroppable: Bool { rawValue >= 128 }
}

/// One of the ordered sequences of messages on a link.
///
/// Stream 0 is for control: without credit, and ahead of all others. On the others a sender waits
/// for the receiver's credit, so that one slow consumer holds up nothing but itself.
public struct StreamID: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let control = StreamID(rawValue: 0)
}

/// Whom a message is for.
public enum PeerReference: Hashable, Sendable {
    /// Over whichever link there is, or one that is opened for it.
    case member(NodeID)
    /// Over this link: the way to answer candidates and operators.
    case link(LinkID)
}

/// An open link and the peer at its other end.
public struct PeerInfo: Sendable {
    public let link: LinkID
    public let claim: PeerClaim
    /// What the peer is to us.
    public internal(set) var standing: Standing
    /// What we are to the peer; `member` for the side that was connected to, which isn't told.
    public let givenStanding: Standing
    /// Whether we connected.
    public let isInitiator: Bool
    /// Where we connected to, or where the peer's connection comes from.
    public let address: MeshAddress
    public let suite: CipherSuite
    public let mode: LinkMode
    /// From our last flight to the answer to it, with the peer's signature in between.
    public let roundTripNanoseconds: Int64

    /// The peer's id where it is a member.
    public var node: NodeID? { standing == .member ? claim.nodeID : nil }
}

/// Why a link was closed.
public enum CloseReason: Hashable, Sendable {
    /// No message for a while; keys for datagrams stay.
    case idle
    /// Another link of the same pair stays.
    case superseded
    /// The owner closed it, or forgot the peer.
    case asked
    /// The transport is closing.
    case shuttingDown
    /// Nothing came for 30 s.
    case silent
    case violation(LinkViolation)
    /// A message that may not be dropped had no room.
    case queueFull
    /// The peer closed it, with or without a goodbye.
    case byPeer
    /// The peer closed it because another process runs with this one's store.
    case duplicateStore
    /// The connection broke.
    case broken
}

/// Why a link did not come about.
public enum LinkFailure: Error, Hashable, Sendable {
    /// No connection: refused, unreachable or too slow.
    case notConnected
    /// The host's name has no address, or nobody could be asked for it.
    case unknownHost
    /// We refused the peer.
    case refused(HandshakeRefusal)
    /// The peer refused us.
    case declined(HandshakeRefusal)
}
