import Model
import NIOCore
import Paxos

/// Whether what a table holds was ever chosen: accepted, durably, by a quorum of some roster, under
/// one ballot.
///
/// Lenient about which roster: a value that a quorum of any roster of the mesh's life accepted
/// counts. So a complaint is never false.
struct ChosenValues {
    private struct Vote: Hashable {
        let key: String
        let ballot: Ballot
    }

    private struct Accepted {
        var value: ContentHash
        var stores: Set<StoreID> = []
        /// Another acceptor has something else under the same ballot.
        var isTorn = false
        var isChosen = false
    }

    private var rosters: [Roster] = []
    /// Looked up, never iterated.
    private var accepted: [Vote: Accepted] = [:]
    private(set) var chosen = 0

    mutating func note(_ roster: Roster) {
        if !rosters.contains(roster) { rosters.append(roster) }
    }

    /// An acceptor has that on its disk.
    mutating func note(_ record: AcceptorRecord, of store: StoreID) {
        switch record {
        case .roster(let roster): note(roster)
        case .accept(let key, let ballot, let bytes):
            let value = (try? Envelope(decoding: bytes))?.value
            let hash = ChosenValue(key: key, ballot: ballot, value: value).contentHash
            let vote = Vote(key: key, ballot: ballot)
            var entry = accepted[vote] ?? Accepted(value: hash)
            if entry.value != hash { entry.isTorn = true }
            entry.stores.insert(store)
            accepted[vote] = entry
        case .identity, .floor, .promise, .remove: break
        }
    }

    /// Why a value that a broker took for chosen is not; nil where it is.
    mutating func objection(to value: ChosenValue) -> String? {
        let vote = Vote(key: value.key, ballot: value.ballot)
        guard let entry = accepted[vote] else { return "no voter ever accepted it" }
        if entry.isTorn { return "voters accepted different values under its ballot" }
        if entry.value != value.contentHash { return "voters accepted another value" }
        if entry.isChosen { return nil }
        let isQuorate = rosters.contains { roster in
            Self.isMajority(entry.stores, of: roster.voters.map(\.store))
                && roster.next.map { Self.isMajority(entry.stores, of: $0.map(\.store)) } ?? true
        }
        guard isQuorate else {
            return "\(entry.stores.count) stores accepted it, which is no quorum of any roster"
        }
        accepted[vote]?.isChosen = true
        chosen += 1
        return nil
    }

    private static func isMajority(_ stores: Set<StoreID>, of voters: [StoreID]) -> Bool {
        voters.count { stores.contains($0) } > voters.count / 2
    }
}
