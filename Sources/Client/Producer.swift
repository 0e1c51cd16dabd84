internal import KafkaProtocol
public import Model
public import NIOCore

/// A record on its way to a broker.
public struct OutgoingRecord: Sendable {
    public var key: ByteBuffer?
    public var value: ByteBuffer?
    public var headers: [RecordField]
    public var timestamp: Timestamp
    /// Nil lets the key, or chance, decide.
    public var partition: Int32?

    public init(
        key: ByteBuffer? = nil, value: ByteBuffer?, headers: [RecordField] = [],
        timestamp: Timestamp, partition: Int32? = nil
    ) {
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
        self.partition = partition
    }
}

/// Which acknowledgement a producer waits for.
public enum Acknowledgement: Int16, Sendable {
    case none = 0
    case leader = 1
    case all = -1
}

/// Sends records to one topic in batches, one batch in flight per partition, so order is kept and a
/// retry repeats the same sequence number.
///
/// With `acks=all` it is idempotent where the broker gives producer ids (KIP-98): a repeat is
/// stored once. Meant to be driven by one task.
public actor Producer {
    /// What was acknowledged so far.
    public struct Progress: Sendable, Equatable {
        public var records = 0
        public var bytes = 0
        /// The first and last offset of the last acknowledged batch of each partition.
        public var lastOffsets: [Int32: Int64] = [:]
    }

    private struct Lane {
        var builder: RecordBatchBuilder?
        var inFlight: Task<Void, Never>?
        var sequence: Int32 = 0
    }

    private let client: KafkaClient
    private let topic: String
    private let acks: Acknowledgement
    private let batchBytes: Int
    private let timeoutMilliseconds: Int64
    private var partitionCount: Int32 = 0
    private var identity: (id: ProducerID, epoch: ProducerEpoch) = (.none, .none)
    private var lanes: [Int32: Lane] = [:]
    private var sticky: Int32 = 0
    private var failure: ClientError?
    public private(set) var progress = Progress()

    public init(
        _ client: KafkaClient, topic: String, acks: Acknowledgement = .all,
        batchBytes: Int = 512 * 1024, timeoutMilliseconds: Int64 = 30_000
    ) {
        self.client = client
        self.topic = topic
        self.acks = acks
        self.batchBytes = batchBytes
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Looks the topic up (a broker may create it) and gets a producer id; returns how many
    /// partitions there are.
    @discardableResult
    public func open() async throws(ClientError) -> Int32 {
        let found = try await findTopic()
        partitionCount = Int32(found.partitions.count)
        guard partitionCount > 0 else {
            throw .refused(.leaderNotAvailable, subject: "topic \(topic)", message: nil)
        }
        sticky = Int32.random(in: 0..<partitionCount)
        if acks == .all { try await identify() }
        return partitionCount
    }

    /// Adds a record; waits only when its partition's batch is full and the one before is not
    /// acknowledged.
    public func send(_ record: OutgoingRecord) async throws(ClientError) {
        if let failure { throw failure }
        precondition(partitionCount > 0, "open() comes first")
        let partition =
            record.partition
            ?? record.key.map { Partitioner.partition(of: $0, count: partitionCount) } ?? sticky
        guard (0..<partitionCount).contains(partition) else {
            throw .refused(
                .unknownTopicOrPartition, subject: "partition \(topic)/\(partition)",
                message: "The topic has \(partitionCount) partitions, from 0.")
        }
        var lane = lanes[partition] ?? Lane()
        var builder =
            lane.builder
            ?? RecordBatchBuilder(
                producerID: identity.id, producerEpoch: identity.epoch,
                baseSequence: identity.id == .none ? -1 : lane.sequence)
        lane.builder = nil
        builder.append(
            key: record.key, value: record.value, headers: record.headers,
            timestamp: record.timestamp)
        let isFull = builder.size >= batchBytes
        lane.builder = builder
        lanes[partition] = lane
        if isFull {
            await dispatch(partition)
            if record.partition == nil, record.key == nil {
                sticky = (sticky + 1) % partitionCount
            }
        }
    }

    /// Sends what is left and waits for every acknowledgement.
    public func flush() async throws(ClientError) {
        for partition in lanes.keys.sorted() { await dispatch(partition) }
        for partition in lanes.keys.sorted() { await lanes[partition]?.inFlight?.value }
        if let failure { throw failure }
    }

    private func dispatch(_ partition: Int32) async {
        await lanes[partition]?.inFlight?.value
        guard failure == nil, let builder = lanes[partition]?.builder, builder.recordCount > 0
        else { return }
        lanes[partition]?.builder = nil
        let sequence = lanes[partition]?.sequence ?? 0
        lanes[partition]?.sequence = RecordBatchHeader.advance(
            sequence: sequence, by: builder.recordCount)
        lanes[partition]?.inFlight = Task { await self.deliver(builder, to: partition) }
    }

    private func deliver(_ builder: RecordBatchBuilder, to partition: Int32) async {
        let batch = builder.finish()
        let request = ProduceRequest(
            acks: acks.rawValue, timeoutMilliseconds: Int32(clamping: timeoutMilliseconds),
            topics: [
                .init(name: topic, partitions: [.init(index: partition, records: batch)])
            ])
        let target = KafkaClient.Target.leader(topic: topic, partition: partition)
        do {
            if acks == .none {
                try await client.connection(to: target).sendUnanswered(request)
            } else {
                let response = try await client.send(
                    request, to: target, timeoutMilliseconds: timeoutMilliseconds,
                    retryingUnless: Self.check(topic: topic))
                let offset = response.topics.first?.partitions.first?.baseOffset ?? -1
                progress.lastOffsets[partition] = offset + Int64(builder.recordCount) - 1
            }
            progress.records += Int(builder.recordCount)
            progress.bytes += batch.readableBytes
        } catch {
            failure = failure ?? error
        }
    }

    private static func check(
        topic: String
    ) -> @Sendable (ProduceResponse) throws(ClientError) -> Void {
        { response throws(ClientError) in
            for row in response.topics.flatMap(\.partitions) {
                // A duplicate is a retry whose first attempt had arrived: success.
                if row.errorCode == .none || row.errorCode == .duplicateSequenceNumber { continue }
                let reason = row.recordErrors.first?.batchIndexErrorMessage
                throw .refused(
                    row.errorCode, subject: "partition \(topic)/\(row.index)",
                    message: row.errorMessage ?? reason)
            }
        }
    }

    /// Metadata of the topic; a topic that is being created needs a moment.
    private func findTopic() async throws(ClientError) -> MetadataResponse.Topic {
        var pause = client.configuration.backoffMilliseconds
        for attempt in 1... {
            let response = try await client.metadata(topics: [topic], allowsCreation: true)
            guard let found = response.topics.first(where: { $0.name == topic }) else { break }
            let isReady = !found.partitions.isEmpty && found.errorCode == .none
            if isReady { return found }
            let error = ClientError.refused(
                found.errorCode, subject: "topic \(topic)", message: nil)
            let mayCome = found.errorCode == .none || found.errorCode.isRetriable
            guard mayCome, attempt < client.configuration.attempts else { throw error }
            do {
                try await Task.sleep(for: .milliseconds(pause))
            } catch {
                break
            }
            pause = min(pause * 2, 1_000)
        }
        throw .refused(.unknownTopicOrPartition, subject: "topic \(topic)", message: nil)
    }

    private func identify() async throws(ClientError) {
        do {
            let response = try await client.send(
                InitProducerIDRequest(transactionTimeoutMilliseconds: 60_000),
                retryingUnless: { response throws(ClientError) in
                    guard response.errorCode == .none else {
                        throw .refused(response.errorCode, subject: "producer id", message: nil)
                    }
                })
            identity = (
                ProducerID(response.producerID), ProducerEpoch(response.producerEpoch)
            )
        } catch .unsupported {
            identity = (.none, .none)
        }
    }
}
