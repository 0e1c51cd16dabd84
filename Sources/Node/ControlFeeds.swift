public import Coordination
import Gossip
import Model
import NIOCore
import OrderedCollections
import Replication

/// Positions that are being written back into a slot whose log was lost.
struct PendingRecovery {
    let token: UInt64
    let slot: Int
    var appends: Int
    var outcome: RecoveryOutcome
}

/// What became of one slot of a recovery.
public struct RecoveryOutcome: Sendable {
    /// Why nothing, or not everything, was written.
    public enum Refusal: Hashable, Sendable {
        case notCoordinator
        /// The coordinator still reads its log.
        case loading
        /// The log holds so many positions already.
        case notEmpty(Int)
        case notWritten(String)
    }

    public var refusal: Refusal?
    /// Positions that the slot lacked and has now.
    public var written: [SlotRecord]
    /// Positions of which the slot's log has a later word.
    public var kept: Int

    public init(refusal: Refusal? = nil, written: [SlotRecord] = [], kept: Int = 0) {
        self.refusal = refusal
        self.written = written
        self.kept = kept
    }
}

/// Committed offsets on their way to every broker, and back when a slot was lost.
///
/// Only what the slot's replicas hold is told: the record's place in the log, (leader epoch,
/// offset), is its version, so every leader of the slot tells the same (design, section 3).
extension Control {
    /// Positions written back in one batch: a tenth of what the topic takes.
    private static let recoveryBatch = 1_000

    /// The feed in which a slot's leader speaks.
    private func feed(ofSlot slot: Int) -> FeedID {
        .slot(UInt32(slot), of: slots[slot].partition.topic.low)
    }

    /// Tells of records that are committed now.
    func spread(
        _ records: [SlotRecord], at base: Offset, of slot: Int, now: Now,
        into effects: inout [Effect]
    ) {
        guard case .active(let epoch) = slots[slot].coordinator.phase else { return }
        var entries: [FeedEntry] = []
        for (place, record) in records.enumerated() where record.isOffset {
            let version = FeedVersion(
                epoch: Int64(epoch.rawValue), sequence: base.rawValue + Int64(place))
            entries.append(FeedEntry(key: record.key, version: version, value: record.value))
        }
        guard !entries.isEmpty else { return }
        effects.append(
            .spread(FeedNews(feed: feed(ofSlot: slot), entries: entries, asOf: now.wall)))
    }

    /// Keeps what a new leader reads in its log until all of that is committed, which is what the
    /// end of a reading says: the log's end may hold what the last leader acknowledged to nobody,
    /// and what is told can't be taken back. The last word on each key: no more than the
    /// coordinator itself keeps of it, but for tombstones.
    mutating func note(
        loaded records: [SlotRecord], at versions: [FeedVersion], by load: SlotLoad
    ) {
        guard let slot = slotIndex(of: load.partition), slots[slot].load == load.number else {
            return
        }
        for (record, version) in zip(records, versions) where record.isOffset {
            // Copies, so that a position does not keep the piece of the log that it was read from.
            let key = ByteBuffer(bytes: record.key.readableBytesView)
            slots[slot].loaded[key] = FeedEntry(
                key: key, version: version,
                value: record.value.map { ByteBuffer(bytes: $0.readableBytesView) })
        }
    }

    /// Tells of what was read, now that the slot's replicas hold it: brokers that missed the last
    /// leader's words learn them from this one.
    mutating func spreadLoaded(
        by load: SlotLoad, now: Now, into effects: inout [Effect]
    ) {
        guard let slot = slotIndex(of: load.partition), slots[slot].load == load.number else {
            return
        }
        let entries = slots[slot].loaded.values.sorted { $0.version < $1.version }
        slots[slot].loaded = [:]
        guard !entries.isEmpty else { return }
        effects.append(
            .spread(
                FeedNews(
                    feed: feed(ofSlot: slot), entries: entries, asOf: now.wall, isLoaded: true)))
    }

    /// Says of every slot that this broker coordinates that nothing else has happened in it.
    func affirmFeeds(now: Now, into effects: inout [Effect]) {
        let topic = topics[TopicName.consumerOffsets]
        effects.append(
            .slotEpochs(
                topic.map { topic in
                    SlotEpochs(
                        topic: topic.id.low, epochs: topic.partitions.map(\.leaderEpoch.rawValue))
                }))
        for slot in slots.indices where slots[slot].isOwn {
            guard case .active = slots[slot].coordinator.phase,
                isLeased(slots[slot].partition, now: now)
            else { continue }
            effects.append(
                .spread(FeedNews(feed: feed(ofSlot: slot), entries: [], asOf: now.wall)))
        }
    }

    // MARK: Recovery

    /// Writes back those positions that the slot's log lacks, as ordinary commits. What a client
    /// is committing right now it does not lack: its record is before whatever is written here.
    mutating func recover(
        slot: Int, _ records: [SlotRecord], force: Bool, _ token: UInt64, now: Now,
        into effects: inout [Effect]
    ) {
        func refuse(_ refusal: RecoveryOutcome.Refusal, kept: Int = 0) {
            effects.append(
                .reply(
                    token: token, .recovered(RecoveryOutcome(refusal: refusal, kept: kept))))
        }
        guard slots.indices.contains(slot), slots[slot].isOwn,
            isLeased(slots[slot].partition, now: now)
        else { return refuse(.notCoordinator) }
        guard case .active = slots[slot].coordinator.phase else { return refuse(.loading) }
        let pending = slots[slot].coordinator.pendingOffsets
        let lacking = records.filter { record in
            guard record.value != nil, case .offset(let key, _)? = try? record.content() else {
                return false
            }
            return !slots[slot].coordinator.holds(key) && !pending.contains(key)
        }
        let kept = records.count { $0.value != nil } - lacking.count
        let present = slots[slot].coordinator.offsetCount + pending.count
        guard force || present == 0 || lacking.isEmpty else {
            return refuse(.notEmpty(present), kept: kept)
        }
        let outcome = RecoveryOutcome(written: lacking, kept: kept)
        guard !lacking.isEmpty else {
            effects.append(.reply(token: token, .recovered(outcome)))
            return
        }
        let recovery = nextSerial()
        var begun = PendingRecovery(token: token, slot: slot, appends: 0, outcome: outcome)
        for start in stride(from: 0, to: lacking.count, by: Self.recoveryBatch) {
            let part = Array(lacking[start..<min(lacking.count, start + Self.recoveryBatch)])
            let number = nextSerial()
            recoveryAppends[number] = recovery
            begun.appends += 1
            effects.append(
                .append(number, slots[slot].partition, Self.batch(part, now: now)))
        }
        recoveries[recovery] = begun
    }

    /// The log's answer to what a recovery wrote; the coordinator reads its log again at the end,
    /// because everything that it knows it knows from there.
    mutating func recovered(
        _ number: UInt64, _ result: ProduceResult, now: Now, into effects: inout [Effect]
    ) -> Bool {
        guard let recovery = recoveryAppends.removeValue(forKey: number) else { return false }
        guard var pending = recoveries.removeValue(forKey: recovery) else { return true }
        pending.appends -= 1
        if let error = result.error { pending.outcome.refusal = .notWritten("\(error)") }
        guard pending.appends == 0 else {
            recoveries[recovery] = pending
            return true
        }
        if slots.indices.contains(pending.slot), slots[pending.slot].isOwn {
            beginLoad(pending.slot, now: now, into: &effects)
        }
        effects.append(.reply(token: pending.token, .recovered(pending.outcome)))
        return true
    }
}

extension SlotRecord {
    /// Whether it tells a position, told by the version of its key.
    var isOffset: Bool {
        guard let version = key.getInteger(at: key.readerIndex, as: Int16.self) else {
            return false
        }
        return version == 0 || version == 1
    }
}
