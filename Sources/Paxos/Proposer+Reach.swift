import DequeModule
import Model

/// Which voters a proposer has reason to think it can't reach, and how long it leaves them alone.
///
/// Without it a broker whose voters are down asks them again for each of its partitions some times
/// a second, for as long as they are. The pause doubles with each vain try and is bounded, and a
/// sign of life ends it at once, so nobody waits for a voter that is back. Owned by the proposer.
struct VoterReach: Sendable {
    /// Voters that were not reached, or let a round pass without a word, and were not heard since.
    /// Asked for membership only.
    private(set) var missing: Set<NodeID> = []
    /// Tries in a row that found no quorum.
    private(set) var vainTries: Int64 = 0
    /// When the next try is; nil where none has to wait.
    private(set) var nextTry: Instant?

    var isResting: Bool { nextTry != nil }

    mutating func missed(_ node: NodeID) { missing.insert(node) }

    /// A sign of life; whether it is news.
    mutating func heard(_ node: NodeID) -> Bool { missing.remove(node) != nil }

    /// Too few were reached: the next try comes after a pause, drawn from its upper half so that
    /// the proposers of a mesh do not all try in one moment.
    mutating func rest(
        now: Instant, _ configuration: Proposer.Configuration,
        using generator: inout SeededGenerator
    ) {
        guard nextTry == nil else { return }
        let doubled = configuration.backoffMilliseconds << min(vainTries, 10)
        let ceiling = max(2, min(doubled, configuration.awayMillisecondsMaximum))
        let pause = Int64.random(in: ceiling / 2...ceiling, using: &generator)
        vainTries += 1
        nextTry = now.advanced(byMilliseconds: pause)
    }

    mutating func end() { nextTry = nil }

    /// Enough are there again.
    mutating func recover() {
        nextTry = nil
        vainTries = 0
    }

    /// Other voters: what was known of the former ones says nothing of them.
    mutating func forget() { self = VoterReach() }
}

/// What waits while too few voters can be reached to decide anything.
extension Proposer {
    /// Whether those that are not known to be away could decide.
    var isInReach: Bool {
        guard !reach.missing.isEmpty, let roster else { return true }
        return isQuorum(roster.everyone.filter { !reach.missing.contains($0.node) }.map(\.id))
    }

    /// What comes while nobody is asked waits with the rest.
    mutating func park() {
        for errand in ready { park(errand) }
        ready.removeAll(keepingCapacity: true)
    }

    /// The one that has to be answered first is tried first.
    mutating func park(_ errand: Errand) { parked.insert(errand, at: errand.deadline) }

    /// A voter was heard: whatever waited goes on, once there are enough of them.
    mutating func hear(_ node: NodeID) {
        guard reach.heard(node), isInReach else { return }
        reach.recover()
        ready.append(contentsOf: parked.takeAll())
    }

    /// Ends what waited for too long, and has one message try whether a quorum is back.
    mutating func tryAgain(now: Instant, into effects: inout [Effect]) {
        for errand in parked.take(until: now) { finish(errand, expired(errand), into: &effects) }
        guard let due = reach.nextTry, due <= now else { return }
        reach.end()
        ready.append(contentsOf: parked.take(atMost: Limits.registersPerMessage))
    }
}

/// Errands by a moment, the first first; those of one moment in the order in which they came.
///
///     4.000 s  [errand, errand, ..]   4.004 s  [errand]   4.012 s  ..
///
/// The moments are few, however many the errands are: pauses end on a grid, and what was asked
/// together has one deadline. So a place is found, and made, at the cost of some hundred moments.
struct ErrandQueue: Sendable {
    private struct Moment: Sendable {
        let at: Instant
        var errands: [Errand]
    }

    private var moments: [Moment] = []

    /// The first moment; nil where nothing waits.
    var first: Instant? { moments.first?.at }

    mutating func insert(_ errand: Errand, at moment: Instant) {
        var low = 0
        var high = moments.count
        while low < high {
            let middle = (low + high) / 2
            if moments[middle].at < moment { low = middle + 1 } else { high = middle }
        }
        if low < moments.count, moments[low].at == moment {
            moments[low].errands.append(errand)
        } else {
            moments.insert(Moment(at: moment, errands: [errand]), at: low)
        }
    }

    /// Takes out those whose moment has come.
    mutating func take(until now: Instant) -> [Errand] {
        let over = moments.prefix { $0.at <= now }
        guard !over.isEmpty else { return [] }
        let errands = over.flatMap(\.errands)
        moments.removeFirst(over.count)
        return errands
    }

    mutating func takeAll() -> [Errand] {
        defer { moments.removeAll(keepingCapacity: true) }
        return moments.flatMap(\.errands)
    }

    mutating func take(atMost count: Int) -> [Errand] {
        var taken: [Errand] = []
        while taken.count < count, !moments.isEmpty {
            let part = moments[0].errands.prefix(count - taken.count)
            taken.append(contentsOf: part)
            moments[0].errands.removeFirst(part.count)
            if moments[0].errands.isEmpty { moments.removeFirst() }
        }
        return taken
    }
}
