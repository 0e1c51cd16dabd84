import ArgumentParser
import Broker

/// `gossamer gossip why`: what the brokers know against a member, and what it means.
struct GossipWhy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Explain the state of a member by what all brokers saw of it.",
        discussion: """
            Merges what every broker that answers remembers about the member, in order of
            time (UTC): a line each, the broker that saw it in front. The last line is the
            verdict. Exit code 10 where somebody has to do something.

            EXAMPLES:
              $ gossamer gossip why 3 --last 3         # a broker that was killed
              (21 earlier lines: --last 24)
              16:44:25.681  2  probed 3: no answer in 100 ms; asked 1: no answer; by TCP:
              nobody answers there
              16:44:25.881  2  2 declares 3 DEAD, accused by 2, 1
              16:44:25.882  1  2 declares 3 DEAD, accused by 2, 1
              verdict: 3 is dead since 16:44:25.881 (2.7 s ago), accused by 1, 2, last
              heard at 16:44:24.601 by 2. Nobody listens at its address: the process has
              ended, or the machine or its network is gone.

              gossamer gossip why 3 -o json | jq -r .verdict.sentence
            """)

    @Argument(help: "The member.")
    var node: Int32

    @Option(help: ArgumentHelp("Show the last so many lines.", valueName: "n"))
    var last: Int = 40

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: WideOutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable {
        let nodeId: Int32
        let verdict: MemberCase.Verdict
        let events: [SeenEvent]
        let silent: [Int32]
    }

    func validate() throws {
        guard last > 0 else { throw ValidationError("--last \(last): expected a number from 1") }
    }

    func run() async throws {
        let seen = try await admin.ask(
            InspectionQuestion(.events, everywhere: true, node: node, limit: 2_000))
        let views = try await admin.ask(InspectionQuestion(.members, everywhere: true))
        let infos = try await admin.ask(InspectionQuestion(.info, everywhere: true))
        let keys = try await admin.askOne(InspectionQuestion(.keys))
        let admission = keys.keys?.admissions.first { $0.nodeId == node }
        guard
            views.answers.contains(where: { $0.members?.contains { $0.nodeId == node } == true })
                || admission != nil
        else { throw CommandFailure("no member \(node): see gossamer gossip members") }
        let merged = EventMerge(seen.answers, reference: keys.nodeId)
        let subject = MemberCase(
            node: node, members: views.answers, events: merged.events,
            isRevoked: admission?.isRevoked ?? false, silent: seen.silent,
            isolated: infos.answers.compactMap(\.info).filter(Self.isIsolated).map(\.nodeId),
            now: keys.at)
        let verdict = subject.verdict()
        if output.format == .json {
            try Terminal.printJSON(
                Answer(
                    nodeId: node, verdict: verdict, events: merged.events, silent: seen.silent))
        } else {
            Terminal.print(Self.text(subject, verdict, merged.remarks, last: last))
        }
        if !verdict.isWell { throw ExitCode.unhealthy }
    }

    /// Whether a broker's word on the others is in doubt.
    private static func isIsolated(_ info: InfoReport) -> Bool {
        info.isSelfIsolated || (info.members > 2 && info.alive == 1)
    }

    static func text(
        _ subject: MemberCase, _ verdict: MemberCase.Verdict, _ remarks: [String], last: Int
    ) -> String {
        var lines: [String] = []
        let chain = EvidenceChain(subject.events)
        let hidden = chain.count - last
        if hidden > 0 {
            lines.append("(\(Counted.text(hidden, "earlier line")): --last \(chain.count))")
        }
        lines += chain.lines(now: subject.now).suffix(last)
        if subject.events.isEmpty { lines.append("no broker remembers anything unusual") }
        lines += remarks
        let others = subject.silent.filter { $0 != subject.node }
        if !others.isEmpty { lines.append("no answer from \(NodeList.text(others))") }
        lines.append("verdict: \(verdict.sentence).")
        return lines.joined(separator: "\n")
    }
}
