public import NIOCore

/// Why bytes are not a record batch.
public enum RecordBatchError: Error, Hashable, Sendable {
    /// Fewer bytes than the header or its length field ask for.
    case truncated(needed: Int, available: Int)
    /// A length that no batch can have.
    case badLength(Int32)
    /// Not version 2 of the format.
    case unsupportedMagic(Int8)
    /// The checksum differs from the bytes.
    case checksumMismatch(stored: UInt32, computed: UInt32)
    /// Counts, deltas, offsets, attributes or producer fields that contradict each other.
    case inconsistent(Inconsistency)

    /// Which rule a batch broke.
    public enum Inconsistency: Hashable, Sendable {
        case recordCount, lastOffsetDelta, baseOffset, attributes, codec, producer, timestamps
        case controlFromClient
    }
}

/// How much of a batch is checked before it is believed.
public enum RecordBatchStrictness: Sendable {
    /// Header, length and counts; the bytes were checksummed before.
    case structure
    /// And the checksum: what is read from a disk or from another broker.
    case checksum
    /// And the rules for a producer: dense offsets, no control batch, no reserved bit.
    case client
}

/// One batch found by a cursor: its header and where it lies.
public struct LocatedBatch: Equatable, Sendable {
    public let header: RecordBatchHeader
    /// Absolute index of its first byte in the buffer.
    public let start: Int

    @inlinable public var end: Int { start + header.totalBytes }
    @inlinable public var recordsStart: Int { start + RecordBatchHeader.size }
    @inlinable public var recordsLength: Int { header.totalBytes - RecordBatchHeader.size }
}

/// Walks the batches of a buffer front to back, validating each before it is given out.
///
/// The one reader of untrusted batches: produce requests, log files and other brokers' data all
/// pass here. Never traps, never allocates, never looks at single records. After an error the
/// cursor stays where the bad batch begins (`position`).
public struct RecordBatchCursor: Sendable {
    public let buffer: ByteBuffer
    /// Absolute index of the next batch.
    public private(set) var position: Int
    private let strictness: RecordBatchStrictness

    public init(_ buffer: ByteBuffer, strictness: RecordBatchStrictness) {
        self.buffer = buffer
        self.position = buffer.readerIndex
        self.strictness = strictness
    }

    /// Records that one batch may claim to hold: no codec packs a record into less than a bit of
    /// a 128 MiB batch, and a reader must be able to count them.
    public static let maximumRecordCount: Int32 = 1 << 30

    /// The next batch, or nil at the exact end of the buffer.
    public mutating func next() throws(RecordBatchError) -> LocatedBatch? {
        let available = buffer.writerIndex - position
        guard available > 0 else { return nil }
        let header = try Self.checkHeader(buffer, at: position)
        guard header.totalBytes <= available else {
            throw .truncated(needed: header.totalBytes, available: available)
        }
        let batch = LocatedBatch(header: header, start: position)
        if strictness != .structure { try Self.checkChecksum(buffer, batch) }
        if strictness == .client { try Self.checkClientRules(header) }
        position = batch.end
        return batch
    }

    /// The header at `index` with everything checked that it says about itself, not its checksum.
    ///
    /// The batch may reach beyond the buffer; the caller compares `totalBytes`.
    public static func checkHeader(
        _ buffer: ByteBuffer, at index: Int
    ) throws(RecordBatchError) -> RecordBatchHeader {
        guard let header = RecordBatchHeader(buffer, at: index) else {
            throw .truncated(
                needed: RecordBatchHeader.size, available: max(0, buffer.writerIndex - index))
        }
        guard header.magic == 2 else { throw .unsupportedMagic(header.magic) }
        guard header.totalBytes >= RecordBatchHeader.size,
            header.length <= Int32.max - Int32(RecordBatchHeader.lengthPrefix)
        else { throw .badLength(header.length) }
        guard header.lastOffsetDelta >= 0 else { throw .inconsistent(.lastOffsetDelta) }
        guard header.baseOffset.rawValue >= 0,
            header.baseOffset.rawValue <= Int64.max - Int64(Int32.max) - 1
        else { throw .inconsistent(.baseOffset) }
        // A compacted batch may be empty: it only keeps its producer's last sequence.
        guard header.recordCount >= 0, header.recordCount <= maximumRecordCount,
            Int64(header.recordCount) <= Int64(header.lastOffsetDelta) + 1
        else { throw .inconsistent(.recordCount) }
        return header
    }

    /// Compares the stored checksum with the bytes; the batch must lie within the buffer.
    public static func checkChecksum(
        _ buffer: ByteBuffer, _ batch: LocatedBatch
    ) throws(RecordBatchError) {
        let computed = CRC32C.checksum(
            of: buffer, at: batch.start + RecordBatchHeader.checksumStart,
            length: batch.header.totalBytes - RecordBatchHeader.checksumStart)
        guard computed == batch.header.checksum else {
            throw .checksumMismatch(stored: batch.header.checksum, computed: computed)
        }
    }

    private static func checkClientRules(
        _ header: RecordBatchHeader
    ) throws(RecordBatchError) {
        guard header.codec != nil else { throw .inconsistent(.codec) }
        guard !header.isControl else { throw .inconsistent(.controlFromClient) }
        guard header.attributes & ~RecordBatchHeader.knownBits == 0, !header.hasDeleteHorizon
        else { throw .inconsistent(.attributes) }
        guard header.recordCount > 0,
            Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1
        else { throw .inconsistent(.recordCount) }
        guard header.producerID.rawValue >= -1 else { throw .inconsistent(.producer) }
        if header.hasProducer {
            guard header.producerEpoch.rawValue >= 0, header.baseSequence >= 0 else {
                throw .inconsistent(.producer)
            }
        } else if header.isTransactional {
            throw .inconsistent(.producer)
        }
    }
}
