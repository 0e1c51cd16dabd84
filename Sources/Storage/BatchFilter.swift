internal import Compression
internal import Model
internal import NIOCore

/// The last offset of each key, within a bound of memory.
struct KeyMap {
    /// Bytes of keys and bookkeeping that one compaction may hold; Kafka's default is as much.
    static let maximumBytes = 128 << 20
    /// Dictionary slot, array header and offset of one key.
    private static let overhead = 80

    private var offsets: [ByteBuffer: Offset] = [:]
    private var bytes = 0

    /// False, and nothing noted, once the bound is reached.
    mutating func note(_ key: ByteBuffer, at offset: Offset) -> Bool {
        if offsets[key] != nil {
            offsets[key] = offset
            return true
        }
        let cost = key.readableBytes + Self.overhead
        guard bytes + cost <= Self.maximumBytes else { return false }
        bytes += cost
        // A copy: a slice would keep its whole payload alive.
        offsets[ByteBuffer(bytes: key.readableBytesView)] = offset
        return true
    }

    /// Whether a later record has the same key.
    func supersedes(_ key: ByteBuffer, at offset: Offset) -> Bool {
        offsets[key].map { $0 > offset } ?? false
    }
}

/// What stays of one batch in a compaction.
///
/// A batch from which nothing goes is kept byte by byte. Otherwise the records that stay are copied
/// as they are into a batch with the same offsets, producer fields and codec.
struct BatchFilter {
    let keys: KeyMap
    let now: Timestamp
    let deleteRetention: Int64
    /// Whether the batch stays even without records.
    let keepsEmpty: Bool

    /// The batch to write, empty where it goes; nil where it cannot be read.
    func apply(to bytes: ByteBuffer, _ header: RecordBatchHeader) -> ByteBuffer? {
        if header.isControl { return bytes }
        guard let payload = PartitionLog.payload(of: header, in: bytes, at: 0),
            let codec = header.codec
        else { return nil }
        var reader = RecordReader(payload: payload, header: header)
        var frames: [RecordFrame] = []
        var hasTombstones = false
        var highest = Timestamp.none
        do throws(RecordError) {
            while let frame = try reader.nextFrame() {
                guard let key = reader.key(of: frame) else { continue }
                if keys.supersedes(key, at: reader.offset(of: frame)) { continue }
                if frame.valueLength < 0 {
                    if header.hasDeleteHorizon, now > header.baseTimestamp { continue }
                    hasTombstones = true
                }
                highest = max(highest, try reader.timestamp(of: frame))
                frames.append(frame)
            }
        } catch {
            return nil
        }
        let needsHorizon = hasTombstones && !header.hasDeleteHorizon
        if frames.count == Int(header.recordCount), !needsHorizon {
            return frames.isEmpty && !keepsEmpty ? ByteBuffer() : bytes
        }
        guard !frames.isEmpty || keepsEmpty else { return ByteBuffer() }
        var kept = header
        kept.recordCount = Int32(frames.count)
        if header.timestampType == .create, !frames.isEmpty { kept.maxTimestamp = highest }
        var shift: Int64 = 0
        if needsHorizon {
            let (sum, overflow) = now.milliseconds.addingReportingOverflow(deleteRetention)
            let horizon = Timestamp(milliseconds: overflow ? Int64.max : sum)
            // &- : deltas wrap and unwrap to the same time.
            shift = header.baseTimestamp.milliseconds &- horizon.milliseconds
            kept.setDeleteHorizon(horizon)
        }
        return seal(kept, frames, of: payload, codec: codec, shift: shift)
    }

    private func seal(
        _ header: RecordBatchHeader, _ frames: [RecordFrame], of payload: ByteBuffer,
        codec: Codec, shift: Int64
    ) -> ByteBuffer? {
        var records = ByteBuffer()
        for frame in frames {
            if shift == 0 {
                records.writeImmutableBuffer(
                    payload.getSlice(at: frame.start, length: frame.end - frame.start)
                        ?? ByteBuffer())
                continue
            }
            // &+ : see above.
            let delta = frame.timestampDelta &+ shift
            let rest = frame.end - frame.offsetDeltaStart
            Varint.write(Int64(1 + Varint.size(of: delta) + rest), into: &records)
            records.writeInteger(UInt8(0))
            Varint.write(delta, into: &records)
            records.writeImmutableBuffer(
                payload.getSlice(at: frame.offsetDeltaStart, length: rest) ?? ByteBuffer())
        }
        guard !frames.isEmpty, codec != .none else {
            var plain = header
            plain.setCodec(.none)
            var buffer = ByteBuffer()
            plain.seal(records: records, into: &buffer)
            return buffer
        }
        guard let compressed = try? Compression.compress(records, codec: codec) else {
            return nil
        }
        var buffer = ByteBuffer()
        header.seal(records: compressed, into: &buffer)
        return buffer
    }
}
