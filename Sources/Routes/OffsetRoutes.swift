import Coordination
import KafkaProtocol
import Model
import NIOCore
import Node

extension RequestLoop {
    private func ask(_ request: GroupRequest, then: @escaping (GroupResponse) -> Void) {
        ask(.group(request)) { reply in
            if case .group(let response) = reply { then(response) }
        }
    }

    /// Commits offsets of partitions that exist; the others are refused one by one, as in Kafka.
    ///
    /// A topic that the view lacks is looked up first: it may have been made on another broker a
    /// moment ago.
    func offsetCommit(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try OffsetCommitRequest.decode(body, version: exchange.version)
        lookUp(request.topics.map(\.name)) { [unowned self] isComplete in
            self.ask(.commitOffsets(self.commit(request))) { response in
                guard case .commitOffsets(let outcomes) = response else { return }
                exchange.respond(Self.committed(request, outcomes, isComplete: isComplete))
            }
        }
    }

    /// What of a request is about partitions that exist.
    private func commit(_ request: OffsetCommitRequest) -> GroupRequest.CommitOffsets {
        let known = request.topics.compactMap {
            topic -> Topic<GroupRequest.CommitOffsets.Partition>? in
            guard let entry = view.topic(named: topic.name) else { return nil }
            let partitions = topic.partitions.filter { entry.state($0.index) != nil }
            guard !partitions.isEmpty else { return nil }
            return Topic(
                name: topic.name,
                partitions: partitions.map {
                    GroupRequest.CommitOffsets.Partition(
                        index: PartitionIndex($0.index), offset: Offset($0.committedOffset),
                        leaderEpoch: LeaderEpoch($0.committedLeaderEpoch),
                        metadata: $0.metadata ?? "")
                })
        }
        return GroupRequest.CommitOffsets(
            groupID: request.groupID, generation: request.generationIDOrMemberEpoch,
            memberID: request.memberID, groupInstanceID: request.groupInstanceID,
            retentionMilliseconds: request.retentionTimeMilliseconds < 0
                ? nil : request.retentionTimeMilliseconds,
            topics: known)
    }

    /// - Parameter isComplete: whether what was not asked of the coordinator is known to be absent;
    ///   else the client is told to try again by the one error that all clients repeat a commit
    ///   for without a new look for the coordinator.
    private static func committed(
        _ request: OffsetCommitRequest, _ outcomes: [Topic<PartitionOutcome>], isComplete: Bool
    ) -> OffsetCommitResponse {
        let absent: ErrorCode =
            isComplete ? .unknownTopicOrPartition : .coordinatorLoadInProgress
        var codes: [FetchKey: ErrorCode] = [:]
        for topic in outcomes {
            for partition in topic.partitions {
                codes[FetchKey(topic: .name(topic.name), index: partition.index.rawValue)] =
                    partition.error.errorCode
            }
        }
        return OffsetCommitResponse(
            topics: request.topics.map { topic in
                OffsetCommitResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        let key = FetchKey(topic: .name(topic.name), index: $0.index)
                        return OffsetCommitResponse.Partition(
                            index: $0.index, errorCode: codes[key] ?? absent)
                    })
            })
    }

    /// One group up to version 7, several from version 8 on.
    func offsetFetch(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try OffsetFetchRequest.decode(body, version: exchange.version)
        let isBatched = exchange.version >= 8
        let groups =
            isBatched
            ? request.groups
            : [OffsetFetchRequest.Group(groupID: request.groupID, topics: request.topics)]
        var found = [OffsetFetchResponse.Group](
            repeating: OffsetFetchResponse.Group(), count: groups.count)
        var remaining = groups.count
        guard remaining > 0 else {
            exchange.respond(OffsetFetchResponse())
            return
        }
        for (place, group) in groups.enumerated() {
            let topics = group.topics?.map { topic in
                Topic(name: topic.name, partitions: topic.partitionIndexes.map(PartitionIndex.init))
            }
            ask(.fetchOffsets(.init(groupID: group.groupID, topics: topics))) { response in
                found[place] = Self.fetched(group, response)
                remaining -= 1
                guard remaining == 0 else { return }
                if isBatched {
                    exchange.respond(OffsetFetchResponse(groups: found))
                } else {
                    exchange.respond(
                        OffsetFetchResponse(
                            topics: found[0].topics, errorCode: found[0].errorCode))
                }
            }
        }
    }

    private static func fetched(
        _ group: OffsetFetchRequest.Group, _ response: GroupResponse
    ) -> OffsetFetchResponse.Group {
        guard case .fetchOffsets(let found) = response else {
            return OffsetFetchResponse.Group(
                groupID: group.groupID, errorCode: .unknownServerError)
        }
        let code = found.error.errorCode
        guard found.error == nil else {
            // Old versions have no place for the group's error but the partitions'.
            return OffsetFetchResponse.Group(
                groupID: group.groupID,
                topics: (group.topics ?? []).map { topic in
                    OffsetFetchResponse.Topic(
                        name: topic.name,
                        partitions: topic.partitionIndexes.map {
                            OffsetFetchResponse.Partition(
                                index: $0, committedOffset: -1, metadata: "", errorCode: code)
                        })
                }, errorCode: code)
        }
        return OffsetFetchResponse.Group(
            groupID: group.groupID,
            topics: found.topics.map { topic in
                OffsetFetchResponse.Topic(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        OffsetFetchResponse.Partition(
                            index: $0.index.rawValue, committedOffset: $0.offset?.rawValue ?? -1,
                            committedLeaderEpoch: $0.leaderEpoch.rawValue, metadata: $0.metadata)
                    })
            })
    }

    func offsetDelete(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try OffsetDeleteRequest.decode(body, version: exchange.version)
        let topics = request.topics.map { topic in
            Topic(
                name: topic.name, partitions: topic.partitions.map { PartitionIndex($0.index) })
        }
        ask(.deleteOffsets(.init(groupID: request.groupID, topics: topics))) { response in
            guard case .deleteOffsets(let deleted) = response else { return }
            exchange.respond(
                OffsetDeleteResponse(
                    errorCode: deleted.error.errorCode,
                    topics: deleted.topics.map { topic in
                        OffsetDeleteResponse.Topic(
                            name: topic.name,
                            partitions: topic.partitions.map {
                                OffsetDeleteResponse.Partition(
                                    index: $0.index.rawValue, errorCode: $0.error.errorCode)
                            })
                    }))
        }
    }
}
