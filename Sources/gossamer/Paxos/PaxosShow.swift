import ArgumentParser
import Broker

/// `gossamer paxos show`: one register at every voter.
struct PaxosShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a register: what each voter promised and accepted, and what it means.",
        discussion: """
            A ballot is (counter, proposer.boot). What a majority accepted at one ballot is chosen.
            Registers are `roster`, `members/N`, `topic/NAME`, `partition/TOPIC-ID/N` (see
            `gossamer paxos explain`) and `producer-ids`; `gossamer gossip versions` lists them.
            Exits with 10 where the newest value is not known to be chosen, or tables differ.

            EXAMPLES:
              gossamer paxos show topic/orders
              gossamer paxos show roster -o json
            """)

    @Argument(help: "The register.")
    var key: String

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let answer = try await admin.askRegister(key)
        guard answer.isThere else {
            throw CommandFailure(
                "no voter has heard of \(key), and it is in no table: see gossamer gossip versions")
        }
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(answer.text(colored: Terminal.hasColor))
        }
        if !answer.isSettled { throw ExitCode.unhealthy }
    }
}

/// One register as all brokers have it.
struct RegisterPicture: Encodable, Equatable {
    /// What one broker has.
    struct Row: Encodable, Equatable {
        let nodeId: Int32
        let isVoter: Bool
        /// Nil where it did not answer.
        let report: RegisterReport?
    }

    let key: String
    let rows: [Row]
    /// The newest ballot that a majority of the voters has accepted, as far as they answered.
    let chosen: BallotReport?
    /// The newest that any of them has accepted.
    let newest: BallotReport?
    let isTombstone: Bool
    let fields: [FieldReport]
    let operations: [String]

    init(
        _ key: String, voters: [[Int32]], _ answers: [InspectionAnswer], silent: [Int32]
    ) {
        self.key = key
        let all = Set(voters.joined())
        let said = answers.map {
            Row(nodeId: $0.nodeId, isVoter: all.contains($0.nodeId), report: $0.register)
        }
        let missing = all.filter { node in !said.contains { $0.nodeId == node } }
        rows =
            (said
            + missing.union(silent).map {
                Row(nodeId: $0, isVoter: all.contains($0), report: nil)
            }).sorted { $0.nodeId < $1.nodeId }
        let accepted = rows.filter(\.isVoter).compactMap { row in
            row.report?.accepted.map { (row, $0) }
        }
        newest = accepted.map(\.1).max(by: Self.isBelow)
        let counts = accepted.map(\.1).sorted { Self.isBelow($1, $0) }
        chosen = counts.first { ballot in
            voters.allSatisfy { set in
                let holders = accepted.filter { set.contains($0.0.nodeId) && $0.1 == ballot }
                return holders.count * 2 > set.count
            }
        }
        let shown = chosen ?? newest
        let holder = accepted.first { $0.1 == shown }?.0.report
        isTombstone = holder?.isTombstone ?? false
        fields = holder?.fields ?? []
        operations = holder?.operations ?? []
    }

    private static func isBelow(_ left: BallotReport, _ right: BallotReport) -> Bool {
        (left.counter, left.proposer, left.boot) < (right.counter, right.proposer, right.boot)
    }

    var isThere: Bool {
        rows.contains { row in
            row.report.map { $0.promised != nil || $0.accepted != nil || $0.table != nil } ?? false
        }
    }

    /// What is newest is chosen, and every table that has heard of that ballot has the same value.
    var isSettled: Bool {
        var hashes: [BallotReport: Set<String>] = [:]
        for report in rows.compactMap(\.report) {
            if let table = report.table, let hash = report.tableHash {
                hashes[table, default: []].insert(hash)
            }
        }
        return newest == chosen && hashes.values.allSatisfy { $0.count == 1 }
    }

    static func text(_ ballot: BallotReport?) -> String {
        ballot.map { "(\($0.counter), \($0.proposer).\($0.boot))" } ?? "-"
    }

    func text(colored: Bool) -> String {
        var table = TextTable(["ID", "VOTES", "PROMISED", "ACCEPTED", "VALUE", "TABLE", "VALUE"])
        for row in rows {
            guard let report = row.report else {
                table.append([
                    "\(row.nodeId)", row.isVoter ? "yes" : "no", "silent", "", "", "", "",
                ])
                continue
            }
            table.append([
                "\(row.nodeId)", row.isVoter ? "yes" : "no", Self.text(report.promised),
                Self.text(report.accepted),
                report.accepted == nil
                    ? "-" : report.isTombstone ? "tombstone" : short(report.hash),
                Self.text(report.table), short(report.tableHash),
            ])
        }
        var lines = ["register    \(key)", "chosen      \(verdict)"]
        if !operations.isEmpty {
            lines.append(
                "changes     \(operations.suffix(4).joined(separator: ", ")) (node.boot.number)")
        }
        let width = fields.map(\.name.count).max() ?? 0
        for field in fields {
            let pad = String(repeating: " ", count: width - field.name.count + 2)
            lines.append("  \(field.name)\(pad)\(field.value)")
        }
        return (lines + [table.text(colored: colored)]).joined(separator: "\n")
    }

    private func short(_ hash: String?) -> String { hash.map { String($0.prefix(8)) } ?? "-" }

    private var verdict: String {
        let voters = rows.filter(\.isVoter).count
        guard let newest else {
            return "nothing: it was never written"
        }
        let holders = rows.count { $0.isVoter && $0.report?.accepted == newest }
        guard newest == chosen else {
            return "\(Self.text(newest)) was accepted by \(holders) of \(voters) voters that were "
                + "asked, which is no majority: the next read or change finds out and finishes it"
        }
        return "\(isTombstone ? "a tombstone" : "this value") at \(Self.text(newest)), accepted by "
            + "\(holders) of \(voters) voters"
    }
}

extension AdminOptions {
    /// One register at all brokers.
    func askRegister(_ key: String) async throws -> RegisterPicture {
        let roster = try await askOne(InspectionQuestion(.roster)).roster
        let seen = try await ask(InspectionQuestion(.register, everywhere: true, key: key))
        let voters = (roster?.voters ?? []).map(\.nodeId)
        let next = roster?.next.map { [$0.map(\.nodeId)] } ?? []
        return RegisterPicture(key, voters: [voters] + next, seen.answers, silent: seen.silent)
    }
}
