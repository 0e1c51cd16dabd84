import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic trim`.
struct TopicTrim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trim",
        abstract: "Delete the records of a topic before a position.",
        discussion: """
            EXAMPLES:
              gossamer topic trim orders --before end
              gossamer topic trim orders --before 1000 --partition 3
              gossamer topic trim orders --before 2026-11-01T00:00:00Z
            """)

    @Argument(help: "Name of the topic.")
    var name: String

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The first record to keep: end, an offset, -N (the last N), a time or a duration ago.",
            valueName: "position"))
    var before: String

    @Option(help: ArgumentHelp("Only this partition; repeat for more.", valueName: "n"))
    var partition: [Int32] = []

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// One partition as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var partition: Int32
        var startOffset: Int64
    }

    func run() async throws {
        try TopicName.check(name)
        let position: LogPosition
        do {
            position = try LogPosition(before, now: WallClock.milliseconds())
        } catch {
            throw UsageError("--before \(before): \(error)")
        }
        let rows = try await connection.withClient { client in
            try await trim(position, client)
        }
        switch output.format {
        case .json: try Terminal.printJSON(["partitions": rows])
        case .table:
            var table = TextTable(["PARTITION", "START"], numbers: [0, 1])
            for row in rows { table.append(["\(row.partition)", "\(row.startOffset)"]) }
            Terminal.print(table.text(colored: Terminal.hasColor))
        }
    }

    private func trim(_ position: LogPosition, _ client: KafkaClient) async throws -> [Row] {
        let all = TopicQueries.partitions(try await TopicQueries.describe([name], client))
        let chosen = partition.isEmpty ? all : all.filter { partition.contains($0.partition) }
        if let absent = partition.first(where: { !all.map(\.partition).contains($0) }) {
            throw CommandFailure(
                "--partition \(absent): topic \(name) has \(Counted.text(all.count, "partition")), "
                    + "from 0")
        }
        let offsets = try await position.resolve(in: chosen, client)
        var rows: [Row] = []
        for name in chosen {
            let offset = offsets[name] ?? 0
            let response = try await client.send(
                DeleteRecordsRequest(
                    topics: [
                        .init(
                            name: name.topic,
                            partitions: [.init(index: name.partition, offset: offset)])
                    ], timeoutMilliseconds: Int32(clamping: connection.timeout)),
                to: .leader(topic: name.topic, partition: name.partition),
                retryingUnless: { response throws(ClientError) in
                    for row in response.topics.flatMap(\.partitions) where row.errorCode != .none {
                        throw .refused(
                            row.errorCode, subject: "partition \(name.topic)/\(row.index)",
                            message: row.errorCode == .offsetOutOfRange
                                ? "Offset \(offset) lies outside of the log." : nil)
                    }
                })
            let start = response.topics.first?.partitions.first?.lowWatermark ?? offset
            rows.append(Row(partition: name.partition, startOffset: start))
        }
        return rows
    }
}
