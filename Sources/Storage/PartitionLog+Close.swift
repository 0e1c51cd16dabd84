public import Model
internal import NIOCore

/// Why a log could not be cut.
public enum TruncationError: Error, Hashable, Sendable {
    /// A flush, deletion or compaction runs; try again when it is done.
    case busy
    case disk(DiskError)
    /// A batch in the way cannot be read.
    case read(ReadError)
}

extension PartitionLog {
    /// Flushes, and writes the summaries that let the next opening trust everything; for a disk
    /// thread, when no task runs. The log takes no more writes.
    public mutating func close() throws(DiskError) {
        defer {
            tail.remove(log: number)
            for segment in segments {
                files.forget(FileKey(log: number, baseOffset: segment.baseOffset.rawValue))
            }
            if refusal == nil { refusal = .closed }
        }
        guard refusal == nil else { return }
        while let task = beginFlush() {
            do throws(DiskError) {
                try task.run()
            } catch {
                failFlush(task, error)
                throw error
            }
            completeFlush(task)
        }
        guard active.size > 0, let index = active.index else { return }
        try write(
            SegmentSummary(segment: active, index: index).encode(), to: .index(active.baseOffset))
        let snapshot = LogSnapshot(offset: endOffset, epochs: epochs, producers: producers)
        try write(snapshot.encode(), to: .snapshot(endOffset))
    }

    private func write(_ content: ByteBuffer, to name: LogFile) throws(DiskError) {
        let file = try disk.open(name.path(in: directory), .replace)
        try file.write(at: 0, head: content, body: ByteBuffer())
    }

    /// Removes everything from `offset` on, whole batches: what a new leader does not have
    /// (KIP-101). Blocks for an fsync: for a disk thread, or rarely.
    ///
    /// Summaries and snapshots that vouch for what goes are removed durably first, so that a crash
    /// in between looks like a lost tail and not like damage; afterwards the log is opened anew,
    /// so that producers and epochs are those of what is left.
    public mutating func truncate(
        to offset: Offset, now: Now
    ) throws(TruncationError) -> RecoveryReport {
        guard !flushInFlight, !deletionInFlight, !compactionInFlight else { throw .busy }
        guard offset < endOffset else { return RecoveryReport() }
        let keep = max(offset, startOffset)
        let at = segmentIndex(holding: keep)
        let position: Int64
        do throws(ReadError) {
            position = try self.position(of: keep, in: segments[at])
        } catch {
            throw .read(error)
        }
        do throws(DiskError) {
            try forgetTrust(above: keep, from: at)
            let behind = segments[(at + 1)...]
            for segment in behind {
                files.forget(FileKey(log: number, baseOffset: segment.baseOffset.rawValue))
                try disk.removeIfPresent(LogFile.log(segment.baseOffset).path(in: directory))
            }
            if !behind.isEmpty { try disk.synchronizeDirectory(directory, .droppedDirectory) }
            if segments[at].size > 0 {
                try file(of: segments[at].baseOffset, .readWrite).truncate(to: position)
                files.forget(FileKey(log: number, baseOffset: segments[at].baseOffset.rawValue))
            }
        } catch {
            throw .disk(error)
        }
        tail.remove(log: number)
        do throws(StorageError) {
            let (log, report) = try PartitionLog.open(
                directory: directory, disk: disk, files: files, tail: tail,
                configuration: configuration, cleanShutdown: false, now: now)
            self = log
            return report
        } catch {
            switch error {
            case .disk(let failure): throw .disk(failure)
            }
        }
    }

    /// Where the batch begins that holds `offset` or the first behind it.
    private mutating func position(
        of offset: Offset, in segment: Segment
    ) throws(ReadError) -> Int64 {
        guard segment.size > 0 else { return 0 }
        let index = try index(of: segment)
        let relative = offset.rawValue - segment.baseOffset.rawValue
        var walk = SegmentWalk(
            try openForReading(segment), from: index.position(forRelativeOffset: relative),
            to: segment.size)
        while let found = try Self.next(&walk, in: segment) {
            if found.header.lastOffset >= offset { return found.position }
        }
        return segment.size
    }

    /// Removes, durably, the index files from a segment on and the snapshots above an offset.
    private func forgetTrust(above offset: Offset, from first: Int) throws(DiskError) {
        for segment in segments[first...] {
            try disk.removeIfPresent(LogFile.index(segment.baseOffset).path(in: directory))
        }
        for name in try disk.list(directory) {
            if case .snapshot(let at) = LogFile(name: name), at > offset {
                try disk.removeIfPresent(directory + "/" + name)
            }
        }
        try disk.synchronizeDirectory(directory, .truncationDirectory)
    }
}
