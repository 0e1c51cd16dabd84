/// Counts by reason, as an array that is indexed by a closed enum: no hashing, no allocation.
public struct Tally<Reason: CaseIterable & RawRepresentable & Sendable>: Sendable
where Reason.RawValue == UInt8 {
    private var counts = [UInt64](repeating: 0, count: 32)

    public init() {}

    public subscript(reason: Reason) -> UInt64 { counts[Int(reason.rawValue)] }

    public var total: UInt64 { counts.reduce(0, +) }

    mutating func add(_ reason: Reason) { counts[Int(reason.rawValue)] += 1 }
}

/// Why a datagram was not delivered, or not sent.
public enum DatagramDrop: UInt8, Sendable, CaseIterable {
    /// Shorter than a header and a tag, or of another version.
    case malformed = 0
    case oversized = 1
    /// No key has this id: a stranger, or keys that ended.
    case unknownKey = 2
    /// Not sealed with the key that it names.
    case notAuthentic = 3
    /// Seen already, or too far behind.
    case replayed = 4
    /// Outgoing: no handshake with the peer yet; one was opened if an address is known.
    case noKeys = 5
    /// Outgoing: the kernel refused it.
    case sendFailed = 6
    /// Outgoing or incoming: a test's or a tool's tap took it.
    case tapped = 7
}

/// Why a message was not sent.
public enum MessageDrop: UInt8, Sendable, CaseIterable {
    case tooLong = 0
    /// No link, and no address to open one to.
    case unreachable = 1
    case queueFull = 2
    /// It waited for a link that failed, or the link closed before it was sent.
    case linkLost = 3
    /// The link has as many streams as it may.
    case tooManyStreams = 4
}

/// Why a link's peer broke the rules; the link is closed.
public enum LinkViolation: UInt8, Error, Sendable, CaseIterable {
    /// A length beyond what a record may have, or too short for one.
    case badLength = 0
    /// Replayed, reordered, cut, changed or sealed with another key.
    case notAuthentic = 1
    case malformed = 2
    case messageTooLong = 3
    /// More messages than a candidate may send, or streams than a link may have.
    case tooMany = 4
    case creditExceeded = 5
}

/// Why a connection was closed before its handshake began.
public enum AcceptRefusal: UInt8, Sendable, CaseIterable {
    case tooManyHalfOpen = 0
    case tooManyLinks = 1
    case sourceTooFast = 2
    case tooManyCandidates = 3
}

/// Everything that a transport counts, since its start.
public struct TransportStatistics: Sendable {
    public internal(set) var datagramsSent: UInt64 = 0
    public internal(set) var datagramBytesSent: UInt64 = 0
    public internal(set) var datagramsReceived: UInt64 = 0
    public internal(set) var datagramBytesReceived: UInt64 = 0
    public internal(set) var datagramDrops = Tally<DatagramDrop>()
    public internal(set) var messagesSent: UInt64 = 0
    public internal(set) var messagesReceived: UInt64 = 0
    public internal(set) var messageDrops = Tally<MessageDrop>()
    public internal(set) var linkBytesSent: UInt64 = 0
    public internal(set) var linkBytesReceived: UInt64 = 0
    public internal(set) var linkViolations = Tally<LinkViolation>()
    public internal(set) var handshakesCompleted: UInt64 = 0
    /// Handshakes that this side refused.
    public internal(set) var handshakesRefused = Tally<HandshakeRefusal>()
    /// Handshakes that the peer refused.
    public internal(set) var handshakesDeclined = Tally<HandshakeRefusal>()
    public internal(set) var acceptsRefused = Tally<AcceptRefusal>()
    public internal(set) var rekeys: UInt64 = 0
    /// Open now, with their handshakes done.
    public internal(set) var linksOpen = 0
    /// Open now, in their handshakes.
    public internal(set) var handshakesOpen = 0
    /// Peers whose datagrams can be opened now.
    public internal(set) var datagramPeers = 0
}
