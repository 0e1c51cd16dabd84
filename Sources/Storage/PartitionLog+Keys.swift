internal import Model
internal import NIOCore

extension PartitionLog {
    /// A compacted topic takes no record without a key: the only check that looks at records, and
    /// inside compressed ones.
    func checkKeys(_ batch: LocatedBatch, in records: ByteBuffer) throws(AppendError) {
        guard let payload = Self.payload(of: batch.header, in: records, at: batch.start) else {
            throw .invalidRecord(.unreadable)
        }
        var reader = RecordReader(payload: payload, header: batch.header)
        var isMissing = false
        do throws(RecordError) {
            while let frame = try reader.nextFrame() {
                if frame.keyLength < 0 { isMissing = true }
            }
        } catch {
            throw .invalidRecord(.unreadable)
        }
        if isMissing { throw .invalidRecord(.missingKey) }
    }
}
