import ArgumentParser
import Broker

/// `gossamer group recover`.
struct GroupRecover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Write committed positions back into slots all of whose replicas were lost.",
        discussion: """
            Committed positions lie in __consumer_offsets; a slot is one of its partitions. Every
            broker keeps a copy of all positions, told by gossip after they are durable, in memory
            and (half a minute old at most, or current after an orderly stop) on its disk. When all
            replicas of a slot are lost and a new leader was elected over an empty log (an unclean
            election), this writes the newest copies that any broker has into that log as ordinary
            commits. A position of which the log has a later word is left alone, so that it can be
            run again. A slot whose log has committed positions already is refused without --force.

            Asks every broker; each does it for the slots that it coordinates.

            EXAMPLES:
              gossamer group recover --all
              gossamer group recover 17 --data-dir /var/lib/gossamer
            """)

    @Argument(help: "Number of a slot: a partition of __consumer_offsets.")
    var slot: Int32?

    @Flag(help: "Every slot.")
    var all = false

    @Flag(help: "Also where the slot's log has committed positions: write those that it lacks.")
    var force = false

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    /// How long copies may take to come from all brokers before the newest are written.
    private static let gatheringMilliseconds = 1_500

    /// One slot as `-o json` prints it.
    struct Row: Encodable {
        var broker: Int32
        var slot: Int32
        var refusal: String?
        var kept: Int
        var recovered: [GroupCopyReport]
    }

    func run() async throws {
        guard all != (slot != nil), (slot ?? 0) >= 0 else {
            throw UsageError("expected either the number of a slot or --all")
        }
        _ = try await admin.ask(InspectionQuestion(.gatherOffsets, everywhere: true))
        try await Task.sleep(for: .milliseconds(Self.gatheringMilliseconds))
        let answers = try await admin.ask(
            InspectionQuestion(
                .recoverOffsets, everywhere: true, key: slot.map(String.init), force: force))
        var rows: [Row] = []
        var refused: Set<Int32> = []
        for answer in answers.answers {
            if let error = answer.error { throw CommandFailure("\(answer.nodeId): \(error)") }
            // Every broker that has a copy of a slot that nobody leads says so.
            rows += (answer.recoveries ?? []).filter {
                $0.refusal == nil || refused.insert($0.slot).inserted
            }.map {
                Row(
                    broker: answer.nodeId, slot: $0.slot, refusal: $0.refusal, kept: $0.kept,
                    recovered: $0.recovered)
            }
        }
        switch output.format {
        case .json: try Terminal.printJSON(["slots": rows])
        case .table: Self.show(rows)
        }
        if !answers.silent.isEmpty {
            let who = answers.silent.map(String.init).joined(separator: ", ")
            throw CommandFailure("no answer from member \(who): run it again")
        }
        if !refused.isEmpty {
            let slots = refused.sorted().map(String.init).joined(separator: ", ")
            throw CommandFailure("not recovered, see above: slot \(slots)")
        }
    }

    private static func show(_ rows: [Row]) {
        if rows.isEmpty { Terminal.print("nothing to recover: no broker has a copy of a position") }
        for row in rows.sorted(by: { $0.slot < $1.slot }) {
            let count = row.recovered.reduce(0) { $0 + $1.partitions.count }
            Terminal.print(
                "slot \(row.slot) at broker \(row.broker): "
                    + "\(Counted.text(count, "position")) recovered, \(row.kept) left as the log "
                    + "has them" + (row.refusal.map { "; \($0)" } ?? ""))
            guard count > 0 else { continue }
            var table = TextTable(
                ["GROUP", "TOPIC", "PARTITION", "OFFSET", "COMMITTED", "COPY-AGE"],
                numbers: [2, 3])
            for group in row.recovered {
                for position in group.partitions {
                    table.append([
                        group.group, position.topic, "\(position.partition)",
                        "\(position.currentOffset)",
                        WallClock.text(milliseconds: position.committedAt),
                        group.ageMilliseconds.map(Durations.milliseconds) ?? "-",
                    ])
                }
            }
            Terminal.print(table.text)
        }
    }
}
