internal import Model
internal import NIOCore

/// Reads a segment's bytes from a position to the end and checks every checksum: what recovery and
/// `log verify` do.
///
/// Reads by large chunks into a buffer that the caller reuses for all segments. A batch larger than
/// the chunk is checksummed piece by piece, so no length in the file decides an allocation.
struct SegmentScan {
    /// How the scan ended.
    enum End: Equatable, Sendable {
        /// Whole batches up to the file's end.
        case whole
        /// Bad bytes with nothing valid behind them: a write that a crash cut short.
        case torn(RecordBatchError)
        /// Bad bytes with a valid batch behind them, or damage where none can be a torn write.
        case corrupt(RecordBatchError)
    }

    static let chunkBytes = 512 * 1024

    private let file: any DiskFile
    private let size: Int64
    /// Where the next batch begins; after the scan the end of the valid ones.
    private(set) var position: Int64
    private var chunkStart: Int64
    private var expected: Offset
    private let bound: Offset
    private let isDense: Bool

    /// Scans `file`, whose size is `size`, from the batch at `position`, which must not have an
    /// offset below `expected`, and with `isDense` none above either: base offsets are outside of
    /// the checksum, so only their order tells that one was damaged.
    ///
    /// - Parameter bound: where the next segment begins; nothing here reaches so far.
    init(
        _ file: any DiskFile, size: Int64, from position: Int64, expecting expected: Offset,
        below bound: Offset, isDense: Bool
    ) {
        self.bound = bound
        self.isDense = isDense
        self.file = file
        self.size = size
        self.position = position
        self.expected = expected
        chunkStart = -1
    }

    /// The next valid batch, or nil where the scan ends: then `conclude` says why.
    mutating func next(
        chunk: inout ByteBuffer
    ) throws(DiskError) -> Result<RecordBatchHeader, RecordBatchError>? {
        guard position < size else { return nil }
        let remaining = size - position
        try fill(&chunk, at: position, wanting: RecordBatchHeader.size)
        let header: RecordBatchHeader
        do throws(RecordBatchError) {
            header = try RecordBatchCursor.checkHeader(chunk, at: Int(position - chunkStart))
        } catch {
            return .failure(error)
        }
        guard Int64(header.totalBytes) <= remaining else {
            return .failure(.truncated(needed: header.totalBytes, available: Int(remaining)))
        }
        let computed = try checksum(of: header, at: position, chunk: &chunk)
        guard computed == header.checksum else {
            return .failure(
                .checksumMismatch(stored: header.checksum, computed: computed))
        }
        guard try isInOrder(header, chunk: &chunk) else {
            return .failure(.inconsistent(.baseOffset))
        }
        position += Int64(header.totalBytes)
        expected = header.lastOffset.advanced(by: 1)
        return .success(header)
    }

    /// As in `SegmentWalk`: behind a gap the next batch has to agree.
    private mutating func isInOrder(
        _ header: RecordBatchHeader, chunk: inout ByteBuffer
    ) throws(DiskError) -> Bool {
        guard header.lastOffset < bound, header.baseOffset >= expected else { return false }
        guard header.baseOffset > expected else { return true }
        guard !isDense else { return false }
        let next = position + Int64(header.totalBytes)
        guard next + Int64(RecordBatchHeader.size) <= size else { return true }
        try fill(&chunk, at: next, wanting: RecordBatchHeader.size)
        let following = try? RecordBatchCursor.checkHeader(chunk, at: Int(next - chunkStart))
        return following.map { $0.baseOffset > header.lastOffset } ?? true
    }

    /// What an error at `position` means: torn if nothing valid follows.
    mutating func conclude(
        _ error: RecordBatchError, chunk: inout ByteBuffer
    ) throws(DiskError) -> End {
        // A whole batch in the wrong place is no torn write.
        if error == .inconsistent(.baseOffset), try isWhole(chunk: &chunk) {
            return .corrupt(error)
        }
        var candidate = position + 1
        while candidate <= size - Int64(RecordBatchHeader.size) {
            try fill(&chunk, at: candidate, wanting: RecordBatchHeader.size)
            let inChunk = Int(candidate - chunkStart)
            guard let found = Self.plausible(in: chunk, from: inChunk) else {
                // Headers may begin in the last 60 bytes of the chunk.
                candidate = chunkStart + Int64(chunk.readableBytes - RecordBatchHeader.size + 1)
                continue
            }
            candidate = chunkStart + Int64(found.index)
            if found.header.baseOffset >= expected,
                Int64(found.header.totalBytes) <= size - candidate,
                try checksum(of: found.header, at: candidate, chunk: &chunk)
                    == found.header.checksum
            {
                return .corrupt(error)
            }
            candidate += 1
        }
        return .torn(error)
    }

    /// Whether the batch at `position` lies within the file and has the right checksum, whatever
    /// offset it says: that is not covered.
    private mutating func isWhole(chunk: inout ByteBuffer) throws(DiskError) -> Bool {
        try fill(&chunk, at: position, wanting: RecordBatchHeader.size)
        guard let header = RecordBatchHeader(chunk, at: Int(position - chunkStart)),
            header.magic == 2, header.totalBytes >= RecordBatchHeader.size,
            Int64(header.totalBytes) <= size - position
        else { return false }
        return try checksum(of: header, at: position, chunk: &chunk) == header.checksum
    }

    /// The first index from `start` where a header could begin: magic and fields make sense.
    private static func plausible(
        in chunk: ByteBuffer, from start: Int
    ) -> (index: Int, header: RecordBatchHeader)? {
        let last = chunk.readableBytes - RecordBatchHeader.size
        guard start <= last else { return nil }
        let magics = chunk.readableBytesView
        for index in start...last where magics[index + 16] == 2 {
            if let header = try? RecordBatchCursor.checkHeader(chunk, at: index) {
                return (index, header)
            }
        }
        return nil
    }

    private mutating func fill(
        _ chunk: inout ByteBuffer, at start: Int64, wanting count: Int
    ) throws(DiskError) {
        let wanted = min(Int64(count), size - start)
        if chunkStart >= 0, start >= chunkStart,
            start + wanted <= chunkStart + Int64(chunk.readableBytes)
        {
            return
        }
        chunk.clear()
        chunkStart = start
        let length = min(Int64(Self.chunkBytes), size - start)
        let read = try file.read(at: start, length: Int(length), into: &chunk)
        // A file that shrinks while it is scanned is as good as a device error.
        guard Int64(read) == length else { throw .inputOutput }
    }

    /// The checksum of a batch that lies within the file, by pieces where it exceeds the chunk.
    private mutating func checksum(
        of header: RecordBatchHeader, at start: Int64, chunk: inout ByteBuffer
    ) throws(DiskError) -> UInt32 {
        var at = start + Int64(RecordBatchHeader.checksumStart)
        let end = start + Int64(header.totalBytes)
        var crc: UInt32 = 0
        if header.totalBytes <= Self.chunkBytes {
            try fill(&chunk, at: start, wanting: header.totalBytes)
        }
        while at < end {
            try fill(&chunk, at: at, wanting: 1)
            let inChunk = Int(at - chunkStart)
            let length = Int(min(end - at, Int64(chunk.readableBytes - inChunk)))
            crc = CRC32C.checksum(of: chunk, at: inChunk, length: length, continuing: crc)
            at += Int64(length)
        }
        return crc
    }
}
