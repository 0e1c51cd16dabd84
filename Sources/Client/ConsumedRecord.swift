internal import Compression
internal import KafkaProtocol
public import Model
internal import NIOCore

/// A record as it came from a broker.
public struct ConsumedRecord: Sendable {
    public var topic: String
    public var partition: Int32
    public var record: Record

    public init(topic: String, partition: Int32, record: Record) {
        self.topic = topic
        self.partition = partition
        self.record = record
    }
}

/// Opens the batches of a fetched partition.
enum RecordDecoding {
    /// Largest payload that a compressed batch may unfold to: four times what brokers accept.
    static let payloadBytesMax = 400 * 1024 * 1024

    /// Appends the records from `position` on and returns the position behind the last batch.
    ///
    /// A batch that is cut off at the end is what Kafka's fetch means by a size limit; control
    /// batches are stepped over.
    static func decode(
        _ bytes: ByteBuffer, from position: Int64, topic: String, partition: Int32,
        into records: inout [ConsumedRecord]
    ) throws(ClientError) -> Int64 {
        var next = position
        var cursor = RecordBatchCursor(bytes, strictness: .checksum)
        while true {
            let batch: LocatedBatch?
            do {
                batch = try cursor.next()
            } catch .truncated {
                return next
            } catch {
                throw .unreadableRecords("\(topic)/\(partition) at offset \(next): \(error)")
            }
            guard let batch else { return next }
            if !batch.header.isControl, batch.header.recordCount > 0 {
                do {
                    try read(batch, of: bytes, next, topic, partition, &records)
                } catch let error as ClientError {
                    throw error
                } catch {
                    throw .unreadableRecords("\(topic)/\(partition) at offset \(next): \(error)")
                }
            }
            next = max(next, batch.header.lastOffset.rawValue + 1)
        }
    }

    private static func read(
        _ batch: LocatedBatch, of bytes: ByteBuffer, _ position: Int64, _ topic: String,
        _ partition: Int32, _ records: inout [ConsumedRecord]
    ) throws {
        guard
            var payload = bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength)
        else { return }
        guard let codec = batch.header.codec else {
            throw ClientError.unreadableRecords("\(topic)/\(partition): unknown codec")
        }
        if codec != .none {
            payload = try Compression.decompress(
                payload, codec: codec, limit: Self.payloadBytesMax)
        }
        var reader = RecordReader(payload: payload, header: batch.header)
        while let record = try reader.next() {
            guard record.offset.rawValue >= position else { continue }
            records.append(ConsumedRecord(topic: topic, partition: partition, record: record))
        }
    }
}
