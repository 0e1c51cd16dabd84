import KafkaProtocol
import Model
import NIOCore
import Node
import OrderedCollections
import Replication

/// Who shall lead, and where copies shall be: requests of operators.
extension RequestLoop {
    func electLeaders(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try ElectLeadersRequest.decode(body, version: exchange.version)
        guard (0...1).contains(request.electionType) else {
            exchange.respond(ElectLeadersResponse(errorCode: .invalidRequest))
            return
        }
        let names = request.topics?.map(\.name) ?? []
        let election = LeaderElection(
            isUnclean: request.electionType == 1,
            partitions: request.topics.map { topics in
                topics.flatMap { topic in topic.partitionIndexes.map { (topic.name, $0) } }
            },
            timeoutMilliseconds: Int64(request.timeoutMilliseconds))
        lookUp(names) { [unowned self] _ in
            self.ask(.electLeaders(election)) { reply in
                guard case .partitions(let outcomes) = reply else { return }
                let topics = Self.byTopic(outcomes).map { name, outcomes in
                    ElectLeadersResponse.Topic(
                        name: name,
                        partitions: outcomes.map {
                            ElectLeadersResponse.Partition(
                                index: $0.index, errorCode: $0.error?.electionCode ?? .none,
                                errorMessage: $0.message)
                        })
                }
                exchange.respond(ElectLeadersResponse(topics: topics))
            }
        }
    }

    func alterReassignments(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try AlterPartitionReassignmentsRequest.decode(
            body, version: exchange.version)
        let wishes = request.topics.flatMap { topic in
            topic.partitions.map {
                ReassignmentWish(topic: topic.name, index: $0.index, target: $0.replicas)
            }
        }
        let allowsFactorChange = request.allowReplicationFactorChange
        lookUp(request.topics.map(\.name)) { [unowned self] _ in
            self.ask(.reassign(wishes, allowsFactorChange: allowsFactorChange)) { reply in
                guard case .partitions(let outcomes) = reply else { return }
                let topics = Self.byTopic(outcomes).map { name, outcomes in
                    AlterPartitionReassignmentsResponse.Topic(
                        name: name,
                        partitions: outcomes.map {
                            AlterPartitionReassignmentsResponse.Partition(
                                index: $0.index, errorCode: $0.error?.electionCode ?? .none,
                                errorMessage: $0.message)
                        })
                }
                exchange.respond(
                    AlterPartitionReassignmentsResponse(
                        allowReplicationFactorChange: allowsFactorChange, topics: topics))
            }
        }
    }

    /// What moves, by the registers: the same whichever broker is asked.
    func listReassignments(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try ListPartitionReassignmentsRequest.decode(
            body, version: exchange.version)
        let names = request.topics?.map(\.name) ?? view.sortedNames
        let wanted = request.topics.map { topics in
            Dictionary(
                topics.map { ($0.name, Set($0.partitionIndexes)) },
                uniquingKeysWith: { $0.union($1) })
        }
        var topics: [ListPartitionReassignmentsResponse.Topic] = []
        for name in OrderedSet(names) {
            guard let entry = view.topic(named: name) else { continue }
            let rows = entry.partitions.enumerated().compactMap { number, state in
                let index = Int32(number)
                guard wanted.map({ $0[name]?.contains(index) ?? false }) ?? true else {
                    return nil as ListPartitionReassignmentsResponse.Partition?
                }
                guard !state.adding.isEmpty || !state.removing.isEmpty else { return nil }
                return ListPartitionReassignmentsResponse.Partition(
                    index: index, replicas: state.replicas.map(\.rawValue),
                    addingReplicas: state.adding.map(\.rawValue),
                    removingReplicas: state.removing.map(\.rawValue))
            }
            guard !rows.isEmpty else { continue }
            topics.append(
                ListPartitionReassignmentsResponse.Topic(name: name, partitions: rows))
        }
        exchange.respond(ListPartitionReassignmentsResponse(topics: topics))
    }

    private static func byTopic(
        _ outcomes: [ReplicaOutcome]
    ) -> OrderedDictionary<String, [ReplicaOutcome]> {
        var topics: OrderedDictionary<String, [ReplicaOutcome]> = [:]
        for outcome in outcomes { topics[outcome.topic, default: []].append(outcome) }
        return topics
    }
}

extension ReplicaOutcomeError {
    var electionCode: ErrorCode {
        switch self {
        case .unknown: .unknownTopicOrPartition
        case .electionNotNeeded: .electionNotNeeded
        case .preferredNotAvailable: .preferredLeaderNotAvailable
        case .noEligibleLeader: .eligibleLeadersNotAvailable
        case .noReassignment: .noReassignmentInProgress
        case .invalidAssignment: .invalidReplicaAssignment
        case .invalidFactor: .invalidReplicationFactor
        case .timedOut: .requestTimedOut
        }
    }
}
