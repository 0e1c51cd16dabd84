internal import Model
internal import NIOCore

/// Why a walk over a segment's file stopped.
enum WalkError: Error, Equatable, Sendable {
    case disk(DiskError)
    case batch(RecordBatchError, position: Int64)
}

/// Visits the batch headers of a segment from a position, by chunks of the file.
///
/// Where bodies are larger than a chunk it skips over them, so a walk reads little of a segment of
/// large batches. Checks headers but no checksums: it is for files that recovery has accepted.
///
/// It does check that base offsets ascend, from the index entry where it begins to the segment's
/// end: they are outside of the checksums, so nobody else would notice one that was damaged, and a
/// consumer that is given such a one goes on from there. Whatever follows what is before it without
/// a gap is right. Behind a gap, as compaction leaves it, the next batch has to agree.
struct SegmentWalk {
    private let file: any DiskFile
    private let end: Int64
    /// Behind the last batch: every offset is below.
    private let bound: Offset
    /// The offset behind the batch before.
    private var expected: Offset
    /// Whether the next batch is the one that an index entry names.
    private var isNamed: Bool
    private(set) var position: Int64
    private var chunk = ByteBuffer()
    private var chunkStart: Int64 = 0

    /// Large enough for a hundred small batches, small enough to cost little for one.
    private static let chunkBytes = 16 * 1024

    /// Walks a segment from its first batch, or from the one that an entry of its index names.
    init(_ file: any DiskFile, in segment: Segment, from entry: SparseIndex.Entry? = nil) {
        self.file = file
        position = entry.map { Int64($0.position) } ?? 0
        end = segment.size
        bound = segment.nextOffset
        // &+: a name of a file may be any number, and the first batch is refused then.
        expected = Offset(segment.baseOffset.rawValue &+ Int64(entry?.relativeOffset ?? 0))
        isNamed = entry != nil
    }

    /// Walks a file of `size` bytes of which nothing is known but its first offset.
    init(_ file: any DiskFile, size: Int64, expecting first: Offset) {
        self.file = file
        position = 0
        end = size
        bound = Offset(.max)
        expected = first
        isNamed = false
    }

    /// The next header and its position, or nil at the end.
    mutating func next() throws(WalkError) -> (header: RecordBatchHeader, position: Int64)? {
        guard position < end else { return nil }
        let here = position
        let header = try header(at: here)
        guard Int64(header.totalBytes) <= end - here else {
            throw .batch(
                .truncated(needed: header.totalBytes, available: Int(end - here)), position: here)
        }
        guard try isInOrder(header, at: here) else {
            throw .batch(.inconsistent(.baseOffset), position: here)
        }
        position += Int64(header.totalBytes)
        expected = header.lastOffset.advanced(by: 1)
        isNamed = false
        return (header, here)
    }

    private mutating func isInOrder(
        _ header: RecordBatchHeader, at here: Int64
    ) throws(WalkError) -> Bool {
        guard header.lastOffset < bound, header.baseOffset >= expected else { return false }
        guard header.baseOffset > expected else { return true }
        guard !isNamed else { return false }
        let next = here + Int64(header.totalBytes)
        guard next < end else { return true }
        do throws(WalkError) {
            return try self.header(at: next).baseOffset > header.lastOffset
        } catch {
            if case .disk = error { throw error }
            return true  // Found when it is that one's turn.
        }
    }

    private mutating func header(at position: Int64) throws(WalkError) -> RecordBatchHeader {
        let inChunk = position - chunkStart
        if inChunk < 0 || inChunk + Int64(RecordBatchHeader.size) > Int64(chunk.readableBytes) {
            try refill(at: position)
        }
        do throws(RecordBatchError) {
            return try RecordBatchCursor.checkHeader(chunk, at: Int(position - chunkStart))
        } catch {
            throw .batch(error, position: position)
        }
    }

    private mutating func refill(at position: Int64) throws(WalkError) {
        chunk.clear()
        chunkStart = position
        do throws(DiskError) {
            _ = try file.read(
                at: position, length: Int(min(Int64(Self.chunkBytes), end - position)),
                into: &chunk)
        } catch {
            throw .disk(error)
        }
    }
}
