public import Model

/// What one run of a whole mesh is like: drawn from its seed, so that a thousand seeds are a
/// thousand different meshes (swarm testing).
public struct MeshOptions: Codable, Hashable, Sendable {
    /// How many brokers there are; each holds partitions, and three of them vote.
    public var brokers: Int
    /// How many of them are not there at first.
    public var lateBrokers: Int
    public var partitions: Int32
    /// `flush: sync` lets any number of machines lose their power at once.
    public var isSynced: Bool
    /// How long faults are made, in milliseconds of virtual time.
    public var faultsMilliseconds: Int64
    /// Between two faults, at most.
    public var faultPauseMilliseconds: Int64
    public var network: NetworkFaults
    /// A topic is made, deleted and made again all the time.
    public var turnsTopic: Bool
    /// Consumers of one group that come and go, and how many of them are static.
    public var groupMembers: Int
    public var staticMembers: Int
    /// Somebody watches how far each group is, whichever broker says that it coordinates it.
    public var watchesOffsets: Bool
    /// Faults that may be drawn, each as often as it is in here.
    public var faults: [MeshFault.Kind]

    /// How long a mesh may take to be whole again once nothing is wrong any more.
    public static let convergenceMilliseconds: Int64 = 120_000

    public init(seed: UInt64) {
        var dice = SeededGenerator(seed: seed ^ 0x0971_0A5)
        brokers = [3, 3, 3, 4, 5, 5, 7][Int.random(in: 0..<7, using: &dice)]
        lateBrokers = brokers > 3 ? [0, 0, 1][Int.random(in: 0..<3, using: &dice)] : 0
        partitions = Int32.random(in: 1...4, using: &dice)
        isSynced = Bool.random(using: &dice)
        faultsMilliseconds = Int64.random(in: 5_000...30_000, using: &dice)
        faultPauseMilliseconds = [300, 1_000, 3_000][Int.random(in: 0..<3, using: &dice)]
        network = NetworkFaults(
            delayMicroseconds: 50...[300, 2_000, 20_000][Int.random(in: 0..<3, using: &dice)],
            datagramLoss: [0, 0.01, 0.1][Int.random(in: 0..<3, using: &dice)],
            datagramDuplication: [0, 0.01][Int.random(in: 0..<2, using: &dice)],
            datagramReordering: [0, 0.02][Int.random(in: 0..<2, using: &dice)])
        turnsTopic = Bool.random(using: &dice)
        groupMembers = [0, 2, 3, 5][Int.random(in: 0..<4, using: &dice)]
        staticMembers = [0, 0, 1][Int.random(in: 0..<3, using: &dice)]
        // A run has some kinds only, so that each is met without the others too, and few of them
        // often or many of them rarely.
        let share = [2, 3, 4, 5][Int.random(in: 0..<4, using: &dice)]
        faults = MeshFault.Kind.allCases.filter { _ in
            Int.random(in: 0..<6, using: &dice) < share
        }
        if faults.isEmpty { faults = [.kill] }
        watchesOffsets = Bool.random(using: &dice)
    }
}

/// Something that is done to a mesh, and for how long.
public struct MeshFault: Hashable, Sendable {
    /// What is done.
    public enum Kind: String, CaseIterable, Codable, Hashable, Sendable {
        /// The process ends; its page cache stays.
        case kill
        /// The machine ends: what was not synced is gone.
        case powerLoss
        /// As `powerLoss`, between any two operations of the disk.
        case tornPower
        case stop
        case pause
        case cut
        case oneWayCut
        case datagramHole
        case slowDisk
        case fullDisk
        case wipe
        case allKilled
        case lossyNetwork
        /// Many datagrams are overtaken by later ones.
        case reordering
        /// Between two brokers everything is late.
        case slowLink
        /// A machine's clock runs faster or slower than true time, from now on.
        case clockDrift
        /// A machine's wall clock is set to another time.
        case clockJump
        /// The machine sleeps: no process runs, the clock that counts sleep goes on, and timers,
        /// which count none, fire as much later.
        case suspend
        /// Every broker is stopped in order and started again, one after the other.
        case rollingRestart
        /// A partition is moved to other brokers, or a move is called off.
        case reassignment
        /// The first replica of every placement shall lead.
        case leaderElection
        case voterAdded
        case voterRemoved
        /// The change of the voters that is under way, if any, is to be undone.
        case voterChangeUndone
        /// The topic gets another partition.
        case topicGrowth
        /// Some reads of logs give a bit that is another, or bytes of another place.
        case misreads
        /// A bit of a log is another one, for good.
        case damagedLog
        /// A bit of one of the broker's tables is.
        case damagedTable
        /// The disk is put back as it was at an earlier start.
        case restoredDisk
        /// A broker that was never there, or has left, joins.
        case brokerJoins
        /// A broker leaves for good.
        case brokerLeaves
        /// One event loop of a process does not run, while its other loops do: a thread that waits
        /// for the processor, or for a page of a file.
        case stalledLoop
        /// All machines end at once, as where they share a circuit.
        case allPowerLost
    }

    public let kind: Kind
    /// The index of the broker that it is done to.
    public let victim: Int
    public let at: Instant
    public let milliseconds: Int64
}
