/// What an operator asks of a broker about its mesh.
///
/// Travels as text over the admin socket, or over an authenticated link; answered by the broker
/// that is asked and, where `everywhere` is set, by every member that is there.
public struct InspectionQuestion: Codable, Sendable, Equatable {
    /// What is asked for; those from `tap` on do something, or leave a trace in the log.
    public enum Verb: String, Codable, Sendable, CaseIterable {
        case members
        case info
        case events
        case versions
        case heat
        case stats
        case keys
        case roster
        case partitions
        case topic
        case register
        case duels
        case health
        case groups
        case tap
        case join
        case leave
        case forceLeave
        case trace
        case revoke
        case useSecret
        case addVoter
        case removeVoter
        case finishVoters
        case rollBackVoters
        case gatherOffsets
        case recoverOffsets
    }

    public var verb: Verb
    /// Whether every member that is there is asked too.
    public var everywhere: Bool
    /// A register, or how the names of registers begin.
    public var key: String?
    public var node: Int32?
    public var address: String?
    /// Events with greater numbers only.
    public var after: UInt64?
    public var limit: Int?
    /// The member that shall answer in place of the broker that is reached.
    public var target: Int32?
    /// How far the events of each broker were read, where several are asked for theirs.
    public var cursors: [EventCursor]?
    /// How long members may take, in milliseconds; bounded by the broker that asks them.
    public var patience: Int?
    /// Where a listing of the table goes on: what an answer gave as its next.
    public var bucket: Int?
    /// Whether to do what is refused otherwise.
    public var force: Bool?

    public init(
        _ verb: Verb, everywhere: Bool = false, key: String? = nil, node: Int32? = nil,
        address: String? = nil, after: UInt64? = nil, limit: Int? = nil, target: Int32? = nil,
        cursors: [EventCursor]? = nil, patience: Int? = nil, bucket: Int? = nil,
        force: Bool? = nil
    ) {
        self.verb = verb
        self.everywhere = everywhere
        self.key = key
        self.node = node
        self.address = address
        self.after = after
        self.limit = limit
        self.target = target
        self.cursors = cursors
        self.patience = patience
        self.bucket = bucket
        self.force = force
    }
}

/// The number of the last event of one broker that was read.
public struct EventCursor: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var after: UInt64

    public init(nodeId: Int32, after: UInt64) {
        self.nodeId = nodeId
        self.after = after
    }
}

/// What all brokers that were asked said.
public struct InspectionAnswers: Codable, Sendable, Equatable {
    public var answers: [InspectionAnswer]
    /// Members that were asked and did not answer in time.
    public var silent: [Int32]

    public init(answers: [InspectionAnswer], silent: [Int32]) {
        self.answers = answers
        self.silent = silent
    }
}

/// What one broker said; the parts that were not asked for are absent.
public struct InspectionAnswer: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var clusterId: String
    /// When it answered, in milliseconds since the Unix epoch, by its own clock.
    public var at: Int64
    /// Why it could not do what was asked.
    public var error: String?
    public var members: [MemberReport]?
    public var info: InfoReport?
    public var events: [EventReport]?
    public var versions: [VersionReport]?
    /// Where the listing of the table goes on; nil where this was the last of it.
    public var nextBucket: Int?
    public var heat: [HeatReport]?
    public var stats: StatsReport?
    public var keys: KeysReport?
    public var packets: [PacketReport]?
    public var roster: RosterReport?
    public var partitions: [PartitionReport]?
    /// Where the listing of partitions goes on; nil where this was the last of it.
    public var nextTopic: String?
    public var nextPartition: Int32?
    public var register: RegisterReport?
    public var duels: [DuelReport]?
    public var health: HealthReport?
    /// Committed offsets and lag as this broker's copies have them.
    public var groups: [GroupCopyReport]?
    public var recoveries: [RecoveryReport]?
    /// Who shall vote by the change that was begun.
    public var begun: [Int32]?

    public init(nodeId: Int32, clusterId: String, at: Int64) {
        self.nodeId = nodeId
        self.clusterId = clusterId
        self.at = at
    }
}

/// A member as one broker sees it.
public struct MemberReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    /// alive, suspect, dead, left, or unheard of since it was admitted.
    public var state: String
    public var isSelf: Bool
    public var address: String?
    public var kafka: [String]
    public var rack: String?
    public var version: String?
    public var bootEpoch: UInt64
    public var incarnation: UInt32
    public var admission: UInt32
    public var isVoter: Bool
    /// `broker`, `voter` or both; nil from a broker that knows of no roles.
    public var roles: [String]?
    /// Lifeguard's local health multiplier, of the broker that answers only.
    public var health: Int?
    public var roundTripMicrosecondsP50: Int?
    public var roundTripMicrosecondsP99: Int?
    /// Answers by TCP and not by UDP.
    public var isUdpBlocked: Bool
    /// Who accuses it.
    public var accusers: [Int32]
    /// How long it has had this state, in milliseconds.
    public var forMilliseconds: Int64
    /// When a suspect is declared dead unless it refutes, in milliseconds from the answer.
    public var deadInMilliseconds: Int64?
    public var lastHeardMilliseconds: Int64?
    /// Partitions that it leads.
    public var leads: Int
    /// Boots of it that ran at the same time, which are both shut out; nil where none did.
    public var duplicateBoots: [UInt64]?
}

/// A broker's own part in the mesh.
public struct InfoReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var clusterId: String
    public var publicKey: String
    public var storeId: String
    public var bootEpoch: UInt64
    public var incarnation: UInt32
    public var health: Int
    public var isSelfIsolated: Bool
    public var members: Int
    public var alive: Int
    public var tableEntries: Int
    public var tableRoot: String
    public var membersRoot: String
    public var rosterGeneration: UInt64
    public var voters: [Int32]
    public var rumours: RumourReport
    public var uptimeMilliseconds: Int64
    public var version: String
    /// Writes of durable tables that took so long that the broker doubts itself, of so many, and
    /// the longest of all; nil from a broker that counts none.
    public var slowWrites: UInt64?
    public var writes: UInt64?
    public var longestWriteMilliseconds: UInt64?
}

/// What waits to be passed on, and what was dropped, by class.
public struct RumourReport: Codable, Sendable, Equatable {
    public var members: Int
    public var table: Int
    public var marks: Int
    public var droppedMembers: Int
    public var droppedTable: Int
    public var droppedMarks: Int
    public var transmissionsPerRumour: Int
}

/// One thing that happened, as one broker saw it.
public struct EventReport: Codable, Sendable, Equatable {
    public var number: UInt64
    /// Milliseconds since the Unix epoch, by that broker's clock.
    public var at: Int64
    /// What happened, in one word, for programs: `probeUnanswered`, `suspected`, `valueApplied`, ..
    public var kind: String
    /// The member that it is about.
    public var node: Int32?
    /// Another member that took part: who accused, who helped, who sent.
    public var by: Int32?
    public var key: String?
    /// The version that a table took.
    public var proposer: Int32?
    public var counter: UInt64?
    /// How many members a trace had passed, and whether it was the first to arrive.
    public var hop: Int?
    public var isFirst: Bool?
    /// Those who accuse, or were asked for help.
    public var others: [Int32]?
    /// Why a link failed, or what a helper said: `reached` or `unreached`.
    public var reason: String?
    /// What a suspect has left at that moment.
    public var deadInMilliseconds: Int64?
    /// The rest, as a sentence.
    public var text: String
}

/// One register in one broker's table.
public struct VersionReport: Codable, Sendable, Equatable {
    public var key: String
    /// `(proposer, counter)` and the proposer's boot, in the order of the ballots' digits.
    public var proposer: Int32
    public var counter: UInt64
    public var boot: UInt64
    public var hash: String
    public var isTombstone: Bool
}

/// How long ago one broker last heard another.
public struct HeatReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var ageMilliseconds: Int64?
}

/// Counters since the start, by name.
public struct StatsReport: Codable, Sendable, Equatable {
    public var gossip: [String: UInt64]
    public var transport: [String: UInt64]
    /// Datagrams that were dropped, by reason.
    public var datagramDrops: [String: UInt64]
    /// Handshakes that ended without a link, by reason.
    public var handshakesRefused: [String: UInt64]
    public var handshakesDeclined: [String: UInt64]
    /// Connections that were not taken, by reason.
    public var acceptsRefused: [String: UInt64]
    /// What peers did against the rules of a link, by reason.
    public var linkViolations: [String: UInt64]
    public var paxos: [String: UInt64]
    /// Writes of the durable tables, each with its fsync; nil from a broker that counts none.
    public var disk: [String: UInt64]?
}

/// What a broker accepts as proof, without showing any of it.
public struct KeysReport: Codable, Sendable, Equatable {
    public var publicKey: String
    /// Names of the admission secrets that it takes, the one that it shows first.
    public var secrets: [String]
    /// The file that they come from; nil where the broker was given none.
    public var secretFile: String?
    /// How each of them was used since the start.
    public var uses: [SecretUseReport]
    /// What each member showed at its last link, though it needs none.
    public var shown: [ShownSecretReport]
    public var admissions: [AdmissionReport]
}

/// How often one admission secret was proved to one broker.
public struct SecretUseReport: Codable, Sendable, Equatable {
    public var name: String
    /// By brokers that asked to join: they need it.
    public var joins: UInt64
    /// By command lines elsewhere: they need it too.
    public var operators: UInt64
    /// By members, which are known by their keys.
    public var members: UInt64
    /// How long ago a joiner or a command line needed it, since it has the place that it has.
    public var neededMilliseconds: Int64?
}

/// The secret that a member showed last.
public struct ShownSecretReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var name: String
    public var agoMilliseconds: Int64
}

/// A binding of a node id to a key and a store.
public struct AdmissionReport: Codable, Sendable, Equatable {
    public var nodeId: Int32
    public var publicKey: String
    public var storeId: String
    public var number: UInt32
    public var isRevoked: Bool
}

/// A datagram of the broker that answers, decrypted and explained.
public struct PacketReport: Codable, Sendable, Equatable {
    public var number: UInt64
    public var at: Int64
    public var isOutgoing: Bool
    public var peer: Int32
    public var bytes: Int
    public var text: String
    /// The payload in hexadecimal.
    public var payload: String
}
