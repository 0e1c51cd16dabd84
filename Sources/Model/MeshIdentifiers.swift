/// How often a broker's store was started: raised durably at every start, before anything is sent.
///
/// Peers remember the highest and refuse one that is not higher, which catches cloned and
/// rolled-back disks. 0 is "never started".
public struct BootEpoch: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable public static func < (left: BootEpoch, right: BootEpoch) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The number by which a member refutes what others say of it; only the member raises its own
/// (SWIM, section 4.2).
public struct Incarnation: Hashable, Comparable, Sendable {
    public let rawValue: UInt32

    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static func < (left: Incarnation, right: Incarnation) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Which binding of a node id to a key and a store is meant: raised whenever that pair changes.
///
/// A wiped disk, or a second broker with the same id, can never pass for the first.
public struct AdmissionNumber: Hashable, Comparable, Sendable {
    public let rawValue: UInt32

    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    @inlinable public static func < (left: AdmissionNumber, right: AdmissionNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The identity of a formatted data directory: a wiped disk gets another one.
public struct StoreID: Hashable, Comparable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    @inlinable public static func < (left: StoreID, right: StoreID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

/// A round of Paxos: totally ordered, and never used twice for different values.
///
/// The counter comes first in the order; the proposer and its boot epoch make it unique, because
/// a restarted proposer may not remember what it used.
public struct Ballot: Hashable, Comparable, Sendable {
    public let counter: UInt64
    public let proposer: NodeID
    public let boot: BootEpoch

    @inlinable public init(counter: UInt64, proposer: NodeID, boot: BootEpoch) {
        self.counter = counter
        self.proposer = proposer
        self.boot = boot
    }

    /// Below every ballot of a proposer.
    public static let zero = Ballot(counter: 0, proposer: NodeID(0), boot: BootEpoch(0))

    @inlinable public static func < (left: Ballot, right: Ballot) -> Bool {
        if left.counter != right.counter { return left.counter < right.counter }
        if left.proposer != right.proposer { return left.proposer < right.proposer }
        return left.boot < right.boot
    }
}

/// Where brokers reach a broker: a host name or literal, and a port for both UDP and TCP.
public struct MeshAddress: Hashable, Comparable, Sendable {
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public static func < (left: MeshAddress, right: MeshAddress) -> Bool {
        (left.host, left.port) < (right.host, right.port)
    }
}

/// An Ed25519 public key, the identity of a broker: 32 bytes as four words in network order.
public struct PublicKey: Hashable, Comparable, Sendable {
    public let words: InlineWords4

    @inlinable public init(words: InlineWords4) { self.words = words }

    public static func < (left: PublicKey, right: PublicKey) -> Bool { left.words < right.words }
}

/// Four 64-bit words: 32 bytes without an allocation, hashable and ordered.
public struct InlineWords4: Hashable, Comparable, Sendable {
    public let a: UInt64
    public let b: UInt64
    public let c: UInt64
    public let d: UInt64

    @inlinable public init(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) {
        self.a = a
        self.b = b
        self.c = c
        self.d = d
    }

    @inlinable public static func < (left: InlineWords4, right: InlineWords4) -> Bool {
        (left.a, left.b, left.c, left.d) < (right.a, right.b, right.c, right.d)
    }
}

/// An Ed25519 signature: 64 bytes as two times four words in network order.
public struct Signature: Hashable, Sendable {
    public let r: InlineWords4
    public let s: InlineWords4

    @inlinable public init(r: InlineWords4, s: InlineWords4) {
        self.r = r
        self.s = s
    }
}
