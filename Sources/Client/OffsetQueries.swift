internal import KafkaProtocol

/// A partition by name, as commands and members speak of it.
public struct TopicPartitionName: Hashable, Comparable, Sendable {
    public var topic: String
    public var partition: Int32

    public init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.topic, left.partition) < (right.topic, right.partition)
    }
}

/// A point in a partition's log that a broker can be asked for.
public enum OffsetPoint: Hashable, Sendable {
    case earliest
    case latest
    /// The first record at or after this time, in milliseconds since the epoch.
    case time(Int64)

    var wireValue: Int64 {
        switch self {
        case .earliest: -2
        case .latest: -1
        case .time(let milliseconds): milliseconds
        }
    }
}

extension KafkaClient {
    /// The offsets of a point in many partitions, each asked of its leader; -1 where the log holds
    /// nothing at or after the time.
    public func offsets(
        of point: OffsetPoint, in partitions: [TopicPartitionName]
    ) async throws(ClientError) -> [TopicPartitionName: Int64] {
        var result: [TopicPartitionName: Int64] = [:]
        var pending = partitions
        var pause = configuration.backoffMilliseconds
        for attempt in 1... {
            let (found, failed) = try await askOnce(point, pending)
            result.merge(found) { $1 }
            pending = failed.map(\.0)
            guard let (partition, error) = failed.first else { break }
            guard error.isRetriable, attempt < configuration.attempts else { throw error }
            forget(.leader(topic: partition.topic, partition: partition.partition))
            do {
                try await Task.sleep(for: .milliseconds(pause))
            } catch {
                throw .closed(configuration.bootstrap[0])
            }
            pause *= 2
        }
        return result
    }

    private func askOnce(
        _ point: OffsetPoint, _ partitions: [TopicPartitionName]
    ) async throws(ClientError) -> (
        found: [TopicPartitionName: Int64], failed: [(TopicPartitionName, ClientError)]
    ) {
        var found: [TopicPartitionName: Int64] = [:]
        var failed: [(TopicPartitionName, ClientError)] = []
        for (leader, members) in try await groupedByLeader(partitions) {
            let topics = Dictionary(grouping: members, by: \.topic).sorted { $0.key < $1.key }
            let request = ListOffsetsRequest(
                replicaID: -1, isolationLevel: 0,
                topics: topics.map { topic, rows in
                    .init(
                        name: topic,
                        partitions: rows.map {
                            .init(index: $0.partition, timestamp: point.wireValue)
                        })
                })
            let response = try await send(request, to: .node(leader))
            for topic in response.topics {
                for row in topic.partitions {
                    let name = TopicPartitionName(topic: topic.name, partition: row.index)
                    if row.errorCode == .none {
                        found[name] = row.offset
                    } else {
                        let error = ClientError.refused(
                            row.errorCode, subject: "partition \(topic.name)/\(row.index)",
                            message: nil)
                        failed.append((name, error))
                    }
                }
            }
        }
        return (found, failed)
    }

    /// The partitions by the node that leads them.
    func groupedByLeader(
        _ partitions: [TopicPartitionName]
    ) async throws(ClientError) -> [(leader: Int32, members: [TopicPartitionName])] {
        var groups: [Int32: [TopicPartitionName]] = [:]
        for name in partitions {
            let leader = try await leaderID(topic: name.topic, partition: name.partition)
            groups[leader, default: []].append(name)
        }
        return groups.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What a group has committed; nil asks for everything. Partitions without a commit are absent.
    public func committedOffsets(
        group: String, partitions: [TopicPartitionName]? = nil
    ) async throws(ClientError) -> [TopicPartitionName: Int64] {
        let target = Target.coordinator(group: group)
        let version = try await connection(to: target).version(of: .offsetFetch)
        let topics = partitions.map { names in
            Dictionary(grouping: names, by: \.topic).sorted { $0.key < $1.key }.map {
                OffsetFetchRequest.Topic(name: $0.key, partitionIndexes: $0.value.map(\.partition))
            }
        }
        let request =
            version >= 8
            ? OffsetFetchRequest(groups: [.init(groupID: group, topics: topics)])
            : OffsetFetchRequest(groupID: group, topics: topics)
        let response = try await send(
            request, to: target,
            retryingUnless: { response throws(ClientError) in
                let code = response.groups.first?.errorCode ?? response.errorCode
                guard code == .none else {
                    throw .refused(code, subject: "group \(group)", message: nil)
                }
            })
        var result: [TopicPartitionName: Int64] = [:]
        for topic in response.groups.first?.topics ?? response.topics {
            for row in topic.partitions where row.errorCode == .none && row.committedOffset >= 0 {
                let name = TopicPartitionName(topic: topic.name, partition: row.index)
                result[name] = row.committedOffset
            }
        }
        return result
    }

    /// Commits offsets for a group, as a member of a generation or, by default, from outside of an
    /// empty group.
    public func commit(
        _ offsets: [TopicPartitionName: Int64], group: String, generation: Int32 = -1,
        memberID: String = "", lane: Lane = .ordinary
    ) async throws(ClientError) {
        let topics = Dictionary(grouping: offsets.keys.sorted(), by: \.topic)
            .sorted { $0.key < $1.key }
        let request = OffsetCommitRequest(
            groupID: group, generationIDOrMemberEpoch: generation, memberID: memberID,
            topics: topics.map { topic, names in
                .init(
                    name: topic,
                    partitions: names.map {
                        .init(
                            index: $0.partition, committedOffset: offsets[$0] ?? 0, metadata: "")
                    })
            })
        _ = try await send(
            request, to: .coordinator(group: group), lane: lane,
            retryingUnless: { response throws(ClientError) in
                for topic in response.topics {
                    for row in topic.partitions where row.errorCode != .none {
                        throw .refused(
                            row.errorCode,
                            subject: "commit of \(topic.name)/\(row.index) for group \(group)",
                            message: nil)
                    }
                }
            })
    }
}
