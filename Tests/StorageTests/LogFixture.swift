import Model
import NIOCore
import Simulation
import Storage

/// A log on a simulated disk, with the clock and the batches that tests need.
struct LogFixture {
    let disk: SimulatedDisk
    var configuration = LogConfiguration()
    var now = Now(
        instant: Instant(nanoseconds: 1_000_000_000),
        wall: Timestamp(milliseconds: 1_700_000_000_000))

    init(seed: UInt64 = 1) { disk = SimulatedDisk(seed: seed) }

    init(disk: SimulatedDisk) { self.disk = disk }

    func open(
        clean: Bool = false, tail: TailCache = TailCache(budgetBytes: 1 << 20)
    ) throws -> (log: PartitionLog, report: RecoveryReport) {
        try PartitionLog.open(
            directory: "p0", disk: disk, files: FileHandleCache(capacity: 4), tail: tail,
            configuration: configuration, cleanShutdown: clean, now: now)
    }

    mutating func advance(milliseconds: Int64) {
        now = Now(
            instant: now.instant.advanced(byMilliseconds: milliseconds),
            wall: Timestamp(milliseconds: now.wall.milliseconds + milliseconds))
    }

    /// A batch of a client: values as given, keys where given.
    func batch(
        _ values: [String], keys: [String?]? = nil, producer: Int64 = -1, epoch: Int16 = -1,
        sequence: Int32 = -1, timestamp: Int64? = nil
    ) -> ByteBuffer {
        var builder = RecordBatchBuilder(
            producerID: ProducerID(producer), producerEpoch: ProducerEpoch(epoch),
            baseSequence: sequence)
        for (index, value) in values.enumerated() {
            builder.append(
                key: keys?[index].map { ByteBuffer(string: $0) },
                value: ByteBuffer(string: value),
                timestamp: Timestamp(milliseconds: timestamp ?? now.wall.milliseconds))
        }
        return builder.finish()
    }
}

extension PartitionLog {
    /// Appends as a client under epoch 0.
    @discardableResult
    mutating func append(_ batch: ByteBuffer, now: Now) throws -> AppendOutcome {
        try append(batch, leaderEpoch: LeaderEpoch(0), origin: .client, now: now)
    }

    mutating func flush() throws {
        while let task = beginFlush() {
            do {
                try task.run()
                completeFlush(task)
            } catch {
                failFlush(task, error)
                throw error
            }
        }
    }

    /// All records from `offset` to the end, through `read`.
    mutating func records(from offset: Offset? = nil) throws -> [Record] {
        var next = offset ?? startOffset
        var records: [Record] = []
        while next < endOffset {
            let bytes: ByteBuffer
            switch try read(from: next, below: endOffset, maxBytes: 4096, atLeastOne: true) {
            case .empty: return records
            case .memory(let buffer): bytes = buffer
            case .file(let slice): bytes = try slice.read()
            }
            let before = next
            var cursor = RecordBatchCursor(bytes, strictness: .checksum)
            while let batch = try? cursor.next() {
                let slice = bytes.getSlice(at: batch.start, length: batch.header.totalBytes)!
                var reader = try RecordBatchContents(slice, header: batch.header).reader
                while let record = try reader.next() {
                    if record.offset >= next { records.append(record) }
                }
                next = max(next, batch.header.lastOffset.advanced(by: 1))
            }
            // A bad batch, or one cut short though it is the first.
            guard next > before else { throw ReadError.corrupt(segment: before, position: 0) }
        }
        return records
    }

    mutating func values() throws -> [String] {
        try records().map { $0.value.map { String(buffer: $0) } ?? "null" }
    }
}
