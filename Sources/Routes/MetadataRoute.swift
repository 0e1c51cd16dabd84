import KafkaProtocol
import Model
import NIOCore
import Node
import Replication

/// The operations that a client may do where there are no ACLs, as Kafka's bit sets (KIP-430).
enum AuthorizedOperations {
    private static func bits(_ operations: Int...) -> Int32 {
        operations.reduce(0) { $0 | 1 << Int32($1) }
    }

    /// Read, write, create, delete, alter, describe, describe and alter configs.
    static let topic = bits(3, 4, 5, 6, 7, 8, 10, 11)
    /// Create, alter, describe, cluster action, describe and alter configs, idempotent write.
    static let cluster = bits(5, 7, 8, 9, 10, 11, 12)
    /// Read, delete, describe.
    static let group = bits(3, 6, 8)
}

extension RequestLoop {
    /// Answers from the newest view. Topics that it lacks are made where that is allowed, and else
    /// looked up in their registers first: nobody hears "unknown" of what exists elsewhere.
    func metadata(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try MetadataRequest.decode(body, version: exchange.version)
        let missing = missingNames(request)
        guard !missing.isEmpty else {
            exchange.respond(metadata(request, exchange))
            return
        }
        guard request.allowAutoTopicCreation, view.defaults.autoCreateTopics else {
            ask(.lookUp(missing)) { [unowned self] reply in
                guard case .lookedUp(let isComplete) = reply else { return }
                exchange.respond(self.metadata(request, exchange, isComplete: isComplete))
            }
            return
        }
        let makeable = missing.filter { $0 != TopicName.consumerOffsets }
        ask(.createTopics(makeable.map { NewTopic(name: $0) }, validateOnly: false)) {
            [unowned self] reply in
            guard case .topics(let outcomes) = reply else { return }
            let isComplete = outcomes.allSatisfy { $0.error != .timedOut }
            exchange.respond(self.metadata(request, exchange, isComplete: isComplete))
        }
    }

    private func missingNames(_ request: MetadataRequest) -> [String] {
        guard let topics = request.topics else { return [] }
        var names: Set<String> = []
        for topic in topics where names.count < RequestBounds.topicsMadeMaximum {
            guard let name = topic.name, topic.topicID == .zero, view.topic(named: name) == nil,
                TopicName.refusal(of: name) == nil
            else { continue }
            names.insert(name)
        }
        return names.sorted()
    }

    /// - Parameter isComplete: whether what the view lacks is known to be absent.
    private func metadata(
        _ request: MetadataRequest, _ exchange: Exchange, isComplete: Bool = true
    ) -> MetadataResponse {
        let listener = exchange.connection.listener
        var response = MetadataResponse(
            brokers: view.brokers.map { broker in
                let endpoint = broker.endpoint(for: listener)
                return MetadataResponse.Broker(
                    nodeID: broker.id.rawValue, host: endpoint?.host ?? "",
                    port: endpoint?.port ?? 0, rack: broker.rack)
            },
            clusterID: view.clusterID, controllerID: view.controller.rawValue)
        if request.includeClusterAuthorizedOperations {
            response.clusterAuthorizedOperations = AuthorizedOperations.cluster
        }
        // Version 0 has no null: an empty list asks for all.
        let wantsAll =
            request.topics == nil || (exchange.version == 0 && request.topics?.isEmpty == true)
        if wantsAll {
            response.topics = view.sortedNames.compactMap { name in
                view.topic(named: name).map { topic($0, request) }
            }
        } else {
            var named: Set<MetadataRequest.Topic> = []
            response.topics = (request.topics ?? []).filter { named.insert($0).inserted }
                .map { topic($0, request, isComplete: isComplete) }
        }
        return response
    }

    private func topic(
        _ wanted: MetadataRequest.Topic, _ request: MetadataRequest, isComplete: Bool
    ) -> MetadataResponse.Topic {
        // The Java client asks by id and leaves the name empty, not null.
        if let name = wanted.name, wanted.topicID == .zero {
            if let entry = view.topic(named: name) { return topic(entry, request) }
            let isLegal = TopicName.refusal(of: name) == nil
            let absent: ErrorCode = isComplete ? .unknownTopicOrPartition : .leaderNotAvailable
            return MetadataResponse.Topic(
                errorCode: isLegal ? absent : .invalidTopic, name: name)
        }
        if let entry = view.topic(id: wanted.topicID) { return topic(entry, request) }
        return MetadataResponse.Topic(errorCode: .unknownTopicID, topicID: wanted.topicID)
    }

    private func topic(_ entry: TopicEntry, _ request: MetadataRequest) -> MetadataResponse.Topic {
        MetadataResponse.Topic(
            name: entry.name, topicID: entry.id, isInternal: entry.isInternal,
            partitions: entry.partitions.enumerated().map { index, state in
                let leader = view.leader(of: state)
                return MetadataResponse.Partition(
                    errorCode: leader == nil ? .leaderNotAvailable : .none, index: Int32(index),
                    leaderID: leader?.id.rawValue ?? -1,
                    leaderEpoch: state.leaderEpoch.rawValue,
                    replicaNodes: state.replicas.map(\.rawValue),
                    isrNodes: state.inSync.map(\.node.rawValue),
                    offlineReplicas: state.replicas.filter { view.broker($0) == nil }
                        .map(\.rawValue))
            },
            topicAuthorizedOperations: request.includeTopicAuthorizedOperations
                ? AuthorizedOperations.topic : .min)
    }

    func describeCluster(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try DescribeClusterRequest.decode(body, version: exchange.version)
        guard request.endpointType == 1 else {
            exchange.respond(
                DescribeClusterResponse(
                    errorCode: .mismatchedEndpointType,
                    errorMessage: "these are broker endpoints (type 1): there are no controllers",
                    endpointType: request.endpointType))
            return
        }
        var response = DescribeClusterResponse(
            clusterID: view.clusterID, controllerID: view.controller.rawValue,
            brokers: view.brokers.map { broker in
                let endpoint = broker.endpoint(for: exchange.connection.listener)
                return DescribeClusterResponse.Broker(
                    brokerID: broker.id.rawValue, host: endpoint?.host ?? "",
                    port: endpoint?.port ?? 0, rack: broker.rack)
            })
        if request.includeClusterAuthorizedOperations {
            response.clusterAuthorizedOperations = AuthorizedOperations.cluster
        }
        exchange.respond(response)
    }

    /// Topics with their partitions, page by page (KIP-966).
    func describeTopicPartitions(
        _ exchange: Exchange, _ body: ByteBuffer
    ) throws(WireError) {
        let request = try DescribeTopicPartitionsRequest.decode(body, version: exchange.version)
        lookUp(request.topics.map(\.name)) { [unowned self] isComplete in
            exchange.respond(self.describe(request, isComplete: isComplete))
        }
    }

    private func describe(
        _ request: DescribeTopicPartitionsRequest, isComplete: Bool
    ) -> DescribeTopicPartitionsResponse {
        let asked =
            request.topics.isEmpty
            ? view.sortedNames : Set(request.topics.map(\.name)).sorted()
        let names = asked.filter { $0 >= request.cursor?.topicName ?? "" }
        var left = Int(min(max(1, request.responsePartitionLimit), 2_000))
        var response = DescribeTopicPartitionsResponse()
        for name in names {
            guard let entry = view.topic(named: name) else {
                response.topics.append(
                    DescribeTopicPartitionsResponse.Topic(
                        errorCode: isComplete ? .unknownTopicOrPartition : .leaderNotAvailable,
                        name: name))
                continue
            }
            let first =
                request.cursor?.topicName == name ? max(0, request.cursor?.partitionIndex ?? 0) : 0
            guard left > 0 else {
                response.nextCursor = DescribeTopicPartitionsResponse.Cursor(
                    topicName: name, partitionIndex: first)
                break
            }
            let wanted = entry.partitions.indices.dropFirst(Int(first))
            let page = wanted.prefix(left)
            left -= page.count
            response.topics.append(
                DescribeTopicPartitionsResponse.Topic(
                    name: name, topicID: entry.id, isInternal: entry.isInternal,
                    partitions: page.map { partition($0, entry.partitions[$0]) },
                    topicAuthorizedOperations: AuthorizedOperations.topic))
            if page.count < wanted.count {
                response.nextCursor = DescribeTopicPartitionsResponse.Cursor(
                    topicName: name, partitionIndex: first + Int32(clamping: page.count))
                break
            }
        }
        return response
    }

    private func partition(
        _ index: Int, _ state: PartitionState
    ) -> DescribeTopicPartitionsResponse.Partition {
        let leader = view.leader(of: state)
        return DescribeTopicPartitionsResponse.Partition(
            errorCode: leader == nil ? .leaderNotAvailable : .none, index: Int32(index),
            leaderID: leader?.id.rawValue ?? -1,
            leaderEpoch: state.leaderEpoch.rawValue,
            replicaNodes: state.replicas.map(\.rawValue),
            isrNodes: state.inSync.map(\.node.rawValue),
            eligibleLeaderReplicas: state.lastEligible.map(\.node.rawValue), lastKnownELR: [])
    }
}
