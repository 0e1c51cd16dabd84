import Model
import NIOCore

/// How far a roster change has come, for the CLI.
public struct RosterProgress: Hashable, Sendable {
    /// What is being waited for.
    public enum Phase: Hashable, Sendable {
        case idle
        /// The register `roster` is being read.
        case reading
        /// A majority of the voters to be is asked whether it is there.
        case probing
        /// The joint roster is being chosen.
        case joining
        /// It is being told to a majority of the old voters.
        case sealing
        /// Registers are being copied.
        case repairing
        /// The settled roster is being chosen.
        case settling
        /// It is being told to a majority of the new voters.
        case delivering
    }

    public internal(set) var phase = Phase.idle
    /// Of the roster that is being put into effect.
    public internal(set) var generation = RosterGeneration.none
    /// Registers that are with a majority of the new voters, and how many there are in all, as far
    /// as the old voters have said.
    public internal(set) var repaired = 0
    public internal(set) var total = 0

    init() {}
}

/// What became of a goal.
public enum RosterOutcome: Hashable, Sendable {
    /// No change is under way, and this roster is with a majority of its voters. It is the one
    /// that was wanted, unless the goal was to take back a change that was finished already.
    case settled(Roster)
    /// Another change came first: this is what the register holds.
    case superseded(Roster)
    /// No voters, too many, or two of them on one node or of one store.
    case impossible
    /// Too few of the voters to be have answered; nothing was begun.
    case unreachable
    /// The register holds no roster that can be read.
    case damaged
}

/// What is known of the page of registers that is being copied.
struct RosterRepair: Sendable {
    /// Everything up to this key is copied.
    var after = ""
    /// What old voters showed of the page, one for each.
    var pages: [Page] = []
    /// The highest floor that any of them showed.
    var floor = Ballot.zero
    /// The page as it is installed, and where it ends; nil at the end of all keys.
    var entries: [RegisterEntry] = []
    var upTo: String?

    /// One old voter's answer.
    struct Page: Sendable {
        let remaining: Int
        let entries: [RegisterEntry]

        /// Nil where there is neither an entry nor the end: nothing can be made of that.
        init?(remaining: Int, entries: [RegisterEntry]) {
            guard remaining == 0 || !entries.isEmpty else { return nil }
            self.remaining = remaining
            self.entries = entries
        }

        /// The last key of which it has told everything; nil where that is all of them.
        var end: String? { remaining == 0 ? nil : entries.last?.key }
    }

    /// Registers from the beginning of the page on, as far as anybody has said.
    var registersLeft: Int { pages.map { $0.entries.count + $0.remaining }.max() ?? 0 }

    /// Takes of all pages what all of them cover, and of each register the accepted value of the
    /// highest ballot and the highest promise.
    mutating func merge() {
        let ends = pages.compactMap(\.end)
        upTo = ends.min()
        var all = pages.flatMap(\.entries)
        if let upTo { all.removeAll { $0.key > upTo } }
        all.sort { $0.key < $1.key }
        entries = []
        for entry in all {
            var state = entry.state
            if let last = entries.last, last.key == entry.key {
                entries.removeLast()
                if last.state.acceptedBallot > state.acceptedBallot {
                    state.acceptedBallot = last.state.acceptedBallot
                    state.value = last.state.value
                }
                state.maxSeen = max(state.maxSeen, last.state.maxSeen)
            }
            entries.append(RegisterEntry(key: entry.key, state: state))
        }
        cut()
    }

    /// To what one message holds: the rest belongs to the next page.
    private mutating func cut() {
        var count = 0
        var bytes = 0
        for entry in entries.prefix(Limits.registersPerMessage) {
            bytes += entry.state.value?.readableBytes ?? 0
            guard count == 0 || bytes <= Limits.messageValueBytes else { break }
            count += 1
        }
        guard count < entries.count else { return }
        entries.removeSubrange(count...)
        upTo = entries.last?.key
    }
}
