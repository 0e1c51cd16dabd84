import ArgumentParser
import Broker

/// `gossamer keys revoke`: shuts a member out for good.
struct KeysRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Shut a member out: its key is worth nothing from now on, at every broker.",
        discussion: """
            Takes effect at once on links and datagrams of all brokers that are there; the
            others learn it before they talk to it. There is no way back: its machine can
            only join again with an empty data directory. Whoever had its disk may have the
            admission secret too: rotate that as well. Asks first in a terminal.

            EXAMPLES:
              $ gossamer keys revoke 3 --yes
              3 is revoked; refused by 1, 2 after 25 ms
            """)

    @Argument(help: "The member.")
    var node: Int32

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let revoked: Int32
        let refusedBy: [Int32]
        let pending: [Int32]
        let milliseconds: Int64
    }

    private static let patienceMilliseconds: Int64 = 2_000

    func run() async throws {
        let own = try await admin.askOne(InspectionQuestion(.members))
        guard own.nodeId != node else {
            throw CommandFailure("\(node) is the broker that is asked: let another one revoke it")
        }
        let subject = own.members?.first { $0.nodeId == node }
        try Confirmation.ask(
            Self.consequence(
                node, leads: subject?.leads ?? 0, isVoter: subject?.isVoter ?? false),
            isGiven: yes)
        _ = try await admin.ask(InspectionQuestion(.revoke, node: node))
        let answer = try await Self.follow(node, by: admin, since: WallClock.milliseconds())
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer))
        }
        if !answer.pending.isEmpty { throw ExitCode.unhealthy }
    }

    /// Asks until every broker that is there refuses it.
    static func follow(
        _ node: Int32, by admin: AdminOptions, since start: Int64
    ) async throws -> Answer {
        while true {
            let seen = try await admin.ask(
                InspectionQuestion(.keys, everywhere: true, patience: 500))
            let others = seen.answers.filter { $0.nodeId != node }
            let done = others.filter { answer in
                answer.keys?.admissions.contains { $0.nodeId == node && $0.isRevoked } == true
            }.map(\.nodeId)
            let pending =
                others.map(\.nodeId).filter { !done.contains($0) }
                + seen.silent.filter { $0 != node }
            let elapsed = WallClock.milliseconds() - start
            if pending.isEmpty || elapsed > patienceMilliseconds {
                return Answer(
                    revoked: node, refusedBy: done.sorted(), pending: pending.sorted(),
                    milliseconds: elapsed)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    static func consequence(_ node: Int32, leads: Int, isVoter: Bool) -> String {
        var text = "member \(node) will be shut out for good."
        if leads > 0 { text += " It leads \(Counted.text(leads, "partition"))." }
        if isVoter { text += " It is a voter." }
        return text
    }

    static func text(_ answer: Answer) -> String {
        var text =
            "\(answer.revoked) is revoked; refused by \(NodeList.text(answer.refusedBy)) after "
            + "\(answer.milliseconds) ms"
        if !answer.pending.isEmpty {
            text +=
                "\n\(NodeList.text(answer.pending)) did not say so yet: see gossip diff --all "
                + "members/"
        }
        return text
    }
}
