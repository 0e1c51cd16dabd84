import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic describe`.
struct TopicDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show partitions, leaders, offsets and what differs from the default config.",
        discussion: """
            EXAMPLES:
              gossamer topic describe orders
              gossamer topic describe orders payments -o json
            """)

    @Argument(help: "Names of topics.")
    var names: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    /// One topic as `-o json` prints it.
    struct Description: Encodable, Equatable {
        var name: String
        var topicId: String?
        var configs: [String: String]
        var partitions: [Partition]
    }

    /// One partition as `-o json` prints it.
    struct Partition: Encodable, Equatable {
        var partition: Int32
        var leader: Int32?
        var leaderEpoch: Int32?
        var replicas: [Int32]
        var inSync: [Int32]
        var startOffset: Int64?
        var endOffset: Int64?
    }

    func run() async throws {
        for name in names { try TopicName.check(name) }
        let topics = try await connection.withClient { client in
            try await describe(client)
        }
        switch output.format {
        case .json: try Terminal.printJSON(["topics": topics])
        case .table: Terminal.print(topics.map(Self.text).joined(separator: "\n\n"))
        }
    }

    private func describe(_ client: KafkaClient) async throws -> [Description] {
        let topics = try await TopicQueries.describe(names, client)
        let configs = try await ConfigQueries.overrides(
            names.map { .topic($0) }, client)
        let led = topics.flatMap { topic in
            topic.partitions.filter { $0.leaderID >= 0 }.map {
                TopicPartitionName(topic: topic.name ?? "", partition: $0.index)
            }
        }
        let starts = try await client.offsets(of: .earliest, in: led)
        let ends = try await client.offsets(of: .latest, in: led)
        return topics.map { topic in
            let name = topic.name ?? ""
            return Description(
                name: name, topicId: TopicIDText.text(topic.topicID), configs: configs[name] ?? [:],
                partitions: topic.partitions.sorted { $0.index < $1.index }.map { row in
                    let key = TopicPartitionName(topic: name, partition: row.index)
                    return Partition(
                        partition: row.index, leader: row.leaderID >= 0 ? row.leaderID : nil,
                        leaderEpoch: row.leaderEpoch >= 0 ? row.leaderEpoch : nil,
                        replicas: row.replicaNodes, inSync: row.isrNodes.sorted(),
                        startOffset: starts[key], endOffset: ends[key])
                })
        }
    }

    static func text(_ topic: Description) -> String {
        var lines = ["topic      \(topic.name)"]
        if let id = topic.topicId { lines.append("id         \(id)") }
        let configs = topic.configs.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.append("configs    \(configs.isEmpty ? "-" : configs.joined(separator: " "))")
        var table = TextTable(
            ["PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN-SYNC", "START", "END"],
            numbers: [0, 1, 2, 5, 6])
        for row in topic.partitions {
            table.append([
                "\(row.partition)", row.leader.map(String.init) ?? "none",
                row.leaderEpoch.map(String.init) ?? "-",
                row.replicas.map(String.init).joined(separator: ","),
                row.inSync.map(String.init).joined(separator: ","),
                row.startOffset.map(String.init) ?? "-", row.endOffset.map(String.init) ?? "-",
            ])
        }
        return (lines + [table.text]).joined(separator: "\n")
    }
}
