public import NIOCore

/// The first 61 bytes of a record batch, version 2: everything a broker reads of a batch.
///
/// ```
///  0        8       12       16 17    21   23         27
///  +--------+-------+--------+--+-----+----+----------+
///  | base   | length| leader |2 | CRC |attr| last off-|
///  | offset |       | epoch  |  | 32C |    | set delta|
///  +--------+-------+--------+--+-----+----+----------+
///  27         35        43          51        53        57      61
///  +----------+---------+-----------+---------+---------+-------+--
///  | base     | maximum | producer  | producer| base    | record| records,
///  | timestamp| timest. | id        | epoch   | sequence| count | perhaps compressed
///  +----------+---------+-----------+---------+---------+-------+--
/// ```
///
/// All big endian. `length` counts what follows it, so a batch is `length + 12` bytes. The checksum
/// covers byte 21 to the end: base offset and leader epoch can be written by the broker without
/// touching it. Attributes: bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete
/// horizon (then the base timestamp is that horizon, KIP-534).
///
/// A plain value of 61 bytes' content; parsing allocates nothing and checks only that the bytes are
/// there. What the fields mean is checked by `RecordBatchCursor`. Source: Kafka protocol guide.
public struct RecordBatchHeader: Equatable, Sendable {
    public var baseOffset: Offset
    /// Bytes after the length field, as stored; untrusted until a cursor has checked it.
    public var length: Int32
    public var leaderEpoch: LeaderEpoch
    public var magic: Int8
    public var checksum: UInt32
    public var attributes: UInt16
    public var lastOffsetDelta: Int32
    public var baseTimestamp: Timestamp
    public var maxTimestamp: Timestamp
    public var producerID: ProducerID
    public var producerEpoch: ProducerEpoch
    public var baseSequence: Int32
    public var recordCount: Int32

    /// Bytes of the header; the records follow.
    public static let size = 61
    /// Bytes before those that `length` counts.
    public static let lengthPrefix = 12
    /// The bytes that a broker rewrites: base offset, length, leader epoch.
    public static let headSize = 16
    /// Where the checksum begins to cover.
    public static let checksumStart = 21

    static let codecMask: UInt16 = 0x07
    static let logAppendBit: UInt16 = 0x08
    static let transactionalBit: UInt16 = 0x10
    static let controlBit: UInt16 = 0x20
    static let deleteHorizonBit: UInt16 = 0x40
    /// The bits that have a meaning; others are reserved and must be zero on the way in.
    static let knownBits: UInt16 = 0x7F

    /// Reads the header at the absolute index `index`; nil where fewer than 61 bytes are readable.
    public init?(_ buffer: ByteBuffer, at index: Int) {
        guard index >= buffer.readerIndex, index <= buffer.writerIndex - Self.size else {
            return nil
        }
        self = unsafe buffer.withUnsafeReadableBytes { bytes in
            unsafe RecordBatchHeader(trusting: bytes, at: index - buffer.readerIndex)
        }
    }

    /// Reads from memory that holds at least 61 bytes at `index`.
    @unsafe init(trusting bytes: UnsafeRawBufferPointer, at index: Int) {
        func load<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T {
            unsafe T(bigEndian: bytes.loadUnaligned(fromByteOffset: index + offset, as: type))
        }
        baseOffset = Offset(load(0, as: Int64.self))
        length = load(8, as: Int32.self)
        leaderEpoch = LeaderEpoch(load(12, as: Int32.self))
        magic = load(16, as: Int8.self)
        checksum = load(17, as: UInt32.self)
        attributes = load(21, as: UInt16.self)
        lastOffsetDelta = load(23, as: Int32.self)
        baseTimestamp = Timestamp(milliseconds: load(27, as: Int64.self))
        maxTimestamp = Timestamp(milliseconds: load(35, as: Int64.self))
        producerID = ProducerID(load(43, as: Int64.self))
        producerEpoch = ProducerEpoch(load(51, as: Int16.self))
        baseSequence = load(53, as: Int32.self)
        recordCount = load(57, as: Int32.self)
    }

    /// A header from its fields, for builders; length and checksum are filled when it is sealed.
    public init(
        baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .unknown, codec: Codec = .none,
        timestampType: TimestampType = .create, isTransactional: Bool = false,
        isControl: Bool = false, lastOffsetDelta: Int32, baseTimestamp: Timestamp,
        maxTimestamp: Timestamp, producerID: ProducerID = .none,
        producerEpoch: ProducerEpoch = .none, baseSequence: Int32 = -1, recordCount: Int32
    ) {
        self.baseOffset = baseOffset
        self.length = Int32(Self.size - Self.lengthPrefix)
        self.leaderEpoch = leaderEpoch
        self.magic = 2
        self.checksum = 0
        self.attributes =
            UInt16(codec.rawValue) | (timestampType == .logAppend ? Self.logAppendBit : 0)
            | (isTransactional ? Self.transactionalBit : 0) | (isControl ? Self.controlBit : 0)
        self.lastOffsetDelta = lastOffsetDelta
        self.baseTimestamp = baseTimestamp
        self.maxTimestamp = maxTimestamp
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.baseSequence = baseSequence
        self.recordCount = recordCount
    }

    /// Bytes of the whole batch as its length field claims; computed wide, so it cannot overflow.
    @inlinable public var totalBytes: Int { Int(length) + Self.lengthPrefix }

    /// nil for the reserved codes 5 to 7.
    @inlinable public var codec: Codec? { Codec(rawValue: UInt8(attributes & 0x07)) }

    public var timestampType: TimestampType {
        attributes & Self.logAppendBit != 0 ? .logAppend : .create
    }

    public var isTransactional: Bool { attributes & Self.transactionalBit != 0 }

    /// Written by the broker itself (transaction markers), never by a client.
    public var isControl: Bool { attributes & Self.controlBit != 0 }

    /// The base timestamp is the time from which tombstones may go (KIP-534).
    public var hasDeleteHorizon: Bool { attributes & Self.deleteHorizonBit != 0 }

    public var hasProducer: Bool { producerID.rawValue >= 0 }

    /// The offset of the last record; wraps only for bytes that no cursor has accepted.
    @inlinable public var lastOffset: Offset {
        // &+ : a cursor accepts only bases from which the delta cannot overflow.
        Offset(baseOffset.rawValue &+ Int64(lastOffsetDelta))
    }

    /// The sequence number of the last record; sequences wrap from Int32.max to 0 (KIP-98).
    public var lastSequence: Int32 {
        Self.advance(sequence: baseSequence, by: lastOffsetDelta)
    }

    /// `sequence + count` in Kafka's ring of 2^31 numbers; -1 stays -1.
    public static func advance(sequence: Int32, by count: Int32) -> Int32 {
        guard sequence >= 0 else { return sequence }
        return Int32((Int64(sequence) + Int64(count)) & 0x7FFF_FFFF)
    }

    /// Appends the 61 bytes as they are, length and checksum included.
    public func write(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(baseOffset.rawValue, length, leaderEpoch.rawValue)
        buffer.writeMultipleIntegers(magic, checksum, attributes, lastOffsetDelta)
        buffer.writeMultipleIntegers(
            baseTimestamp.milliseconds, maxTimestamp.milliseconds, producerID.rawValue,
            producerEpoch.rawValue, baseSequence, recordCount)
    }

    /// Appends this header, with length and checksum set right, and `records` behind it.
    public func seal(records: ByteBuffer, into buffer: inout ByteBuffer) {
        var header = self
        let total = Self.size + records.readableBytes
        precondition(total <= Int32.max, "a batch cannot exceed 2 GiB")
        header.length = Int32(total - Self.lengthPrefix)
        buffer.reserveCapacity(minimumWritableBytes: total)
        let start = buffer.writerIndex
        header.write(into: &buffer)
        buffer.writeImmutableBuffer(records)
        let crc = CRC32C.checksum(
            of: buffer, at: start + Self.checksumStart, length: total - Self.checksumStart)
        buffer.setInteger(crc, at: start + 17)
    }
}
