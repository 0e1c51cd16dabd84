import Broker

/// Sends a rumour without meaning and asks all brokers until each of them saw it, or time is up.
struct RumourProbe {
    let key: String
    let origin: Int32
    let tree: RumourTree?
    /// Those that the first broker holds for alive, itself included.
    let alive: [Int32]
    /// Those that did not say whether they saw it.
    let silent: [Int32]

    static let nothingSeen = "the broker did not see its own rumour: its log may say why"
    /// Several times what a rumour needs in a mesh of a thousand.
    private static let patienceMilliseconds: Int64 = 2_000
    private static let pollMilliseconds = 100

    /// JSON readers that know doubles only can read it too.
    static func freshID() -> UInt64 { UInt64.random(in: 1...(1 << 53)) }

    static func run(_ admin: AdminOptions, id: UInt64) async throws -> RumourProbe {
        let members = try await admin.askOne(InspectionQuestion(.members))
        let alive = (members.members ?? []).filter { $0.state == "alive" }.map(\.nodeId)
        let key = "trace/\(id)"
        let start = WallClock.milliseconds()
        _ = try await admin.ask(InspectionQuestion(.trace, after: id))
        while true {
            let seen = try await admin.ask(
                InspectionQuestion(.events, everywhere: true, key: key, patience: 500))
            let events = EventMerge(seen.answers, reference: members.nodeId).events
            let tree = RumourTree(events.filter { $0.event.kind == "traced" }, alive: alive)
            let isLate = WallClock.milliseconds() - start > patienceMilliseconds
            if isLate || tree?.missing.isEmpty == true {
                return RumourProbe(
                    key: key, origin: members.nodeId, tree: tree, alive: alive, silent: seen.silent)
            }
            try await Task.sleep(for: .milliseconds(pollMilliseconds))
        }
    }
}
