import ArgumentParser
import Broker
import Client
import KafkaProtocol

/// `gossamer topic describe`.
struct TopicDescribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show partitions, leaders, copies, offsets and what differs from the defaults.",
        discussion: """
            EPOCH is the leader's, CHANGE counts changes of the partition's register, ELIGIBLE are
            copies that left the in-sync set and still hold all that is committed. LAG is what each
            backup lacks, as the leader knows it: `2:0 3:120 (1.4 s)`, or `3:?` for one that copies
            nothing. CHANGE and LAG come from the inside of the mesh: by the socket in the data
            directory of a broker on this machine, or with --via HOST:PORT --secret-file FILE.

            EXAMPLES:
              gossamer topic describe orders
              gossamer topic describe orders payments -o json
              gossamer topic describe orders -b 10.0.0.2:9092 --data-dir /var/lib/gossamer
            """)

    @Argument(help: "Names of topics.")
    var names: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var admin: AdminOptions
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
        /// What left the in-sync set and still holds all that is committed.
        var lastEligible: [Int32] = []
        /// Nil where no broker was asked about the inside of the mesh.
        var partitionEpoch: Int32?
        var minInSync: Int?
        /// What the leader knows of each backup; nil where it did not answer.
        var backups: [BackupReport]?
    }

    func run() async throws {
        for name in names { try TopicName.check(name) }
        let topics = try await connection.withClient { client in
            try await describe(client)
        }
        let inside = try await look(inside: topics)
        switch output.format {
        case .json: try Terminal.printJSON(["topics": inside])
        case .table: Terminal.print(inside.map(Self.text).joined(separator: "\n\n"))
        }
    }

    /// Adds what only brokers themselves know, where one of the same cluster can be asked.
    private func look(inside topics: [Description]) async throws -> [Description] {
        guard admin.isNamed || admin.isAtHand else { return topics }
        var result = topics
        for index in topics.indices {
            let reports: [PartitionReport]
            do {
                reports = try await admin.askTopic(topics[index].name)
            } catch {
                // Whoever did not ask for it is not told why there is none.
                guard admin.isNamed else { return topics }
                throw error
            }
            guard result[index].take(reports) || !admin.isNamed else {
                throw CommandFailure(
                    "the broker that is asked by \(admin.via == nil ? "--data-dir" : "--via") is "
                        + "of another cluster than the one that is asked by --bootstrap")
            }
        }
        return result
    }

    private func describe(_ client: KafkaClient) async throws -> [Description] {
        let topics = try await TopicQueries.describe(names, client)
        let eligible = try await TopicQueries.lastEligible(names, client)
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
                        startOffset: starts[key], endOffset: ends[key],
                        lastEligible: eligible[key] ?? [])
                })
        }
    }

    static func text(_ topic: Description) -> String {
        var lines = ["topic      \(topic.name)"]
        if let id = topic.topicId { lines.append("id         \(id)") }
        let configs = topic.configs.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        lines.append("configs    \(configs.isEmpty ? "-" : configs.joined(separator: " "))")
        var table = TextTable(
            [
                "PARTITION", "LEADER", "EPOCH", "CHANGE", "REPLICAS", "IN-SYNC", "ELIGIBLE",
                "START", "END", "LAG",
            ], numbers: [0, 1, 2, 3, 7, 8])
        for row in topic.partitions {
            table.append([
                "\(row.partition)", row.leader.map(String.init) ?? "none",
                row.leaderEpoch.map(String.init) ?? "-",
                row.partitionEpoch.map(String.init) ?? "-",
                row.replicas.map(String.init).joined(separator: ","),
                row.inSync.map(String.init).joined(separator: ","),
                row.lastEligible.isEmpty
                    ? "-" : row.lastEligible.map(String.init).joined(separator: ","),
                row.startOffset.map(String.init) ?? "-", row.endOffset.map(String.init) ?? "-",
                lag(row),
            ])
        }
        return (lines + [table.text]).joined(separator: "\n")
    }
}

extension TopicDescribe {
    /// What each backup lacks; how long it has lacked something, where that is long.
    private static func lag(_ row: Partition) -> String {
        guard let backups = row.backups else { return "-" }
        let words = backups.map { backup in
            guard backup.isAttached, let lag = backup.lag else { return "\(backup.nodeId):?" }
            let span = backup.behindMilliseconds
            let age = lag > 0 && span >= 1_000 ? " (\(Durations.milliseconds(span)))" : ""
            return "\(backup.nodeId):\(lag)\(age)"
        }
        return words.isEmpty ? "-" : words.joined(separator: " ")
    }
}

extension TopicDescribe.Description {
    /// Adds what brokers say of the topic's partitions; false where they mean another topic.
    mutating func take(_ reports: [PartitionReport]) -> Bool {
        let ids = Set(reports.compactMap(\.topicId).compactMap(TopicIDText.text(hexadecimal:)))
        guard ids.isEmpty || topicId.map(ids.contains) == true else { return false }
        for index in partitions.indices {
            let own = reports.filter { $0.partition == partitions[index].partition }
            partitions[index].partitionEpoch = own.map(\.partitionEpoch).max()
            partitions[index].minInSync = own.first?.minInSync
            // One that was a leader until a moment ago may answer too.
            let leading = own.compactMap(\.led).max { $0.leaderEpoch < $1.leaderEpoch }
            partitions[index].backups = leading?.backups
        }
        return true
    }
}
