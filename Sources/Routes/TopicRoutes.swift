import KafkaProtocol
import Model
import NIOCore
import Node
import Replication

extension RequestLoop {
    func createTopics(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try CreateTopicsRequest.decode(body, version: exchange.version)
        var refused: [CreateTopicsResponse.Topic] = []
        var wanted: [NewTopic] = []
        for topic in request.topics {
            if let reason = Self.placementRefusal(of: topic) {
                refused.append(
                    CreateTopicsResponse.Topic(
                        name: topic.name, errorCode: .invalidReplicaAssignment,
                        errorMessage: reason))
                continue
            }
            let placement = topic.assignments.sorted { $0.partitionIndex < $1.partitionIndex }
            wanted.append(
                NewTopic(
                    name: topic.name, partitions: topic.partitionCount,
                    replicas: topic.replicationFactor, assignments: placement.map(\.brokerIDs),
                    overrides: Dictionary(
                        topic.configs.compactMap { config in
                            config.value.map { (config.name, $0) }
                        }, uniquingKeysWith: { _, last in last })))
        }
        ask(.createTopics(wanted, validateOnly: request.validateOnly)) { reply in
            guard case .topics(let outcomes) = reply else { return }
            exchange.respond(
                CreateTopicsResponse(topics: refused + outcomes.map(Self.created)))
        }
    }

    /// An explicit placement names each partition once, from 0, and leaves the counts at -1.
    private static func placementRefusal(of topic: CreateTopicsRequest.Topic) -> String? {
        guard !topic.assignments.isEmpty else { return nil }
        if topic.partitionCount != -1 || topic.replicationFactor != -1 {
            return "a placement was given: partitions and replicas have to be -1"
        }
        let indexes = topic.assignments.map(\.partitionIndex).sorted()
        guard indexes == (0..<Int32(clamping: indexes.count)).map({ $0 }) else {
            return "a placement has to name each partition once, from 0 on"
        }
        return nil
    }

    private static func created(_ outcome: TopicOutcome) -> CreateTopicsResponse.Topic {
        guard let entry = outcome.entry, outcome.error == nil else {
            return CreateTopicsResponse.Topic(
                name: outcome.name, errorCode: outcome.error?.code ?? .unknownServerError,
                errorMessage: outcome.message)
        }
        return CreateTopicsResponse.Topic(
            name: outcome.name, topicID: entry.id,
            partitionCount: Int32(clamping: entry.partitions.count),
            replicationFactor: Int16(clamping: entry.partitions[0].replicas.count),
            configs: TopicConfigurationKey.all.map { key in
                let (value, source) = entry.configuration.value(of: key)
                return CreateTopicsResponse.Config(
                    name: key.name, value: value, configSource: source.rawValue)
            })
    }

    func deleteTopics(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DeleteTopicsRequest.decode(body, version: exchange.version)
        var refused: [DeleteTopicsResponse.Topic] = []
        var names = request.topicNames
        var ids: [String: TopicID] = [:]
        for topic in request.topics {
            if let name = topic.name {
                names.append(name)
            } else if let name = view.name(of: topic.topicID) {
                names.append(name)
                ids[name] = topic.topicID
            } else {
                refused.append(
                    DeleteTopicsResponse.Topic(
                        topicID: topic.topicID, errorCode: .unknownTopicID,
                        errorMessage: "no topic has this id"))
            }
        }
        lookUp(names) { [unowned self] isComplete in
            let found = names.map { ($0, ids[$0] ?? self.view.topic(named: $0)?.id ?? .zero) }
            self.ask(.deleteTopics(names, ids: ids)) { reply in
                guard case .topics(let outcomes) = reply else { return }
                let topics = zip(found, outcomes).map { asked, outcome in
                    let code = outcome.code(isComplete: isComplete)
                    let isByID = ids[asked.0] != nil
                    return DeleteTopicsResponse.Topic(
                        name: asked.0, topicID: asked.1,
                        errorCode: isByID && code == .unknownTopicOrPartition
                            ? .unknownTopicID : code,
                        errorMessage: outcome.message)
                }
                exchange.respond(DeleteTopicsResponse(topics: refused + topics))
            }
        }
    }

    func createPartitions(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try CreatePartitionsRequest.decode(body, version: exchange.version)
        let wanted = request.topics.map { topic in
            NewPartitions(
                name: topic.name, count: topic.count,
                assignments: topic.assignments?.map(\.brokerIDs) ?? [])
        }
        lookUp(wanted.map(\.name)) { [unowned self] isComplete in
            self.ask(.createPartitions(wanted, validateOnly: request.validateOnly)) { reply in
                guard case .topics(let outcomes) = reply else { return }
                exchange.respond(
                    CreatePartitionsResponse(
                        topics: outcomes.map {
                            CreatePartitionsResponse.Topic(
                                name: $0.name, errorCode: $0.code(isComplete: isComplete),
                                errorMessage: $0.message)
                        }))
            }
        }
    }
}
