public import NIOCore

/// Collects records and writes them as one batch, version 2.
///
/// Used by the coordinator for its own topic, by the client and by tests; the broker's data path
/// never builds a batch. Records may skip offsets but must ascend. Encodes each record once,
/// straight into the payload.
public struct RecordBatchBuilder: Sendable {
    private var payload = ByteBuffer()
    private var header: RecordBatchHeader
    private let explicitBaseTimestamp: Timestamp?

    public init(
        baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .unknown,
        timestampType: TimestampType = .create, producerID: ProducerID = .none,
        producerEpoch: ProducerEpoch = .none, baseSequence: Int32 = -1,
        isTransactional: Bool = false, isControl: Bool = false, baseTimestamp: Timestamp? = nil
    ) {
        header = RecordBatchHeader(
            baseOffset: baseOffset, leaderEpoch: leaderEpoch, timestampType: timestampType,
            isTransactional: isTransactional, isControl: isControl, lastOffsetDelta: -1,
            baseTimestamp: baseTimestamp ?? .none, maxTimestamp: .none, producerID: producerID,
            producerEpoch: producerEpoch, baseSequence: baseSequence, recordCount: 0)
        explicitBaseTimestamp = baseTimestamp
    }

    public var recordCount: Int32 { header.recordCount }

    /// Bytes of the batch if it were finished now, uncompressed.
    public var size: Int { RecordBatchHeader.size + payload.readableBytes }

    /// Adds a record behind the last one, or at `offset` where that lies further on.
    public mutating func append(
        key: ByteBuffer?, value: ByteBuffer?, headers: [RecordField] = [], timestamp: Timestamp,
        at offset: Offset? = nil
    ) {
        let delta =
            offset.map { $0.rawValue - header.baseOffset.rawValue }
            ?? Int64(header.lastOffsetDelta) + 1
        precondition(
            delta > Int64(header.lastOffsetDelta) && delta <= Int32.max,
            "records ascend within a batch")
        if header.recordCount == 0, explicitBaseTimestamp == nil {
            header.baseTimestamp = timestamp
        }
        header.lastOffsetDelta = Int32(delta)
        header.recordCount += 1
        header.maxTimestamp = max(header.maxTimestamp, timestamp)
        // &- : timestamps are milliseconds; a difference that wraps decodes to the same sum.
        let timestampDelta = timestamp.milliseconds &- header.baseTimestamp.milliseconds
        var length = 1 + Varint.size(of: timestampDelta) + Varint.size(of: delta)
        length += Self.size(of: key) + Self.size(of: value)
        length += Varint.size(of: Int64(headers.count))
        for field in headers { length += Self.size(of: field.name) + Self.size(of: field.value) }
        Varint.write(Int64(length), into: &payload)
        payload.writeInteger(UInt8(0))
        Varint.write(timestampDelta, into: &payload)
        Varint.write(delta, into: &payload)
        write(key)
        write(value)
        Varint.write(Int64(headers.count), into: &payload)
        for field in headers {
            write(field.name)
            write(field.value)
        }
    }

    /// The batch, uncompressed.
    public func finish() -> ByteBuffer {
        var buffer = ByteBuffer()
        header.seal(records: payload, into: &buffer)
        return buffer
    }

    /// The batch with its records put through `compress`, which must apply `codec`.
    public func finish<Failure>(
        codec: Codec, compress: (ByteBuffer) throws(Failure) -> ByteBuffer
    ) throws(Failure) -> ByteBuffer {
        var compressed = header
        compressed.setCodec(codec)
        var buffer = ByteBuffer()
        compressed.seal(records: try compress(payload), into: &buffer)
        return buffer
    }

    private static func size(of bytes: ByteBuffer?) -> Int {
        guard let bytes else { return 1 }
        return Varint.size(of: Int64(bytes.readableBytes)) + bytes.readableBytes
    }

    private mutating func write(_ bytes: ByteBuffer?) {
        guard let bytes else {
            Varint.write(-1, into: &payload)
            return
        }
        Varint.write(Int64(bytes.readableBytes), into: &payload)
        payload.writeImmutableBuffer(bytes)
    }
}

extension RecordBatchHeader {
    /// Replaces the codec; the records must have been put through it.
    public mutating func setCodec(_ codec: Codec) {
        attributes = attributes & ~Self.codecMask | UInt16(codec.rawValue)
    }

    /// Makes the broker the one who dated this batch: type and maximum timestamp (KIP-32).
    public mutating func setLogAppendTime(_ time: Timestamp) {
        attributes |= Self.logAppendBit
        maxTimestamp = time
    }

    /// Makes the base timestamp the time from which tombstones may go (KIP-534).
    public mutating func setDeleteHorizon(_ horizon: Timestamp) {
        attributes |= Self.deleteHorizonBit
        baseTimestamp = horizon
    }
}
