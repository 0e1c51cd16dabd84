import ArgumentParser
import Broker

/// `gossamer gossip info`: a broker's own part in the mesh.
struct GossipInfo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract:
            "Show a broker's identity, health, tables and queues, or all brokers' in a table.",
        discussion: """
            HEALTH 0 is well; each step up to 8 makes the broker slower to accuse others,
            because it may be the sick one. QUEUED are rumours that still have to be passed
            on.

            EXAMPLES:
              $ gossamer gossip info --all
              NODE  BOOT  HEALTH  ALIVE  KEYS  TABLE     QUEUED  DROPPED  UP
              1*       2       0    3/3     5  911120c0       0        0  3.8 s
              2        1       0    3/3     5  911120c0       0        0  3.5 s
              3        1       0    3/3     5  911120c0       0        0  3.8 s

              gossamer gossip info --from 2 -o json | jq '.brokers[0].tableRoot'
            """)

    @Flag(help: "Show all brokers, one a row.")
    var all = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let brokers: [InfoReport]
        let silent: [Int32]
    }

    func run() async throws {
        let seen = try await admin.ask(InspectionQuestion(.info, everywhere: all))
        let infos = seen.answers.compactMap(\.info)
        guard output.format != .json else {
            return try Terminal.printJSON(Answer(brokers: infos, silent: seen.silent))
        }
        if all {
            Terminal.print(Self.table(infos).text(colored: Terminal.hasColor))
        } else {
            for info in infos { Terminal.print(Self.text(info)) }
        }
        if !seen.silent.isEmpty {
            Terminal.print("no answer from \(NodeList.text(seen.silent))")
        }
    }

    static func table(_ infos: [InfoReport]) -> TextTable {
        var table = TextTable(
            ["NODE", "BOOT", "HEALTH", "ALIVE", "KEYS", "TABLE", "QUEUED", "DROPPED", "UP", ""],
            numbers: [1, 2, 3, 4, 6, 7])
        for info in infos {
            let rumours = info.rumours
            table.append([
                "\(info.nodeId)\(info.voters.contains(info.nodeId) ? "*" : "")",
                "\(info.bootEpoch)", "\(info.health)", "\(info.alive)/\(info.members)",
                "\(info.tableEntries)", String(info.tableRoot.prefix(8)),
                "\(rumours.members + rumours.table + rumours.marks)",
                "\(rumours.droppedMembers + rumours.droppedTable + rumours.droppedMarks)",
                Durations.milliseconds(info.uptimeMilliseconds),
                info.isSelfIsolated ? "SELF_ISOLATED" : "",
            ])
        }
        return table
    }

    private static func disk(_ info: InfoReport) -> String {
        guard let slow = info.slowWrites, let writes = info.writes else { return "-" }
        let longest = Durations.milliseconds(Int64(clamping: info.longestWriteMilliseconds ?? 0))
        return "\(slow) of \(Counted.text(Int(clamping: writes), "write")) slow, longest \(longest)"
    }

    static func text(_ info: InfoReport) -> String {
        let rumours = info.rumours
        let rows: [(String, String)] = [
            ("node", "\(info.nodeId), boot \(info.bootEpoch), incarnation \(info.incarnation)"),
            ("cluster", info.clusterId),
            ("key", info.publicKey),
            ("store", info.storeId),
            (
                "health",
                "\(info.health)" + (info.health == 0 ? " (well)" : " (slower to accuse others)")
                    + (info.isSelfIsolated ? ", SELF_ISOLATED: it proposes nothing" : "")
            ),
            ("members", "\(info.members), \(info.alive) there"),
            ("table", "\(Counted.text(info.tableEntries, "key")), root \(info.tableRoot)"),
            ("roster", "generation \(info.rosterGeneration), voters \(NodeList.text(info.voters))"),
            (
                "rumours",
                "\(rumours.members) of members, \(rumours.table) of the table, \(rumours.marks) "
                    + "marks; each is sent \(rumours.transmissionsPerRumour) times"
            ),
            (
                "dropped",
                "\(rumours.droppedMembers) of members, \(rumours.droppedTable) of the table, "
                    + "\(rumours.droppedMarks) marks"
            ),
            ("disk", Self.disk(info)),
            ("up", Durations.milliseconds(info.uptimeMilliseconds)), ("version", info.version),
        ]
        return rows.map { name, value in
            name + String(repeating: " ", count: 9 - name.count) + value
        }.joined(separator: "\n")
    }
}
