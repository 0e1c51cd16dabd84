public import Model
public import NIOCore

/// What a read found.
public enum LogRead: Sendable {
    /// Nothing below the limit, or the first batch does not fit.
    case empty
    /// Whole batches, from the tail cache.
    case memory(ByteBuffer)
    /// A range of a segment's file, for `sendfile` or a read on a disk thread.
    case file(LogSlice)
}

/// A range of one segment's file: begins at a batch, ends at one unless it was cut at `maxBytes`.
///
/// Holds the file, which stays readable even if the segment is deleted meanwhile.
public struct LogSlice: Sendable {
    public let file: any DiskFile
    public let position: Int64
    public let length: Int

    /// Asks the kernel for the bytes, so that sending them does not wait for the device.
    public func readAhead() { file.readAhead(at: position, length: Int64(length)) }

    /// The bytes; blocks while they are not in the page cache.
    public func read() throws(DiskError) -> ByteBuffer {
        var buffer = ByteBuffer()
        _ = try file.read(at: position, length: length, into: &buffer)
        return buffer
    }
}

extension PartitionLog {
    /// Batches from the one that holds `offset` on, all below `limit`, about `maxBytes` of them.
    ///
    /// `limit` is the high-water mark or the log's end. The first batch may begin before `offset`,
    /// as in Kafka; clients skip. With `atLeastOne` it is given even if it alone is larger than
    /// `maxBytes`. From the tail cache where that reaches, else a range of one segment.
    public mutating func read(
        from offset: Offset, below limit: Offset, maxBytes: Int, atLeastOne: Bool
    ) throws(ReadError) -> LogRead {
        guard offset >= startOffset, offset <= endOffset else {
            throw .outOfRange(start: startOffset, end: endOffset)
        }
        let limit = min(limit, endOffset)
        guard offset < limit else { return .empty }
        if let batches = tail.read(
            log: number, from: offset, below: limit, maxBytes: maxBytes, atLeastOne: atLeastOne)
        {
            return batches.readableBytes == 0 ? .empty : .memory(batches)
        }
        var at = segmentIndex(holding: offset)
        // Compaction may have removed everything from `offset` to the segment's end.
        while at < segments.count {
            let segment = segments[at]
            if segment.size > 0, segment.nextOffset > offset {
                let read = try slice(
                    of: segment, from: offset, below: limit, maxBytes: maxBytes,
                    atLeastOne: atLeastOne)
                if let read { return read }
            }
            at += 1
        }
        return .empty
    }

    /// The last segment that begins at or before `offset`.
    func segmentIndex(holding offset: Offset) -> Int {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].baseOffset <= offset { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }

    /// nil where the segment holds nothing at or behind `offset`.
    private mutating func slice(
        of segment: Segment, from offset: Offset, below limit: Offset, maxBytes: Int,
        atLeastOne: Bool
    ) throws(ReadError) -> LogRead? {
        let index = try index(of: segment)
        let file = try openForReading(segment)
        let relative = offset.rawValue - segment.baseOffset.rawValue
        var walk = SegmentWalk(
            file, in: segment, from: index.entry(forRelativeOffset: relative))
        var first: (header: RecordBatchHeader, position: Int64)?
        while let found = try Self.next(&walk, in: segment) {
            if found.header.lastOffset >= offset {
                first = found
                break
            }
        }
        guard let first else { return nil }
        guard first.header.lastOffset < limit else { return .empty }
        let firstBytes = first.header.totalBytes
        guard firstBytes <= maxBytes || atLeastOne else { return .empty }
        var limitEnd = segment.size
        if limit < segment.nextOffset {
            limitEnd = try position(ofLimit: limit, in: segment, index: index, file: file)
        }
        var end = min(limitEnd, first.position + Int64(max(maxBytes, firstBytes)))
        if end < limitEnd {
            end = Self.aligned(
                end, from: first.position, minimum: first.position + Int64(firstBytes),
                index: index)
        }
        end = try Self.soundEnd(&walk, file, upTo: end)
        return .file(
            LogSlice(file: file, position: first.position, length: Int(end - first.position)))
    }

    /// Up to where the batches behind the first are in order: whoever gets a range of the file gets
    /// what is in it, and a batch that says a wrong offset is not to be among that. The next read
    /// begins at such a one, and fails. Costs a look at each header, of bytes that are sent anyway.
    private static func soundEnd(
        _ walk: inout SegmentWalk, _ file: any DiskFile, upTo end: Int64
    ) throws(ReadError) -> Int64 {
        guard walk.position < end else { return end }
        file.readAhead(at: walk.position, length: end - walk.position)
        do throws(WalkError) {
            while walk.position < end { guard try walk.next() != nil else { break } }
            return end
        } catch {
            switch error {
            case .disk(let failure): throw .storage(failure)
            case .batch(_, let position): return min(end, position)
            }
        }
    }

    /// The end of the last batch that lies wholly below `limit`.
    private func position(
        ofLimit limit: Offset, in segment: Segment, index: SparseIndex, file: any DiskFile
    ) throws(ReadError) -> Int64 {
        let relative = limit.rawValue - segment.baseOffset.rawValue
        var walk = SegmentWalk(
            file, in: segment, from: index.entry(forRelativeOffset: relative))
        while let found = try Self.next(&walk, in: segment) {
            if found.header.lastOffset >= limit { return found.position }
        }
        return walk.position
    }

    /// The last indexed batch boundary up to `end`, where that costs at most a quarter of the
    /// range: a cut batch is legal, but the client fetches it twice.
    private static func aligned(
        _ end: Int64, from start: Int64, minimum: Int64, index: SparseIndex
    ) -> Int64 {
        guard let entry = index.entry(atOrBefore: end) else { return end }
        let boundary = Int64(entry.position)
        guard boundary >= minimum, (end - boundary) * 4 <= end - start else { return end }
        return boundary
    }

    static func next(
        _ walk: inout SegmentWalk, in segment: Segment
    ) throws(ReadError) -> (header: RecordBatchHeader, position: Int64)? {
        do throws(WalkError) {
            return try walk.next()
        } catch {
            switch error {
            case .disk(let failure): throw .storage(failure)
            case .batch(_, let position):
                throw .corrupt(segment: segment.baseOffset, position: position)
            }
        }
    }

    func openForReading(_ segment: Segment) throws(ReadError) -> any DiskFile {
        if let pinned = segment.pinned { return pinned }
        do throws(DiskError) {
            return try file(of: segment.baseOffset, .readWrite)
        } catch {
            throw .storage(error)
        }
    }

    /// The index of a segment: in memory, or from its file, or made anew from its batches.
    mutating func index(of segment: Segment) throws(ReadError) -> SparseIndex {
        if let index = segment.index { return index }
        if let loadedIndex, loadedIndex.baseOffset == segment.baseOffset {
            return loadedIndex.index
        }
        let path = LogFile.index(segment.baseOffset).path(in: directory)
        let index: SparseIndex
        if segment.pinned == nil,
            let bytes = try? disk.readWhole(path, limit: SegmentSummary.maximumFileSize),
            let summary = SegmentSummary(decoding: bytes, baseOffset: segment.baseOffset),
            summary.covered == segment.size
        {
            index = summary.index
        } else {
            index = try rebuiltIndex(of: segment)
        }
        loadedIndex = (segment.baseOffset, index)
        return index
    }

    private func rebuiltIndex(of segment: Segment) throws(ReadError) -> SparseIndex {
        var rebuilt = Segment(
            baseOffset: segment.baseOffset, indexInterval: configuration.indexIntervalBytes)
        var walk = SegmentWalk(try openForReading(segment), in: segment)
        while let found = try Self.next(&walk, in: segment) { rebuilt.note(found.header) }
        return rebuilt.index ?? SparseIndex(interval: configuration.indexIntervalBytes)
    }
}
