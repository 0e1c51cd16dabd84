import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage

/// A shard over a simulated disk, in virtual time; its disk jobs run when a test says so.
struct ShardBench {
    let disk: SimulatedDisk
    let files = FileHandleCache(capacity: 64)
    let tail: TailCache
    var shard: Shard
    var now = Now(
        instant: Instant(nanoseconds: 1_000_000_000),
        wall: Timestamp(milliseconds: 1_700_000_000_000))
    /// Jobs that were asked for and not run, in order.
    var jobs: [DiskJob] = []
    /// Everything said since the last `take`, but for jobs.
    var effects: [Shard.Effect] = []

    init(seed: UInt64 = 1) { self.init(disk: SimulatedDisk(seed: seed)) }

    init(disk: SimulatedDisk) {
        self.disk = disk
        tail = TailCache(budgetBytes: 1 << 20)
        shard = Shard(disk: disk, files: files, tail: tail)
    }

    // MARK: Driving

    mutating func handle(_ input: Shard.Input) {
        var said: [Shard.Effect] = []
        shard.handle(input, now: now, into: &said)
        for effect in said {
            if case .run(let job) = effect { jobs.append(job) } else { effects.append(effect) }
        }
    }

    /// Runs the oldest job and tells the shard; `jobs` may hold what follows from it.
    mutating func runJob() {
        let job = jobs.removeFirst()
        handle(.finished(job.run(on: disk, files: files, tail: tail, now: now)))
    }

    mutating func runJobs() { while !jobs.isEmpty { runJob() } }

    mutating func advance(milliseconds: Int64) {
        now = Now(
            instant: now.instant.advanced(byMilliseconds: milliseconds),
            wall: Timestamp(milliseconds: now.wall.milliseconds + milliseconds))
    }

    func deadline(_ milliseconds: Int64) -> Instant {
        now.instant.advanced(byMilliseconds: milliseconds)
    }

    /// What was said since the last call.
    mutating func take() -> [Shard.Effect] {
        defer { effects = [] }
        return effects
    }

    // MARK: Partitions

    static func partition(_ index: Int32, topic: UInt64 = 7) -> TopicPartition {
        TopicPartition(topic: TopicID(high: 1, low: topic), index: PartitionIndex(index))
    }

    static func order(
        _ id: TopicPartition, _ overrides: [String: String] = [:], epoch: Int32 = 3,
        clean: Bool = true
    ) -> PartitionOrder {
        let node = NodeID(1)
        return PartitionOrder(
            partition: id,
            configuration: TopicConfiguration(overrides: overrides, broker: [:]),
            role: .alone(
                Leadership(
                    leader: node, epoch: LeaderEpoch(epoch), replicas: [node],
                    inSyncReplicas: [node])),
            cleanStart: clean)
    }

    /// Opens a partition and forgets what was said about it.
    mutating func open(
        _ id: TopicPartition, _ overrides: [String: String] = [:], epoch: Int32 = 3,
        clean: Bool = true
    ) {
        handle(.open(Self.order(id, overrides, epoch: epoch, clean: clean)))
        runJobs()
        effects = []
    }

    // MARK: Requests

    func batch(
        _ values: [String], producer: Int64 = -1, sequence: Int32 = -1, keys: [String?]? = nil
    ) -> ByteBuffer {
        var builder = RecordBatchBuilder(
            producerID: ProducerID(producer), producerEpoch: ProducerEpoch(producer < 0 ? -1 : 0),
            baseSequence: sequence)
        for (index, value) in values.enumerated() {
            builder.append(
                key: keys?[index].map { ByteBuffer(string: $0) }, value: ByteBuffer(string: value),
                timestamp: now.wall)
        }
        return builder.finish()
    }

    mutating func produce(
        _ token: UInt64, _ parts: [(TopicPartition, ByteBuffer)],
        _ acknowledgement: Acknowledgement = .all, timeout: Int64 = 1_000
    ) {
        handle(
            .produce(
                ProduceWork(
                    token: token, acknowledgement: acknowledgement, deadline: deadline(timeout),
                    origin: .client,
                    parts: parts.map { ProduceWork.Part(partition: $0.0, records: $0.1) })))
    }

    func part(
        _ id: TopicPartition, from offset: Int64 = 0, epoch: Int32 = -1, lastFetched: Int32 = -1,
        maxBytes: Int = 1 << 20
    ) -> FetchWork.Part {
        FetchWork.Part(
            partition: id, offset: Offset(offset), currentLeaderEpoch: LeaderEpoch(epoch),
            lastFetchedEpoch: LeaderEpoch(lastFetched), maxBytes: maxBytes)
    }

    mutating func fetch(
        _ token: UInt64, _ parts: [FetchWork.Part], minBytes: Int = 1, maxBytes: Int = 1 << 20,
        wait: Int64 = 0
    ) {
        handle(
            .fetch(
                FetchWork(
                    token: token, minBytes: minBytes, maxBytes: maxBytes, deadline: deadline(wait),
                    parts: parts)))
    }

    mutating func ask(_ token: UInt64, _ questions: [(TopicPartition, PartitionQuestion)]) {
        handle(.ask(token: token, questions))
    }
}

extension [Shard.Effect] {
    var produced: [(token: UInt64, results: [ProduceResult])] {
        compactMap {
            if case .produced(let token, let results) = $0 { (token, results) } else { nil }
        }
    }

    var fetched: [(token: UInt64, results: [FetchResult])] {
        compactMap {
            if case .fetched(let token, let results) = $0 { (token, results) } else { nil }
        }
    }

    var answered: [(token: UInt64, answers: [PartitionAnswer])] {
        compactMap {
            if case .answered(let token, let answers) = $0 { (token, answers) } else { nil }
        }
    }

    var wakes: [Instant] {
        compactMap { if case .wake(let moment) = $0 { moment } else { nil } }
    }

    var stopped: [Bool] {
        compactMap { if case .stopped(let clean) = $0 { clean } else { nil } }
    }

    var opened: [(partition: TopicPartition, failure: String?)] {
        compactMap { if case .opened(let id, let failure) = $0 { (id, failure) } else { nil } }
    }

    var notices: [ShardNotice] {
        compactMap { if case .notice(let notice) = $0 { notice } else { nil } }
    }
}

extension LogRead {
    /// The bytes, wherever they are.
    func bytes() throws -> ByteBuffer {
        switch self {
        case .empty: ByteBuffer()
        case .memory(let bytes): bytes
        case .file(let slice): try slice.read()
        }
    }

    /// Every whole record.
    func records() throws -> [Record] {
        let bytes = try bytes()
        var cursor = RecordBatchCursor(bytes, strictness: .checksum)
        var records: [Record] = []
        while let batch = try? cursor.next() {
            let payload = bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength)
            var reader = RecordReader(payload: payload ?? ByteBuffer(), header: batch.header)
            while let record = try reader.next() { records.append(record) }
        }
        return records
    }

    func values() throws -> [String] {
        try records().map { $0.value.map { String(buffer: $0) } ?? "null" }
    }
}
