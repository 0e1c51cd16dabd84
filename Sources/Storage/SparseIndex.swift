internal import Model
internal import NIOCore

/// Where to begin to look in a segment: for some batches their offset, their position and the
/// highest timestamp before them.
///
/// One table serves both look-ups, by offset and by timestamp, since both end in a short walk over
/// batch headers. Entries ascend in all three. Bounded: at `capacity` entries every second one goes
/// and the interval doubles, so a full segment costs 64 KiB of memory and a walk of at most a few
/// hundred KiB of headers. Owned by its segment.
struct SparseIndex: Equatable, Sendable {
    /// One batch that a look-up may begin at.
    struct Entry: Equatable, Sendable {
        /// Base offset of a batch, from the segment's base offset.
        let relativeOffset: UInt32
        /// Where that batch begins in the file.
        let position: UInt32
        /// The highest timestamp of the batches before it in this segment; -1 if there are none.
        let timestampBefore: Int64
    }

    static let capacity = 4096

    private(set) var entries: [Entry] = []
    /// Bytes between entries, at least; grows as the index is thinned.
    private(set) var interval: Int64
    private var lastPosition: Int64 = 0

    init(interval: Int64) { self.interval = max(1, interval) }

    /// Notes a batch if enough bytes lie between it and the last entry.
    mutating func note(relativeOffset: Int64, position: Int64, timestampBefore: Timestamp) {
        guard position - lastPosition >= interval, let offset = UInt32(exactly: relativeOffset),
            let place = UInt32(exactly: position)
        else { return }
        if entries.count >= Self.capacity { thin() }
        entries.append(
            Entry(
                relativeOffset: offset, position: place,
                timestampBefore: timestampBefore.milliseconds))
        lastPosition = position
    }

    private mutating func thin() {
        var kept: [Entry] = []
        kept.reserveCapacity(Self.capacity)
        for index in stride(from: 1, to: entries.count, by: 2) { kept.append(entries[index]) }
        entries = kept
        // Doubling stays far below 2^63: a segment has fewer than 2^31 bytes.
        interval = min(interval, LogConfiguration.maximumSegmentBytes) * 2
    }

    /// The last noted batch that begins at or before `relativeOffset`; nil for the segment's first.
    func entry(forRelativeOffset relativeOffset: Int64) -> Entry? {
        let index = partition { Int64($0.relativeOffset) <= relativeOffset }
        return index == 0 ? nil : entries[index - 1]
    }

    /// A noted batch before which none has a timestamp of `timestamp` or later; nil for the
    /// segment's first.
    func entry(forTimestamp timestamp: Timestamp) -> Entry? {
        let index = partition { $0.timestampBefore < timestamp.milliseconds }
        return index == 0 ? nil : entries[index - 1]
    }

    /// The last noted batch that begins at or before `position`.
    func entry(atOrBefore position: Int64) -> Entry? {
        let index = partition { Int64($0.position) <= position }
        return index == 0 ? nil : entries[index - 1]
    }

    /// Forgets what lies at or behind `position`.
    mutating func truncate(to position: Int64) {
        entries.removeLast(entries.count - partition { Int64($0.position) < position })
        lastPosition = entries.last.map { Int64($0.position) } ?? 0
    }

    /// The number of leading entries that fulfil a predicate which never becomes true again.
    private func partition(_ isBefore: (Entry) -> Bool) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(entries[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// What is known of a segment without reading it: written beside it once its bytes are on the
/// device, and therefore also the point from which recovery has to look.
///
/// ```
/// +------+---------+-------+---------+-----------+----------+---------------+----------+-------+
/// | GIDX | version | CRC   | covered | maximum   | offset   | last offset   | interval | count |
/// |      | 1  u32  | u32   | u64     | timestamp | of it    | + 1      i64  | i64      | u32   |
/// +------+---------+-------+---------+-----------+----------+---------------+----------+-------+
/// count times: | relative offset u32 | position u32 | highest timestamp before i64 |
/// ```
///
/// Big endian; the checksum covers what follows it. Not synced itself: a torn one fails its
/// checksum and costs a scan.
struct SegmentSummary: Equatable, Sendable {
    /// Bytes of the segment that were on the device when this was written.
    var covered: Int64
    var maxTimestamp: Timestamp
    var maxTimestampOffset: Offset
    var nextOffset: Offset
    var index: SparseIndex

    private static let magic: UInt32 = 0x4749_4458
    private static let version: UInt32 = 1
    private static let fixedSize = 12 + 8 * 5 + 4

    /// No valid file is larger: the bound for reading one.
    static let maximumFileSize = fixedSize + 16 * SparseIndex.capacity

    func encode() -> ByteBuffer {
        var content = ByteBuffer()
        content.writeMultipleIntegers(
            covered, maxTimestamp.milliseconds, maxTimestampOffset.rawValue, nextOffset.rawValue,
            index.interval, UInt32(index.entries.count))
        for entry in index.entries {
            content.writeMultipleIntegers(
                entry.relativeOffset, entry.position, entry.timestampBefore)
        }
        var file = ByteBuffer()
        file.writeMultipleIntegers(Self.magic, Self.version, CRC32C.checksum(of: content))
        file.writeImmutableBuffer(content)
        return file
    }

    /// nil for anything but a whole, consistent file.
    init?(decoding bytes: ByteBuffer, baseOffset: Offset) {
        var bytes = bytes
        guard
            let (magic, version, crc) = bytes.readMultipleIntegers(
                as: (UInt32, UInt32, UInt32).self),
            magic == Self.magic, version == Self.version, CRC32C.checksum(of: bytes) == crc,
            let (covered, timestamp, offset, next, interval, count) = bytes.readMultipleIntegers(
                as: (Int64, Int64, Int64, Int64, Int64, UInt32).self),
            bytes.readableBytes == Int(count) * 16, count <= SparseIndex.capacity,
            covered >= 0, covered <= LogConfiguration.maximumSegmentBytes,
            next >= baseOffset.rawValue, interval > 0
        else { return nil }
        self.covered = covered
        maxTimestamp = Timestamp(milliseconds: timestamp)
        maxTimestampOffset = Offset(offset)
        nextOffset = Offset(next)
        var entries: [SparseIndex.Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard
                let (relative, position, before) = bytes.readMultipleIntegers(
                    as: (UInt32, UInt32, Int64).self),
                Int64(position) < covered, position > entries.last?.position ?? 0,
                relative >= entries.last?.relativeOffset ?? 0,
                before >= entries.last?.timestampBefore ?? Int64.min
            else { return nil }
            entries.append(
                SparseIndex.Entry(
                    relativeOffset: relative, position: position, timestampBefore: before))
        }
        index = SparseIndex(interval: interval, entries: entries)
    }

    init(segment: Segment, index: SparseIndex) {
        covered = segment.size
        maxTimestamp = segment.maxTimestamp
        maxTimestampOffset = segment.maxTimestampOffset
        nextOffset = segment.nextOffset
        self.index = index
    }
}

extension SparseIndex {
    fileprivate init(interval: Int64, entries: [Entry]) {
        self.init(interval: interval)
        self.entries = entries
        lastPosition = entries.last.map { Int64($0.position) } ?? 0
    }
}
