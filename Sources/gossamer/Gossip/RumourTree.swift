import Broker

/// How one rumour went from broker to broker: who had it first, from whom, and when.
struct RumourTree: Equatable {
    /// The first arrival at one broker.
    struct Arrival: Encodable, Equatable {
        let nodeId: Int32
        /// Nil where it began, or where the broker read it through Paxos itself.
        let from: Int32?
        /// Since the first arrival anywhere, by the brokers' own clocks.
        let milliseconds: Int64
        let hop: Int?
        /// How often it came again.
        let repeats: Int
    }

    /// In order of time.
    let arrivals: [Arrival]
    /// When it began, in milliseconds since the Unix epoch.
    let startedAt: Int64
    /// Brokers that are there and have not got it.
    let missing: [Int32]

    /// Nil where no broker saw anything.
    init?(_ events: [SeenEvent], alive: [Int32]) {
        guard let first = events.first else { return nil }
        startedAt = first.event.at
        var found: [Int32: Arrival] = [:]
        for seen in events {
            if let known = found[seen.observer] {
                found[seen.observer] = Arrival(
                    nodeId: known.nodeId, from: known.from, milliseconds: known.milliseconds,
                    hop: known.hop, repeats: known.repeats + 1)
            } else {
                found[seen.observer] = Arrival(
                    nodeId: seen.observer, from: seen.event.by,
                    milliseconds: seen.event.at - first.event.at, hop: seen.event.hop, repeats: 0)
            }
        }
        arrivals = found.values.sorted {
            ($0.milliseconds, $0.nodeId) < ($1.milliseconds, $1.nodeId)
        }
        missing = alive.filter { found[$0] == nil }.sorted()
    }

    var reached: Int { arrivals.count }
    var repeats: Int { arrivals.reduce(0) { $0 + $1.repeats } }
    var duration: Int64 { arrivals.last?.milliseconds ?? 0 }
    /// The greatest number of brokers between its start and an arrival.
    var depth: Int { arrivals.map { $0.hop ?? depth(of: $0.nodeId) }.max() ?? 0 }

    private func depth(of node: Int32) -> Int {
        var steps = 0
        var current = arrivals.first { $0.nodeId == node }
        // No longer than there are brokers: clocks that disagree may close a circle.
        while let from = current?.from, steps < arrivals.count {
            steps += 1
            current = arrivals.first { $0.nodeId == from }
        }
        return steps
    }

    /// The tree, a broker a line, indented below the one that it heard it from.
    func lines() -> [String] {
        var printed: Set<Int32> = []
        var lines: [String] = []
        func add(_ arrival: Arrival, _ level: Int) {
            guard printed.insert(arrival.nodeId).inserted else { return }
            var line = "+\(arrival.milliseconds) ms  "
            line += String(repeating: "   ", count: level)
            line += arrival.from.map { "\($0) -> \(arrival.nodeId)" } ?? "\(arrival.nodeId)"
            if arrival.repeats > 0 { line += "  (again \(Counted.text(arrival.repeats, "time")))" }
            lines.append(line)
            for next in arrivals where next.from == arrival.nodeId { add(next, level + 1) }
        }
        for arrival in arrivals where arrival.from == nil { add(arrival, 0) }
        // Those whose source kept no record of it.
        for arrival in arrivals { add(arrival, 0) }
        return lines
    }

    /// One line about the whole.
    func summary() -> String {
        var text = "reached \(reached) of \(reached + missing.count) in \(duration) ms, "
        text += "\(Counted.text(depth, "hop")), \(Counted.text(repeats, "repeat"))"
        if !missing.isEmpty { text += "; not reached: \(NodeList.text(missing))" }
        return text
    }
}
