public import Model
internal import NIOCore

/// Brings a log to the device up to an offset; a value that a disk thread runs.
///
/// One fsync serves every append before it (group commit). Order: bytes of each segment, directory
/// entries, and only then the summaries and snapshots that recovery will believe.
public struct FlushTask: Sendable {
    /// Everything below is on the device once the task has run.
    public let endOffset: Offset
    let directory: String
    let disk: any Disk
    let files: FileHandleCache
    let number: UInt64
    let parts: [Part]

    /// What one segment needs.
    struct Part: Sendable {
        let baseOffset: Offset
        /// Held, so that the segment may be deleted meanwhile.
        let file: (any DiskFile)?
        let size: Int64
        let needsData: Bool
        let needsLink: Bool
        /// What is written once a sealed segment is on the device.
        let seal: Seal?
    }

    /// The files that vouch for a sealed segment.
    struct Seal: Sendable {
        let summary: ByteBuffer
        let snapshot: ByteBuffer
        let snapshotOffset: Offset
    }

    /// Blocks for as long as the device takes.
    public func run() throws(DiskError) {
        for part in parts where part.needsData {
            if let file = part.file {
                try file.synchronize(.segmentData)
                continue
            }
            let directory = directory
            let disk = disk
            let file = try files.file(
                for: FileKey(log: number, baseOffset: part.baseOffset.rawValue)
            ) { () throws(DiskError) in
                try disk.open(LogFile.log(part.baseOffset).path(in: directory), .readWrite)
            }
            try file.synchronize(.segmentData)
        }
        if parts.contains(where: \.needsLink) {
            try disk.synchronizeDirectory(directory, .segmentDirectory)
        }
        for part in parts {
            guard let seal = part.seal else { continue }
            try write(seal.summary, to: .index(part.baseOffset))
            try write(seal.snapshot, to: .snapshot(seal.snapshotOffset))
        }
        if parts.contains(where: { $0.seal != nil }) { try removeOldSnapshots() }
    }

    /// Two stay: the newest, and one more in case it is torn.
    private func removeOldSnapshots() throws(DiskError) {
        let names = try disk.list(directory).filter { name in
            if case .snapshot = LogFile(name: name) { true } else { false }
        }
        for name in names.dropLast(2) { try disk.removeIfPresent(directory + "/" + name) }
    }

    private func write(_ content: ByteBuffer, to name: LogFile) throws(DiskError) {
        let file = try disk.open(name.path(in: directory), .replace)
        try file.write(at: 0, head: content, body: ByteBuffer())
    }
}

extension PartitionLog {
    /// What has to be done so that everything appended until now survives a crash; nil where
    /// nothing has, where a flush is running already, or where the log takes no writes.
    public mutating func beginFlush() -> FlushTask? {
        guard !flushInFlight, refusal == nil else { return nil }
        var parts: [FlushTask.Part] = []
        for segment in segments.reversed() {
            let pending = pendingSeals.first { $0.baseOffset == segment.baseOffset }
            let needsData = segment.flushedSize < segment.size
            // Segments before the first that is whole on the device are so too.
            guard needsData || pending != nil else {
                if segment.size > 0, pendingSeals.isEmpty { break }
                continue
            }
            var seal: FlushTask.Seal?
            if let pending, let index = segment.index {
                seal = FlushTask.Seal(
                    summary: SegmentSummary(segment: segment, index: index).encode(),
                    snapshot: pending.snapshot, snapshotOffset: pending.snapshotOffset)
            }
            parts.append(
                FlushTask.Part(
                    baseOffset: segment.baseOffset,
                    file: try? file(of: segment.baseOffset, .readWrite), size: segment.size,
                    needsData: needsData,
                    needsLink: !segment.isLinked, seal: seal))
        }
        guard !parts.isEmpty else { return nil }
        flushInFlight = true
        unflushedSince = nil
        return FlushTask(
            endOffset: endOffset, directory: directory, disk: disk, files: files, number: number,
            parts: parts.reversed())
    }

    /// The task has run: what it covered is durable.
    public mutating func completeFlush(_ task: FlushTask) {
        flushInFlight = false
        for part in task.parts {
            guard let index = segments.firstIndex(where: { $0.baseOffset == part.baseOffset })
            else { continue }
            segments[index].flushedSize = max(segments[index].flushedSize, part.size)
            segments[index].isLinked = true
            if part.seal != nil {
                segments[index].index = nil
                pendingSeals.removeAll { $0.baseOffset == part.baseOffset }
            }
        }
        flushedOffset = max(flushedOffset, task.endOffset)
    }

    /// The task failed. The kernel may have dropped the dirty pages and will report the next fsync
    /// as a success, so the log takes no more writes until it is opened, and scanned, anew.
    public mutating func failFlush(_ task: FlushTask, _ error: DiskError) {
        flushInFlight = false
        refusal = .flushFailed(error)
    }

    /// Whether `flush.messages` or `flush.ms` ask for a flush now.
    public func isFlushDue(now: Now) -> Bool {
        if wantsSeal { return true }
        guard let since = unflushedSince else { return false }
        if endOffset.rawValue - flushedOffset.rawValue >= configuration.flushMessages {
            return true
        }
        return now.instant.milliseconds(since: since) >= configuration.flushMilliseconds
    }
}
