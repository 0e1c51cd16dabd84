import ArgumentParser
import Client
import KafkaProtocol

/// `gossamer topic ...`.
struct TopicCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topic",
        abstract: "Create, list, describe, alter, delete and trim topics.",
        discussion: """
            EXAMPLES:
              gossamer topic create orders --partitions 6
              gossamer topic describe orders
              gossamer topic alter orders --config retention.ms=86400000
            """,
        subcommands: [
            TopicCreate.self, TopicList.self, TopicDescribe.self, TopicAlter.self,
            TopicDelete.self, TopicTrim.self,
        ])
}

/// What several topic commands ask and refuse alike.
enum TopicQueries {
    /// Metadata of topics by name; a missing one is an error that says what exists.
    static func describe(
        _ names: [String], _ client: KafkaClient
    ) async throws -> [MetadataResponse.Topic] {
        let response = try await client.metadata(topics: names)
        for topic in response.topics where topic.errorCode != .none {
            guard topic.errorCode == .unknownTopicOrPartition else {
                throw ClientError.refused(
                    topic.errorCode, subject: "topic \(topic.name ?? "?")", message: nil)
            }
            throw CommandFailure(try await missing(topic.name ?? "?", client))
        }
        return response.topics.sorted { ($0.name ?? "") < ($1.name ?? "") }
    }

    /// KIP-966's eligible replicas, where the broker tells them.
    static func lastEligible(
        _ names: [String], _ client: KafkaClient
    ) async throws -> [TopicPartitionName: [Int32]] {
        var found: [TopicPartitionName: [Int32]] = [:]
        var request = DescribeTopicPartitionsRequest(
            topics: names.map { DescribeTopicPartitionsRequest.Topic(name: $0) })
        while true {
            guard let response = try? await client.send(request) else { return found }
            for topic in response.topics {
                for row in topic.partitions {
                    let key = TopicPartitionName(topic: topic.name ?? "", partition: row.index)
                    found[key] = row.eligibleLeaderReplicas
                }
            }
            guard let next = response.nextCursor else { return found }
            request.cursor = DescribeTopicPartitionsRequest.Cursor(
                topicName: next.topicName, partitionIndex: next.partitionIndex)
        }
    }

    /// "There is no topic x", with the nearest name that exists.
    static func missing(_ name: String, _ client: KafkaClient) async throws -> String {
        let all = try await client.metadata(topics: nil).topics.compactMap(\.name)
        let near = NearestWord.of(name, in: all).map { " Did you mean \($0)?" }
        return "there is no topic \(name).\(near ?? " See: gossamer topic list")"
    }

    /// Every partition of the topics, in order.
    static func partitions(_ topics: [MetadataResponse.Topic]) -> [TopicPartitionName] {
        topics.flatMap { topic in
            topic.partitions.map {
                TopicPartitionName(topic: topic.name ?? "", partition: $0.index)
            }
        }.sorted()
    }
}
