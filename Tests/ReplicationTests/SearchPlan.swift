import Model
import Replication

/// What a random schedule is made of; the seed decides the rest.
struct SearchPlan: Sendable {
    var replicas = 3
    var minInSync = 2
    /// How many replicas may have lost something at a time.
    var tolerated = 1
    var sync = false
    /// Faults of each kind begin within this time.
    var length: Int64 = 6_000
    var produces = 50
    var pauses = 2
    var linkBreaks = 4
    var stalls = 6
    var cleanRestarts = 2
    var uncleanRestarts = 2
    var wipes = 1
    /// All brokers lose power at once; only with `flush: sync`, which then loses nothing.
    var powerCuts = 0
    var voterRestarts = 1
    var voterCuts = 3
    var transfers = 1
    /// It is one that has not begun to serve that gives its leadership away.
    var givesUnserved = false
    /// Whoever gives its leadership away leaves the in-sync set too.
    var leaves = false
    /// Percentages: of messages of Paxos and leases that are lost.
    var loss = 10
    /// Of renewals and their answers that take up to most of a lease.
    var slowLeases = 15
    /// How often a broker hears of what was chosen, for each tick.
    var gossip = 50
    /// How long what a broker has learned stays in its page cache only.
    var forgetMilliseconds: Int64 = 0
    /// How far two clocks drift apart, in parts per ten thousand.
    var drift = 80
    /// How long things stay broken at most.
    var faultMilliseconds = 2_500
    var rules = ReplicationRules()

    func without(_ rule: WritableKeyPath<ReplicationRules, Bool>) -> SearchPlan {
        var plan = self
        plan.rules[keyPath: rule] = false
        return plan
    }
}

/// What a schedule came to.
struct SearchResult: Equatable {
    /// What was wrong first; nil where nothing was.
    let violation: String?
    let acknowledged: Int
    let leaders: Int
    /// Of everything that happened, in order.
    let trace: UInt64
}

/// A clock of a broker or a voter: it runs a little too fast or too slow, from its own zero.
struct DriftingClock {
    let offset: Int64
    /// Parts per ten thousand.
    let rate: Int64

    func instant(_ now: Int64) -> Instant {
        Instant(nanoseconds: offset + now * 100 * (10_000 + rate))
    }

    /// When, at the earliest, the clock shows that.
    func time(of instant: Instant) -> Int64 {
        let step = 100 * (10_000 + rate)
        let wanted = max(0, instant.nanoseconds - offset)
        return wanted / step + (wanted % step > 0 ? 1 : 0)
    }
}

/// Events by time, and in the order they were added where times are equal.
struct EventQueue<Event> {
    private struct Entry {
        let time: Int64
        let serial: Int
        let event: Event
    }

    private var heap: [Entry] = []
    private var serial = 0

    mutating func add(_ event: Event, at time: Int64) {
        serial += 1
        heap.append(Entry(time: time, serial: serial, event: event))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard precedes(child, parent) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func next() -> (time: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                    if precedes(child, least) { least = child }
                }
                guard least != parent else { break }
                heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.time, first.event)
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (heap[left].time, heap[left].serial) < (heap[right].time, heap[right].serial)
    }
}
