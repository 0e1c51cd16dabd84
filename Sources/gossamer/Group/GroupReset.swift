import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer group reset-offsets`.
struct GroupReset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset-offsets",
        abstract: "Move the committed positions of a group that has no members.",
        discussion: """
            --to takes earliest, latest, an offset, -N (N before the end), a time or a duration ago.
            Positions beyond the log are moved to its nearest end. --dry-run changes nothing.

            EXAMPLES:
              gossamer group reset-offsets billing --topic orders --to earliest --dry-run
              gossamer group reset-offsets billing --topic orders:3 --to 1042
              gossamer group reset-offsets billing --all-topics --to 2026-11-22T14:00:00Z
              gossamer group reset-offsets billing --topic orders --shift-by -100
            """)

    @Argument(help: "Name of the group.")
    var group: String

    @Option(
        help: ArgumentHelp(
            "Topic, or one partition of it; repeat for more.", valueName: "topic[:partition]"))
    var topic: [String] = []

    @Flag(help: "All topics that the group has committed.")
    var allTopics = false

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Where to move.", valueName: "position"))
    var to: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Move by so many records, forth or (negative) back.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: Int64.min / 2...Int64.max / 2) })
    var shiftBy: Int64?

    @Flag(name: [.customShort("n"), .customLong("dry-run")], help: "Only show what would change.")
    var dryRun = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// One partition as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var topic: String
        var partition: Int32
        var currentOffset: Int64?
        var newOffset: Int64
    }

    /// Where the positions go.
    enum Move: Equatable {
        case to(LogPosition)
        case by(Int64)
    }

    func run() async throws {
        try GroupQueries.check(group)
        let move = try move(now: WallClock.milliseconds())
        let selection = try Self.selection(topic)
        guard allTopics != !selection.isEmpty else {
            throw UsageError("expected either --topic TOPIC[:PARTITION] or --all-topics")
        }
        let rows = try await connection.withClient { client in
            try await reset(move, selection, client)
        }
        switch output.format {
        case .json: try Terminal.printJSON(["partitions": rows])
        case .table:
            var table = TextTable(
                ["TOPIC", "PARTITION", "CURRENT-OFFSET", "NEW-OFFSET"], numbers: [1, 2, 3])
            for row in rows {
                table.append([
                    row.topic, "\(row.partition)", row.currentOffset.map(String.init) ?? "-",
                    "\(row.newOffset)",
                ])
            }
            Terminal.print(table.text(colored: Terminal.hasColor))
            if dryRun { Terminal.complain("nothing was changed (--dry-run)") }
        }
    }

    func move(now: Int64) throws(UsageError) -> Move {
        switch (to, shiftBy) {
        case (let text?, nil):
            do {
                return .to(try LogPosition(text, now: now))
            } catch {
                throw UsageError("--to \(text): \(error)")
            }
        case (nil, let count?): return .by(count)
        default: throw UsageError("expected exactly one of --to POSITION and --shift-by N")
        }
    }

    /// Reads `topic` and `topic:partition`; an empty list of partitions means all.
    static func selection(_ words: [String]) throws(UsageError) -> [String: [Int32]] {
        var result: [String: [Int32]] = [:]
        for word in words {
            let parts = word.split(separator: ":", omittingEmptySubsequences: false)
            try TopicName.check(String(parts[0]))
            guard parts.count > 1 else {
                result[String(parts[0])] = []
                continue
            }
            guard parts.count == 2, Quantities.isDigits(parts[1]), let index = Int32(parts[1])
            else {
                throw UsageError(
                    "--topic \(word): expected TOPIC or TOPIC:PARTITION, as in orders:3")
            }
            result[String(parts[0]), default: []].append(index)
        }
        return result
    }

    private func reset(
        _ move: Move, _ selection: [String: [Int32]], _ client: KafkaClient
    ) async throws -> [Row] {
        if let state = try? await GroupQueries.describe(group, client), !state.members.isEmpty {
            throw CommandFailure(
                "group \(group) is \(state.groupState) with "
                    + "\(Counted.text(state.members.count, "member")): stop them first, "
                    + "or they would commit over it")
        }
        let committed = try await client.committedOffsets(group: group)
        let names = try await chosen(selection, committed, client)
        let starts = try await client.offsets(of: .earliest, in: names)
        let ends = try await client.offsets(of: .latest, in: names)
        var wanted: [TopicPartitionName: Int64] = [:]
        switch move {
        case .to(let position): wanted = try await position.resolve(in: names, client)
        case .by(let count):
            for name in names { wanted[name] = (committed[name] ?? starts[name] ?? 0) + count }
        }
        let rows = names.map { name in
            let target = max(starts[name] ?? 0, min(wanted[name] ?? 0, ends[name] ?? 0))
            return Row(
                topic: name.topic, partition: name.partition, currentOffset: committed[name],
                newOffset: target)
        }
        if !dryRun {
            let offsets = rows.map {
                (TopicPartitionName(topic: $0.topic, partition: $0.partition), $0.newOffset)
            }
            try await client.commit(Dictionary(uniqueKeysWithValues: offsets), group: group)
        }
        return rows
    }

    private func chosen(
        _ selection: [String: [Int32]], _ committed: [TopicPartitionName: Int64],
        _ client: KafkaClient
    ) async throws -> [TopicPartitionName] {
        if allTopics {
            guard !committed.isEmpty else {
                throw CommandFailure("group \(group) has committed nothing")
            }
            return committed.keys.sorted()
        }
        let topics = try await TopicQueries.describe(selection.keys.sorted(), client)
        let all = TopicQueries.partitions(topics)
        for (topic, partitions) in selection.sorted(by: { $0.key < $1.key }) {
            for partition in partitions
            where !all.contains(TopicPartitionName(topic: topic, partition: partition)) {
                throw CommandFailure("--topic \(topic):\(partition): there is no such partition")
            }
        }
        return all.filter { name in
            let partitions = selection[name.topic] ?? []
            return partitions.isEmpty || partitions.contains(name.partition)
        }
    }
}
