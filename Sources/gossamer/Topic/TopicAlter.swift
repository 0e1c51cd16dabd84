import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic alter`.
struct TopicAlter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alter",
        abstract: "Add partitions to a topic or change its config.",
        discussion: """
            Partitions can be added and never removed; keys then map to other partitions.

            EXAMPLES:
              gossamer topic alter orders --partitions 24
              gossamer topic alter orders --config retention.ms=86400000 --remove-config flush
            """)

    @Argument(help: "Name of the topic.")
    var name: String

    @Option(
        help: ArgumentHelp("New number of partitions.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: 1...TopicRules.maximumPartitions) })
    var partitions: Int32?

    @Option(help: ArgumentHelp("Topic config to set; repeat for more.", valueName: "key=value"))
    var config: [String] = []

    @Option(help: ArgumentHelp("Topic config to set back to the default.", valueName: "key"))
    var removeConfig: [String] = []

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try TopicName.check(name)
        let configs = try TopicName.configs(config, flag: "--config")
        guard partitions != nil || !configs.isEmpty || !removeConfig.isEmpty else {
            throw UsageError(
                "nothing to alter: expected --partitions, --config or --remove-config")
        }
        try await connection.withClient { client in
            if let partitions { try await add(partitions, client) }
            if !configs.isEmpty || !removeConfig.isEmpty {
                try await ConfigQueries.alter(
                    .topic(name), set: configs, remove: removeConfig, client)
            }
        }
        switch output.format {
        case .json: try Terminal.printJSON(["altered": name])
        case .table: Terminal.print("altered topic \(name)")
        }
    }

    private func add(_ count: Int32, _ client: KafkaClient) async throws {
        let topics = try await TopicQueries.describe([name], client)
        let current = topics.first?.partitions.count ?? 0
        guard Int(count) > current else {
            throw CommandFailure(
                "--partitions \(count): topic \(name) has \(Counted.text(current, "partition")) "
                    + "already, and partitions are never removed")
        }
        let name = name
        _ = try await client.send(
            CreatePartitionsRequest(
                topics: [.init(name: name, count: count, assignments: nil)],
                timeoutMilliseconds: Int32(clamping: connection.timeout)),
            to: .controller,
            retryingUnless: { response throws(ClientError) in
                for topic in response.topics where topic.errorCode != .none {
                    throw .refused(
                        topic.errorCode, subject: "topic \(name)", message: topic.errorMessage)
                }
            })
    }
}
