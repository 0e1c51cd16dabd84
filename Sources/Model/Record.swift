public import NIOCore

/// Why the records of a batch cannot be read.
public enum RecordError: Error, Hashable, Sendable {
    /// A record or one of its fields reaches beyond the payload.
    case truncated
    /// A variable-length integer longer than its type.
    case badVarint
    /// A length below -1, or below zero where nothing may be absent.
    case badLength(Int64)
    /// Fields do not fill the length that the record claims.
    case trailingBytes
    /// More bytes behind the last record that the header counts, or fewer records.
    case countMismatch
    /// An offset or timestamp that does not fit.
    case outOfRange
}

/// One header of a record: a name and an optional value.
public struct RecordField: Equatable, Sendable {
    public let name: ByteBuffer
    public let value: ByteBuffer?

    public init(name: ByteBuffer, value: ByteBuffer?) {
        self.name = name
        self.value = value
    }
}

/// Where one record lies in a payload; plain integers, so walking allocates nothing.
///
/// ```
/// +--------+------+-----------+---------+---------+-----+---------+-------+--------+---------
/// | length | attr | timestamp | offset  | key     | key | value   | value | header | headers
/// | varint | 0    | delta     | delta   | length  |     | length  |       | count  |
/// +--------+------+-----------+---------+---------+-----+---------+-------+--------+---------
/// ```
///
/// All numbers but the attributes are zigzag varints; key and value length -1 means null.
public struct RecordFrame: Equatable, Sendable {
    /// Absolute indexes in the payload; `start` is that of the length field.
    public let start: Int
    public let end: Int
    public let timestampDelta: Int64
    public let offsetDelta: Int32
    /// Where the offset delta begins: what follows does not depend on the base timestamp.
    public let offsetDeltaStart: Int
    public let keyStart: Int
    /// -1 for a null key.
    public let keyLength: Int
    public let valueStart: Int
    /// -1 for a null value: a tombstone in a compacted topic.
    public let valueLength: Int
    let fieldCount: Int
    let fieldsStart: Int
}

/// One record with its fields as slices of the payload.
public struct Record: Equatable, Sendable {
    public let offset: Offset
    public let timestamp: Timestamp
    public let key: ByteBuffer?
    public let value: ByteBuffer?
    public let headers: [RecordField]
}

/// Reads the records of one uncompressed payload, front to back.
///
/// Untrusted bytes: every length is checked against what is left, so it never traps and never
/// allocates from a claimed length. It refuses a payload that holds more or fewer records than the
/// batch's header says.
public struct RecordReader: Sendable {
    public let payload: ByteBuffer
    private let header: RecordBatchHeader
    private var position: Int
    private var remaining: Int32

    /// `payload` is what follows the header, decompressed.
    public init(payload: ByteBuffer, header: RecordBatchHeader) {
        self.payload = payload
        self.header = header
        self.position = payload.readerIndex
        self.remaining = header.recordCount
    }

    /// Where the next record lies, or nil behind the last.
    public mutating func nextFrame() throws(RecordError) -> RecordFrame? {
        guard remaining > 0 else {
            guard position == payload.writerIndex else { throw .countMismatch }
            return nil
        }
        var reader = VarintReader(payload, from: position, to: payload.writerIndex)
        let length = try reader.readLength()
        guard length <= payload.writerIndex - reader.position else { throw .truncated }
        let start = position
        reader.end = reader.position + length
        try reader.skip(1)
        let timestampDelta = try reader.readInt64()
        let offsetDeltaStart = reader.position
        let offsetDelta = try reader.readInt32()
        guard offsetDelta >= 0, offsetDelta <= header.lastOffsetDelta else { throw .outOfRange }
        let keyLength = try reader.readNullableLength()
        let keyStart = reader.position
        try reader.skip(max(0, keyLength))
        let valueLength = try reader.readNullableLength()
        let valueStart = reader.position
        try reader.skip(max(0, valueLength))
        let fieldCount = try reader.readLength()
        let fieldsStart = reader.position
        for _ in 0..<fieldCount {
            try reader.skip(try reader.readLength())
            try reader.skip(max(0, try reader.readNullableLength()))
        }
        guard reader.position == reader.end else { throw .trailingBytes }
        position = reader.end
        remaining -= 1
        return RecordFrame(
            start: start, end: reader.end, timestampDelta: timestampDelta,
            offsetDelta: offsetDelta, offsetDeltaStart: offsetDeltaStart, keyStart: keyStart,
            keyLength: keyLength,
            valueStart: valueStart, valueLength: valueLength, fieldCount: fieldCount,
            fieldsStart: fieldsStart)
    }

    /// The next record with its fields as slices, or nil behind the last.
    public mutating func next() throws(RecordError) -> Record? {
        guard let frame = try nextFrame() else { return nil }
        return Record(
            offset: offset(of: frame), timestamp: try timestamp(of: frame), key: key(of: frame),
            value: value(of: frame), headers: try fields(of: frame))
    }

    public func offset(of frame: RecordFrame) -> Offset {
        Offset(header.baseOffset.rawValue &+ Int64(frame.offsetDelta))
    }

    /// The record's own time, or the batch's where the broker dated it.
    public func timestamp(of frame: RecordFrame) throws(RecordError) -> Timestamp {
        guard header.timestampType == .create else { return header.maxTimestamp }
        let (sum, overflow) = header.baseTimestamp.milliseconds.addingReportingOverflow(
            frame.timestampDelta)
        guard !overflow else { throw .outOfRange }
        return Timestamp(milliseconds: sum)
    }

    public func key(of frame: RecordFrame) -> ByteBuffer? {
        frame.keyLength < 0 ? nil : payload.getSlice(at: frame.keyStart, length: frame.keyLength)
    }

    public func value(of frame: RecordFrame) -> ByteBuffer? {
        frame.valueLength < 0
            ? nil : payload.getSlice(at: frame.valueStart, length: frame.valueLength)
    }

    /// The record's headers as slices.
    public func fields(of frame: RecordFrame) throws(RecordError) -> [RecordField] {
        guard frame.fieldCount > 0 else { return [] }
        var fields: [RecordField] = []
        var reader = VarintReader(payload, from: frame.fieldsStart, to: frame.end)
        for _ in 0..<frame.fieldCount {
            let name = try reader.readSlice(length: try reader.readLength())
            let length = try reader.readNullableLength()
            let value = length < 0 ? nil : try reader.readSlice(length: length)
            fields.append(RecordField(name: name, value: value))
        }
        return fields
    }
}
