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
    /// Removes everything from `offset` on, whole batches: what a new leader does not have
    /// (KIP-101). Blocks for an fsync: for a disk thread, or rarely.
    ///
    /// Summaries and snapshots that vouch for what goes are removed durably first, so that a crash
    /// in between looks like a lost tail and not like damage; afterwards the log is opened anew,
    /// so that producers and epochs are those of what is left. A log that is damaged from its end
    /// on is rid of the damage by a cut there: its leader has what is missing then.
    public mutating func truncate(
        to offset: Offset, now: Now
    ) throws(TruncationError) -> RecoveryReport {
        guard !flushInFlight, !deletionInFlight, !compactionInFlight else { throw .busy }
        guard offset < endOffset || isDamaged else { return RecoveryReport() }
        let keep = min(max(offset, startOffset), endOffset)
        let at = segmentIndex(holding: keep)
        let position: Int64
        do throws(ReadError) {
            position = try self.position(of: keep, in: segments[at])
        } catch {
            throw .read(error)
        }
        do throws(DiskError) {
            try forgetTrust(above: keep, from: at)
            try dropSegments(behind: segments[at].baseOffset)
            if segments[at].size > 0 || isDamaged {
                // Of a segment that is missing there is no file.
                let mode: OpenMode = isDamaged ? .create : .readWrite
                try file(of: segments[at].baseOffset, mode).truncate(to: position)
                files.forget(FileKey(log: number, baseOffset: segments[at].baseOffset.rawValue))
            }
        } catch {
            throw .disk(error)
        }
        return try reopen(now: now)
    }

    /// Empties the log, which then begins at `offset`: a replica that lags behind what its leader
    /// still has starts over there. Blocks for several fsyncs: for a disk thread.
    ///
    /// Nothing vouches for the old segments any more before the new start is durable, and they are
    /// gone durably before anything is appended. A crash in between leaves some of them, which the
    /// replica cuts again when it hears from its leader.
    public mutating func restart(
        at offset: Offset, now: Now
    ) throws(TruncationError) -> RecoveryReport {
        guard !flushInFlight, !deletionInFlight, !compactionInFlight else { throw .busy }
        do throws(DiskError) {
            try forgetTrust(above: Offset(-1), from: 0)
            try disk.replaceDurably(
                LogFile.start.path(in: directory), in: directory,
                content: LogStartFile.encode(offset), file: .startFile,
                directory: .startDirectory)
            for segment in segments {
                files.forget(FileKey(log: number, baseOffset: segment.baseOffset.rawValue))
                try disk.removeIfPresent(LogFile.log(segment.baseOffset).path(in: directory))
            }
            try disk.synchronizeDirectory(directory, .droppedDirectory)
        } catch {
            throw .disk(error)
        }
        return try reopen(now: now)
    }

    /// Whether its files hold more than can be read.
    public var isDamaged: Bool { if case .corrupt = refusal { true } else { false } }

    /// Removes later segments, also those behind damage that were never opened.
    private func dropSegments(behind base: Offset) throws(DiskError) {
        var later = segments.map(\.baseOffset)
        if isDamaged {
            later = try disk.list(directory).compactMap { name in
                if case .log(let base) = LogFile(name: name) { base } else { nil }
            }
        }
        later.removeAll { $0 <= base }
        for segment in later {
            files.forget(FileKey(log: number, baseOffset: segment.rawValue))
            try disk.removeIfPresent(LogFile.log(segment).path(in: directory))
            // The index goes with its segment; without it a crash in between is a lost tail.
            if isDamaged { try disk.removeIfPresent(LogFile.index(segment).path(in: directory)) }
        }
        if !later.isEmpty { try disk.synchronizeDirectory(directory, .droppedDirectory) }
    }

    private mutating func reopen(now: Now) throws(TruncationError) -> RecoveryReport {
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
            try openForReading(segment), in: segment,
            from: index.entry(forRelativeOffset: relative))
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
