import ArgumentParser
import Broker

/// `gossamer paxos explain`: why a broker leads a partition, and who would be next.
struct PaxosExplain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why a broker leads a partition, who would be next, and why not another.",
        discussion: """
            A copy is (admission, log epoch): one that started uncleanly, or on another disk, is
            another copy and is elected only once it has caught up. NEXT is the order in which
            copies would propose themselves. Exits with 10 where nobody leads, or the leader does
            not serve.

            EXAMPLES:
              gossamer paxos explain orders/0
              gossamer paxos explain orders/0 -o json
            """)

    @Argument(help: ArgumentHelp("The partition.", valueName: "topic/partition"))
    var subject: String

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let (topic, index) = try Self.parse(subject)
        let seen = try await admin.ask(
            InspectionQuestion(.topic, everywhere: true, key: topic, after: UInt64(index)))
        let said = seen.answers.compactMap { answer in
            answer.partitions?.first { $0.partition == index }.map { (answer.nodeId, $0) }
        }
        guard let newest = said.map(\.1).max(by: { $0.partitionEpoch < $1.partitionEpoch }) else {
            throw CommandFailure("there is no partition \(subject): see gossamer topic list")
        }
        let register = try await admin.askRegister(newest.register ?? "")
        let members = try await admin.askOne(InspectionQuestion(.members)).members ?? []
        var lease: Int64?
        if let leader = newest.leader {
            lease = try? await admin.askRoster(leader).leaseMilliseconds
        }
        let answer = LeaderCase(
            newest, led: said.compactMap { $0.0 == newest.leader ? $0.1.led : nil }.first,
            register, members, leaseMilliseconds: lease)
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table: Terminal.print(answer.text)
        }
        if !answer.isHealthy { throw ExitCode.unhealthy }
    }

    /// `TOPIC/N`; a topic's name has no slash.
    static func parse(_ subject: String) throws -> (topic: String, index: Int32) {
        let words = subject.split(separator: "/", omittingEmptySubsequences: false)
        guard words.count == 2, !words[0].isEmpty, let index = Int32(words[1]), index >= 0 else {
            throw UsageError("\(subject): expected TOPIC/PARTITION, for example orders/0")
        }
        return (String(words[0]), index)
    }
}

/// Why a broker leads a partition.
struct LeaderCase: Encodable, Equatable {
    /// One copy, and whether it could lead.
    struct Copy: Encodable, Equatable {
        let nodeId: Int32
        let admission: UInt32?
        let logEpoch: UInt64?
        let isInSync: Bool
        let standing: String
        let endOffset: Int64?
        let lag: Int64?
        /// Its place among those who would lead next, from 1; nil where it would not.
        let next: Int?
        /// Why it leads, would be next, or not.
        let reason: String
    }

    let topic: String
    let partition: Int32
    let leader: Int32?
    let leaderEpoch: Int32
    let partitionEpoch: Int32
    let register: String
    let chosen: BallotReport?
    let inSync: [Int32]
    let lastEligible: [Int32]
    let minInSync: Int
    let isServing: Bool
    let leaseMilliseconds: Int64?
    let reasons: [String]
    let copies: [Copy]

    init(
        _ report: PartitionReport, led: LedReport?, _ register: RegisterPicture,
        _ members: [MemberReport], leaseMilliseconds: Int64?
    ) {
        topic = report.topic
        partition = report.partition
        leader = report.leader
        leaderEpoch = report.leaderEpoch
        partitionEpoch = report.partitionEpoch
        self.register = register.key
        chosen = register.chosen
        inSync = report.inSync
        lastEligible = report.lastEligible
        minInSync = report.minInSync
        // The only copy of a partition needs nobody's leave.
        isServing = led?.isServing ?? false
        self.leaseMilliseconds = report.replicas.count > 1 ? leaseMilliseconds : nil
        reasons = Self.reasons(report, led, register, members)
        copies = report.replicas.map { node in
            let isThere = members.contains { $0.nodeId == node && $0.state == "alive" }
            return Self.copy(node, report, led, isThere: isThere)
        }
    }

    var isHealthy: Bool { leader != nil && isServing }

    // MARK: Reasons

    private static func reasons(
        _ report: PartitionReport, _ led: LedReport?, _ register: RegisterPicture,
        _ members: [MemberReport]
    ) -> [String] {
        guard let leader = report.leader else {
            return [
                report.successors.isEmpty
                    ? "nobody leads: no copy that holds all that was committed is there"
                    : "nobody leads: \(report.successors[0]) is about to be elected"
            ]
        }
        var reasons: [String] = []
        if register.newest == nil {
            reasons.append(
                "its register was never written, which means: the first of the placement leads, "
                    + "and all copies are in sync")
        } else if register.newest != register.chosen {
            let next = register.fields.first { $0.name == "leader" }?.value ?? "none"
            reasons.append(
                "a change of its register is under way, by which the leader is \(next): some "
                    + "voters have accepted it, and the others may wait until a lease has lapsed")
        } else if let deposed = register.fields.first(where: { $0.name == "deposed" }) {
            reasons.append(
                "the last change of its register elected it in place of \(deposed.value)")
        } else {
            reasons.append("its register names it, under epoch \(report.leaderEpoch)")
        }
        if register.fields.contains(where: { $0.name == "unclean" }) {
            reasons.append("an operator elected it although records may have been lost")
        }
        if let first = report.replicas.first, first != leader {
            let state = members.first { $0.nodeId == first }?.state ?? "not a member"
            reasons.append(
                report.live.contains(first)
                    ? "\(first) is preferred and in sync: gossamer cluster balance moves it back"
                    : "\(first) is preferred and not in sync (\(state))")
        } else if report.replicas.count > 1 {
            reasons.append("it is the preferred leader: the first of the placement")
        }
        if led == nil {
            reasons.append(
                "\(leader) itself does not say that it leads: it may be starting, or away")
        }
        return reasons
    }

    private static func copy(
        _ node: Int32, _ report: PartitionReport, _ led: LedReport?, isThere: Bool
    ) -> Copy {
        let recorded = report.copies?.first { $0.nodeId == node }
        let backup = led?.backups.first { $0.nodeId == node }
        let others = report.successors.filter { $0 != report.leader }
        let next = others.firstIndex(of: node).map { $0 + 1 }
        let isLeader = node == report.leader
        let standing = recorded?.standing ?? (isThere ? "unrecorded" : "away")
        return Copy(
            nodeId: node, admission: recorded?.admission, logEpoch: recorded?.logEpoch,
            isInSync: report.inSync.contains(node), standing: standing,
            endOffset: isLeader ? led?.endOffset : backup?.endOffset, lag: backup?.lag,
            next: isLeader ? nil : next,
            reason: isLeader
                ? "leads" : reason(node, report, standing, backup, next))
    }

    private static func reason(
        _ node: Int32, _ report: PartitionReport, _ standing: String, _ backup: BackupReport?,
        _ next: Int?
    ) -> String {
        if let next { return next == 1 ? "would lead next" : "would be number \(next) in line" }
        switch standing {
        case "away": return "not there"
        case "doubted": return "suspected"
        case "restarted":
            return "started uncleanly since, or on another disk: what it holds counts once it has "
                + "caught up"
        default: break
        }
        if report.adding.contains(node) { return "being added: it copies what there is" }
        guard let backup, backup.isAttached else { return "not in sync, and it copies nothing" }
        return "not in sync"
    }

    // MARK: Text

    var text: String {
        var table = TextTable(
            ["COPY", "ADMISSION", "LOG EPOCH", "IN-SYNC", "IS", "END", "LAG", "NEXT", ""],
            numbers: [1, 2, 5, 6, 7])
        for copy in copies {
            table.append([
                "\(copy.nodeId)\(copy.nodeId == leader ? "*" : "")",
                copy.admission.map { "\($0)" } ?? "-", copy.logEpoch.map { "\($0)" } ?? "-",
                copy.isInSync ? "yes" : lastEligible.contains(copy.nodeId) ? "eligible" : "no",
                copy.standing, copy.endOffset.map { "\($0)" } ?? "-",
                copy.lag.map { "\($0)" } ?? "-", copy.next.map { "\($0)" } ?? "-", copy.reason,
            ])
        }
        let who = leader.map { "\($0) leads" } ?? "nobody leads"
        var lines = [
            "\(topic)/\(partition): \(who), epoch \(leaderEpoch), change \(partitionEpoch)"
        ]
        lines += reasons.map { "  \($0)" }
        lines.append("register  \(register) at \(RegisterPicture.text(chosen))")
        lines.append(
            "in sync   \(NodeList.text(inSync)); acks=all needs \(minInSync)"
                + (lastEligible.isEmpty ? "" : "; eligible too: \(NodeList.text(lastEligible))"))
        if leader != nil { lines.append("lease     \(leaseText)") }
        return (lines + [table.text]).joined(separator: "\n")
    }

    private var leaseText: String {
        guard copies.count > 1 else { return "none is needed: there is one copy" }
        let span = leaseMilliseconds.map { Durations.milliseconds($0) }
        return switch (isServing, span) {
        case (true, let span?): "held, for \(span) unless it is renewed before"
        case (true, nil): "held"
        case (false, _): "not held: it serves nothing until the voters grant it"
        }
    }
}
