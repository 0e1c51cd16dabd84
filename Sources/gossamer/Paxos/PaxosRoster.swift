import ArgumentParser
import Broker

/// `gossamer paxos roster`: who votes, and how each voter is.
struct PaxosRoster: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roster",
        abstract: "Show who votes, a change that is under way, and how each voter is.",
        discussion: """
            KNOWS is the newest roster that a voter has heard of; SINCE the roster that brought it
            in, 0 for the first. WRITES are its fsyncs as a voter, MEAN and LONGEST how long they
            took. LEASE is how long it may go on to lead without hearing from the voters again.
            While a change runs a majority of both sets decides; whoever is interrupted is followed
            by another voter. Exits with 10 where too few voters are there to decide, or one has
            stopped to vote.

            EXAMPLES:
              gossamer paxos roster
              gossamer paxos roster -o json | jq .generation
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let members = try await admin.askOne(InspectionQuestion(.members)).members ?? []
        let seen = try await admin.ask(InspectionQuestion(.roster, everywhere: true))
        guard let answer = RosterPicture(members, seen.answers) else {
            throw CommandFailure("nobody knows who votes: is the broker still starting?")
        }
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(answer.text(colored: Terminal.hasColor))
        }
        if !answer.isHealthy { throw ExitCode.unhealthy }
    }
}

/// The roster as its voters know it together.
struct RosterPicture: Encodable, Equatable {
    /// A voter, or one that is about to be.
    struct Row: Encodable, Equatable {
        let nodeId: Int32
        let state: String
        let storeId: String
        let since: UInt64
        /// `yes`, `leaving` or `joining`.
        let vote: String
        /// What it said itself; nil where it did not answer.
        let report: RosterReport?
    }

    let generation: UInt64
    let voters: [Int32]
    let next: [Int32]?
    let hasQuorum: Bool
    /// Who puts a change into effect, and how far it is.
    let drivenBy: Int32?
    let phase: String?
    let repaired: Int?
    let total: Int?
    let rows: [Row]

    /// Nil where no answer has a roster.
    init?(_ members: [MemberReport], _ answers: [InspectionAnswer]) {
        let reports = answers.compactMap { answer in answer.roster.map { (answer.nodeId, $0) } }
        guard let newest = reports.map(\.1).max(by: { $0.generation < $1.generation }) else {
            return nil
        }
        generation = newest.generation
        voters = newest.voters.map(\.nodeId)
        next = newest.next.map { $0.map(\.nodeId) }
        hasQuorum = newest.hasQuorum
        let driver = reports.first { $0.1.phase != "idle" }
        drivenBy = driver?.0
        phase = driver?.1.phase
        repaired = driver?.1.repaired
        total = driver?.1.total
        let coming = newest.next ?? []
        let all = newest.voters + coming.filter { !newest.voters.contains($0) }
        rows = all.map { voter in
            let votes = newest.voters.contains { $0.storeId == voter.storeId }
            let stays = newest.next?.contains { $0.storeId == voter.storeId } ?? true
            return Row(
                nodeId: voter.nodeId,
                state: members.first { $0.nodeId == voter.nodeId }?.state ?? "revoked",
                storeId: voter.storeId, since: voter.since,
                vote: votes ? (stays ? "yes" : "leaving") : "joining",
                report: reports.first { $0.0 == voter.nodeId }?.1)
        }
    }

    var isHealthy: Bool {
        hasQuorum && rows.allSatisfy { $0.report?.acceptor?.hasPrefix("halted") != true }
    }

    func text(colored: Bool) -> String {
        var table = TextTable(
            [
                "ID", "STATE", "VOTE", "STORE", "SINCE", "KNOWS", "ACCEPTOR", "REGISTERS",
                "WRITES", "MEAN", "LONGEST", "LEASE",
            ], numbers: [4, 5, 7, 8, 9, 10, 11])
        for row in rows {
            let report = row.report
            table.append([
                "\(row.nodeId)", row.state, row.vote, String(row.storeId.suffix(8)),
                "\(row.since)", report.map { "\($0.generation)" } ?? "-",
                report.map { $0.acceptor ?? "not yet" } ?? "silent",
                report.map { "\($0.registers)" } ?? "-", report.map { "\($0.writes)" } ?? "-",
                report.map { Durations.microseconds(Int($0.meanWriteMilliseconds * 1_000)) } ?? "-",
                report.map { "\($0.longestWriteMilliseconds) ms" } ?? "-",
                report?.leaseMilliseconds.map(Durations.milliseconds) ?? "-",
            ])
        }
        return [summary, table.text(colored: colored)].joined(separator: "\n")
            + (last.map { "\n\($0)" } ?? "")
    }

    private var summary: String {
        var text = "roster \(generation): \(NodeList.text(voters)) vote"
        if let next {
            text += "; joint: \(NodeList.text(next)) shall, and a majority of both decides"
            if let drivenBy, let phase, let repaired, let total {
                text += "; \(drivenBy) is \(phase), \(repaired) of \(total) registers copied"
            } else {
                text += "; nobody is at it: a voter goes on with it within seconds"
            }
        } else {
            text += "; no change is under way"
        }
        if !hasQuorum { text += "; TOO FEW ARE THERE: nothing is decided" }
        return text
    }

    /// The latest end of a change that any of them saw.
    private var last: String? {
        let ends = rows.compactMap { row -> (Int64, String)? in
            guard let report = row.report, let outcome = report.lastOutcome,
                let age = report.lastOutcomeMilliseconds
            else { return nil }
            return (
                age,
                "last change, by \(row.nodeId), \(Durations.milliseconds(age)) ago: \(outcome)"
            )
        }
        return ends.min { $0.0 < $1.0 }?.1
    }
}
