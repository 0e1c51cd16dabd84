public import Model
internal import NIOCore

/// What opening a log found and did.
public struct RecoveryReport: Sendable, Equatable {
    /// Bytes that were read and checksummed because nothing vouched for them.
    public var scannedBytes: Int64 = 0
    /// Bytes of torn writes that were cut off.
    public var truncatedBytes: Int64 = 0
    /// Segments behind a lost tail that were removed with it: an unsynced write went missing
    /// before another that stayed, as a power cut may do.
    public var droppedSegments = 0
    /// Damage that is no torn write: the log is open for reading below it.
    public var corruption: LogCorruption?

    public init() {}
}

/// What is known of the entry of a log's directory in its parent: many logs that are opened
/// together share one sync of it.
public enum DirectoryName: Hashable, Sendable {
    /// Whether it is there, and durable, is found out.
    case unknown
    /// It was there, and the parent was synced since: a power cut leaves it.
    case durable
    /// The same, and it was made for this opening: it is empty.
    case fresh
}

extension PartitionLog {
    /// Opens the log in `directory`, which is made where it is missing; for a disk thread.
    ///
    /// Trusts a segment up to what its summary covers and checks every batch behind that. A torn
    /// tail is cut off. Bad bytes with valid batches behind them are reported, and the log then
    /// refuses writes and serves what lies before them: nothing is dropped that could be repaired.
    /// `cleanShutdown` says that the data directory was closed properly, so that anything behind
    /// the summaries is damage and not a torn write. `name` says what the caller has done about the
    /// directory already.
    public static func open(
        directory: String, disk: any Disk, files: FileHandleCache, tail: TailCache,
        configuration: LogConfiguration, cleanShutdown: Bool, name: DirectoryName = .unknown,
        now: Now
    ) throws(StorageError) -> (log: PartitionLog, report: RecoveryReport) {
        var log = PartitionLog(
            directory: directory, disk: disk, files: files, tail: tail,
            configuration: configuration)
        var recovery = LogRecovery(isClean: cleanShutdown, name: name, now: now)
        do throws(DiskError) {
            try recovery.run(&log)
        } catch {
            throw .disk(error)
        }
        log.durableStart = log.startOffset
        return (log, recovery.report)
    }
}

/// One opening of a log: lists, trusts, scans, cuts.
struct LogRecovery {
    var report = RecoveryReport()
    private let isClean: Bool
    private let name: DirectoryName
    private let now: Now
    private var chunk = ByteBuffer()
    private var snapshots: [Offset] = []
    /// Only compaction leaves gaps between batches, and never in the active segment; a replica of a
    /// compacted log has them anywhere.
    private var expectsDense = false
    /// Gaps were found where they may be.
    private var foundGap = false

    init(isClean: Bool, name: DirectoryName, now: Now) {
        self.isClean = isClean
        self.name = name
        self.now = now
    }

    mutating func run(_ log: inout PartitionLog) throws(DiskError) {
        guard name != .fresh, log.disk.exists(log.directory) else {
            if name != .fresh { try Self.create(log) }
            log.segments = [
                Segment(
                    baseOffset: .zero, indexInterval: log.configuration.indexIntervalBytes)
            ]
            return
        }
        let bases = try survey(&log)
        try load(&log, bases)
        if log.segments.isEmpty || log.active.nextOffset < log.startOffset {
            log.segments.append(
                Segment(
                    baseOffset: log.startOffset,
                    indexInterval: log.configuration.indexIntervalBytes))
        }
        // As a version before this one left them: the topic may not stay compacted.
        if foundGap, !log.isSparse {
            try log.noteSparse()
            try log.disk.synchronizeDirectory(log.directory, .segmentDirectory)
        }
        // What recovery accepted may still be in the page cache alone: the first flush syncs it.
        log.flushedOffset = log.startOffset
        for segment in log.segments {
            guard segment.flushedSize == segment.size else { break }
            log.flushedOffset = max(log.flushedOffset, segment.nextOffset)
        }
        try findFirstTimestamp(&log)
        log.epochs.trim(before: log.startOffset)
        try removeSnapshots(log, above: log.endOffset)
    }

    /// `segment.ms` counts from the active segment's first batch.
    private func findFirstTimestamp(_ log: inout PartitionLog) throws(DiskError) {
        guard log.active.size > 0, log.active.firstTimestamp == nil else { return }
        var walk = SegmentWalk(
            try log.file(of: log.active.baseOffset, .readWrite), in: log.active)
        log.active.firstTimestamp = (try? walk.next())?.header.maxTimestamp
    }

    /// Makes the partition's directory, and its entry in the parent durable.
    private static func create(_ log: PartitionLog) throws(DiskError) {
        try log.disk.makeDirectory(log.directory)
        try synchronizeParent(log)
    }

    private static func synchronizeParent(_ log: PartitionLog) throws(DiskError) {
        let parent = log.directory.split(separator: "/").dropLast().joined(separator: "/")
        try log.disk.synchronizeDirectory(parent, .partitionDirectory)
    }

    /// Lists the directory, clears what was left half done and gives the segments' base offsets.
    private mutating func survey(_ log: inout PartitionLog) throws(DiskError) -> [Offset] {
        log.startOffset = try LogStartFile.read(in: log.directory, log.disk) ?? .zero
        var bases: [Offset] = []
        var indexes: [Offset] = []
        var swaps: [Offset] = []
        let names = try log.disk.list(log.directory)
        // It may have been made by a process that ended before the sync.
        if names.isEmpty, name == .unknown { try Self.synchronizeParent(log) }
        for name in names {
            switch LogFile(name: name) {
            case .log(let base): bases.append(base)
            case .snapshot(let offset): snapshots.append(offset)
            case .temporary, .cleaned: try log.disk.remove(log.directory + "/" + name)
            case .swap(let base): swaps.append(base)
            case .index(let base): indexes.append(base)
            case .sparse: log.isSparse = true
            case .start, .unknown: continue
            }
        }
        bases.sort()
        for swap in swaps.sorted() {
            bases = try SwapCompletion.recover(
                swap, among: bases, directory: log.directory, disk: log.disk)
        }
        for index in indexes where !bases.contains(index) {
            try log.disk.removeIfPresent(LogFile.index(index).path(in: log.directory))
        }
        return bases
    }

    /// Opens each segment, oldest first, and follows producers and epochs through them.
    private mutating func load(
        _ log: inout PartitionLog, _ bases: [Offset]
    ) throws(DiskError) {
        var state = try latestSnapshot(log)
        for (index, base) in bases.enumerated() {
            let isLast = index == bases.count - 1
            if !isLast, bases[index + 1] <= log.startOffset {
                try Self.removeSegment(log, base)
                continue
            }
            let expected = max(log.startOffset, log.segments.last?.nextOffset ?? .zero)
            if base != expected, base > log.startOffset {
                try settleGap(&log, expected, behind: bases[index...])
                break
            }
            if !log.segments.isEmpty { Self.seal(&log, state) }
            expectsDense = isLast && !log.configuration.isCompacted && !log.isSparse
            let bound = isLast ? Offset(.max) : bases[index + 1]
            let (segment, end) = try open(log, base, below: bound, &state)
            log.segments.append(segment)
            log.active.lastAppend = now.wall
            guard let end else { continue }
            let isSettled = try settle(&log, end, behind: bases[(index + 1)...])
            if !isSettled { break }
        }
        log.epochs = state.epochs
        if log.configuration.rules.producersRecovered { log.producers = state.producers }
    }

    /// The active segment gets a successor. Not before: whichever segment is the last in the end
    /// is written on, and needs its index in memory.
    private static func seal(_ log: inout PartitionLog, _ state: LogSnapshot) {
        if log.active.flushedSize == log.active.size {
            // Its summary is on disk: read again when it is asked for.
            log.active.index = nil
        } else {
            log.pendingSeals.append(
                PartitionLog.PendingSeal(
                    baseOffset: log.active.baseOffset, snapshot: state.encode(),
                    snapshotOffset: state.offset))
        }
    }

    /// The newest snapshot that is whole and not beyond what the summaries vouch for.
    private func latestSnapshot(_ log: PartitionLog) throws(DiskError) -> LogSnapshot {
        for offset in snapshots.sorted().reversed() {
            let path = LogFile.snapshot(offset).path(in: log.directory)
            if let bytes = try log.disk.readWhole(path, limit: LogSnapshot.maximumFileSize),
                let snapshot = LogSnapshot(decoding: bytes), snapshot.offset == offset
            {
                return snapshot
            }
        }
        return LogSnapshot(offset: .zero, epochs: EpochCache(), producers: ProducerTable())
    }

    /// Why a segment does not reach to its file's end.
    struct BadEnd {
        let kind: LogCorruption.Kind
        let isTorn: Bool
        /// The write was cut short by the file's end, or never reached the file.
        let isLostSuffix: Bool
        let fileSize: Int64
    }

    private mutating func open(
        _ log: PartitionLog, _ base: Offset, below bound: Offset, _ state: inout LogSnapshot
    ) throws(DiskError) -> (Segment, BadEnd?) {
        let file = try log.file(of: base, .readWrite)
        let size = try file.size()
        var segment = Segment(
            baseOffset: base, indexInterval: log.configuration.indexIntervalBytes)
        let path = LogFile.index(base).path(in: log.directory)
        if let bytes = try log.disk.readWhole(path, limit: SegmentSummary.maximumFileSize),
            let summary = SegmentSummary(decoding: bytes, baseOffset: base)
        {
            let isWhole = summary.covered <= size
            let trusted = Segment(baseOffset: base, summary: summary)
            if isWhole, try replay(file, trusted, into: &state) {
                segment = trusted
            } else {
                // Bytes are gone, or others, that an fsync had vouched for.
                let end = try scan(file, size: size, below: bound, into: &segment, &state)
                guard let kind = end?.kind ?? (isWhole ? nil : .missingBytes) else {
                    return (segment, nil)
                }
                return (
                    segment,
                    BadEnd(kind: kind, isTorn: false, isLostSuffix: false, fileSize: size)
                )
            }
        }
        let end = try scan(file, size: size, below: bound, into: &segment, &state)
        return (segment, end)
    }

    /// Takes producers and epochs from the headers of a trusted range that no snapshot covers;
    /// false where one of them can't be as it was written.
    private func replay(
        _ file: any DiskFile, _ segment: Segment, into state: inout LogSnapshot
    ) throws(DiskError) -> Bool {
        guard state.offset < segment.nextOffset else { return true }
        var walk = SegmentWalk(file, in: segment)
        do throws(WalkError) {
            while let (header, _) = try walk.next() { take(header, into: &state) }
            return true
        } catch {
            switch error {
            case .disk(let failure): throw failure
            case .batch: return false
            }
        }
    }

    private func take(_ header: RecordBatchHeader, into state: inout LogSnapshot) {
        guard header.lastOffset >= state.offset else { return }
        state.epochs.assign(header.leaderEpoch, at: header.baseOffset)
        state.producers.note(header, seen: now.wall)
        state.offset = header.lastOffset.advanced(by: 1)
    }

    private mutating func scan(
        _ file: any DiskFile, size: Int64, below bound: Offset, into segment: inout Segment,
        _ state: inout LogSnapshot
    ) throws(DiskError) -> BadEnd? {
        guard segment.size < size else { return nil }
        var scan = SegmentScan(
            file, size: size, from: segment.size, expecting: segment.nextOffset, below: bound,
            isDense: expectsDense)
        report.scannedBytes += size - segment.size
        while let result = try scan.next(chunk: &chunk) {
            switch result {
            case .success(let header):
                foundGap = foundGap || header.baseOffset > segment.nextOffset
                segment.note(header)
                take(header, into: &state)
            case .failure(let error):
                let end = try scan.conclude(error, chunk: &chunk)
                var isTorn = false
                if case .torn = end { isTorn = !isClean }
                var isLostSuffix = false
                if case .truncated = error { isLostSuffix = true }
                return BadEnd(
                    kind: .batch(error), isTorn: isTorn, isLostSuffix: isLostSuffix,
                    fileSize: size)
            }
        }
        return nil
    }

    /// A segment is missing before those that are left. Where it may never have reached the device
    /// they are dropped like a lost tail; where it was there once, that is damage.
    private mutating func settleGap(
        _ log: inout PartitionLog, _ end: Offset, behind: ArraySlice<Offset>
    ) throws(DiskError) {
        guard try !wasDurable(log, above: end, behind: behind) else {
            log.refuse(
                LogCorruption(
                    kind: .missingSegment, segment: behind.first ?? end, position: 0,
                    readableEnd: end), &report)
            return
        }
        try drop(behind, of: log)
    }

    /// Whether a summary or a snapshot proves that the device had everything before it: they are
    /// written only then.
    private func wasDurable(
        _ log: PartitionLog, above end: Offset, behind: ArraySlice<Offset>
    ) throws(DiskError) -> Bool {
        if snapshots.contains(where: { $0 > end }) { return true }
        for base in behind where log.disk.exists(LogFile.index(base).path(in: log.directory)) {
            return true
        }
        return false
    }

    private mutating func drop(
        _ behind: ArraySlice<Offset>, of log: PartitionLog
    ) throws(DiskError) {
        guard !behind.isEmpty else { return }
        for base in behind {
            try Self.removeSegment(log, base)
            report.droppedSegments += 1
        }
        // Should they come back after the next crash, they would overlap what is written now.
        try log.disk.synchronizeDirectory(log.directory, .droppedDirectory)
    }

    /// Cuts a torn tail off, or reports damage. False where what follows must not be opened.
    private mutating func settle(
        _ log: inout PartitionLog, _ end: BadEnd, behind: ArraySlice<Offset>
    ) throws(DiskError) -> Bool {
        let corruption = LogCorruption(
            kind: end.kind, segment: log.active.baseOffset, position: log.active.size,
            readableEnd: log.active.nextOffset)
        let isDamage = try wasDurable(log, above: log.active.nextOffset, behind: behind)
        guard end.isTorn, !isDamage, behind.isEmpty || end.isLostSuffix else {
            log.refuse(corruption, &report)
            return false
        }
        try drop(behind, of: log)
        report.truncatedBytes += end.fileSize - log.active.size
        let file = try log.file(of: log.active.baseOffset, .readWrite)
        try file.truncate(to: log.active.size)
        return behind.isEmpty
    }

    static func removeSegment(_ log: PartitionLog, _ base: Offset) throws(DiskError) {
        log.files.forget(FileKey(log: log.number, baseOffset: base.rawValue))
        try log.disk.removeIfPresent(LogFile.log(base).path(in: log.directory))
        try log.disk.removeIfPresent(LogFile.index(base).path(in: log.directory))
    }

    private func removeSnapshots(_ log: PartitionLog, above end: Offset) throws(DiskError) {
        for offset in snapshots where offset > end {
            try log.disk.removeIfPresent(LogFile.snapshot(offset).path(in: log.directory))
        }
    }
}

extension PartitionLog {
    fileprivate mutating func refuse(_ corruption: LogCorruption, _ report: inout RecoveryReport) {
        refusal = .corrupt(corruption)
        report.corruption = corruption
    }
}
