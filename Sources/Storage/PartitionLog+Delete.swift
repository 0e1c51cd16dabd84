public import Model
internal import NIOCore

/// Moves a log's start and removes the segments before it; a value that a disk thread runs.
///
/// The new start is durable before the first file goes, so a crash in between leaves whole segments
/// that the next opening removes, never a hole.
public struct DeletionTask: Sendable {
    public let startOffset: Offset
    /// How many segments go.
    public var segmentCount: Int { segments.count }
    let directory: String
    let disk: any Disk
    let files: FileHandleCache
    let number: UInt64
    let segments: [Offset]
    /// Producers as of the end of the last segment that goes, if no flush has written them yet.
    let snapshot: (offset: Offset, content: ByteBuffer)?

    /// Blocks for an fsync and the removals.
    public func run() throws(DiskError) {
        if !segments.isEmpty { try secureSnapshot() }
        try disk.replaceDurably(
            LogFile.start.path(in: directory), in: directory,
            content: LogStartFile.encode(startOffset), file: .startFile,
            directory: .startDirectory)
        for segment in segments {
            files.forget(FileKey(log: number, baseOffset: segment.rawValue))
            try disk.removeIfPresent(LogFile.log(segment).path(in: directory))
            try disk.removeIfPresent(LogFile.index(segment).path(in: directory))
        }
    }

    /// From now on the snapshot is the only source of what the producers wrote last.
    private func secureSnapshot() throws(DiskError) {
        if let snapshot {
            let path = LogFile.snapshot(snapshot.offset).path(in: directory)
            let file = try disk.open(path, .replace)
            try file.write(at: 0, head: snapshot.content, body: ByteBuffer())
            try file.synchronize(.deletionSnapshot)
            return
        }
        for name in try disk.list(directory) {
            guard case .snapshot = LogFile(name: name) else { continue }
            try disk.open(directory + "/" + name, .readWrite).synchronize(.deletionSnapshot)
        }
    }
}

extension PartitionLog {
    /// Makes `offset` the first that can be read (DeleteRecords); at most the log's end.
    ///
    /// Takes effect at once in memory; the answer must wait until the task has run. nil where the
    /// log begins there or later already, or while another deletion runs.
    public mutating func deleteRecords(before offset: Offset) -> DeletionTask? {
        guard offset > durableStart, offset <= endOffset, !deletionInFlight, !compactionInFlight
        else { return nil }
        if offset == endOffset { roll() }
        return beginDeletion(newStart: max(offset, startOffset))
    }

    /// Lets go what the topic's retention by time and size no longer asks for.
    ///
    /// Whole segments only, oldest first, none that reaches above `limit` (the high-water mark).
    /// Also forgets producers that wrote nothing for long. nil where nothing is due.
    public mutating func applyRetention(now: Now, upTo limit: Offset) -> DeletionTask? {
        producers.expire(
            now: now.wall, after: configuration.producerExpirationMilliseconds)
        guard configuration.cleanupPolicy.contains(.delete), !deletionInFlight,
            !compactionInFlight
        else { return nil }
        var excess: Int64 = 0
        if configuration.retentionBytes >= 0 {
            excess = sizeInBytes - configuration.retentionBytes
        }
        var newStart = startOffset
        for segment in segments where segment.size > 0 && segment.nextOffset <= limit {
            let isOverSize = configuration.retentionBytes >= 0 && excess >= segment.size
            guard isOverSize || isExpired(segment, now: now) || segment.nextOffset <= startOffset
            else { break }
            excess -= segment.size
            newStart = max(newStart, segment.nextOffset)
        }
        let isUnfinished = durableStart < startOffset || !pendingRemovals.isEmpty
        guard
            newStart > startOffset || isUnfinished
                || segments[0].nextOffset <= startOffset && segments.count > 1
        else { return nil }
        if newStart == endOffset { roll() }
        return beginDeletion(newStart: newStart)
    }

    private func isExpired(_ segment: Segment, now: Now) -> Bool {
        guard configuration.retentionMilliseconds >= 0 else { return false }
        // Where clients give no time, that of the last append decides.
        let newest =
            segment.maxTimestamp.milliseconds >= 0 ? segment.maxTimestamp : segment.lastAppend
        let (age, overflow) = now.wall.milliseconds.subtractingReportingOverflow(
            newest.milliseconds)
        return !overflow && age > configuration.retentionMilliseconds
    }

    private mutating func beginDeletion(newStart: Offset) -> DeletionTask {
        var removed = pendingRemovals
        pendingRemovals = []
        var snapshot: (offset: Offset, content: ByteBuffer)?
        while segments.count > 1, segments[0].nextOffset <= newStart,
            segments[1].baseOffset <= newStart
        {
            let base = segments[0].baseOffset
            removed.append(base)
            if let seal = pendingSeals.first(where: { $0.baseOffset == base }) {
                snapshot = (seal.snapshotOffset, seal.snapshot)
            }
            pendingSeals.removeAll { $0.baseOffset == base }
            segments.removeFirst()
        }
        startOffset = newStart
        flushedOffset = max(flushedOffset, newStart)
        epochs.trim(before: newStart)
        deletionInFlight = true
        return DeletionTask(
            startOffset: newStart, directory: directory, disk: disk, files: files,
            number: number, segments: removed, snapshot: snapshot)
    }

    /// The task has run.
    public mutating func completeDeletion(_ task: DeletionTask) {
        deletionInFlight = false
        durableStart = max(durableStart, task.startOffset)
    }

    /// The task failed: the start stays moved, and the next deletion or retention does what this
    /// one did not.
    public mutating func failDeletion(_ task: DeletionTask, _ error: DiskError) {
        deletionInFlight = false
        pendingRemovals = task.segments
    }
}
