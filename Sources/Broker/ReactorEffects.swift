import Compression
import Coordination
import Model
import NIOCore
import Node
import Storage

extension Reactor {
    /// Does what the shard says; the only place where its effects meet the outside.
    func perform(_ effect: Shard.Effect) {
        switch effect {
        case .produced(let token, let results): answer(token, .produced(results))
        case .fetched(let token, let results): answer(token, .fetched(results))
        case .answered(let token, let answers): answer(token, .answered(answers))
        case .run(let job): run(job)
        case .wake(let moment): wake(at: moment, .shard(.wake))
        case .opened(let partition, let failure):
            post(.control(.opened(partition, failure: failure)), to: 0)
        case .scanned(let partition, let pieces): read(partition, pieces)
        case .notice(let notice): events.report(notice)
        case .stopped(let clean): shared.stops[index].succeed(clean)
        }
    }

    /// Does what the control machine says.
    func perform(_ effect: Control.Effect) {
        switch effect {
        case .persist(let number, let changes): persist(number, changes)
        case .open(let order):
            post(.shard(.open(order)), to: shardIndex(of: order.partition))
        case .close(let partition):
            post(.shard(.close(partition, delete: true)), to: shardIndex(of: partition))
        case .configure(let partition, let configuration):
            post(
                .shard(.configure(partition, configuration)), to: shardIndex(of: partition))
        case .publish(let view):
            for target in shared.mailboxes.indices { post(.view(view), to: target) }
        case .reply(let token, let reply): answer(token, .control(reply))
        case .append(let number, let partition, let records):
            append(number, partition, records)
        case .load(let partition):
            post(.shard(.scan(partition)), to: shardIndex(of: partition))
        case .wake(let moment): wake(at: moment, .control(.wake))
        case .ready(let failures): shared.ready.succeed(failures)
        }
    }

    private func run(_ job: DiskJob) {
        let shared = shared
        let index = index
        shared.diskThreads.submit { state in
            guard case .active = state else { return }
            let outcome = job.run(
                on: shared.disk, files: shared.files, tail: shared.tail[index], now: Clock.now())
            shared.mailboxes[index].post(.shard(.finished(outcome)))
        }
    }

    private func persist(_ number: UInt64, _ changes: [TableChange]) {
        let shared = shared
        let index = index
        shared.table.write(changes) { failure in
            shared.mailboxes[index].post(.control(.persisted(number, failure: failure)))
        }
    }

    private func append(_ number: UInt64, _ partition: TopicPartition, _ records: ByteBuffer) {
        let token = expect { [unowned self] answer in
            guard case .produced(let results) = answer, let result = results.first else { return }
            self.post(.control(.appended(number, result)), to: 0)
        }
        let work = ProduceWork(
            token: token, acknowledgement: .all,
            deadline: now.instant.advanced(byMilliseconds: Control.appendTimeoutMilliseconds),
            origin: .coordinator,
            parts: [ProduceWork.Part(partition: partition, records: records)])
        post(.shard(.produce(work)), to: shardIndex(of: partition))
    }

    /// Reads a slot's batches on a disk thread and gives their records to the coordinator.
    private func read(_ partition: TopicPartition, _ pieces: [LogRead]) {
        let shared = shared
        shared.diskThreads.submit { state in
            guard case .active = state else { return }
            let (records, failure) = SlotReader.records(of: pieces)
            if let failure { shared.events.slotUnreadable(partition, failure) }
            shared.mailboxes[0].post(.control(.loaded(partition, records)))
        }
    }
}

/// Reads the records of a slot out of its batches.
enum SlotReader {
    /// The records in order; where a batch can't be read, those before it and the reason. A batch
    /// that is compressed was not written by a coordinator and is decompressed all the same.
    static func records(of pieces: [LogRead]) -> ([SlotRecord], failure: String?) {
        var records: [SlotRecord] = []
        for piece in pieces {
            do {
                var cursor = RecordBatchCursor(try bytes(of: piece))
                while let batch = try cursor.next() {
                    try collect(batch, into: &records)
                }
            } catch {
                return (records, String(describing: error))
            }
        }
        return (records, nil)
    }

    private static func collect(
        _ batch: RecordBatch, into records: inout [SlotRecord]
    ) throws {
        guard !batch.header.isControl else { return }
        var reader = RecordReader(try Compression.records(of: batch))
        while let record = try reader.next() {
            guard let key = record.key else { continue }
            records.append(SlotRecord(key: key, value: record.value))
        }
    }

    private static func bytes(of piece: LogRead) throws(DiskError) -> ByteBuffer {
        switch piece {
        case .empty: return ByteBuffer()
        case .memory(let bytes): return bytes
        case .file(let slice):
            var bytes = ByteBuffer()
            _ = try slice.file.read(at: slice.position, length: slice.length, into: &bytes)
            return bytes
        }
    }
}
