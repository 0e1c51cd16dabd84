public import Model
import NIOCore

/// Changes who votes, or finishes or takes back a change that somebody began (reference, section
/// 8).
///
/// Pure, and owned by the broker's control loop, which runs one at a time. It asks acceptors
/// itself, and has the register `roster` read and changed by the broker's one proposer. A voter is
/// counted by its store: what comes from another store of the same node counts for nothing. Its
/// invariants:
///
/// - a roster is told to anybody only once it is chosen;
/// - what is copied was read at old voters that had adopted the joint roster, and so refuse every
///   older ballot's accept for ever;
/// - the settled roster is proposed only after every register that a majority of the old voters
///   knows lies with a majority of the new ones, with its promise, and the floor with it;
/// - nobody is brought in who did not take part: a store that hears of a settled roster only, with
///   itself in it, can't tell whether it has voted and forgotten, and would never vote.
///
/// Every step may be done twice and by several brokers: whoever is interrupted can be followed by
/// another. It waits for old voters for as long as it takes, and takes the change back where a new
/// one stays away; `stop` leaves everything as it is. Costs one scan and one fsync of a majority
/// for each 256 registers.
public struct RosterDriver: Sendable {
    /// What is wanted.
    public enum Goal: Hashable, Sendable {
        /// These voters, decided upon while the roster had this generation. What brings new ones
        /// in is filled in here.
        case change(to: [Voter], from: RosterGeneration)
        /// The end of whatever change is under way.
        case finish
        /// The voters as they were before the change that is under way.
        case rollBack
    }

    /// What happened.
    public enum Input: Sendable {
        /// Ignored while another goal is pursued.
        case start(Goal)
        /// What the proposer says of a `read` or a `propose`.
        case decided(token: UInt64, Outcome)
        /// Every reply may be shown to the proposer, this and the sweeper: each knows its own.
        case reply(from: NodeID, requestID: UInt64, PaxosReply)
        /// The moment of the last `wake` effect has come; too early or too often does no harm.
        case wake
        /// Forget the goal; what was begun stays begun.
        case stop
    }

    /// What the shell has to do.
    public enum Effect: Sendable {
        /// Give the change to the broker's proposer; its outcome comes back as `decided`.
        case propose(token: UInt64, RegisterChange)
        /// Have the proposer read the register; its outcome comes back as `decided`.
        case read(token: UInt64, key: String)
        /// To the local acceptor where `to` is this broker itself.
        case send(to: NodeID, requestID: UInt64, PaxosRequest)
        /// A roster was chosen: to be given to the broker's own proposer and acceptor at once.
        case chosen(Roster)
        case wake(at: Instant)
        case progress(RosterProgress)
        /// The goal is reached or given up; the driver is idle again.
        case finished(RosterOutcome)
    }

    /// How patient a driver is.
    public struct Configuration: Hashable, Sendable {
        /// Whoever has not answered is asked again; several fsyncs of a slow disk.
        public var resendMilliseconds: Int64 = 500
        /// A majority of the voters to be, and every new one, answers within this time, or nothing
        /// is begun: under a joint roster without them nothing can be decided, not even its end.
        public var probeMilliseconds: Int64 = 5_000
        /// How long the others wait for a new voter before they take the change back: longer than
        /// a restart takes.
        public var newcomerMilliseconds: Int64 = 10_000
        /// Registers that are read at a time; searches make do with fewer.
        package var registersPerPage = Limits.scanMaximum

        public init() {}
    }

    /// What acceptors are being asked for.
    enum Step: Hashable, Sendable {
        case none
        case probe
        case seal
        case scan
        case install
        case deliver
    }

    /// One voter that was asked in the step under way.
    struct Asked: Sendable {
        let voter: Voter
        let requestID: UInt64
        var hasAnswered = false
        /// Whether it was told the roster since it was last asked.
        var isTaught = false
    }

    public let node: NodeID
    public let boot: BootEpoch
    let configuration: Configuration
    let rules: RegisterRules
    var goal: Goal?
    public internal(set) var progress = RosterProgress()
    /// The roster that is being put into effect: chosen, unless the phase is before that.
    var roster: Roster?
    /// The joint roster before it, for whoever was away then.
    var joint: Roster?
    var step = Step.none
    /// What the proposer has to say something about.
    var token: UInt64 = 0
    var asked: [Asked] = []
    var repair = RosterRepair()
    /// When whoever has not answered is asked again, or a decision.
    var resendAt: Instant?
    var probeEnds: Instant?
    /// When new voters that did not answer are given up.
    var newcomersEnd: Instant?
    private var scheduledWake: Instant?
    var nextRequest: UInt64
    var nextOperation: UInt64

    /// The seed must differ from boot to boot: request and operation ids start from it.
    public init(
        node: NodeID, boot: BootEpoch, seed: UInt64, configuration: Configuration = Configuration()
    ) {
        self.init(
            node: node, boot: boot, seed: seed, configuration: configuration, rules: RegisterRules()
        )
    }

    package init(
        node: NodeID, boot: BootEpoch, seed: UInt64, configuration: Configuration,
        rules: RegisterRules
    ) {
        self.node = node
        self.boot = boot
        self.configuration = configuration
        self.rules = rules
        var generator = SeededGenerator(seed: seed)
        nextRequest = generator.next()
        // The upper half: what the broker itself asks for counts from below.
        nextOperation = generator.next() | 1 << 63
    }

    public var isIdle: Bool { goal == nil }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        switch input {
        case .start(let goal):
            guard self.goal == nil else { return }
            if case .change(let target, _) = goal, !Self.isPossible(target) {
                return effects.append(.finished(.impossible))
            }
            self.goal = goal
            probeEnds = nil
            read(now: now, into: &effects)
        case .decided(let token, let outcome):
            guard goal != nil, token == self.token else { return }
            decided(outcome, now: now, into: &effects)
        case .reply(let from, let requestID, let reply):
            receive(reply, from: from, requestID: requestID, now: now, into: &effects)
        case .wake:
            scheduledWake = nil
            if let resendAt, resendAt <= now { resend(now: now, into: &effects) }
        case .stop:
            reset()
        }
        arm(into: &effects)
    }

    private static func isPossible(_ target: [Voter]) -> Bool {
        let nodes = target.map(\.node)
        let stores = target.map(\.store)
        return !target.isEmpty && target.count <= Limits.votersMaximum
            && nodes.indices.allSatisfy { !nodes[..<$0].contains(nodes[$0]) }
            && stores.indices.allSatisfy { !stores[..<$0].contains(stores[$0]) }
    }

    mutating func reset() {
        goal = nil
        roster = nil
        joint = nil
        step = .none
        asked = []
        repair = RosterRepair()
        resendAt = nil
        newcomersEnd = nil
        token &+= 1  // wraps: only equality counts
        progress = RosterProgress()
    }

    mutating func finish(_ outcome: RosterOutcome, into effects: inout [Effect]) {
        reset()
        effects.append(.finished(outcome))
    }

    mutating func enter(_ phase: RosterProgress.Phase, into effects: inout [Effect]) {
        progress.phase = phase
        progress.generation = roster?.generation ?? .none
        effects.append(.progress(progress))
    }

    mutating func waitForAnswers(_ now: Instant) {
        resendAt = now.advanced(byMilliseconds: configuration.resendMilliseconds)
    }

    private mutating func arm(into effects: inout [Effect]) {
        guard let resendAt, scheduledWake.map({ resendAt < $0 }) ?? true else { return }
        scheduledWake = resendAt
        effects.append(.wake(at: resendAt))
    }
}
