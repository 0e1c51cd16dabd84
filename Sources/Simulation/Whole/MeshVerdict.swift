/// What a run did: one that did too little proves nothing.
public struct MeshCounts: Hashable, Sendable {
    public var events = 0
    public var faults = 0
    public var kinds: [String: Int] = [:]
    /// What of it brokers met: a fault that reaches nobody proves nothing.
    public var reached: [String: Int] = [:]
    public var starts = 0
    public var deaths = 0
    public var elections = 0
    public var replicated = 0
    public var acknowledged = 0
    public var consumed = 0
    public var commits = 0
    public var rebalances = 0
    /// Registers whose histories were found linearizable, and those that nothing is known of.
    public var registers = 0
    public var undecided = 0
    /// Values that a broker took for chosen, and were.
    public var chosen = 0
    public var audits = 0
    public var retries = 0
    public var epochBumps = 0
}

/// What came of one run.
public struct MeshVerdict: Hashable, Sendable {
    public let seed: UInt64
    /// The first promise that was broken; nil where none was.
    public let failure: MeshFailure?
    public let counts: MeshCounts
    /// Equal for two runs of one seed.
    public let hash: UInt64
    /// Virtual time.
    public let milliseconds: Int64
    /// What the run was made of, with the faults that happened: it gives the same run again.
    public let schedule: MeshSchedule

    public var violation: String? { failure?.reason }
}
