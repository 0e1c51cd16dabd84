public import Model
public import NIOCore

/// What `log inspect` and `log verify` find in a partition's directory; read-only.
///
/// Walks the files as they are, without opening the log: nothing is repaired, no byte is believed,
/// and damage becomes a list instead of an error.
public struct LogInspection: Sendable {
    /// One segment and what its own files say of it.
    public struct SegmentReport: Sendable, Equatable {
        public let baseOffset: Offset
        public let bytes: Int64
        public internal(set) var batchCount = 0
        public internal(set) var recordCount: Int64 = 0
        public internal(set) var nextOffset: Offset
        public internal(set) var maxTimestamp = Timestamp.none
        /// Bytes that the segment's summary vouches for; nil without a valid one.
        public internal(set) var coveredBytes: Int64?
        public internal(set) var indexEntryCount = 0
    }

    /// One thing that is not as it should be.
    public struct Problem: Sendable, Equatable {
        /// What the problem is.
        public enum Kind: Sendable, Equatable {
            /// Bytes that are no valid batch; with `isTail` nothing valid follows.
            case badBatch(RecordBatchError, isTail: Bool)
            /// A whole batch whose records cannot be read.
            case unreadableRecords
            /// The next segment does not begin where this one ends.
            case offsetGap(expected: Offset)
            /// The index file is damaged or does not fit its segment.
            case badIndex
            case badSnapshot
            /// Left behind by an interrupted compaction or write.
            case leftover(name: String)
            case unknownFile(name: String)
            case unreadableFile(DiskError)
        }

        public let segment: Offset
        public let position: Int64
        public let kind: Kind
    }

    public private(set) var startOffset: Offset?
    public private(set) var segments: [SegmentReport] = []
    public private(set) var problems: [Problem] = []

    private let directory: String
    private let disk: any Disk

    /// Reads every file of `directory`; with `readsRecords` also every record of every batch.
    public init(
        directory: String, disk: any Disk, readsRecords: Bool = false,
        onBatch: (RecordBatchHeader, _ segment: Offset, _ position: Int64) -> Void = { _, _, _ in }
    ) throws(DiskError) {
        self.directory = directory
        self.disk = disk
        var bases: [Offset] = []
        for name in try disk.list(directory) {
            switch LogFile(name: name) {
            case .log(let base): bases.append(base)
            case .snapshot(let offset): checkSnapshot(offset)
            case .cleaned(let base), .swap(let base):
                note(.leftover(name: name), base)
            case .temporary: note(.leftover(name: name), .zero)
            case .unknown: note(.unknownFile(name: name), .zero)
            case .index, .start, .sparse: continue
            }
        }
        startOffset = try LogStartFile.read(in: directory, disk)
        bases.sort()
        for (place, base) in bases.enumerated() {
            let bound = place + 1 < bases.count ? bases[place + 1] : Offset(.max)
            if let previous = segments.last, previous.nextOffset != base {
                note(.offsetGap(expected: previous.nextOffset), base)
            }
            do throws(DiskError) {
                try inspect(base, below: bound, readsRecords: readsRecords, onBatch: onBatch)
            } catch {
                note(.unreadableFile(error), base)
            }
        }
    }

    private mutating func note(
        _ kind: Problem.Kind, _ segment: Offset, at position: Int64 = 0
    ) {
        problems.append(Problem(segment: segment, position: position, kind: kind))
    }

    private mutating func checkSnapshot(_ offset: Offset) {
        let path = LogFile.snapshot(offset).path(in: directory)
        guard let bytes = try? disk.readWhole(path, limit: LogSnapshot.maximumFileSize),
            let snapshot = LogSnapshot(decoding: bytes), snapshot.offset == offset
        else {
            note(.badSnapshot, offset)
            return
        }
    }

    private mutating func inspect(
        _ base: Offset, below bound: Offset, readsRecords: Bool,
        onBatch: (RecordBatchHeader, Offset, Int64) -> Void
    ) throws(DiskError) {
        let file = try disk.open(LogFile.log(base).path(in: directory), .read)
        let size = try file.size()
        var report = SegmentReport(baseOffset: base, bytes: size, nextOffset: base)
        var scan = SegmentScan(
            file, size: size, from: 0, expecting: base, below: bound, isDense: false)
        var chunk = ByteBuffer()
        var boundaries: Set<Int64> = []
        while true {
            let position = scan.position
            guard let result = try scan.next(chunk: &chunk) else { break }
            switch result {
            case .success(let header):
                boundaries.insert(position)
                report.batchCount += 1
                report.recordCount += Int64(header.recordCount)
                report.nextOffset = header.lastOffset.advanced(by: 1)
                report.maxTimestamp = max(report.maxTimestamp, header.maxTimestamp)
                onBatch(header, base, position)
                if readsRecords, try !canRead(header, of: file, at: position) {
                    note(.unreadableRecords, base, at: position)
                }
                continue
            case .failure(let error):
                if case .torn = try scan.conclude(error, chunk: &chunk) {
                    note(.badBatch(error, isTail: true), base, at: position)
                } else {
                    note(.badBatch(error, isTail: false), base, at: position)
                }
            }
            break
        }
        try checkIndex(&report, boundaries)
        segments.append(report)
    }

    private mutating func checkIndex(
        _ report: inout SegmentReport, _ boundaries: Set<Int64>
    ) throws(DiskError) {
        let path = LogFile.index(report.baseOffset).path(in: directory)
        guard disk.exists(path) else { return }
        guard let bytes = try disk.readWhole(path, limit: SegmentSummary.maximumFileSize),
            let summary = SegmentSummary(decoding: bytes, baseOffset: report.baseOffset),
            summary.covered <= report.bytes,
            summary.index.entries.allSatisfy({ boundaries.contains(Int64($0.position)) })
        else {
            note(.badIndex, report.baseOffset)
            return
        }
        report.coveredBytes = summary.covered
        report.indexEntryCount = summary.index.entries.count
    }

    private func canRead(
        _ header: RecordBatchHeader, of file: any DiskFile, at position: Int64
    ) throws(DiskError) -> Bool {
        var bytes = ByteBuffer()
        _ = try file.read(at: position, length: header.totalBytes, into: &bytes)
        guard let records = try? RecordBatchContents(bytes, header: header) else { return false }
        var reader = records.reader
        do throws(RecordError) {
            while try reader.nextFrame() != nil {}
        } catch {
            return false
        }
        return true
    }
}

/// The records of one whole batch, unfolded: for tools and tests that look inside.
public struct RecordBatchContents: Sendable {
    /// Why there are none.
    public enum Failure: Error, Sendable { case unreadable }

    public let reader: RecordReader

    /// `batch` begins with the header's bytes; unfolds at most 256 MiB.
    public init(_ batch: ByteBuffer, header: RecordBatchHeader) throws(Failure) {
        guard let payload = PartitionLog.payload(of: header, in: batch, at: batch.readerIndex)
        else { throw .unreadable }
        reader = RecordReader(payload: payload, header: header)
    }
}
