import ArgumentParser
import Broker

/// `gossamer paxos stats`: what proposers and acceptors have done.
struct PaxosStats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show what each broker proposed and accepted since it started.",
        discussion: """
            ROUNDS is the mean of rounds for each change that was chosen: 1.00 where nobody is in
            the way. UNKNOWN changes may have come to pass: whoever asked was told so. HELD were
            kept back for the sake of a leader's lease. BATCH is how many records one fsync of the
            acceptor made durable. REGISTERS are those that it holds now; those of deleted topics go
            a while after the topic.

            EXAMPLES:
              gossamer paxos stats
              gossamer paxos stats -o json | jq '.brokers[] | .counters.duels'
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// One broker's counters.
    struct Row: Encodable, Equatable {
        let nodeId: Int32
        let counters: [String: UInt64]

        func count(_ name: String) -> UInt64 { counters[name] ?? 0 }

        /// Two digits behind the point; a dash where nothing was counted.
        func quotient(_ name: String, by other: String) -> String {
            guard count(other) > 0 else { return "-" }
            let hundredths = count(name) * 100 / count(other)
            let rest = hundredths % 100
            return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
        }
    }

    func run() async throws {
        let seen = try await admin.ask(InspectionQuestion(.stats, everywhere: true))
        let rows = seen.answers.compactMap { answer in
            answer.stats.map { Row(nodeId: answer.nodeId, counters: $0.paxos) }
        }
        switch output.format {
        case .json: try Terminal.printJSON(["brokers": rows])
        case .table: Terminal.print(Self.text(rows))
        }
    }

    static func text(_ rows: [Row]) -> String {
        var table = TextTable(
            [
                "ID", "CHOSEN", "ROUNDS", "REFUSED", "UNKNOWN", "HELD", "DUELS", "TIMEOUTS",
                "READS", "BY ROUND", "ASKED", "CONFLICTS", "FSYNCS", "BATCH",
                "REGISTERS",
            ], numbers: Set(0...14))
        for row in rows {
            table.append([
                "\(row.nodeId)", "\(row.count("chosen"))", row.quotient("rounds", by: "chosen"),
                "\(row.count("notChosen"))", "\(row.count("unknown"))", "\(row.count("held"))",
                "\(row.count("duels"))", "\(row.count("timeouts"))",
                "\(row.count("readsAtOnce") + row.count("readsByRound"))",
                "\(row.count("readsByRound"))", "\(row.count("acceptorRequests"))",
                "\(row.count("acceptorConflicts"))", "\(row.count("acceptorFsyncs"))",
                row.quotient("acceptorRecords", by: "acceptorFsyncs"),
                "\(row.count("registers"))",
            ])
        }
        return table.text
    }
}
