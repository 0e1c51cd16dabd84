import ArgumentParser
import Broker

/// `gossamer cluster status`: a mesh at one glance.
struct ClusterStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show brokers, voters and partitions at one glance, and who can be stopped.",
        discussion: """
            LEADS and FOLLOWS count partitions, PREFERRED those that a broker would lead if every
            preferred leader did. MISSING are copies of a broker that are not in sync, OFFLINE
            partitions with a copy on it that nobody leads. STOP says whether it can be stopped
            while `acks=all` goes on. A `*` behind the id marks a voter. Exits with 10 where
            partitions are offline or refuse `acks=all`, or too few voters are there to decide.

            EXAMPLES:
              gossamer cluster status
              gossamer cluster status --via 10.0.0.2:7946 --secret-file secret
              gossamer cluster status -o json | jq '.brokers[] | select(.stop.isSafe)'
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let picture = try await admin.askPicture()
        let others = try? await admin.ask(InspectionQuestion(.roster, everywhere: true))
        let answer = Answer(picture, drivers: others?.answers ?? [])
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(answer.text(colored: Terminal.hasColor))
        }
        if !answer.isHealthy { throw ExitCode.unhealthy }
    }

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        /// One broker and its partitions.
        struct Row: Encodable, Equatable {
            let nodeId: Int32
            let state: String
            let roles: [String]
            let isVoter: Bool
            let rack: String?
            var leads = 0
            var follows = 0
            var preferred = 0
            var missing = 0
            var offline = 0
            let stop: StopVerdict
        }

        /// Who votes.
        struct Voters: Encodable, Equatable {
            let generation: UInt64
            let voters: [Int32]
            let next: [Int32]?
            let alive: [Int32]
            /// How many more may fail; -1 where too few are there already.
            let mayFail: Int
            let hasQuorum: Bool
            /// Nil where the voters are an operator's business.
            let target: Int?
        }

        /// A change of the voters, as who drives it sees it.
        struct Change: Encodable, Equatable {
            let drivenBy: Int32
            let phase: String
            let repaired: Int
            let total: Int
        }

        /// How many partitions are in each condition.
        struct Tally: Encodable, Equatable {
            let total: Int
            let underReplicated: Int
            let belowMinInSync: Int
            let offline: Int
        }

        let nodeId: Int32
        let clusterId: String
        let brokers: [Row]
        let voters: Voters
        let change: Change?
        let partitions: Tally
        let isHealthy: Bool

        init(_ picture: ClusterPicture, drivers: [InspectionAnswer]) {
            nodeId = picture.nodeId
            clusterId = picture.clusterId
            brokers = Self.rows(picture)
            let all = picture.roster.voters.map(\.nodeId)
            voters = Voters(
                generation: picture.roster.generation, voters: all,
                next: picture.roster.next.map { $0.map(\.nodeId) },
                alive: all.filter(picture.isThere), mayFail: picture.margin,
                hasQuorum: picture.hasQuorum(), target: picture.roster.target)
            change =
                drivers.compactMap { answer -> Change? in
                    guard let roster = answer.roster, roster.phase != "idle" else { return nil }
                    return Change(
                        drivenBy: answer.nodeId, phase: roster.phase, repaired: roster.repaired,
                        total: roster.total)
                }.first
            let tally = picture.tally
            partitions = Tally(
                total: picture.partitions.count, underReplicated: tally[.underReplicated] ?? 0,
                belowMinInSync: tally[.belowMinInSync] ?? 0, offline: tally[.offline] ?? 0)
            isHealthy =
                voters.hasQuorum && partitions.offline == 0 && partitions.belowMinInSync == 0
        }

        private static func rows(_ picture: ClusterPicture) -> [Row] {
            var rows: [Int32: Row] = [:]
            for member in picture.members {
                rows[member.nodeId] = Row(
                    nodeId: member.nodeId, state: member.state,
                    roles: member.roles ?? ["broker", "voter"], isVoter: member.isVoter,
                    rack: member.rack, stop: StopVerdict(of: member.nodeId, in: picture))
            }
            for partition in picture.partitions {
                let isOffline = picture.condition(of: partition) == .offline
                for (place, node) in partition.replicas.enumerated() {
                    if partition.leader == node {
                        rows[node]?.leads += 1
                    } else {
                        rows[node]?.follows += 1
                    }
                    rows[node]?.preferred += place == 0 ? 1 : 0
                    rows[node]?.missing += partition.live.contains(node) ? 0 : 1
                    rows[node]?.offline += isOffline ? 1 : 0
                }
            }
            return rows.keys.sorted().compactMap { rows[$0] }
        }
    }
}

extension ClusterStatus.Answer {
    func text(colored: Bool) -> String {
        var table = TextTable(
            [
                "ID", "STATE", "ROLES", "RACK", "LEADS", "FOLLOWS", "PREFERRED", "MISSING",
                "OFFLINE", "STOP",
            ], numbers: [4, 5, 6, 7, 8])
        for row in brokers {
            let isThere = row.state == "alive"
            table.append([
                "\(row.nodeId)\(row.isVoter ? "*" : "")", row.state,
                row.roles.joined(separator: ","), row.rack ?? "-", "\(row.leads)",
                "\(row.follows)", "\(row.preferred)", "\(row.missing)", "\(row.offline)",
                isThere ? row.stop.word : "-",
            ])
        }
        let alive = brokers.count { $0.state == "alive" }
        return [
            "cluster     \(clusterId): \(Counted.text(brokers.count, "broker")), \(alive) alive",
            "voters      \(votersText)", "partitions  \(partitionsText)",
            table.text(colored: colored),
        ].joined(separator: "\n")
    }

    private var votersText: String {
        var text =
            "\(NodeList.text(voters.voters)) (roster \(voters.generation)): \(voters.alive.count) "
            + "of \(voters.voters.count) there, "
        switch voters.mayFail {
        case ..<0: text += "too few to decide: nobody is elected and no topic changes"
        case 0: text += "none may fail"
        default: text += "\(voters.mayFail) more may fail"
        }
        if voters.target == nil { text += "; fixed" }
        if let next = voters.next { text += "; to become \(NodeList.text(next))" }
        if let change {
            text +=
                "; \(change.drivenBy) is \(change.phase), \(change.repaired) of \(change.total) "
                + "registers copied"
        }
        return text
    }

    private var partitionsText: String {
        let counts = [
            (partitions.offline, "offline"), (partitions.belowMinInSync, "below min ISR"),
            (partitions.underReplicated, "under-replicated"),
        ]
        let bad = counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return "\(partitions.total)" + (bad.isEmpty ? ", all in sync" : ": ")
            + bad.joined(separator: ", ")
    }
}
