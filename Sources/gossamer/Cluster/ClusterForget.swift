import ArgumentParser
import Broker

/// `gossamer cluster forget`: a broker that does not come back.
struct ClusterForget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Give up a broker for good: it votes no more, and its copies are made elsewhere.",
        discussion: """
            For a machine that is lost. Its admission is revoked, so that every broker refuses it;
            its vote goes to another, where one can vote. Its node id is free for a broker with an
            empty disk afterwards; its own disk is worth nothing to the mesh any more. The copies
            that it had are made on other brokers, as far as there are others without one.

            One that is alive is refused: stop it first, or drain it and then stop it. --force
            shuts out a running one, at once; records whose only copy it has are lost to the mesh.
            Asks first in a terminal.

            EXAMPLES:
              $ gossamer cluster forget 3 --yes
              3 is forgotten: refused by 1, 2, 4
              roster 9: 1, 2, 4 vote
              33 partitions had a copy on it, which others make anew now
            """)

    @Argument(help: "The broker.")
    var node: Int32

    @Flag(help: "Also one that is alive, or has the only copy of something.")
    var force = false

    @Flag(help: "Do not ask.")
    var yes = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// What `-o json` prints.
    struct Answer: Encodable, Equatable {
        let forgotten: Int32
        let refusedBy: [Int32]
        let pending: [Int32]
        let generation: UInt64
        let voters: [Int32]
        /// Partitions that had a copy on it.
        let partitions: Int
        /// Partitions of which no live copy is left.
        let lost: Int
    }

    func run() async throws {
        let picture = try await admin.askPicture()
        guard picture.nodeId != node else {
            throw CommandFailure("\(node) is the broker that is asked: let another one forget it")
        }
        let admissions = try await admin.askOne(InspectionQuestion(.keys)).keys?.admissions ?? []
        guard let admission = admissions.first(where: { $0.nodeId == node }) else {
            throw CommandFailure("no member \(node): see gossamer gossip members")
        }
        if let refusal = Self.refusal(of: node, in: picture, isForced: force) {
            throw CommandFailure(refusal)
        }
        try Confirmation.ask(Self.consequence(node, picture), isGiven: yes)
        var refused: KeysRevoke.Answer?
        if !admission.isRevoked {
            _ = try await admin.ask(InspectionQuestion(.revoke, node: node))
            refused = try await KeysRevoke.follow(
                node, by: admin, since: WallClock.milliseconds())
        }
        let roster = try await takeVote()
        let answer = Answer(
            forgotten: node, refusedBy: refused?.refusedBy ?? [], pending: refused?.pending ?? [],
            generation: roster.generation, voters: roster.voters.map(\.nodeId),
            partitions: picture.partitions.count { $0.replicas.contains(node) },
            lost: Self.lost(with: node, picture).count)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(Self.text(answer))
        }
        if !answer.pending.isEmpty || answer.voters.contains(node) { throw ExitCode.unhealthy }
    }

    /// Why it must not be forgotten yet; nil where it may.
    static func refusal(of node: Int32, in picture: ClusterPicture, isForced: Bool) -> String? {
        if picture.votes(node), !picture.hasQuorum(without: [node]) {
            return "\(node) votes, and without it too few voters are there to decide anything: "
                + "start the others first"
        }
        guard !isForced else { return nil }
        if let state = picture.member(node)?.state, state == "alive" || state == "suspect" {
            return "\(node) is \(state): it would be shut out at once, and its disk would be worth "
                + "nothing to the mesh afterwards. Stop it first; --force forgets it as it runs"
        }
        let lost = lost(with: node, picture)
        guard !lost.isEmpty else { return nil }
        return "\(node) may have the only copy of "
            + "\(Counted.text(lost.count, "partition")) (\(PartitionList.text(lost))): start it, "
            + "or give them up with --force"
    }

    /// Partitions that nobody can lead without it.
    private static func lost(with node: Int32, _ picture: ClusterPicture) -> [PartitionReport] {
        picture.partitions.filter { partition in
            (partition.inSync.contains(node) || partition.lastEligible.contains(node))
                && partition.live.allSatisfy { $0 == node }
        }
    }

    static func consequence(_ node: Int32, _ picture: ClusterPicture) -> String {
        var text = "broker \(node) will be forgotten for good."
        let copies = picture.partitions.count { $0.replicas.contains(node) }
        if copies > 0 { text += " It has copies of \(Counted.text(copies, "partition"))." }
        if picture.votes(node) { text += " It is a voter." }
        return text
    }

    /// How long the mesh may take for it by itself, or another broker for a change of its own.
    private static let patienceMilliseconds: Int64 = 30_000

    /// The roster once the broker is not in it; the mesh may be quicker than this command.
    private func takeVote() async throws -> RosterReport {
        let end = WallClock.milliseconds() + Self.patienceMilliseconds
        while true {
            let voter = try await admin.voterToAsk(except: node)
            let roster = try await admin.askRoster(voter)
            let votes = (roster.voters + (roster.next ?? [])).contains { $0.nodeId == node }
            if !votes || WallClock.milliseconds() > end { return roster }
            if roster.next == nil, roster.phase == "idle" {
                // Another may have begun meanwhile: its end is waited for.
                _ = try? await admin.changeVoters(.removeVoter, node, asking: voter)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    static func text(_ answer: Answer) -> String {
        var lines: [String] = []
        lines.append(
            answer.refusedBy.isEmpty
                ? "\(answer.forgotten) is forgotten"
                : "\(answer.forgotten) is forgotten: refused by \(NodeList.text(answer.refusedBy))")
        if !answer.pending.isEmpty {
            lines.append("\(NodeList.text(answer.pending)) did not say so yet")
        }
        lines.append(
            answer.voters.contains(answer.forgotten)
                ? "it is in roster \(answer.generation) yet: see gossamer paxos roster"
                : "roster \(answer.generation): \(NodeList.text(answer.voters)) vote")
        lines.append(
            "\(Counted.text(answer.partitions, "partition")) had a copy on it"
                + (answer.partitions > 0 ? ", which others make anew now" : ""))
        if answer.lost > 0 {
            lines.append("\(Counted.text(answer.lost, "partition")) have no other live copy")
        }
        return lines.joined(separator: "\n")
    }
}
