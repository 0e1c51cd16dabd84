import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic create`.
struct TopicCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create a topic. Any broker may be asked; the topic exists when this returns.",
        discussion: """
            EXAMPLES:
              gossamer topic create orders --partitions 12
              gossamer topic create audit --config flush=sync --config retention.ms=-1
              gossamer topic create users --config cleanup.policy=compact --if-not-exists
            """)

    @Argument(help: "Name of the topic.")
    var name: String

    @Option(
        help: ArgumentHelp("Number of partitions. Default: the broker's.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: 1...TopicRules.maximumPartitions) })
    var partitions: Int32?

    @Option(
        help: ArgumentHelp("Copies of each partition. Default: the broker's.", valueName: "n"),
        transform: { text in try Quantities.integer(text, in: 1...TopicRules.maximumReplicas) })
    var replicas: Int16?

    @Option(help: ArgumentHelp("Topic config; repeat for more.", valueName: "key=value"))
    var config: [String] = []

    @Flag(help: "Succeed if the topic exists already, whatever it looks like.")
    var ifNotExists = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// The answer as `-o json` prints it.
    struct Answer: Encodable, Equatable {
        var name: String
        var created: Bool
        var partitions: Int32?
        var replicas: Int16?
    }

    func run() async throws {
        try TopicName.check(name)
        let configs = try TopicName.configs(config, flag: "--config")
        let answer = try await connection.withClient { client in
            try await create(configs, client)
        }
        switch output.format {
        case .json: try Terminal.printJSON(answer)
        case .table:
            guard answer.created else {
                Terminal.print("topic \(name) exists already")
                return
            }
            let count = answer.partitions.map { ", \(Counted.text(Int($0), "partition"))" } ?? ""
            let copies = answer.replicas.map { ", \(Counted.text(Int($0), "replica"))" } ?? ""
            Terminal.print("created topic \(name)\(count)\(copies)")
        }
    }

    private func create(_ configs: [(String, String)], _ client: KafkaClient) async throws -> Answer
    {
        let version = try await client.connection(to: .controller).version(of: .createTopics)
        let standard: (Int32, Int16) = version >= 4 ? (-1, -1) : (1, 1)
        let request = CreateTopicsRequest(
            topics: [
                .init(
                    name: name, partitionCount: partitions ?? standard.0,
                    replicationFactor: replicas ?? standard.1,
                    configs: configs.map { .init(name: $0.0, value: $0.1) })
            ], timeoutMilliseconds: Int32(clamping: connection.timeout))
        let name = name
        do {
            let response = try await client.send(
                request, to: .controller,
                retryingUnless: { response throws(ClientError) in
                    for topic in response.topics where topic.errorCode != .none {
                        throw .refused(
                            topic.errorCode, subject: "topic \(name)", message: topic.errorMessage)
                    }
                })
            let row = response.topics.first
            let count = row?.partitionCount ?? -1
            let copies = row?.replicationFactor ?? -1
            return Answer(
                name: name, created: true, partitions: count > 0 ? count : partitions,
                replicas: copies > 0 ? copies : replicas)
        } catch {
            return try await mend(error, client)
        }
    }

    /// Turns the refusals that have a better sentence into it.
    private func mend(_ error: ClientError, _ client: KafkaClient) async throws -> Answer {
        guard case .refused(let code, _, _) = error else { throw error }
        if code == .topicAlreadyExists {
            if ifNotExists { return Answer(name: name, created: false) }
            throw CommandFailure(
                "topic \(name) exists already. Look at it with: gossamer topic describe \(name)")
        }
        if code == .invalidReplicationFactor, let better = try await tooManyReplicas(client) {
            throw better
        }
        throw error
    }

    private func tooManyReplicas(_ client: KafkaClient) async throws -> (any Error)? {
        let brokers = try await client.metadata(topics: []).brokers.map(\.nodeID).sorted()
        guard let replicas, Int(replicas) > brokers.count else { return nil }
        let ids = brokers.map(String.init).joined(separator: ", ")
        return CommandFailure(
            "\(replicas) replicas asked for, \(Counted.text(brokers.count, "broker")) alive "
                + "(\(ids)). Ask for at most \(brokers.count), or start more brokers.")
    }
}

/// "1 partition", "2 partitions".
enum Counted {
    static func text(_ count: Int, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
