// A libFuzzer target, built by scripts/fuzz and not by the package.

import Compression
import Model
import NIOCore

/// What a few kilobytes may unfold to here; small, so that bombs end soon.
private let unfoldedMax = 1 << 20

/// Every record of a batch that the cursor has accepted lies within the payload and says where.
private func readRecords(_ buffer: ByteBuffer, _ batch: LocatedBatch) {
    precondition(batch.start >= buffer.readerIndex && batch.end <= buffer.writerIndex)
    let slice = buffer.getSlice(at: batch.recordsStart, length: batch.recordsLength)
    guard let codec = batch.header.codec, let stored = slice else { return }
    guard
        let payload = try? Compression.decompress(stored, codec: codec, limit: unfoldedMax)
    else { return }
    precondition(payload.readableBytes <= unfoldedMax)
    var reader = RecordReader(payload: payload, header: batch.header)
    var count: Int32 = 0
    do throws(RecordError) {
        while let frame = try reader.nextFrame() {
            count += 1
            precondition(frame.start >= payload.readerIndex && frame.end <= payload.writerIndex)
            precondition((reader.key(of: frame)?.readableBytes ?? -1) == frame.keyLength)
            precondition((reader.value(of: frame)?.readableBytes ?? -1) == frame.valueLength)
            precondition(reader.offset(of: frame) <= batch.header.lastOffset)
            _ = try? reader.timestamp(of: frame)
            _ = try reader.fields(of: frame)
        }
        precondition(count == batch.header.recordCount)
    } catch {
        precondition(count <= batch.header.recordCount)
    }
}

private func walk(_ buffer: ByteBuffer, _ strictness: RecordBatchStrictness) {
    var cursor = RecordBatchCursor(buffer, strictness: strictness)
    var position = cursor.position
    while let batch = try? cursor.next() {
        precondition(cursor.position > position && cursor.position == batch.end)
        position = cursor.position
        readRecords(buffer, batch)
    }
    precondition(cursor.position == position)
}

/// Inputs: [mode][bytes]. An odd mode gets magic, length and checksum set right, so that what lies
/// behind those checks is reached; bits 1 and 2 choose the strictness, bits 3 to 5 a codec.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRecordBatch(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let bytes = UnsafeBufferPointer(start: data, count: count)
    let mode = bytes[0]
    var buffer = ByteBuffer(bytes: bytes.dropFirst())
    if mode & 1 != 0, var header = RecordBatchHeader(buffer, at: buffer.readerIndex) {
        header.magic = 2
        if let codec = Codec(rawValue: mode >> 3 & 0x07) { header.setCodec(codec) }
        let records = buffer.getSlice(
            at: RecordBatchHeader.size, length: buffer.readableBytes - RecordBatchHeader.size)
        var sealed = ByteBuffer()
        header.seal(records: records ?? ByteBuffer(), into: &sealed)
        buffer = sealed
    }
    switch mode >> 1 & 0x03 {
    case 0: walk(buffer, .structure)
    case 1: walk(buffer, .checksum)
    default: walk(buffer, .client)
    }
    return 0
}
