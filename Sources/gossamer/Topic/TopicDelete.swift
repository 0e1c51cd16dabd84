import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic delete`.
struct TopicDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete topics with all their records.",
        discussion: """
            There is no way back, and no question is asked.

            EXAMPLES:
              gossamer topic delete orders
              gossamer topic delete orders payments --if-exists
            """)

    @Argument(help: "Names of topics.")
    var names: [String]

    @Flag(help: "Succeed if a topic does not exist.")
    var ifExists = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        for name in names { try TopicName.check(name) }
        let deleted = try await connection.withClient { client in
            var deleted: [String] = []
            for name in names where try await delete(name, client) { deleted.append(name) }
            return deleted
        }
        switch output.format {
        case .json: try Terminal.printJSON(["deleted": deleted])
        case .table: for name in deleted { Terminal.print("deleted topic \(name)") }
        }
    }

    /// One request per topic, so that each failure is reported for its own.
    private func delete(_ name: String, _ client: KafkaClient) async throws -> Bool {
        let version = try await client.connection(to: .controller).version(of: .deleteTopics)
        let timeout = Int32(clamping: connection.timeout)
        let response = try await client.send(
            version >= 6
                ? DeleteTopicsRequest(topics: [.init(name: name)], timeoutMilliseconds: timeout)
                : DeleteTopicsRequest(topicNames: [name], timeoutMilliseconds: timeout),
            to: .controller,
            retryingUnless: { response throws(ClientError) in
                for topic in response.topics
                where topic.errorCode != .none && topic.errorCode != .unknownTopicOrPartition {
                    throw .refused(
                        topic.errorCode, subject: "topic \(name)", message: topic.errorMessage)
                }
            })
        if response.topics.contains(where: { $0.errorCode == .unknownTopicOrPartition }) {
            if ifExists { return false }
            throw CommandFailure(try await TopicQueries.missing(name, client))
        }
        return true
    }
}
