import Compression
import Coordination
import Gossip
import Model
import NIOCore
import Storage

/// Reads the records of a slot out of a piece of its log; for a disk thread.
enum SlotReader {
    /// Why a slot can't be loaded.
    enum Failure: Error {
        case disk(DiskError)
        case batch(RecordBatchError)
        case record(RecordError)
        case codec(CompressionError)
        case empty
    }

    /// The most that one batch of group records may decompress to: coordinators write them
    /// uncompressed and small.
    private static let unfoldedMaximum = 64 << 20

    /// Records with their places in the log, and the offset behind them all.
    struct Piece {
        var records: [SlotRecord] = []
        /// As many.
        var versions: [FeedVersion] = []
        var next: Offset
    }

    /// The records in order. A batch that was cut off at the piece's
    /// end is read with the next piece.
    static func records(
        of piece: LogRead
    ) throws(Failure) -> Piece {
        let bytes = try bytes(of: piece)
        var found = Piece(next: .zero)
        var isEmpty = true
        var cursor = RecordBatchCursor(bytes, strictness: .checksum)
        while let batch = try whole(&cursor) {
            isEmpty = false
            found.next = batch.header.lastOffset.advanced(by: 1)
            if !batch.header.isControl { try collect(batch, of: bytes, into: &found) }
        }
        guard !isEmpty else { throw .empty }
        return found
    }

    private static func whole(_ cursor: inout RecordBatchCursor) throws(Failure) -> LocatedBatch? {
        do throws(RecordBatchError) {
            return try cursor.next()
        } catch .truncated {
            return nil
        } catch {
            throw .batch(error)
        }
    }

    private static func collect(
        _ batch: LocatedBatch, of bytes: ByteBuffer, into found: inout Piece
    ) throws(Failure) {
        guard
            let stored = bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength)
        else { throw .empty }
        var payload = stored
        do throws(CompressionError) {
            if let codec = batch.header.codec, codec != .none {
                payload = try Compression.decompress(stored, codec: codec, limit: unfoldedMaximum)
            }
        } catch {
            throw .codec(error)
        }
        do throws(RecordError) {
            var reader = RecordReader(payload: payload, header: batch.header)
            while let record = try reader.next() {
                guard let key = record.key else { continue }
                found.records.append(SlotRecord(key: key, value: record.value))
                found.versions.append(
                    FeedVersion(
                        epoch: Int64(batch.header.leaderEpoch.rawValue),
                        sequence: record.offset.rawValue))
            }
        } catch {
            throw .record(error)
        }
    }

    private static func bytes(of piece: LogRead) throws(Failure) -> ByteBuffer {
        switch piece {
        case .empty: return ByteBuffer()
        case .memory(let bytes): return bytes
        case .file(let slice):
            do throws(DiskError) {
                return try slice.read()
            } catch {
                throw .disk(error)
            }
        }
    }
}
