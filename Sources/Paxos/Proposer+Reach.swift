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

    /// A sign of life; whether anybody waited for it.
    mutating func heard(_ node: NodeID) -> Bool {
        guard missing.remove(node) != nil else { return false }
        end()
        vainTries = 0
        return true
    }

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
    mutating func park(_ errand: Errand) {
        var low = 0
        var high = parked.count
        while low < high {
            let middle = (low + high) / 2
            if parked[middle].deadline <= errand.deadline {
                low = middle + 1
            } else {
                high = middle
            }
        }
        parked.insert(errand, at: low)
    }

    /// A voter was heard: whatever waited goes on.
    mutating func hear(_ node: NodeID) {
        guard reach.heard(node) else { return }
        ready.append(contentsOf: parked)
        parked.removeAll(keepingCapacity: true)
    }

    /// Ends what waited for too long, and has one message try whether a quorum is back.
    mutating func tryAgain(now: Instant, into effects: inout [Effect]) {
        while let first = parked.first, now >= first.deadline {
            parked.removeFirst()
            finish(first, expired(first), into: &effects)
        }
        guard let due = reach.nextTry, due <= now else { return }
        reach.end()
        let count = min(parked.count, Limits.registersPerMessage)
        ready.append(contentsOf: parked.prefix(count))
        parked.removeFirst(count)
    }
}
