public import Model
internal import NIOCore

/// What a log remembers of one idempotent producer: its epoch and its last five batches.
///
/// Five, because clients may have five requests in flight and retry any of them (KIP-98).
public struct ProducerEntry: Sendable {
    /// One batch: its sequence range and its last offset, from which its first follows.
    public struct Batch: Equatable, Sendable {
        public let firstSequence: Int32
        public let lastSequence: Int32
        public let lastOffset: Offset
        public let offsetDelta: Int32

        public var baseOffset: Offset { Offset(lastOffset.rawValue - Int64(offsetDelta)) }
    }

    public internal(set) var epoch: ProducerEpoch
    /// Oldest first.
    public internal(set) var batches: [Batch] = []
    /// When it last wrote, by the wall clock of the broker.
    public internal(set) var lastSeen: Timestamp

    static let window = 5

    mutating func push(_ batch: Batch) {
        if batches.count == Self.window { batches.removeFirst() }
        batches.append(batch)
    }
}

/// The producers of one log and what a new batch of theirs means: next, repeated or refused.
///
/// Rebuilt from batch headers at recovery and kept in snapshots, so a retry that crosses a restart
/// is still recognised. Owned by its log; one dictionary look-up for each batch of an idempotent
/// producer. Sources: KIP-98, KIP-360.
struct ProducerTable: Sendable {
    /// Set once an append failed on the disk, or a batch was refused before the log was open.
    ///
    /// A producer that the log does not know may begin at any sequence, since its state may have
    /// expired. But then its pipelined second batch would pass for the first while the first, which
    /// was refused, is still to be tried again, and that retry would be taken for a duplicate. From
    /// then on an unknown producer begins at 0.
    var refusesLateStarts = false

    /// Whether a batch is new or was appended before.
    enum Verdict: Equatable {
        case next
        case duplicate(ProducerEntry.Batch)
    }

    private(set) var entries: [ProducerID: ProducerEntry] = [:]

    /// Producers that one log remembers: a bound against clients that take a new id for each
    /// request; the ones unseen for longest are forgotten first, as if they had expired.
    static let capacity = 65_536

    /// Judges a batch by its producer's sequence; changes nothing.
    func check(
        _ header: RecordBatchHeader, _ rules: StorageRules = StorageRules()
    ) throws(AppendError) -> Verdict {
        guard header.hasProducer else { return .next }
        guard let entry = entries[header.producerID] else {
            guard !refusesLateStarts || header.baseSequence == 0 else {
                throw .outOfOrderSequence(expected: 0, actual: header.baseSequence)
            }
            return .next
        }
        guard header.producerEpoch >= entry.epoch else {
            throw .invalidProducerEpoch(current: entry.epoch)
        }
        guard header.producerEpoch == entry.epoch else {
            guard header.baseSequence == 0 else {
                throw .outOfOrderSequence(expected: 0, actual: header.baseSequence)
            }
            return .next
        }
        guard let last = entry.batches.last else { return .next }
        let expected = RecordBatchHeader.advance(sequence: last.lastSequence, by: 1)
        if header.baseSequence == expected { return .next }
        for batch in entry.batches
        where batch.firstSequence == header.baseSequence
            && batch.lastSequence == header.lastSequence
        {
            return rules.duplicatesAnswered ? .duplicate(batch) : .next
        }
        guard rules.sequencesChecked else { return .next }
        // Behind the window, within half of the ring of 2^31 sequences.
        let behind =
            (Int64(entry.batches[0].firstSequence) - Int64(header.baseSequence))
            & 0x7FFF_FFFF
        if entry.batches.count == ProducerEntry.window, behind > 0, behind < 1 << 30 {
            throw .duplicateTooOld
        }
        throw .outOfOrderSequence(expected: expected, actual: header.baseSequence)
    }

    /// Takes in a batch that is in the log.
    mutating func note(_ header: RecordBatchHeader, seen: Timestamp) {
        guard header.hasProducer else { return }
        if entries[header.producerID] == nil {
            if entries.count >= Self.capacity { forgetOlderHalf() }
            entries[header.producerID] = ProducerEntry(epoch: header.producerEpoch, lastSeen: seen)
        }
        let batch = ProducerEntry.Batch(
            firstSequence: header.baseSequence, lastSequence: header.lastSequence,
            lastOffset: header.lastOffset, offsetDelta: header.lastOffsetDelta)
        entries[header.producerID]?.accept(
            batch, epoch: header.producerEpoch, isControl: header.isControl, seen: seen)
    }

    /// Forgets whoever wrote nothing for `milliseconds`.
    mutating func expire(now: Timestamp, after milliseconds: Int64) {
        let (oldest, overflow) = now.milliseconds.subtractingReportingOverflow(milliseconds)
        guard !overflow else { return }
        entries = entries.filter { $0.value.lastSeen.milliseconds > oldest }
    }

    private mutating func forgetOlderHalf() {
        // By id where the times are equal, as they are for many after a recovery.
        let order = entries.sorted {
            ($0.value.lastSeen, $0.key) < ($1.value.lastSeen, $1.key)
        }
        for (id, _) in order.prefix(order.count / 2) { entries[id] = nil }
    }

    /// All producers, by id.
    var sorted: [(id: ProducerID, entry: ProducerEntry)] {
        entries.map { (id: $0.key, entry: $0.value) }.sorted { $0.id < $1.id }
    }

    mutating func restore(_ id: ProducerID, _ entry: ProducerEntry) { entries[id] = entry }
}

extension ProducerEntry {
    fileprivate init(epoch: ProducerEpoch, lastSeen: Timestamp) {
        self.epoch = epoch
        self.lastSeen = lastSeen
    }

    fileprivate mutating func accept(
        _ batch: Batch, epoch: ProducerEpoch, isControl: Bool, seen: Timestamp
    ) {
        if epoch != self.epoch {
            self.epoch = epoch
            batches.removeAll(keepingCapacity: true)
        }
        lastSeen = max(lastSeen, seen)
        // A transaction marker has no sequence.
        if !isControl { push(batch) }
    }
}

/// Producers and leader epochs of a log as of one offset, in a file beside the segments.
///
/// ```
/// +------+---------+-----+--------+-------------+--------------------------+
/// | GPRD | version | CRC | offset | epoch count | epoch i32, start i64 ... |
/// +------+---------+-----+--------+-------------+--------------------------+
/// | producer count | id i64, epoch i16, last seen i64, batches u8, then for each:           |
/// |      u32       | first i32, last sequence i32, last offset i64, offset delta i32        |
/// +----------------+-------------------------------------------------------------------------+
/// ```
///
/// Big endian; the checksum covers what follows it. Written only after the log up to `offset` is on
/// the device, and not synced itself: a torn one is ignored and costs a walk over headers.
struct LogSnapshot {
    var offset: Offset
    var epochs: EpochCache
    var producers: ProducerTable

    private static let magic: UInt32 = 0x4750_5244
    private static let version: UInt32 = 1

    /// The bound for reading one: the largest table with full windows, and as much for epochs.
    static let maximumFileSize = ProducerTable.capacity * 256

    func encode() -> ByteBuffer {
        var content = ByteBuffer()
        content.writeMultipleIntegers(offset.rawValue, UInt32(epochs.entries.count))
        for entry in epochs.entries {
            content.writeMultipleIntegers(entry.epoch.rawValue, entry.startOffset.rawValue)
        }
        let sorted = producers.sorted
        content.writeInteger(UInt32(sorted.count))
        for (id, entry) in sorted {
            content.writeMultipleIntegers(
                id.rawValue, entry.epoch.rawValue, entry.lastSeen.milliseconds,
                UInt8(entry.batches.count))
            for batch in entry.batches {
                content.writeMultipleIntegers(
                    batch.firstSequence, batch.lastSequence, batch.lastOffset.rawValue,
                    batch.offsetDelta)
            }
        }
        var file = ByteBuffer()
        file.writeMultipleIntegers(Self.magic, Self.version, CRC32C.checksum(of: content))
        file.writeImmutableBuffer(content)
        return file
    }

    init(offset: Offset, epochs: EpochCache, producers: ProducerTable) {
        self.offset = offset
        self.epochs = epochs
        self.producers = producers
    }

    /// nil for anything but a whole, consistent file.
    init?(decoding bytes: ByteBuffer) {
        var bytes = bytes
        guard
            let (magic, version, crc) = bytes.readMultipleIntegers(
                as: (UInt32, UInt32, UInt32).self),
            magic == Self.magic, version == Self.version, CRC32C.checksum(of: bytes) == crc,
            let (offset, epochCount) = bytes.readMultipleIntegers(as: (Int64, UInt32).self)
        else { return nil }
        self.offset = Offset(offset)
        epochs = EpochCache()
        producers = ProducerTable()
        for _ in 0..<epochCount {
            guard let (epoch, start) = bytes.readMultipleIntegers(as: (Int32, Int64).self)
            else { return nil }
            epochs.assign(LeaderEpoch(epoch), at: Offset(start))
        }
        guard let producerCount = bytes.readInteger(as: UInt32.self) else { return nil }
        for _ in 0..<producerCount {
            guard
                let (id, epoch, seen, batchCount) = bytes.readMultipleIntegers(
                    as: (Int64, Int16, Int64, UInt8).self),
                batchCount <= ProducerEntry.window
            else { return nil }
            var entry = ProducerEntry(
                epoch: ProducerEpoch(epoch), lastSeen: Timestamp(milliseconds: seen))
            for _ in 0..<batchCount {
                guard
                    let (first, last, lastOffset, delta) = bytes.readMultipleIntegers(
                        as: (Int32, Int32, Int64, Int32).self), delta >= 0, lastOffset >= 0
                else { return nil }
                entry.push(
                    ProducerEntry.Batch(
                        firstSequence: first, lastSequence: last, lastOffset: Offset(lastOffset),
                        offsetDelta: delta))
            }
            producers.restore(ProducerID(id), entry)
        }
        guard bytes.readableBytes == 0 else { return nil }
    }
}
