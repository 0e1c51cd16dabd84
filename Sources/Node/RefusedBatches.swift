import Model
import NIOCore
import OrderedCollections

/// Batches that one partition refused a moment ago because of who leads, who is in sync, or the
/// disk, by producer: what was pipelined behind one is refused alike, until that one came again.
///
/// Else the second of two batches could pass for the first of a producer that the log does not
/// know, and the retry of the first for one that comes too late: at OUT_OF_ORDER_SEQUENCE a
/// producer takes a new epoch and writes everything again that it has no answer to. Owned by the
/// partition's shard; a comparison for each batch while nothing was refused.
struct RefusedBatches {
    private struct Refusal {
        let epoch: Int16
        /// Of the first of them.
        var sequence: Int32
        var at: Instant
    }

    /// Producers that are remembered: more than write to a partition at the moment in which its
    /// leader changes; whoever was refused first is forgotten first.
    static let capacity = 256

    /// How long a batch that was refused may be on its way back: a client asks who leads, pauses
    /// for at most a second by default, and tries again; it may have to do so some times.
    static let retryMilliseconds: Int64 = 30_000

    private var refusals: OrderedDictionary<ProducerID, Refusal> = [:]

    var isEmpty: Bool { refusals.isEmpty }

    mutating func note(_ records: ByteBuffer, now: Instant) {
        guard let (producer, epoch, sequence) = Self.place(of: records) else { return }
        var refusal = Refusal(epoch: epoch, sequence: sequence, at: now)
        if let known = refusals[producer], known.epoch == epoch, !Self.isOver(known, now),
            Self.isAhead(sequence, of: known.sequence)
        {
            refusal.sequence = known.sequence
        } else if refusals[producer] == nil, refusals.count >= Self.capacity {
            refusals.removeFirst()
        }
        refusals[producer] = refusal
    }

    /// Whether a batch has to wait for one before it.
    ///
    /// - Parameter isKnown: whether the log has batches of that producer, and so judges by itself.
    func mustWait(
        _ records: ByteBuffer, now: Instant, isKnown: (ProducerID) -> Bool
    ) -> Bool {
        guard let (producer, epoch, sequence) = Self.place(of: records),
            let refusal = refusals[producer], refusal.epoch == epoch, !Self.isOver(refusal, now),
            Self.isAhead(sequence, of: refusal.sequence)
        else { return false }
        return !isKnown(producer)
    }

    mutating func forgetOld(now: Instant) {
        guard !refusals.isEmpty else { return }
        refusals.removeAll { Self.isOver($1, now) }
    }

    private static func isOver(_ refusal: Refusal, _ now: Instant) -> Bool {
        now.milliseconds(since: refusal.at) >= retryMilliseconds
    }

    /// Within half of the ring of 2^31 sequences.
    private static func isAhead(_ sequence: Int32, of other: Int32) -> Bool {
        let distance = (Int64(sequence) - Int64(other)) & 0x7FFF_FFFF
        return distance > 0 && distance < 1 << 30
    }

    /// Who made the first batch; nil where no idempotent producer did.
    static func producer(of records: ByteBuffer) -> ProducerID? { place(of: records)?.0 }

    /// Whose the first batch is, and at which sequence; nil where no idempotent producer made it,
    /// or where the bytes are too few. Nothing is checked: the log does that.
    private static func place(
        of records: ByteBuffer
    ) -> (ProducerID, epoch: Int16, sequence: Int32)? {
        // The offsets of the record batch, version 2: `RecordBatchHeader`.
        let start = records.readerIndex
        guard let producer: Int64 = records.getInteger(at: start + 43), producer >= 0,
            let epoch: Int16 = records.getInteger(at: start + 51),
            let sequence: Int32 = records.getInteger(at: start + 53), sequence >= 0
        else { return nil }
        return (ProducerID(producer), epoch, sequence)
    }
}
