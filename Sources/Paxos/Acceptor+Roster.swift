import Model
import NIOCore

/// What a roster change asks of an acceptor (reference, section 8).
extension Acceptor {
    /// Whether a member may tell it this roster: one that may follow its own; and where it has
    /// none, one that is bringing this very store in. A roster that has it among its voters
    /// already counts on promises which it never made, or has forgotten.
    func mayAdopt(_ next: Roster) -> Bool {
        guard let roster else {
            guard rules.storeChecked else { return isNamed(in: next) }
            let isNext = next.next?.contains { $0.id == id } ?? false
            return isNext && !next.voters.contains { $0.id == id }
        }
        return next.follows(roster)
    }

    func isNamed(in roster: Roster) -> Bool {
        roster.everyone.contains { $0.id == id || !rules.storeChecked && $0.node == node }
    }

    /// The floor of a roster holds as the acceptor's own: a new voter inherits it. A store that is
    /// brought in forgets what it holds from before: it is given everything that counts.
    mutating func adopt(_ next: Roster) {
        let before = generation
        guard next.cluster == cluster, next.generation > before else { return }
        record(.roster(next), bytes: 0)
        if rules.floorInherited { raise(next.floor) }
        guard rules.rejoinersForget, let entry = next.voter(id), entry.since > before else {
            return
        }
        for key in registers.keys.sorted() {
            record(.remove(key: key), bytes: key.utf8.count)
        }
    }

    /// Registers are installed during a change and removed outside of one, never the other way
    /// round.
    func isInTurn(_ body: PaxosRequest.Body, _ roster: Roster) -> Bool {
        switch body {
        case .install: roster.next?.contains { $0.id == id } ?? false
        case .raiseFloor, .remove: roster.next == nil
        case .prepare, .accept, .read, .adopt, .scan: true
        }
    }

    /// As many registers as one message holds. Because a scan of an older roster is refused, what
    /// it shows is all that this acceptor will ever have accepted or promised under the older one.
    mutating func scan(after: String, limit: Int) -> PaxosReply.Body {
        if !keys.isKept { keys.keep(registers.keys.sorted()) }
        keys.merge()
        var entries: [RegisterEntry] = []
        var bytes = 0
        var index = keys.index(after: after)
        while index < keys.ordered.count, entries.count < min(limit, Limits.scanMaximum) {
            let key = keys.ordered[index]
            if let state = registers[key] {
                let size = state.value?.readableBytes ?? 0
                guard entries.isEmpty || bytes + size <= Limits.messageValueBytes else { break }
                bytes += size
                entries.append(RegisterEntry(key: key, state: state))
            }
            index += 1
        }
        return .scanned(floor: floor, remaining: keys.ordered.count - index, entries)
    }

    /// Raises and never lowers: what was accepted here under the joint roster stays. A promise is
    /// taken over as well: else a ballot that was promised to, and reached one old voter, could be
    /// undercut once the others are gone.
    mutating func install(_ floor: Ballot, _ entries: [RegisterEntry]) {
        raise(floor)
        for entry in entries {
            let own = registers[entry.key] ?? RegisterState()
            let given = entry.state
            let bytes = entry.key.utf8.count + (given.value?.readableBytes ?? 0)
            if given.acceptedBallot > own.acceptedBallot, let value = given.value {
                record(
                    .accept(key: entry.key, given.acceptedBallot, ByteBuffer(buffer: value)),
                    bytes: bytes)
            }
            let promise = max(own.maxSeen, rules.promisesRepaired ? given.maxSeen : .zero)
            if promise > registers[entry.key]?.maxSeen ?? .zero {
                record(.promise(key: entry.key, promise), bytes: entry.key.utf8.count)
            }
        }
    }
}

extension AcceptorRecord {
    /// The register that it may be the first to mention.
    var newKey: String? {
        switch self {
        case .promise(let key, _), .accept(let key, _, _): key
        case .identity, .roster, .floor, .remove: nil
        }
    }
}

/// An acceptor's keys in order, for scans.
///
/// Kept from the first scan on, because sorting 100,000 keys for each of 400 pages would take
/// minutes. Keys that are gone stay until they are looked up in vain. A page costs one binary
/// search, and one pass over all keys where some were added since the last.
struct KeyOrder: Sendable {
    private(set) var isKept = false
    private(set) var ordered: [String] = []
    private var added: [String] = []

    mutating func keep(_ sorted: [String]) {
        isKept = true
        ordered = sorted
    }

    mutating func add(_ key: String) { added.append(key) }

    mutating func merge() {
        guard !added.isEmpty else { return }
        added.sort()
        var merged: [String] = []
        merged.reserveCapacity(ordered.count + added.count)
        var next = 0
        for key in ordered {
            while next < added.count, added[next] <= key {
                if added[next] < key, merged.last != added[next] { merged.append(added[next]) }
                next += 1
            }
            merged.append(key)
        }
        for key in added[next...] where merged.last != key { merged.append(key) }
        ordered = merged
        added = []
    }

    func index(after key: String) -> Int {
        var low = 0
        var high = ordered.count
        while low < high {
            let middle = (low + high) / 2
            if ordered[middle] <= key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
