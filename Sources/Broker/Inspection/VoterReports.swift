/// Who votes, as one broker knows it, and its own part in that.
public struct RosterReport: Codable, Sendable, Equatable {
    public var generation: UInt64
    public var voters: [VoterReport]
    /// Those that shall vote, while a change is under way.
    public var next: [VoterReport]?
    /// Whether the voters that it holds for alive decide without it, and with it.
    public var hasQuorum: Bool
    /// What this broker does about a change: `idle` where it drives none.
    public var phase: String
    public var repaired: Int
    public var total: Int
    /// What became of the last change that it drove.
    public var lastOutcome: String?
    /// Whether that was another broker's change, which came first.
    public var wasSuperseded: Bool?
    public var lastOutcomeMilliseconds: Int64?
    /// How many shall vote, by its configuration; nil where only an operator changes it.
    public var target: Int?
    public var replaceAfterMilliseconds: Int64
    /// What its own acceptor does: `serving`, `halted: ..`; nil where it is no voter.
    public var acceptor: String?
    public var registers: Int
    public var writes: UInt64
    public var meanWriteMilliseconds: Double
    public var longestWriteMilliseconds: UInt64
    /// How long it may go on to serve what it leads with others, unless it renews its lease.
    public var leaseMilliseconds: Int64?
}

/// One voter of a roster.
public struct VoterReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var storeId: String
    /// The generation that brought it in; 0 for the first voters of a mesh.
    public var since: UInt64
}

/// One register as one broker has it.
public struct RegisterReport: Codable, Sendable, Equatable {
    public var key: String
    /// What its acceptor promised and accepted; nil where it does not vote, or never heard of it.
    public var promised: BallotReport?
    public var accepted: BallotReport?
    public var hash: String?
    public var isTombstone: Bool
    /// The last changes that were made to it, as node, boot and sequence.
    public var operations: [String]
    /// The accepted value in words.
    public var fields: [FieldReport]
    /// What its table holds: the chosen value that it has heard of last.
    public var table: BallotReport?
    public var tableHash: String?
}

/// A ballot, in the order of its digits.
public struct BallotReport: Codable, Sendable, Equatable, Hashable {
    public var counter: UInt64
    public var proposer: Int32
    public var boot: UInt64
}

/// One named part of a register's value.
public struct FieldReport: Codable, Sendable, Equatable {
    public var name: String
    public var value: String
}

/// How often a broker was overtaken at one register.
public struct DuelReport: Codable, Sendable, Equatable {
    public var key: String
    /// The partition that the register is about, as topic and number.
    public var subject: String?
    public var count: UInt64
    public var lastRival: Int32
}

/// What `gossamer doctor` looks at, of one broker.
public struct HealthReport: Codable, Sendable, Equatable {
    public var version: String
    public var featureLevel: UInt16
    public var isSelfIsolated: Bool
    public var health: Int
    public var freeBytes: Int64
    public var totalBytes: Int64
    public var writes: UInt64
    public var slowWrites: UInt64
    public var longestWriteMilliseconds: UInt64
    /// How often the wall clock left the monotonic one, and by how much the last time.
    public var clockJumps: UInt64
    public var lastClockJumpMilliseconds: Int64?
    public var splitVersions: UInt64
    public var links: String
    /// Whether the mesh listens where other machines reach it.
    public var isReachable: Bool
    /// The mode of the secret file, in octal digits; nil where there is none to be read.
    public var secretMode: String?
}
