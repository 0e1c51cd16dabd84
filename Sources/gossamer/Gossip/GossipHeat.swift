import ArgumentParser
import Broker

/// `gossamer gossip heat`: who heard whom how long ago.
struct GossipHeat: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heat",
        abstract: "Show how long ago each broker last heard each other one.",
        discussion: """
            A row for each member, a column for each broker that listens; seconds. `!`
            stands where an age is much greater than the others. The lines below say who
            hears late, or is heard late. --watch draws it again every second until Ctrl-C.
            Exit code 10 where a `!` is.

            EXAMPLES:
              $ gossamer gossip heat
              HEARD \\ BY    1    2
              1             .  0.1
              2           0.1    .
              3           3.9  4.0  (dead)
              all that are there hear each other

              gossamer gossip heat --watch
              gossamer gossip heat -o json | jq '.cells[] | select(.isLate)'
            """)

    @Flag(help: "Draw it again every second.")
    var watch = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// A member that nobody expects to hear.
    struct Absent: Encodable {
        let nodeId: Int32
        let state: String
    }

    /// What `-o json` prints.
    struct Answer: Encodable {
        let cells: [HeatMap.Cell]
        let absent: [Absent]
        let findings: [String]
        let silent: [Int32]
    }

    func run() async throws {
        if watch {
            return try await LiveView.run(everyMilliseconds: 1_000) { try text(await look()) }
        }
        let map = try await look()
        Terminal.print(try text(map))
        if map.cells.contains(where: \.isLate) { throw ExitCode.unhealthy }
    }

    private func look() async throws -> HeatMap {
        let members = try await admin.askOne(InspectionQuestion(.members))
        let seen = try await admin.ask(InspectionQuestion(.heat, everywhere: true, patience: 1_000))
        return HeatMap(seen.answers, states: members.members ?? [], silent: seen.silent)
    }

    private func text(_ map: HeatMap) throws -> String {
        if output.format == .json {
            let answer = Answer(
                cells: map.cells,
                absent: map.absent.sorted { $0.key < $1.key }.map {
                    Absent(nodeId: $0.key, state: $0.value)
                }, findings: map.findings, silent: map.silent)
            return watch ? try JSONText.line(answer) : try JSONText.pretty(answer)
        }
        return ([map.table.text(colored: Terminal.hasColor)] + map.findings)
            .joined(separator: "\n")
    }
}
