internal import HeapModule
internal import Model

/// What becomes due at a moment; a timer that was superseded is ignored when it fires.
enum TimerKind: Hashable {
    case probe
    case probeTimeout(UInt64)
    case gossip
    case antiEntropy
    case seeds
    case deadContact
    case relayNack(UInt64)
    case relayEnd(UInt64)
    case suspicion(NodeID)
    case wants
    case feeds
    case left
    case farewell
    case isolation
}

/// Everything that this machine waits for, the earliest first; equal moments in order of asking.
struct Timers {
    private struct Entry: Comparable {
        let at: Instant
        let serial: UInt64
        let kind: TimerKind

        static func < (left: Entry, right: Entry) -> Bool {
            if left.at != right.at { return left.at < right.at }
            return left.serial < right.serial
        }
    }

    private var heap = Heap<Entry>()
    private var serial: UInt64 = 0

    var earliest: Instant? { heap.min?.at }

    mutating func set(_ kind: TimerKind, at: Instant) {
        serial += 1
        heap.insert(Entry(at: at, serial: serial, kind: kind))
    }

    mutating func popDue(_ now: Instant) -> (kind: TimerKind, at: Instant)? {
        guard let first = heap.min, first.at <= now else { return nil }
        heap.removeMin()
        return (first.kind, first.at)
    }
}
