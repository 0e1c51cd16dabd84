import Client
import KafkaProtocol

/// What has configs on a Kafka broker.
enum ConfigResource: Equatable, Sendable {
    case topic(String)
    case broker(Int32)

    var type: Int8 {
        switch self {
        case .topic: 2
        case .broker: 4
        }
    }

    var name: String {
        switch self {
        case .topic(let name): name
        case .broker(let id): String(id)
        }
    }

    var description: String {
        switch self {
        case .topic(let name): "topic \(name)"
        case .broker(let id): "broker \(id)"
        }
    }

    /// A broker's configs are asked of that broker, as Kafka demands.
    var target: KafkaClient.Target {
        switch self {
        case .topic: .controller
        case .broker(let id): .node(id)
        }
    }
}

/// Reads and writes the configs of topics and brokers.
enum ConfigQueries {
    /// Where a value comes from, in Kafka's numbering.
    static func source(_ code: Int8) -> String {
        switch code {
        case 1: "topic"
        case 2: "broker, dynamic"
        case 3: "brokers, dynamic"
        case 4: "broker, static"
        case 5: "default"
        case 6: "broker logger"
        default: "unknown"
        }
    }

    /// The configs of one resource, all or by key.
    static func describe(
        _ resource: ConfigResource, keys: [String]? = nil, _ client: KafkaClient
    ) async throws -> [DescribeConfigsResponse.Config] {
        let response = try await client.send(
            DescribeConfigsRequest(resources: [
                .init(
                    resourceType: resource.type, resourceName: resource.name,
                    configurationKeys: keys)
            ]),
            to: resource.target, retryingUnless: Self.check(resource))
        return (response.resources.first?.configs ?? []).sorted { $0.name < $1.name }
    }

    /// What topics set for themselves, by topic and key; empty where the broker does not tell.
    static func overrides(
        _ resources: [ConfigResource], _ client: KafkaClient
    ) async throws -> [String: [String: String]] {
        var result: [String: [String: String]] = [:]
        for resource in resources {
            let configs: [DescribeConfigsResponse.Config]
            do {
                configs = try await describe(resource, client)
            } catch ClientError.unsupported {
                return [:]
            }
            for config in configs where config.configSource == 1 {
                result[resource.name, default: [:]][config.name] = config.value ?? ""
            }
        }
        return result
    }

    /// Sets and removes single configs, leaving the others as they are.
    static func alter(
        _ resource: ConfigResource, set: [(String, String)], remove: [String],
        validateOnly: Bool = false, _ client: KafkaClient
    ) async throws {
        let changes =
            set.map {
                IncrementalAlterConfigsRequest.Config(
                    name: $0.0, configOperation: 0, value: $0.1)
            }
            + remove.map { .init(name: $0, configOperation: 1, value: nil) }
        _ = try await client.send(
            IncrementalAlterConfigsRequest(
                resources: [
                    .init(
                        resourceType: resource.type, resourceName: resource.name, configs: changes)
                ], validateOnly: validateOnly),
            to: resource.target,
            retryingUnless: { response throws(ClientError) in
                for row in response.resources where row.errorCode != .none {
                    throw .refused(
                        row.errorCode, subject: resource.description, message: row.errorMessage)
                }
            })
    }

    private static func check(
        _ resource: ConfigResource
    ) -> @Sendable (DescribeConfigsResponse) throws(ClientError) -> Void {
        { response throws(ClientError) in
            for row in response.resources where row.errorCode != .none {
                throw .refused(
                    row.errorCode, subject: resource.description, message: row.errorMessage)
            }
        }
    }
}
