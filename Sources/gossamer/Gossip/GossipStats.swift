import ArgumentParser
import Broker

/// `gossamer gossip stats`: counters, grouped.
struct GossipStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what was counted since the start: packets, probes, refusals, attacks.",
        discussion: """
            Groups: gossip, transport, paxos, and by reason: datagrams dropped, handshakes
            refused by this broker and declined by others, connections not taken, links
            that broke the rules. Counters that are zero are hidden; -o wide shows them.
            --all puts a column for each broker. --watch shows what is counted in each
            second until Ctrl-C.

            EXAMPLES:
              gossamer gossip stats
              gossamer gossip stats --all -o wide
              gossamer gossip stats --watch
              gossamer gossip stats -o json | jq '.brokers[0].stats.datagramDrops'
            """)

    @Flag(help: "Show all brokers.")
    var all = false

    @Flag(help: "Show what is counted in each second.")
    var watch = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// One broker's counters.
    struct Counters: Encodable {
        let nodeId: Int32
        let stats: StatsReport
    }

    /// What `-o json` prints.
    struct Answer: Encodable {
        let at: Int64
        let brokers: [Counters]
        let silent: [Int32]
    }

    func run() async throws {
        guard watch else {
            let seen = try await look()
            return Terminal.print(try text(seen, nil))
        }
        var last: InspectionAnswers?
        try await LiveView.run(everyMilliseconds: 1_000) {
            let seen = try await look()
            defer { last = seen }
            return try text(seen, last)
        }
    }

    private func look() async throws -> InspectionAnswers {
        try await admin.ask(InspectionQuestion(.stats, everywhere: all))
    }

    private func text(_ seen: InspectionAnswers, _ last: InspectionAnswers?) throws -> String {
        if output.format == .json {
            let answer = Answer(
                at: seen.answers.first?.at ?? 0,
                brokers: seen.answers.compactMap { answer in
                    answer.stats.map { Counters(nodeId: answer.nodeId, stats: $0) }
                }, silent: seen.silent)
            return watch ? try JSONText.line(answer) : try JSONText.pretty(answer)
        }
        let sheet = StatsSheet(seen.answers, since: last?.answers, showsZeroes: isWide)
        var text = sheet.text(colored: Terminal.hasColor)
        if watch {
            text = (last == nil ? "since the start:\n" : "in the last second:\n") + text
        }
        if !seen.silent.isEmpty { text += "\nno answer from \(NodeList.text(seen.silent))" }
        return text
    }

    private var isWide: Bool { output.format == .wide }
}

/// Counters of several brokers side by side, by group.
struct StatsSheet {
    /// A group's name and where its counters are.
    private static let groups:
        [(name: String, counters: @Sendable (StatsReport) -> [String: UInt64])] = [
            ("gossip", { $0.gossip }), ("transport", { $0.transport }), ("paxos", { $0.paxos }),
            ("disk", { $0.disk ?? [:] }),
            ("datagrams dropped", { $0.datagramDrops }),
            ("handshakes refused", { $0.handshakesRefused }),
            ("handshakes declined", { $0.handshakesDeclined }),
            ("connections not taken", { $0.acceptsRefused }),
            ("links against the rules", { $0.linkViolations }),
        ]

    private let answers: [InspectionAnswer]
    private let earlier: [Int32: StatsReport]
    private let showsZeroes: Bool

    /// Where `since` is given, what was counted after it, so that a start in between shows all.
    init(_ answers: [InspectionAnswer], since: [InspectionAnswer]? = nil, showsZeroes: Bool) {
        self.answers = answers.filter { $0.stats != nil }
        earlier = Dictionary(
            (since ?? []).compactMap { answer in answer.stats.map { (answer.nodeId, $0) } },
            uniquingKeysWith: { first, _ in first })
        self.showsZeroes = showsZeroes
    }

    func text(colored: Bool = false) -> String {
        var table = TextTable(
            ["COUNTER"] + answers.map { "\($0.nodeId)" }, numbers: Set(1..<(answers.count + 1)))
        for group in Self.groups {
            let columns = answers.map { answer in
                counted(group.counters, answer.nodeId, answer.stats)
            }
            let names = Set(columns.flatMap(\.keys)).sorted().filter { name in
                showsZeroes || columns.contains { $0[name] ?? 0 > 0 }
            }
            guard !names.isEmpty else { continue }
            table.append([group.name + ":"] + answers.map { _ in "" })
            for name in names { table.append(["  " + name] + columns.map { "\($0[name] ?? 0)" }) }
        }
        return table.isEmpty ? "nothing was counted" : table.text(colored: colored)
    }

    private func counted(
        _ counters: (StatsReport) -> [String: UInt64], _ node: Int32, _ stats: StatsReport?
    ) -> [String: UInt64] {
        guard let stats else { return [:] }
        let before = earlier[node].map(counters) ?? [:]
        return Dictionary(
            uniqueKeysWithValues: counters(stats).map { name, value in
                let old = before[name] ?? 0
                return (name, value >= old ? value - old : value)
            })
    }
}
