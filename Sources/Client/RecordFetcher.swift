internal import KafkaProtocol
internal import NIOCore

/// Reads records from a set of partitions, each from its own position.
///
/// One fetch per leader at a time, all leaders at once. The positions move only when records are
/// given out. Meant to be driven by one task.
public actor RecordFetcher {
    /// Where to go on when a position has fallen out of the log.
    public enum ResetPolicy: Sendable {
        case earliest
        case latest
        case fail
    }

    private let client: KafkaClient
    private let reset: ResetPolicy
    private let partitionBytes: Int32
    public private(set) var positions: [TopicPartitionName: Int64] = [:]
    /// The end of each log as the last answer told it.
    public private(set) var ends: [TopicPartitionName: Int64] = [:]

    /// A bound on one answer: enough to be fast, and no more than a laptop has to spare.
    private static let responseBytes: Int32 = 32 * 1024 * 1024

    public init(
        _ client: KafkaClient, positions: [TopicPartitionName: Int64] = [:],
        reset: ResetPolicy = .earliest, partitionBytes: Int32 = 4 * 1024 * 1024
    ) {
        self.client = client
        self.positions = positions
        self.reset = reset
        self.partitionBytes = partitionBytes
    }

    /// Replaces the set of partitions.
    public func assign(_ positions: [TopicPartitionName: Int64]) {
        self.positions = positions
        ends = ends.filter { positions[$0.key] != nil }
    }

    /// Stops reading one partition.
    public func drop(_ partition: TopicPartitionName) { positions[partition] = nil }

    /// The next records, in order within each partition; empty after `maxWait` without any.
    public func poll(
        maxWaitMilliseconds: Int32 = 500
    ) async throws(ClientError) -> [ConsumedRecord] {
        guard !positions.isEmpty else { return [] }
        let groups: [(leader: Int32, members: [TopicPartitionName])]
        do {
            groups = try await client.groupedByLeader(positions.keys.sorted())
        } catch {
            guard error.isRetriable, case .refused = error else { throw error }
            return []
        }
        var records: [ConsumedRecord] = []
        for (response, members) in try await fetch(groups, maxWaitMilliseconds) {
            try await absorb(response, members, into: &records)
        }
        return records
    }

    private func fetch(
        _ groups: [(leader: Int32, members: [TopicPartitionName])], _ maxWait: Int32
    ) async throws(ClientError) -> [(FetchResponse, [TopicPartitionName])] {
        let client = client
        let requests = groups.map {
            (leader: $0.leader, members: $0.members, request($0.members, maxWait))
        }
        let timeout = client.configuration.requestTimeoutMilliseconds + Int64(maxWait)
        let results = await withTaskGroup(
            of: (Result<FetchResponse, ClientError>, [TopicPartitionName]).self
        ) { group in
            for (leader, members, request) in requests {
                group.addTask {
                    do throws(ClientError) {
                        let response = try await client.send(
                            request, to: .node(leader), lane: .fetch, timeoutMilliseconds: timeout)
                        return (.success(response), members)
                    } catch {
                        return (.failure(error), members)
                    }
                }
            }
            var results: [(Result<FetchResponse, ClientError>, [TopicPartitionName])] = []
            for await result in group { results.append(result) }
            return results
        }
        var responses: [(FetchResponse, [TopicPartitionName])] = []
        for (result, members) in results {
            switch result {
            case .success(let response): responses.append((response, members))
            case .failure(let error): throw error
            }
        }
        return responses
    }

    private func request(_ members: [TopicPartitionName], _ maxWait: Int32) -> FetchRequest {
        let topics = Dictionary(grouping: members, by: \.topic).sorted { $0.key < $1.key }
        return FetchRequest(
            replicaID: -1, maxWaitMilliseconds: maxWait, minBytes: 1,
            maxBytes: Self.responseBytes, isolationLevel: 1, sessionID: 0, sessionEpoch: -1,
            topics: topics.map { topic, names in
                .init(
                    name: topic,
                    partitions: names.map {
                        .init(
                            index: $0.partition, fetchOffset: positions[$0] ?? 0,
                            partitionMaxBytes: partitionBytes)
                    })
            })
    }

    private func absorb(
        _ response: FetchResponse, _ members: [TopicPartitionName],
        into records: inout [ConsumedRecord]
    ) async throws(ClientError) {
        guard response.errorCode == .none else {
            throw .refused(response.errorCode, subject: "fetch", message: nil)
        }
        for topic in response.topics {
            for row in topic.partitions {
                let name = TopicPartitionName(topic: topic.name, partition: row.index)
                guard let position = positions[name] else { continue }
                guard row.errorCode == .none else {
                    try await recover(name, from: row.errorCode)
                    continue
                }
                ends[name] = row.highWatermark
                guard let bytes = row.records.buffer, bytes.readableBytes > 0 else { continue }
                positions[name] = try RecordDecoding.decode(
                    bytes, from: position, topic: name.topic, partition: name.partition,
                    into: &records)
            }
        }
    }

    private func recover(
        _ name: TopicPartitionName, from code: ErrorCode
    ) async throws(ClientError) {
        let subject = "partition \(name.topic)/\(name.partition)"
        if code == .offsetOutOfRange, reset != .fail {
            let point: OffsetPoint = reset == .earliest ? .earliest : .latest
            positions[name] = try await client.offsets(of: point, in: [name])[name] ?? 0
        } else if code.isRetriable {
            await client.forget(.leader(topic: name.topic, partition: name.partition))
        } else {
            throw .refused(code, subject: subject, message: nil)
        }
    }
}
