public import Model

/// Why a log takes no writes; reads go on. Cleared only by opening it anew.
public enum WriteRefusal: Hashable, Sendable {
    /// An fsync failed: the kernel may have dropped the pages, so nothing after it can be trusted.
    /// Source: "fsyncgate" (PostgreSQL, 2018).
    case flushFailed(DiskError)
    /// A failed write could not be undone.
    case writeFailed(DiskError)
    /// Recovery found damage that is no torn tail.
    case corrupt(LogCorruption)
    case closed
}

/// Damage that recovery found: bytes that were whole once are not any more.
public struct LogCorruption: Hashable, Sendable {
    /// What the damage is.
    public enum Kind: Hashable, Sendable {
        /// A bad batch with valid ones behind it, or in a sealed segment.
        case batch(RecordBatchError)
        /// A segment is shorter than what is known to have been on the device.
        case missingBytes
        /// Offsets are absent, or there twice, between two segments.
        case missingSegment
    }

    public let kind: Kind
    /// The segment by its first offset, and the position in it where the damage begins.
    public let segment: Offset
    public let position: Int64
    /// Everything below can be read.
    public let readableEnd: Offset
}

/// The batch was refused; the log is unchanged.
public enum AppendError: Error, Hashable, Sendable {
    /// Bytes that are not what was sent: Kafka's CORRUPT_MESSAGE.
    case corrupt(RecordBatchError)
    /// INVALID_RECORD
    case invalidRecord(InvalidRecord)
    /// RECORD_TOO_LARGE
    case recordTooLarge(bytes: Int, limit: Int)
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT
    case unsupportedFormat(magic: Int8)
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    case outOfOrderSequence(expected: Int32, actual: Int32)
    /// A repeated batch that is older than the window: DUPLICATE_SEQUENCE_NUMBER
    case duplicateTooOld
    /// INVALID_PRODUCER_EPOCH
    case invalidProducerEpoch(current: ProducerEpoch)
    /// INVALID_TIMESTAMP
    case invalidTimestamp
    /// KAFKA_STORAGE_ERROR
    case storage(DiskError)
    /// KAFKA_STORAGE_ERROR, until the log is opened anew
    case writesRefused(WriteRefusal)

    /// What is wrong with a batch whose bytes are whole.
    public enum InvalidRecord: Hashable, Sendable {
        case empty
        case inconsistent(RecordBatchError.Inconsistency)
        /// Several batches in one request of an idempotent producer.
        case severalBatches
        /// A compacted topic takes no record without a key.
        case missingKey
        /// Records that cannot be read.
        case unreadable
        /// A replica's batch that does not begin where the log ends.
        case offsetGap(expected: Offset, actual: Offset)
    }

    /// For a sentence that an operator reads.
    public var words: String {
        switch self {
        case .storage(let error): error.words
        case .writesRefused(.flushFailed(let error)), .writesRefused(.writeFailed(let error)):
            "it takes no writes until it is opened anew: \(error.words)"
        case .writesRefused(.corrupt): "it is damaged, and takes no writes"
        case .writesRefused(.closed): "it is closed"
        case .corrupt, .invalidRecord: "the batch is damaged"
        default: "\(self)"
        }
    }

    init(_ error: RecordBatchError) {
        switch error {
        case .truncated, .badLength, .checksumMismatch: self = .corrupt(error)
        case .unsupportedMagic(let magic): self = .unsupportedFormat(magic: magic)
        case .inconsistent(let rule): self = .invalidRecord(.inconsistent(rule))
        }
    }
}

/// What became of an append.
public enum AppendOutcome: Equatable, Sendable {
    case appended(Appended)
    /// The batch is in the log already: the answer is that of its first time, and must wait for
    /// the same acknowledgements.
    case duplicate(Appended)

    /// Where the batches lie now, or where their original lies.
    public struct Appended: Equatable, Sendable {
        public let baseOffset: Offset
        public let lastOffset: Offset
        /// Set where the broker dates the records.
        public let logAppendTime: Timestamp?
        public let logStartOffset: Offset
    }
}

/// Why nothing could be read.
public enum ReadError: Error, Hashable, Sendable {
    case outOfRange(start: Offset, end: Offset)
    case storage(DiskError)
    /// A batch in the way cannot be read.
    case corrupt(segment: Offset, position: Int64)
}

/// Why a log could not be opened at all.
public enum StorageError: Error, Hashable, Sendable {
    case disk(DiskError)
}
