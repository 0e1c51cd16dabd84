public import Model
import NIOCore

/// Has registers removed whose tombstones were chosen, so that they do not stay for ever
/// (reference, section 9).
///
/// Pure, and owned by the broker's control loop, which runs one at a time. For up to 256 registers
/// at once: identity with *all* voters at a ballot b, the floor raised to b at all of them, and
/// only then the removal, which each of them refuses where anything happened above b. Its
/// invariants:
///
/// - nothing is removed anywhere before every voter refuses ballots up to b for ever: a message
///   from before the tombstone can't bring the register back;
/// - nothing is swept during a roster change, whose first sealed voter ends it.
///
/// A voter that does not answer delays the removal and nothing else. Promises for registers that
/// never held a value, left by look-ups and by rounds that were given up, go with any sweep: an
/// acceptor forgets those at or below a floor that it raises, because the floor promises the same.
/// Costs four messages and three fsyncs a voter.
public struct Sweeper: Sendable {
    /// What happened.
    public enum Input: Sendable {
        /// Sweep these registers, with these voters. Ignored while others are swept.
        case sweep([String], Roster)
        /// The answer to `reserve`, from `Proposer.reserveBallot(above:)`; nil where there is none.
        case reserved(Ballot?)
        /// Every reply may be shown to the proposer, the driver and this: each knows its own.
        case reply(from: NodeID, requestID: UInt64, PaxosReply)
        /// The moment of the last `wake` effect has come; too early or too often does no harm.
        case wake
        /// Of another generation: what is under way is given up.
        case rosterChanged(Roster)
    }

    /// What the shell has to do.
    public enum Effect: Hashable, Sendable {
        /// Have the broker's proposer reserve a ballot: it and the sweeper must not use the same.
        case reserve(above: Ballot)
        /// To the local acceptor where `to` is this broker itself.
        case send(to: NodeID, requestID: UInt64, PaxosRequest)
        case wake(at: Instant)
        /// The sweeper is idle again.
        case finished(SweepReport)
    }

    /// How patient a sweeper is.
    public struct Configuration: Hashable, Sendable {
        /// Whoever has not answered is asked again; several fsyncs of a slow disk.
        public var resendMilliseconds: Int64 = 500
        /// A sweep that has not ended by then is given up: some voter is down.
        public var patienceMilliseconds: Int64 = 10_000

        public init() {}
    }

    /// What the voters are being asked for.
    enum Step: Hashable, Sendable {
        case idle
        case reserve
        case prepare
        case accept
        case raise
        case remove
    }

    /// One register on its way.
    struct Register: Sendable {
        let key: String
        var highest = Ballot.zero
        var value: ByteBuffer?
    }

    public let node: NodeID
    let configuration: Configuration
    let rules: RegisterRules
    var step = Step.idle
    var roster: Roster?
    var ballot = Ballot.zero
    /// What is asked for in this step, in order of the keys.
    var registers: [Register] = []
    /// Registers of which no voter holds a value.
    var neverHeld: [String] = []
    var report = SweepReport()
    /// Who has not answered yet, and how the request to it is called.
    var asked: [(voter: Voter, requestID: UInt64)] = []
    var resendAt: Instant?
    var endsAt: Instant?
    var nextRequest: UInt64
    private var scheduledWake: Instant?

    /// The seed must differ from boot to boot: request ids start from it.
    public init(
        node: NodeID, seed: UInt64, configuration: Configuration = Configuration()
    ) {
        self.init(node: node, seed: seed, configuration: configuration, rules: RegisterRules())
    }

    package init(
        node: NodeID, seed: UInt64, configuration: Configuration, rules: RegisterRules
    ) {
        self.node = node
        self.configuration = configuration
        self.rules = rules
        var generator = SeededGenerator(seed: seed)
        nextRequest = generator.next()
    }

    public var isIdle: Bool { step == .idle }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        switch input {
        case .sweep(let keys, let roster):
            guard isIdle else { return }
            start(keys, roster, now: now, into: &effects)
        case .reserved(let ballot):
            guard step == .reserve else { return }
            guard let ballot else { return finish(into: &effects) }
            self.ballot = ballot
            begin(.prepare, now: now, into: &effects)
        case .reply(let from, let requestID, let reply):
            receive(reply, from: from, requestID: requestID, now: now, into: &effects)
        case .wake:
            scheduledWake = nil
            resend(now: now, into: &effects)
        case .rosterChanged(let next):
            guard let roster, next.generation != roster.generation else { return }
            report.isInterrupted = true
            finish(into: &effects)
        }
        arm(into: &effects)
    }

    private mutating func start(
        _ keys: [String], _ roster: Roster, now: Instant, into effects: inout [Effect]
    ) {
        report = SweepReport()
        neverHeld = []
        guard roster.next == nil else {
            report.isInterrupted = true
            return finish(into: &effects)
        }
        self.roster = roster
        registers = Set(keys).sorted().prefix(Limits.registersPerMessage).map { Register(key: $0) }
        guard !registers.isEmpty else { return finish(into: &effects) }
        endsAt = now.advanced(byMilliseconds: configuration.patienceMilliseconds)
        step = .reserve
        effects.append(.reserve(above: roster.floor))
    }

    mutating func finish(into effects: inout [Effect]) {
        step = .idle
        roster = nil
        registers = []
        asked = []
        resendAt = nil
        endsAt = nil
        effects.append(.finished(report))
    }

    private mutating func arm(into effects: inout [Effect]) {
        guard let resendAt, scheduledWake.map({ resendAt < $0 }) ?? true else { return }
        scheduledWake = resendAt
        effects.append(.wake(at: resendAt))
    }
}

/// What a sweep came to; every register that was asked for is in one of the lists, unless voters
/// were silent or the roster changed.
public struct SweepReport: Hashable, Sendable {
    /// Gone at every voter, or never there.
    public internal(set) var removed: [String] = []
    /// They hold a value and stay.
    public internal(set) var alive: [String] = []
    /// Somebody else was at them: to be swept again later.
    public internal(set) var contested: [String] = []
    /// Voters whose answers were missing when the sweep was given up.
    public internal(set) var silent: [VoterID] = []
    /// What every voter refuses from now on; nil where they did not all say so.
    public internal(set) var floor: Ballot?
    /// Whether a roster change, under way or over, ended it.
    public internal(set) var isInterrupted = false

    init() {}
}
