internal import Compression
public import Model
internal import NIOCore

/// A record found by its time.
public struct TimestampedOffset: Equatable, Sendable {
    public let offset: Offset
    public let timestamp: Timestamp
    public let leaderEpoch: LeaderEpoch
}

extension PartitionLog {
    /// Bytes that one batch may unfold to when the broker has to look inside: more is taken for a
    /// decompression bomb.
    static let maximumUnfoldedBytes = 256 << 20

    /// The first record below `limit` whose timestamp is `time` or later (ListOffsets).
    ///
    /// Skips segments by their highest timestamp, enters one by the index and walks headers to one
    /// batch; only that batch's records are read, unfolded where they are compressed.
    public mutating func firstOffset(
        atOrAfter time: Timestamp, below limit: Offset
    ) throws(ReadError) -> TimestampedOffset? {
        var at = 0
        while at < segments.count, segments[at].baseOffset < limit {
            let segment = segments[at]
            at += 1
            guard segment.size > 0, segment.maxTimestamp >= time, segment.nextOffset > startOffset
            else { continue }
            let index = try index(of: segment)
            let file = try openForReading(segment)
            var walk = SegmentWalk(file, in: segment, from: index.entry(forTimestamp: time))
            while let found = try Self.next(&walk, in: segment) {
                guard found.header.maxTimestamp >= time, found.header.lastOffset >= startOffset
                else { continue }
                guard found.header.lastOffset < limit else { return nil }
                let match = try record(in: found, of: segment, file: file) { $0 >= time }
                if let match { return match }
            }
        }
        return nil
    }

    /// The first record that has the log's highest timestamp (KIP-734); nil for a log without.
    public mutating func maxTimestamp(below limit: Offset) throws(ReadError) -> TimestampedOffset? {
        var best: Segment?
        for segment in segments where segment.size > 0 && segment.maxTimestampOffset >= startOffset
        {
            if segment.maxTimestamp > best?.maxTimestamp ?? .none { best = segment }
        }
        guard let best, best.maxTimestampOffset < limit else { return nil }
        let index = try index(of: best)
        let file = try openForReading(best)
        let relative = best.maxTimestampOffset.rawValue - best.baseOffset.rawValue
        var walk = SegmentWalk(
            file, in: best, from: index.entry(forRelativeOffset: relative))
        while let found = try Self.next(&walk, in: best) {
            guard found.header.lastOffset >= best.maxTimestampOffset else { continue }
            return try record(in: found, of: best, file: file) { $0 >= best.maxTimestamp }
        }
        return nil
    }

    /// The first readable record of a batch whose timestamp passes.
    private func record(
        in found: (header: RecordBatchHeader, position: Int64), of segment: Segment,
        file: any DiskFile, where passes: (Timestamp) -> Bool
    ) throws(ReadError) -> TimestampedOffset? {
        let corrupt = ReadError.corrupt(segment: segment.baseOffset, position: found.position)
        var bytes = ByteBuffer()
        do throws(DiskError) {
            _ = try file.read(
                at: found.position, length: found.header.totalBytes, into: &bytes)
        } catch {
            throw .storage(error)
        }
        guard let payload = Self.payload(of: found.header, in: bytes, at: 0) else { throw corrupt }
        var reader = RecordReader(payload: payload, header: found.header)
        do throws(RecordError) {
            while let frame = try reader.nextFrame() {
                let offset = reader.offset(of: frame)
                let timestamp = try reader.timestamp(of: frame)
                if offset >= startOffset, passes(timestamp) {
                    return TimestampedOffset(
                        offset: offset, timestamp: timestamp,
                        leaderEpoch: found.header.leaderEpoch)
                }
            }
        } catch {
            throw corrupt
        }
        return nil
    }

    /// The records of the batch at `start` of `bytes`, uncompressed; nil where that fails.
    static func payload(
        of header: RecordBatchHeader, in bytes: ByteBuffer, at start: Int
    ) -> ByteBuffer? {
        guard let codec = header.codec,
            let records = bytes.getSlice(
                at: start + RecordBatchHeader.size,
                length: header.totalBytes - RecordBatchHeader.size)
        else { return nil }
        return try? Compression.decompress(records, codec: codec, limit: maximumUnfoldedBytes)
    }
}
