internal import Model
internal import NIOCore

/// How feeds travel, in packets, over links and on disk.
///
///     feed     kind, UInt8: 1 slot, 2 ends of a broker; number, UInt32; for a slot the lower half
///              of its topic's id, UInt64                                      5 or 13 bytes
///     version  epoch, Int64; sequence, Int64                                  16 bytes
///     mark     feed, version, asOf Int64                                      29 or 37 bytes
///     entry    version, key text length UInt16 and bytes, value length UInt16 (0xFFFF for a
///              tombstone) and bytes
///     change   feed, asOf Int64, version of the change before it, entry
///     delta    mark, since version, floor version, count UInt32, entries; the floor's epoch has
///              its sign bit set and is one more where the sender's copy is partial, so that
///              those who do not know of that take it for a floor below everything
extension ByteBuffer {
    mutating func takeFeedID() throws(GossipDecodeError) -> FeedID {
        let kind = try take(UInt8.self)
        let number = try take(UInt32.self)
        switch kind {
        case 1:
            guard number < UInt32(GossipLimits.slots) else { throw .overLimit }
            return .slot(number, of: try take(UInt64.self))
        case 2: return .ends(NodeID(Int32(bitPattern: number)))
        default: throw .unknownKind(kind)
        }
    }

    mutating func writeFeedID(_ feed: FeedID) {
        switch feed {
        case .slot(let number, let topic): writeMultipleIntegers(UInt8(1), number, topic)
        case .ends(let node):
            writeMultipleIntegers(UInt8(2), UInt32(bitPattern: node.rawValue))
        }
    }

    mutating func takeFeedVersion() throws(GossipDecodeError) -> FeedVersion {
        let epoch = try take(Int64.self)
        return FeedVersion(epoch: epoch, sequence: try take(Int64.self))
    }

    mutating func writeFeedVersion(_ version: FeedVersion) {
        writeMultipleIntegers(version.epoch, version.sequence)
    }
}

extension FeedMark {
    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        feed = try bytes.takeFeedID()
        version = try bytes.takeFeedVersion()
        asOf = Timestamp(milliseconds: try bytes.take(Int64.self))
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeFeedID(feed)
        bytes.writeFeedVersion(version)
        bytes.writeInteger(asOf.milliseconds)
    }
}

extension FeedEntry {
    /// What it takes on the wire, and what a copy's account is charged for it.
    var encodedBytes: Int { 20 + key.readableBytes + (value?.readableBytes ?? 0) }

    private static let tombstone = UInt16.max

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        version = try bytes.takeFeedVersion()
        let keyLength = Int(try bytes.take(UInt16.self))
        guard keyLength <= GossipLimits.feedKeyBytes else { throw .overLimit }
        // Copies, so that one entry does not keep the message that it came in.
        key = ByteBuffer(bytes: try bytes.takeBytes(keyLength).readableBytesView)
        let length = try bytes.take(UInt16.self)
        guard length != Self.tombstone else {
            value = nil
            return
        }
        guard Int(length) <= GossipLimits.feedValueBytes else { throw .overLimit }
        value = ByteBuffer(bytes: try bytes.takeBytes(Int(length)).readableBytesView)
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeFeedVersion(version)
        bytes.writeInteger(UInt16(key.readableBytes))
        bytes.writeImmutableBuffer(key)
        guard let value else {
            bytes.writeInteger(Self.tombstone)
            return
        }
        bytes.writeInteger(UInt16(value.readableBytes))
        bytes.writeImmutableBuffer(value)
    }
}

extension FeedChange {
    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        feed = try bytes.takeFeedID()
        asOf = Timestamp(milliseconds: try bytes.take(Int64.self))
        previous = try bytes.takeFeedVersion()
        entry = try FeedEntry(decoding: &bytes)
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeFeedID(feed)
        bytes.writeInteger(asOf.milliseconds)
        bytes.writeFeedVersion(previous)
        entry.write(into: &bytes)
    }
}

extension FeedDelta {
    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        mark = try FeedMark(decoding: &bytes)
        since = try bytes.takeFeedVersion()
        (floor, isPartial) = Self.floor(from: try bytes.takeFeedVersion())
        let count = Int(try bytes.take(UInt32.self))
        guard count <= bytes.readableBytes else { throw .truncated }
        var entries: [FeedEntry] = []
        entries.reserveCapacity(min(count, 4_096))
        for _ in 0..<count { entries.append(try FeedEntry(decoding: &bytes)) }
        self.entries = entries
    }

    func write(into bytes: inout ByteBuffer) {
        mark.write(into: &bytes)
        bytes.writeFeedVersion(since)
        bytes.writeFeedVersion(isPartial ? Self.marked(floor) : floor)
        bytes.writeInteger(UInt32(entries.count))
        for entry in entries { entry.write(into: &bytes) }
    }

    /// The greatest epoch of a floor that can be marked.
    private static let floorMaximum = Int64.max - 2

    private static func marked(_ floor: FeedVersion) -> FeedVersion {
        FeedVersion(
            epoch: Int64.min + 1 + max(-1, min(floor.epoch, floorMaximum)),
            sequence: floor.sequence)
    }

    /// Nothing is before epoch -1 but a marked one.
    private static func floor(from read: FeedVersion) -> (FeedVersion, isPartial: Bool) {
        guard read.epoch < FeedVersion.nothing.epoch else { return (read, false) }
        // -2 - Int64.min is the greatest difference, and fits.
        return (
            FeedVersion(epoch: read.epoch - Int64.min - 1, sequence: read.sequence), true
        )
    }
}
