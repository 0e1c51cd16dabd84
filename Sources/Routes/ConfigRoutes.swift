import KafkaProtocol
import Model
import NIOCore
import Node

/// The kinds of resources that have configurations, as Kafka numbers them.
private enum ResourceType {
    static let topic: Int8 = 2
    static let broker: Int8 = 4
}

/// What IncrementalAlterConfigs can do to one value (KIP-339).
private enum AlterOperation: Int8 {
    case set = 0
    case delete = 1
    case append = 2
    case subtract = 3
}

/// A resource and what shall become of its overrides.
private struct AlterWish {
    let type: Int8
    let name: String
    let change: Result<ConfigurationChange, ConfigurationChange.Refusal>
}

/// The result for one resource of an alteration.
private struct AlterOutcome {
    let type: Int8
    let name: String
    var error: ErrorCode = .none
    var message: String?
}

extension RequestLoop {
    func describeConfigs(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DescribeConfigsRequest.decode(body, version: exchange.version)
        var named: Set<String> = []
        let wanted = request.resources.filter {
            named.insert("\($0.resourceType)/\($0.resourceName)").inserted
        }
        let topics = wanted.filter { $0.resourceType == ResourceType.topic }.map(\.resourceName)
        lookUp(topics) { [unowned self] isComplete in
            let resources = wanted.map { resource in
                switch resource.resourceType {
                case ResourceType.topic:
                    self.describeTopic(resource, request, isComplete: isComplete)
                case ResourceType.broker: self.describeBroker(resource, request)
                default:
                    DescribeConfigsResponse.Resource(
                        errorCode: .invalidRequest,
                        errorMessage: "resource type \(resource.resourceType): expected 2 (topic) "
                            + "or 4 (broker)",
                        resourceType: resource.resourceType, resourceName: resource.resourceName)
                }
            }
            exchange.respond(DescribeConfigsResponse(resources: resources))
        }
    }

    private func describeTopic(
        _ resource: DescribeConfigsRequest.Resource, _ request: DescribeConfigsRequest,
        isComplete: Bool
    ) -> DescribeConfigsResponse.Resource {
        guard let entry = view.topic(named: resource.resourceName) else {
            return DescribeConfigsResponse.Resource(
                errorCode: isComplete ? .unknownTopicOrPartition : .requestTimedOut,
                errorMessage: "no topic '\(resource.resourceName)'",
                resourceType: resource.resourceType, resourceName: resource.resourceName)
        }
        let keys = TopicConfigurationKey.all.filter { key in
            resource.configurationKeys?.contains(key.name) ?? true
        }
        return DescribeConfigsResponse.Resource(
            resourceType: resource.resourceType, resourceName: resource.resourceName,
            configs: keys.map { key in
                Self.describe(
                    key, name: key.name, entry.configuration, isReadOnly: false, request)
            })
    }

    /// The values that topics get where they don't set their own, by the broker's names.
    private func describeBroker(
        _ resource: DescribeConfigsRequest.Resource, _ request: DescribeConfigsRequest
    ) -> DescribeConfigsResponse.Resource {
        guard
            resource.resourceName.isEmpty
                || resource.resourceName == String(view.controller.rawValue)
        else {
            return DescribeConfigsResponse.Resource(
                errorCode: .invalidRequest,
                errorMessage: "broker '\(resource.resourceName)': this is broker "
                    + "\(view.controller.rawValue)",
                resourceType: resource.resourceType, resourceName: resource.resourceName)
        }
        let defaults = TopicConfiguration(overrides: [:], broker: view.defaults.configuration)
        let keys = TopicConfigurationKey.all.filter { key in
            resource.configurationKeys?.contains(key.synonym) ?? true
        }
        return DescribeConfigsResponse.Resource(
            resourceType: resource.resourceType, resourceName: resource.resourceName,
            configs: keys.map { key in
                Self.describe(key, name: key.synonym, defaults, isReadOnly: true, request)
            })
    }

    private static func describe(
        _ key: TopicConfigurationKey, name: String, _ configuration: TopicConfiguration,
        isReadOnly: Bool, _ request: DescribeConfigsRequest
    ) -> DescribeConfigsResponse.Config {
        let (value, source) = configuration.value(of: key)
        var config = DescribeConfigsResponse.Config(
            name: name, value: value, readOnly: isReadOnly, configSource: source.rawValue,
            configType: key.kind.rawValue,
            documentation: request.includeDocumentation ? key.documentation : nil)
        if request.includeSynonyms {
            if source == .topic {
                config.synonyms.append(
                    DescribeConfigsResponse.Synonym(
                        name: key.name, value: value, source: source.rawValue))
            }
            config.synonyms.append(
                DescribeConfigsResponse.Synonym(
                    name: key.synonym, value: key.standard,
                    source: TopicConfiguration.Source.standard.rawValue))
        }
        return config
    }

    /// Each topic's overrides are replaced whole.
    func alterConfigs(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try AlterConfigsRequest.decode(body, version: exchange.version)
        let wanted = request.resources.map { resource in
            let values = Dictionary(
                resource.configs.compactMap { config in config.value.map { (config.name, $0) } },
                uniquingKeysWith: { _, last in last })
            return AlterWish(
                type: resource.resourceType, name: resource.resourceName,
                change: .success(.replacing(with: values)))
        }
        alter(wanted, validateOnly: request.validateOnly) { outcomes in
            exchange.respond(
                AlterConfigsResponse(
                    resources: outcomes.map {
                        AlterConfigsResponse.Resource(
                            errorCode: $0.error, errorMessage: $0.message, resourceType: $0.type,
                            resourceName: $0.name)
                    }))
        }
    }

    func incrementalAlterConfigs(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try IncrementalAlterConfigsRequest.decode(body, version: exchange.version)
        let wanted = request.resources.map { resource in
            AlterWish(
                type: resource.resourceType, name: resource.resourceName,
                change: Self.change(resource.configs))
        }
        alter(wanted, validateOnly: request.validateOnly) { outcomes in
            exchange.respond(
                IncrementalAlterConfigsResponse(
                    resources: outcomes.map {
                        IncrementalAlterConfigsResponse.Resource(
                            errorCode: $0.error, errorMessage: $0.message, resourceType: $0.type,
                            resourceName: $0.name)
                    }))
        }
    }

    private static func change(
        _ configs: [IncrementalAlterConfigsRequest.Config]
    ) -> Result<ConfigurationChange, ConfigurationChange.Refusal> {
        var edits: [ConfigurationChange.Edit] = []
        for config in configs {
            guard let operation = AlterOperation(rawValue: config.configOperation) else {
                return .failure(
                    ConfigurationChange.Refusal(
                        message: "\(config.name): operation \(config.configOperation): expected 0 "
                            + "(set), 1 (delete), 2 (append) or 3 (subtract)"))
            }
            guard operation != .delete else {
                edits.append(.delete(name: config.name))
                continue
            }
            guard let value = config.value else {
                return .failure(
                    ConfigurationChange.Refusal(message: "\(config.name): a value is missing"))
            }
            switch operation {
            case .set, .delete: edits.append(.set(name: config.name, value: value))
            case .append: edits.append(.append(name: config.name, words: value))
            case .subtract: edits.append(.subtract(name: config.name, words: value))
            }
        }
        return .success(ConfigurationChange(replacesAll: false, edits: edits))
    }

    private func alter(
        _ wanted: [AlterWish], validateOnly: Bool, then: @escaping ([AlterOutcome]) -> Void
    ) {
        var outcomes = wanted.map { AlterOutcome(type: $0.type, name: $0.name) }
        var topics: [(name: String, change: ConfigurationChange)] = []
        var places: [Int] = []
        for (place, wish) in wanted.enumerated() {
            guard wish.type == ResourceType.topic else {
                outcomes[place].error = .invalidRequest
                outcomes[place].message =
                    "only topics (type 2) can be altered while the broker runs; a broker's own "
                    + "values are in its configuration file"
                continue
            }
            switch wish.change {
            case .success(let change):
                topics.append((wish.name, change))
                places.append(place)
            case .failure(let refusal):
                outcomes[place].error = .invalidConfig
                outcomes[place].message = refusal.message
            }
        }
        lookUp(topics.map(\.name)) { [unowned self] isComplete in
            self.ask(.alterTopics(topics, validateOnly: validateOnly)) { reply in
                guard case .topics(let results) = reply else { return }
                for (place, result) in zip(places, results) {
                    outcomes[place].error = result.code(isComplete: isComplete)
                    outcomes[place].message = result.message
                }
                then(outcomes)
            }
        }
    }
}
