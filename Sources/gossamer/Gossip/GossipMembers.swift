import ArgumentParser
import Broker

/// `gossamer gossip members`: who is there.
struct GossipMembers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "members",
        abstract: "List all members as one broker sees them, or as all do.",
        discussion: """
            HEALTH is the broker's own: 0 is well, 8 the worst. A `*` behind the id marks a
            voter. The last line says whether all brokers that are there have the same
            tables. --from N shows the mesh as member N sees it.

            EXAMPLES:
              gossamer gossip members
              gossamer gossip members -o wide --from 2
              gossamer gossip members -o json | jq '.members[] | select(.state != "alive")'
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let nodeId: Int32
        let clusterId: String
        let members: [MemberReport]
        /// Brokers by the roots of their tables: one entry where all agree.
        let tables: [String: [Int32]]
        let silent: [Int32]
    }

    func run() async throws {
        let seen = try await admin.ask(InspectionQuestion(.members))
        let tables = try await admin.ask(InspectionQuestion(.info, everywhere: true))
        let own = seen.answers[0]
        var roots: [String: [Int32]] = [:]
        var health: [Int32: Int] = [:]
        for answer in tables.answers {
            guard let info = answer.info else { continue }
            roots[info.tableRoot, default: []].append(answer.nodeId)
            health[answer.nodeId] = info.health
        }
        var members = own.members ?? []
        for index in members.indices { members[index].health = health[members[index].nodeId] }
        guard output.format != .json else {
            try Terminal.printJSON(
                Answer(
                    nodeId: own.nodeId, clusterId: own.clusterId, members: members, tables: roots,
                    silent: tables.silent))
            return
        }
        Terminal.print(
            Self.table(members, isWide: output.format == .wide).text(
                colored: Terminal.hasColor))
        Terminal.print(Self.summary(members, roots, tables.silent))
    }

    static func table(_ members: [MemberReport], isWide: Bool) -> TextTable {
        var header = ["ID", "STATE", "ADDRESS", "RACK", "BOOT", "HEALTH", "RTT", "LEADS", "SINCE"]
        if isWide { header += ["KAFKA", "INC", "ADMISSION", "RTT P99", "HEARD", "VERSION"] }
        header.append("")
        var table = TextTable(header, numbers: [4, 5, 7])
        for member in members {
            var row = [
                "\(member.nodeId)\(member.isVoter ? "*" : "")", member.state, member.address ?? "-",
                member.rack ?? "-", "\(member.bootEpoch)", member.health.map { "\($0)" } ?? "-",
                member.isSelf ? "-" : Durations.microseconds(member.roundTripMicrosecondsP50),
                "\(member.leads)", Durations.milliseconds(member.forMilliseconds),
            ]
            if isWide {
                row += [
                    member.kafka.joined(separator: ","), "\(member.incarnation)",
                    "\(member.admission)",
                    Durations.microseconds(member.roundTripMicrosecondsP99),
                    member.lastHeardMilliseconds.map(Durations.milliseconds) ?? "-",
                    member.version ?? "-",
                ]
            }
            row.append(remark(member))
            table.append(row)
        }
        return table
    }

    private static func remark(_ member: MemberReport) -> String {
        var remarks: [String] = []
        if member.isSelf { remarks.append("(this broker)") }
        if !member.accusers.isEmpty {
            let accusers = member.accusers.map { "\($0)" }.joined(separator: ", ")
            let left = member.deadInMilliseconds.map { "; dead in \(Durations.milliseconds($0))" }
            remarks.append(
                "(accused by \(accusers)\(left ?? ""); see: gossip why \(member.nodeId))")
        }
        if member.isUdpBlocked { remarks.append("UDP_BLOCKED") }
        if let boots = member.duplicateBoots {
            let text = boots.map { "\($0)" }.joined(separator: " and ")
            remarks.append("DUPLICATE_STORE (boots \(text); see: gossip why \(member.nodeId))")
        }
        return remarks.joined(separator: " ")
    }

    static func summary(
        _ members: [MemberReport], _ roots: [String: [Int32]], _ silent: [Int32]
    ) -> String {
        let alive = members.count { $0.state == "alive" }
        var line = "\(members.count) members, \(alive) alive"
        if roots.count == 1, let root = roots.first {
            let who = root.value.map { "\($0)" }.joined(separator: ", ")
            line += ", table \(root.key.prefix(4))..\(root.key.suffix(2)) the same on \(who)"
        } else {
            line += ", \(roots.count) different tables (see: gossip diff --all)"
        }
        if !silent.isEmpty {
            line += ", silent: " + silent.map { "\($0)" }.joined(separator: ", ")
        }
        return line
    }
}

/// The forms of an answer that has more columns than a terminal likes.
enum WideFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case wide
    case json
}

/// `-o table|wide|json`.
struct WideOutputOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: "Form of the answer.")
    var format: WideFormat = .table
}
