import DequeModule
import Model
import Node
import Transport

/// The last things that happened in the mesh as this broker saw it, for `gossip why`, `trace` and
/// `monitor`.
///
/// Owned by the control loop. Bounded: the oldest go first, and a broker that nothing happens to
/// keeps what happened days ago.
struct MeshJournal {
    /// One thing that happened, and when by both clocks.
    struct Entry: Sendable {
        let serial: UInt64
        let at: Now
        let what: What
    }

    /// Beside what the machines say, what only the shell sees.
    enum What: Sendable {
        case machine(MeshEvent)
        case linkFailed(MeshAddress, NodeID?, LinkFailure)
        case outOfPlace(MeshMessageKind, MeshAddress)
        /// Two processes with one member's store.
        case duplicateStore(NodeID, older: BootEpoch, newer: BootEpoch)
    }

    /// About 2 MB of events: an hour of a mesh that flaps once a second.
    static let entriesMaximum = 16_384

    private(set) var entries = Deque<Entry>()
    private var lastSerial: UInt64 = 0

    mutating func note(_ event: MeshEvent, at now: Now) { append(.machine(event), now) }

    mutating func note(_ what: What, at now: Now) { append(what, now) }

    private mutating func append(_ what: What, _ now: Now) {
        lastSerial += 1
        if entries.count == Self.entriesMaximum { entries.removeFirst() }
        entries.append(Entry(serial: lastSerial, at: now, what: what))
    }
}
