/// The compression of a batch's records: the low three bits of its attributes.
///
/// The log passes compressed batches through untouched; only clients, compaction and inspection
/// look inside. Source: Kafka protocol guide, "Record Batch".
public enum Codec: UInt8, Sendable, CaseIterable {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4
}

/// Who dated the records of a batch: bit 3 of its attributes (KIP-32).
public enum TimestampType: UInt8, Sendable {
    /// The producer; record timestamps differ within a batch.
    case create = 0
    /// The broker on arrival; every record has the batch's maximum timestamp.
    case logAppend = 1
}
