internal import Model
internal import NIOCore

/// One file of a log: the batches from `baseOffset` up to the next segment's.
///
/// Invariant: `baseOffset` <= every offset in it < `nextOffset`; segments of a log ascend. Holds no
/// file: the log asks the handle cache. The index is in memory for the active segment and for
/// sealed ones that were not written out yet; else it is read from its file when needed.
struct Segment: Sendable {
    let baseOffset: Offset
    /// Bytes of whole batches; the file may be longer only after a failed write.
    var size: Int64 = 0
    /// The offset behind the last record.
    var nextOffset: Offset
    var maxTimestamp: Timestamp = .none
    /// The last offset of the batch that has it.
    var maxTimestampOffset: Offset
    /// nil where the segment is sealed and its summary is on disk.
    var index: SparseIndex?
    /// Bytes known to be on the device.
    var flushedSize: Int64 = 0
    /// Whether the file's directory entry is on the device.
    var isLinked = false
    /// Its file while a compaction replaces the name.
    var pinned: (any DiskFile)?
    /// When it was last appended to, by the broker's wall clock; the time of opening before.
    var lastAppend = Timestamp.none
    /// The timestamp of its first batch, from which `segment.ms` counts; nil after a restart.
    var firstTimestamp: Timestamp?

    init(baseOffset: Offset, indexInterval: Int64) {
        self.baseOffset = baseOffset
        nextOffset = baseOffset
        maxTimestampOffset = baseOffset
        index = SparseIndex(interval: indexInterval)
    }

    init(baseOffset: Offset, summary: SegmentSummary) {
        self.baseOffset = baseOffset
        size = summary.covered
        nextOffset = summary.nextOffset
        maxTimestamp = summary.maxTimestamp
        maxTimestampOffset = summary.maxTimestampOffset
        index = summary.index
        flushedSize = summary.covered
        isLinked = true
    }

    /// Takes a batch in that was written at the end.
    mutating func note(_ header: RecordBatchHeader) {
        index?.note(
            relativeOffset: header.baseOffset.rawValue - baseOffset.rawValue, position: size,
            timestampBefore: maxTimestamp)
        if firstTimestamp == nil { firstTimestamp = header.maxTimestamp }
        if header.maxTimestamp > maxTimestamp {
            maxTimestamp = header.maxTimestamp
            maxTimestampOffset = header.lastOffset
        }
        size += Int64(header.totalBytes)
        nextOffset = header.lastOffset.advanced(by: 1)
    }
}

/// Names of the files in a partition's directory.
///
/// ```
/// 00000000000000000000.log        batches, one after the other
/// 00000000000000000000.index      summary and sparse index of that segment
/// 00000000000000000000.snapshot   producers and leader epochs as of that offset
/// 00000000000000000000.cleaned    a compacted segment that is being written
/// 00000000000000000000.swap       a compacted segment that replaces its originals
/// log-start                       the first offset that may be read
/// ```
enum LogFile: Equatable, Sendable {
    case log(Offset), index(Offset), snapshot(Offset), cleaned(Offset), swap(Offset)
    case start, sparse, temporary, unknown

    static let startName = "log-start"
    /// An empty file: offsets are missing in the log, which is no damage.
    static let sparseName = "sparse"

    init(name: String) {
        if name == Self.startName {
            self = .start
            return
        }
        if name == Self.sparseName {
            self = .sparse
            return
        }
        if name.hasSuffix(".tmp") {
            self = .temporary
            return
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 20,
            parts[0].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int64(parts[0])
        else {
            self = .unknown
            return
        }
        switch parts[1] {
        case "log": self = .log(Offset(number))
        case "index": self = .index(Offset(number))
        case "snapshot": self = .snapshot(Offset(number))
        case "cleaned": self = .cleaned(Offset(number))
        case "swap": self = .swap(Offset(number))
        default: self = .unknown
        }
    }

    var name: String {
        switch self {
        case .log(let offset): Self.digits(offset) + ".log"
        case .index(let offset): Self.digits(offset) + ".index"
        case .snapshot(let offset): Self.digits(offset) + ".snapshot"
        case .cleaned(let offset): Self.digits(offset) + ".cleaned"
        case .swap(let offset): Self.digits(offset) + ".swap"
        case .start: Self.startName
        case .sparse: Self.sparseName
        case .temporary, .unknown: preconditionFailure("such files are never named by a log")
        }
    }

    func path(in directory: String) -> String { directory + "/" + name }

    private static func digits(_ offset: Offset) -> String {
        let digits = String(offset.rawValue)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }
}
