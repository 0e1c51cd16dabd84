import Broker
import Client

extension ClusterPicture {
    /// Runs `body` with a Kafka client of the brokers that are there: moves of partitions are asked
    /// for as Kafka's own tools do it.
    func withClient<Result>(
        _ body: (KafkaClient) async throws -> Result
    ) async throws -> Result {
        let addresses = members.filter { $0.state == "alive" }.flatMap(\.kafka).compactMap {
            HostPort(parsing: $0).map { BrokerAddress(host: $0.host, port: $0.port) }
        }
        guard !addresses.isEmpty else {
            throw CommandFailure("no broker tells an address for Kafka clients")
        }
        let client = KafkaClient(
            ClientConfiguration(bootstrap: addresses, clientID: "gossamer-cli"))
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}

/// Partitions by topic, as Kafka's requests want them.
enum PartitionGroups {
    static func byTopic(
        _ partitions: some Sequence<PartitionReport>
    ) -> [(topic: String, rows: [PartitionReport])] {
        var groups: [(topic: String, rows: [PartitionReport])] = []
        for partition in partitions {
            if groups.last?.topic == partition.topic {
                groups[groups.count - 1].rows.append(partition)
            } else {
                groups.append((partition.topic, [partition]))
            }
        }
        return groups
    }
}
