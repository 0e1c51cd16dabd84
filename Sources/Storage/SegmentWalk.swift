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
struct SegmentWalk {
    private let file: any DiskFile
    private let end: Int64
    private(set) var position: Int64
    private var chunk = ByteBuffer()
    private var chunkStart: Int64 = 0

    /// Large enough for a hundred small batches, small enough to cost little for one.
    private static let chunkBytes = 16 * 1024

    /// Walks from the batch at `position` up to `end`.
    init(_ file: any DiskFile, from position: Int64, to end: Int64) {
        self.file = file
        self.position = position
        self.end = end
    }

    /// The next header and its position, or nil at the end.
    mutating func next() throws(WalkError) -> (header: RecordBatchHeader, position: Int64)? {
        guard position < end else { return nil }
        let inChunk = position - chunkStart
        if inChunk < 0 || inChunk + Int64(RecordBatchHeader.size) > Int64(chunk.readableBytes) {
            try refill()
        }
        let header: RecordBatchHeader
        do throws(RecordBatchError) {
            header = try RecordBatchCursor.checkHeader(chunk, at: Int(position - chunkStart))
        } catch {
            throw .batch(error, position: position)
        }
        let here = position
        guard Int64(header.totalBytes) <= end - here else {
            throw .batch(
                .truncated(needed: header.totalBytes, available: Int(end - here)), position: here)
        }
        position += Int64(header.totalBytes)
        return (header, here)
    }

    private mutating func refill() throws(WalkError) {
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
