public import Model
public import NIOCore
import Replication
public import Storage

/// Work of a shard that may block: run on a disk thread, its outcome given back as an input.
public enum DiskJob: Sendable {
    case open(PartitionOrder)
    case flush(TopicPartition, FlushTask)
    case delete(TopicPartition, DeletionTask, [DeletionWish])
    case compact(TopicPartition, CompactionTask)
    case close(TopicPartition, PartitionLog)
    case erase(TopicPartition)
    /// Cut a log that is handed over, and hand it back.
    case cut(TopicPartition, PartitionLog, LogCut)
    /// Read records for a follower that is behind.
    case read(ReplicaRead)

    /// Whether nobody waits for it: it may take long and must not hold up what somebody waits for.
    public var isMaintenance: Bool {
        switch self {
        case .compact, .erase: true
        case .delete(_, _, let wishes): wishes.isEmpty
        case .open, .flush, .close, .cut, .read: false
        }
    }

    /// Does the work. Blocks; touches no state of the shard.
    public func run(on disk: any Disk, files: FileHandleCache, tail: TailCache, now: Now)
        -> DiskOutcome
    {
        switch self {
        case .open(let order):
            return .opened(order, Self.open(order, disk: disk, files: files, tail: tail, now: now))
        case .flush(let id, let task):
            do throws(DiskError) {
                try task.run()
                return .flushed(id, task, nil)
            } catch { return .flushed(id, task, error) }
        case .delete(let id, let task, let wishes):
            do throws(DiskError) {
                try task.run()
                return .deleted(id, task, wishes, nil)
            } catch { return .deleted(id, task, wishes, error) }
        case .compact(let id, let task):
            do throws(CompactionError) {
                return .compacted(id, task, .success(try task.run()))
            } catch { return .compacted(id, task, .failure(error)) }
        case .close(let id, var log):
            do throws(DiskError) {
                try log.close()
                return .closed(id, nil)
            } catch { return .closed(id, error) }
        case .cut(let id, var log, let cut):
            do throws(TruncationError) {
                let report: RecoveryReport
                switch cut {
                case .truncate(let offset): report = try log.truncate(to: offset, now: now)
                case .restart(let offset): report = try log.restart(at: offset, now: now)
                }
                return .cut(id, .success(OpenedLog(log: log, report: report)))
            } catch { return .cut(id, .failure(error)) }
        case .read(let read):
            do throws(DiskError) {
                return .read(read, .success(try read.slice.read()))
            } catch { return .read(read, .failure(.storage(error))) }
        case .erase(let id):
            return .erased(id, Self.erase(PartitionOrder.directory(of: id), on: disk))
        }
    }

    static func open(
        _ order: PartitionOrder, name: DirectoryName = .unknown, disk: any Disk,
        files: FileHandleCache, tail: TailCache,
        now: Now
    ) -> Result<OpenedLog, StorageError> {
        if name == .unknown {
            do throws(DiskError) {
                try makeTopicDirectory(of: order.partition.topic, on: disk)
            } catch { return .failure(.disk(error)) }
        }
        do throws(StorageError) {
            var configuration = LogConfiguration(order.configuration)
            configuration.rules = order.rules
            var (log, report) = try PartitionLog.open(
                directory: PartitionOrder.directory(of: order.partition), disk: disk, files: files,
                tail: tail, configuration: configuration, cleanShutdown: order.cleanStart,
                name: name, now: now)
            if order.configuration.durability == .sync, order.rules.recoveredSynced {
                synchronize(&log)
            }
            return .success(OpenedLog(log: log, report: report))
        } catch { return .failure(error) }
    }

    /// What recovery found may be in the page cache alone. It is synced before anybody reads it:
    /// else the high watermark would begin below what was acknowledged, consumers would see the end
    /// go back, and groups would be loaded without their last offsets.
    private static func synchronize(_ log: inout PartitionLog) {
        while log.flushedOffset < log.endOffset, let task = log.beginFlush() {
            do throws(DiskError) {
                try task.run()
                log.completeFlush(task)
            } catch { log.failFlush(task, error) }
        }
    }

    /// The topic's directory has to survive a crash before a partition in it can.
    static func makeTopicDirectory(
        of topic: TopicID, on disk: any Disk
    ) throws(DiskError) {
        let directory = PartitionOrder.topicDirectory(of: topic)
        guard !disk.exists(directory) else { return }
        try disk.makeDirectory("logs")
        try disk.synchronizeDirectory("", .partitionDirectory)
        try disk.makeDirectory(directory)
        try disk.synchronizeDirectory("logs", .partitionDirectory)
    }

    private static func erase(_ directory: String, on disk: any Disk) -> DiskError? {
        do throws(DiskError) {
            for name in try disk.list(directory) { try disk.remove("\(directory)/\(name)") }
            try disk.remove(directory)
        } catch .notFound {
            return nil
        } catch { return error }
        // The topic's directory goes with its last partition; until then it is not empty.
        if let slash = directory.lastIndex(of: "/") {
            try? disk.remove(String(directory[..<slash]))
        }
        return nil
    }
}

/// A log as the disk thread hands it over: nobody else holds it.
public struct OpenedLog: Sendable {
    let log: PartitionLog
    public let report: RecoveryReport
}

/// What became of a `DiskJob`.
public enum DiskOutcome: Sendable {
    case opened(PartitionOrder, Result<OpenedLog, StorageError>)
    case flushed(TopicPartition, FlushTask, DiskError?)
    case deleted(TopicPartition, DeletionTask, [DeletionWish], DiskError?)
    case compacted(TopicPartition, CompactionTask, Result<CompactionResult, CompactionError>)
    case closed(TopicPartition, DiskError?)
    case erased(TopicPartition, DiskError?)
    case cut(TopicPartition, Result<OpenedLog, TruncationError>)
    case read(ReplicaRead, Result<ByteBuffer, ReadError>)
}

/// What a follower's log is made to be, so that it agrees with its leader's.
public enum LogCut: Hashable, Sendable {
    case truncate(to: Offset)
    /// Nothing is left, and the log begins there.
    case restart(at: Offset)
}

/// A piece of a log that a follower lacks and that is not in memory.
public struct ReplicaRead: Sendable {
    let partition: TopicPartition
    let follower: NodeID
    let session: AttachSession
    let from: Offset
    let slice: LogSlice
}

extension LogConfiguration {
    /// What Kafka's names amount to for a log.
    init(_ topic: TopicConfiguration) {
        self.init()
        segmentBytes = topic.integer("segment.bytes")
        segmentMilliseconds = topic.integer("segment.ms")
        indexIntervalBytes = topic.integer("index.interval.bytes")
        retentionBytes = topic.integer("retention.bytes")
        retentionMilliseconds = topic.integer("retention.ms")
        cleanupPolicy = []
        if topic.isDeleted { cleanupPolicy.insert(.delete) }
        if topic.isCompacted { cleanupPolicy.insert(.compact) }
        maxMessageBytes = Int(topic.integer("max.message.bytes"))
        timestampType = topic.stampsAtAppend ? .logAppend : .create
        deleteRetentionMilliseconds = topic.integer("delete.retention.ms")
        minCleanableDirtyRatio = topic.fraction("min.cleanable.dirty.ratio")
        minCompactionLagMilliseconds = topic.integer("min.compaction.lag.ms")
        maxCompactionLagMilliseconds = topic.integer("max.compaction.lag.ms")
        timestampBeforeMaxMilliseconds = topic.integer("message.timestamp.before.max.ms")
        timestampAfterMaxMilliseconds = topic.integer("message.timestamp.after.max.ms")
    }
}
