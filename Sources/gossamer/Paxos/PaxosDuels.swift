import ArgumentParser
import Broker

/// `gossamer paxos duels`: registers that several brokers want to change at once.
struct PaxosDuels: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "duels",
        abstract: "Show registers at which brokers overtook each other, the worst first.",
        discussion: """
            Counts, since each broker started, how often a rival's higher ballot ended its round,
            and who the rival was. A few are normal when a leader dies; many at one register mean
            that two brokers want it all the time.

            EXAMPLES:
              gossamer paxos duels
              gossamer paxos duels --top 100 -o json
            """)

    @Option(help: ArgumentHelp("So many registers at most.", valueName: "n"))
    var top = 20

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// A register, who was overtaken there, and how often.
    struct Row: Encodable, Equatable {
        let key: String
        /// The partition that it is about.
        let subject: String?
        let nodeId: Int32
        let count: UInt64
        let lastRival: Int32
    }

    func validate() throws {
        guard top > 0 else { throw ValidationError("--top \(top): expected a number from 1") }
    }

    func run() async throws {
        let seen = try await admin.ask(InspectionQuestion(.duels, everywhere: true))
        let rows = Self.rows(seen.answers)
        switch output.format {
        case .json: try Terminal.printJSON(["duels": Array(rows.prefix(top))])
        case .table: Terminal.print(Self.text(rows, top: top))
        }
    }

    static func rows(_ answers: [InspectionAnswer]) -> [Row] {
        answers.flatMap { answer in
            (answer.duels ?? []).map {
                Row(
                    key: $0.key, subject: $0.subject, nodeId: answer.nodeId, count: $0.count,
                    lastRival: $0.lastRival)
            }
        }.sorted { ($1.count, $0.key, $0.nodeId) < ($0.count, $1.key, $1.nodeId) }
    }

    static func text(_ rows: [Row], top: Int) -> String {
        guard !rows.isEmpty else { return "no broker was overtaken since it started" }
        var table = TextTable(["COUNT", "BROKER", "LAST RIVAL", "REGISTER"], numbers: [0, 1, 2])
        for row in rows.prefix(top) {
            table.append([
                "\(row.count)", "\(row.nodeId)", "\(row.lastRival)",
                row.subject.map { "\($0)  \(row.key)" } ?? row.key,
            ])
        }
        let rest = rows.count - top
        return table.text + (rest > 0 ? "\nand \(rest) more: --top \(rows.count)" : "")
    }
}
