import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic list`.
struct TopicList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List topics.",
        discussion: """
            EXAMPLES:
              gossamer topic list
              gossamer topic list --internal -o json
            """)

    @Flag(help: "Show internal topics too.")
    var `internal` = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// One topic as `-o json` prints it.
    struct Row: Encodable, Equatable {
        var name: String
        var partitions: Int
        var replicas: Int
        var `internal`: Bool
    }

    func run() async throws {
        let response = try await connection.withClient { try await $0.metadata(topics: nil) }
        let rows = response.topics
            .filter { `internal` || !$0.isInternal }
            .map { topic in
                Row(
                    name: topic.name ?? "", partitions: topic.partitions.count,
                    replicas: topic.partitions.map(\.replicaNodes.count).max() ?? 0,
                    internal: topic.isInternal)
            }
            .sorted { $0.name < $1.name }
        switch output.format {
        case .json: try Terminal.printJSON(["topics": rows])
        case .table:
            var table = TextTable(["TOPIC", "PARTITIONS", "REPLICAS"], numbers: [1, 2])
            for row in rows { table.append([row.name, "\(row.partitions)", "\(row.replicas)"]) }
            Terminal.print(table.text(colored: Terminal.hasColor))
        }
    }
}
