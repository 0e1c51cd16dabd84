import DequeModule
public import Model
import OrderedCollections

/// Has changes of registers chosen, many at a time, and reads registers.
///
/// Pure: time comes with every input and randomness from a seed. Owned by the broker's control
/// loop. Changes that come together travel together: one message and one fsync for up to 256
/// registers in each phase. Its invariants (reference, sections 3, 5 and 10):
///
/// - a ballot is used for one round only, and is above every ballot that this proposer was shown;
/// - of one register one change or read is under way, the others wait behind it;
/// - whatever may have been accepted somewhere is answered `unknown` or settled by a higher ballot,
///   never called "not chosen".
public struct Proposer: Sendable {
    /// What happened.
    public enum Input: Sendable {
        /// Answered by one `done` with the token, which the caller must not use twice at a time.
        case propose(token: UInt64, [RegisterChange])
        case read(token: UInt64, [String])
        case reply(from: NodeID, requestID: UInt64, PaxosReply)
        /// The moment of the last `wake` effect has come; too early or too often does no harm.
        case wake
        case rosterChanged(Roster)
        /// Whatever was sent to this broker will not be answered.
        case unreachable(NodeID)
        /// This broker was heard, or has opened a link: it may answer again.
        case reachable(NodeID)
        /// A ballot that a table holds: the next one will be above it.
        case observed(Ballot)
    }

    /// What the shell has to do.
    public enum Effect: Hashable, Sendable {
        /// To the local acceptor where `to` is this broker itself.
        case send(to: NodeID, requestID: UInt64, PaxosRequest)
        /// Earlier than any moment asked for before.
        case wake(at: Instant)
        /// One outcome for each change or key, in their order.
        case done(token: UInt64, [Outcome])
        /// An acceptor has a newer roster, which this proposer uses from now on.
        case rosterLearned(Roster)
    }

    /// How patient a proposer is; the defaults suit a mesh within one region.
    public struct Configuration: Hashable, Sendable {
        /// A round that has no quorum by then is given up; several fsyncs of a slow disk.
        public var roundTimeoutMilliseconds: Int64 = 500
        /// A change or a read is answered about by then.
        public var deadlineMilliseconds: Int64 = 10_000
        /// The first pause after a lost duel; it doubles with each further one, to the longest.
        public var backoffMilliseconds: Int64 = 8
        public var backoffMillisecondsMaximum: Int64 = 400
        /// The longest pause while too few voters can be reached: one message in each, and a third
        /// of the time after which whoever asked is told that nobody answers.
        public var awayMillisecondsMaximum: Int64 = 3_000
        /// What the ends of pauses are rounded up to; about as long as a round takes.
        public var restGridMilliseconds = 4
        /// Between the first tries of neighbours in the roster, so that one of them wins.
        public var staggerMilliseconds: Int64 = 4
        /// What every rank of a change waits before its first round, and up to how much more: the
        /// usual round is over by then (reference, section 10).
        public var rankMilliseconds: Int64 = 75
        public var rankJitterMilliseconds: Int64 = 25

        public init() {}
    }

    /// The outcomes of one token, as far as they are known.
    struct Pending: Sendable {
        var outcomes: [Outcome]
        var open: Int
    }

    /// Where a request went, so that its answer finds its round.
    struct Request: Sendable {
        let round: UInt64
        let voter: VoterID
    }

    public let node: NodeID
    public let boot: BootEpoch
    public internal(set) var roster: Roster?
    public internal(set) var statistics = ProposerStatistics()
    let configuration: Configuration
    let rules: RegisterRules
    var generator: SeededGenerator
    /// The highest counter that was used or seen.
    var counter: UInt64 = 0
    /// Of which registers something is under way, and what waits behind it.
    var lanes: [String: Deque<Errand>] = [:]
    var pending: [UInt64: Pending] = [:]
    /// Errands whose turn it is, as rounds become free.
    var ready: Deque<Errand> = []
    /// By the end of their pauses.
    var resting = ErrandQueue()
    var reach = VoterReach()
    /// Errands that wait until enough voters are in reach, by their deadlines.
    var parked = ErrandQueue()
    var rounds: OrderedDictionary<UInt64, Round> = [:]
    var requests: [UInt64: Request] = [:]
    var nextRound: UInt64 = 0
    var nextRequest: UInt64
    var errandCount = 0
    var duels: OrderedDictionary<String, DuelCount> = [:]
    private var scheduledWake: Instant?

    /// The seed must differ from boot to boot: request ids start from it.
    public init(
        node: NodeID, boot: BootEpoch, roster: Roster?, seed: UInt64,
        configuration: Configuration = Configuration()
    ) {
        self.init(
            node: node, boot: boot, roster: roster, seed: seed, configuration: configuration,
            rules: RegisterRules())
    }

    package init(
        node: NodeID, boot: BootEpoch, roster: Roster?, seed: UInt64,
        configuration: Configuration, rules: RegisterRules
    ) {
        self.node = node
        self.boot = boot
        self.roster = roster
        self.configuration = configuration
        self.rules = rules
        generator = SeededGenerator(seed: seed)
        nextRequest = generator.next()
    }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        switch input {
        case .propose(let token, let changes):
            admit(token, changes.count, into: &effects)
            for (index, change) in changes.enumerated() {
                start(
                    errand(token, index, change.key, change, now: now), now: now, into: &effects)
            }
        case .read(let token, let keys):
            admit(token, keys.count, into: &effects)
            for (index, key) in keys.enumerated() {
                start(errand(token, index, key, nil, now: now), now: now, into: &effects)
            }
        case .reply(let from, let requestID, let reply):
            hear(from)
            receive(reply, from: from, requestID: requestID, now: now, into: &effects)
        case .wake:
            scheduledWake = nil
            expire(now: now, into: &effects)
        case .rosterChanged(let next):
            adopt(next)
        case .unreachable(let node):
            lose(node, now: now, into: &effects)
        case .reachable(let node):
            hear(node)
        case .observed(let ballot):
            observe(ballot)
        }
        dispatch(now: now, into: &effects)
        arm(into: &effects)
    }

    /// A ballot for somebody who asks acceptors himself, as the sweeper does; nil where there is
    /// none left. The proposer won't use it.
    public mutating func reserveBallot(above ballot: Ballot) -> Ballot? {
        observe(ballot)
        guard counter < Limits.counterMaximum else { return nil }
        counter += 1
        return Ballot(counter: counter, proposer: node, boot: boot)
    }

    /// Changes and reads that are not answered yet.
    public var underWay: Int { errandCount }

    /// The registers that were duelled for, in the order of their first duel.
    public var duelCounts: [DuelCount] { Array(duels.values) }

    private mutating func admit(_ token: UInt64, _ count: Int, into effects: inout [Effect]) {
        precondition(pending[token] == nil, "a token names one proposal at a time")
        guard count > 0 else {
            effects.append(.done(token: token, []))
            return
        }
        let outcomes = [Outcome](repeating: .notChosen(.exhausted), count: count)
        pending[token] = Pending(outcomes: outcomes, open: count)
    }

    private func errand(
        _ token: UInt64, _ index: Int, _ key: String, _ change: RegisterChange?, now: Instant
    ) -> Errand {
        let deadline = now.advanced(byMilliseconds: configuration.deadlineMilliseconds)
        return Errand(token: token, index: index, key: key, change: change, deadline: deadline)
    }

    private mutating func start(_ errand: Errand, now: Instant, into effects: inout [Effect]) {
        errandCount += 1
        guard errand.key.utf8.count <= ChosenValue.keyBytesMaximum else {
            return answer(errand, .notChosen(.tooLarge), into: &effects)
        }
        guard errandCount <= Limits.errandsMaximum else {
            return answer(errand, .notChosen(.overloaded), into: &effects)
        }
        guard let waiting = lanes[errand.key]?.count else {
            lanes[errand.key] = []
            return begin(errand, now: now)
        }
        guard waiting < Limits.waitingPerRegisterMaximum else {
            return answer(errand, .notChosen(.overloaded), into: &effects)
        }
        lanes[errand.key]?.append(errand)
    }

    /// At once, or where rivals are to come first after a while.
    private mutating func begin(_ errand: Errand, now: Instant) {
        guard let rank = errand.change?.rank, rank > 0 else { return ready.append(errand) }
        let jitter = Int64.random(
            in: 0...max(0, configuration.rankJitterMilliseconds), using: &generator)
        rest(errand, now: now, Int64(rank) * configuration.rankMilliseconds + jitter)
    }

    /// Gives the caller its outcome, once all of its token are known.
    private mutating func answer(
        _ errand: Errand, _ outcome: Outcome, into effects: inout [Effect]
    ) {
        errandCount -= 1
        pending[errand.token]?.outcomes[errand.index] = outcome
        pending[errand.token]?.open -= 1
        guard let token = pending[errand.token], token.open == 0 else { return }
        pending[errand.token] = nil
        effects.append(.done(token: errand.token, token.outcomes))
    }

    /// Ends an errand that was under way; the next of its register may start.
    mutating func finish(_ errand: Errand, _ outcome: Outcome, into effects: inout [Effect]) {
        if errand.change != nil {
            switch outcome {
            case .chosen: statistics.chosen += 1
            case .notChosen: statistics.notChosen += 1
            case .unknown: statistics.unknown += 1
            case .held: statistics.held += 1
            }
        }
        if let next = lanes[errand.key]?.popFirst() {
            ready.append(next)
        } else {
            lanes[errand.key] = nil
        }
        answer(errand, outcome, into: &effects)
    }

    mutating func observe(_ ballot: Ballot) {
        counter = max(counter, min(ballot.counter, Limits.counterMaximum))
    }

    /// Whatever is under way starts again under the newer roster.
    mutating func adopt(_ next: Roster) {
        if let roster {
            guard next.generation > roster.generation, next.cluster == roster.cluster else {
                return
            }
        }
        roster = next
        observe(next.floor)
        let interrupted = rounds.values.flatMap { $0.members.compactMap { $0?.errand } }
        rounds.removeAll(keepingCapacity: true)
        requests.removeAll(keepingCapacity: true)
        ready.append(contentsOf: interrupted)
        reach.forget()
        ready.append(contentsOf: parked.takeAll())
    }

    private mutating func arm(into effects: inout [Effect]) {
        var next = resting.first
        for moment in [reach.nextTry, parked.first].compactMap({ $0 }) {
            next = min(next ?? moment, moment)
        }
        for round in rounds.values { next = min(next ?? round.deadline, round.deadline) }
        guard let next, scheduledWake.map({ next < $0 }) ?? true else { return }
        scheduledWake = next
        effects.append(.wake(at: next))
    }
}
