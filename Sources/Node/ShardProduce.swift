import HeapModule
import Model
import NIOCore
import Replication
import Storage

/// A produce request some of whose parts are appended and not yet acknowledged.
struct PendingProduce {
    let token: UInt64
    /// Parts that wait, and one more while the request is still being appended.
    var remaining = 1
    var results: [ProduceResult] = []
    var acknowledgement = Acknowledgement.all
    var deadline = Instant(nanoseconds: 0)
    /// The partition of each part, by table index, and the log end that its answer waits for.
    var slots: [(slot: Int, end: Offset)] = []
}

extension Shard {
    /// The most partitions in one request: a waiter's number keeps 20 bits for the part.
    public static let partsMaximum = 1 << 20

    /// The largest batch of a partition with followers: it has to fit into one message between
    /// brokers, which is as large as the largest chosen value.
    static let replicatedBytesMaximum = 4 << 20

    /// Appends every part at once; answers now where nothing is left to wait for.
    mutating func produce(_ work: ProduceWork, now: Now, into effects: inout [Effect]) {
        precondition(work.parts.count <= Self.partsMaximum, "the shell bounds a request's parts")
        let serial = nextSerial()
        var pending = PendingProduce(token: work.token)
        pending.results.reserveCapacity(work.parts.count)
        pending.slots.reserveCapacity(work.parts.count)
        for part in work.parts {
            let slot = partitions.index(of: part.partition) ?? -1
            if slot < 0 { noteStranger(part.partition) }
            guard slot < 0 || !isBetweenLeaders(slot) else {
                hold(
                    slot, part.records, serial: serial, part: pending.results.count,
                    work.acknowledgement, work.origin, deadline: work.deadline)
                pending.slots.append((slot, .zero))
                pending.results.append(ProduceResult(error: .notLeader))
                pending.remaining += 1
                continue
            }
            let (result, end) = append(
                part.records, to: slot, work.acknowledgement, work.origin, now: now,
                into: &effects)
            pending.slots.append((slot, end))
            pending.results.append(result)
            if result.error == nil { pending.remaining += 1 }
        }
        pending.acknowledgement = work.acknowledgement
        pending.deadline = work.deadline
        let slots = pending.slots
        let failed = pending.results.map { $0.error != nil }
        produces[serial] = pending
        for (part, place) in slots.enumerated() where !failed[part] {
            let waiter = PartitionMachine.Waiter(
                token: serial << 20 | UInt64(part), end: place.end,
                acknowledgement: work.acknowledgement, deadline: work.deadline)
            drive(place.slot, .await(waiter), into: &effects)
        }
        settleProduce(serial, into: &effects)
        if produces[serial] != nil {
            deadlines.insert(Deadline(at: work.deadline, serial: serial, kind: .produce))
        }
    }

    /// Appends one part; gives the log end whose safety the answer waits for.
    mutating func append(
        _ records: ByteBuffer, to slot: Int, _ acknowledgement: Acknowledgement,
        _ origin: AppendOrigin, now: Now, into effects: inout [Effect]
    ) -> (ProduceResult, end: Offset) {
        guard slot >= 0 else { return (ProduceResult(error: .unknownTopicOrPartition), .zero) }
        guard partitions[slot].isOpen else {
            partitions[slot].refusedProducer = true
            partitions[slot].refused.note(records, now: clock)
            return (ProduceResult(error: partitions[slot].unavailability), .zero)
        }
        if partitions[slot].needsLease, records.readableBytes > Self.replicatedBytesMaximum {
            return (ProduceResult(error: .messageTooLarge), .zero)
        }
        let refusal =
            isLeased(slot) ? partitions[slot].machine.refusal(of: acknowledgement) : .notLeader
        guard refusal == nil, let epoch = partitions[slot].machine.leadership?.epoch else {
            refuseLateStarts(slot)
            partitions[slot].refused.note(records, now: clock)
            return (ProduceResult(error: PartitionError(refusal ?? .notLeader)), .zero)
        }
        if rules.node.pipelinedRefused, mustWait(records, slot) {
            return (ProduceResult(error: .notLeader), .zero)
        }
        do throws(Storage.AppendError) {
            let outcome = try partitions[slot].log.append(
                records, leaderEpoch: epoch, origin: origin, now: now)
            let appended: AppendOutcome.Appended
            switch outcome {
            case .duplicate(let original): appended = original
            case .appended(let new):
                appended = new
                noteWritten(slot, into: &effects)
                partitions[slot].unannouncedBytes += records.readableBytes
                drive(slot, .appended(end: partitions[slot].log.endOffset), into: &effects)
                if !partitions[slot].streams.isEmpty { streaming.append(slot) }
            }
            var result = ProduceResult()
            result.base = appended.baseOffset
            result.logAppendTime = appended.logAppendTime ?? .none
            result.logStart = appended.logStartOffset
            // A sealed segment is synced in the background, whatever the topic's durability.
            if partitions[slot].log.wantsSeal { flush(slot, into: &effects) }
            return (result, appended.lastOffset.advanced(by: 1))
        } catch {
            if case .outOfOrderSequence = error, awaitsRetry(slot) || beginsLate(records, slot) {
                return (ProduceResult(error: .notLeader), .zero)
            }
            if case .storage = error {
                partitions[slot].refusedAt = clock
                partitions[slot].refused.note(records, now: clock)
                reportBroken(slot, into: &effects)
            }
            // Said once, not for every retry of every producer while the disk is full.
            if case .storage(let reason) = error, !partitions[slot].writesFail {
                partitions[slot].writesFail = true
                effects.append(.notice(.writeFailed(partitions[slot].id, reason.words)))
            }
            return (ProduceResult(error: PartitionError(error)), .zero)
        }
    }

    /// Said once, where it was said that it failed.
    mutating func noteWritten(_ slot: Int, into effects: inout [Effect]) {
        guard partitions[slot].writesFail else { return }
        partitions[slot].writesFail = false
        effects.append(.notice(.writesAgain(partitions[slot].id)))
    }

    /// Partitions that are remembered as asked for too early: clients may ask for any number that
    /// never comes to be.
    private static let strangersMaximum = 1_024

    private mutating func noteStranger(_ partition: TopicPartition) {
        if strangers.count >= Self.strangersMaximum { strangers.removeAll() }
        strangers.insert(partition)
    }

    /// Longer than any producer goes on trying to have a batch delivered.
    static let lateStartMilliseconds: Int64 = 600_000

    /// A batch was refused here or by another leader: for a while the one pipelined behind it must
    /// not pass for its producer's first. Only in a log that has all its records still: elsewhere a
    /// producer may be unknown whose batches were all removed, and it goes on where it was.
    mutating func refuseLateStarts(_ slot: Int) {
        guard rules.node.pipelinedRefused else { return }
        partitions[slot].refusedAt = clock
        guard partitions[slot].log.startOffset == .zero else { return }
        beginAtZero(slot)
    }

    /// In a log that never had a record every producer begins at sequence 0. A batch may have been
    /// refused before it came to this shard, by a loop that had not heard of the topic.
    mutating func beginAtZero(_ slot: Int) {
        guard rules.node.pipelinedRefused else { return }
        partitions[slot].log.refuseLateStarts()
        partitions[slot].lateStartsRefused = clock
    }

    /// Whether its producer is unknown, and may have a batch before this one on its way again.
    private func beginsLate(_ records: ByteBuffer, _ slot: Int) -> Bool {
        guard let since = partitions[slot].lateStartsRefused,
            clock.milliseconds(since: since) < RefusedBatches.retryMilliseconds,
            let producer = RefusedBatches.producer(of: records)
        else { return false }
        return !partitions[slot].log.knows(producer)
    }

    /// Whether a batch is pipelined behind one that was refused and has not come again. Where the
    /// log knows its producer the log judges: what was refused here may have come by another
    /// leader.
    private func mustWait(_ records: ByteBuffer, _ slot: Int) -> Bool {
        guard !partitions[slot].refused.isEmpty else { return false }
        return partitions[slot].refused.mustWait(records, now: clock) { producer in
            partitions[slot].log.knows(producer)
        }
    }

    /// Whether the gap before a batch is of this broker's making: the batches before it were
    /// refused, and come again.
    ///
    /// Then it is refused as they were. At OUT_OF_ORDER_SEQUENCE a producer takes a new epoch and
    /// sends everything again that it has no answer to, under sequences which nobody can compare:
    /// what had been written under the old epoch and was answered with an error would be there
    /// twice.
    private func awaitsRetry(_ slot: Int) -> Bool {
        guard let since = partitions[slot].refusedAt else { return false }
        return clock.milliseconds(since: since) < RefusedBatches.retryMilliseconds
    }

    mutating func acceptLateStarts(_ slot: Int, now: Instant) {
        partitions[slot].refused.forgetOld(now: now)
        guard let since = partitions[slot].lateStartsRefused,
            now.milliseconds(since: since) >= Self.lateStartMilliseconds
        else { return }
        partitions[slot].lateStartsRefused = nil
        partitions[slot].log.acceptLateStarts()
    }

    /// Runs one input through a partition's machine and carries out what it says.
    mutating func drive(
        _ slot: Int, _ input: PartitionMachine.Input, into effects: inout [Effect]
    ) {
        machineEffects.removeAll(keepingCapacity: true)
        partitions[slot].machine.handle(input, into: &machineEffects)
        carryOut(slot, into: &effects)
    }

    /// The list is taken out while it is walked: a flush may drive the machine again.
    private mutating func carryOut(_ slot: Int, into effects: inout [Effect]) {
        var list: [PartitionMachine.Effect] = []
        swap(&list, &machineEffects)
        for effect in list {
            switch effect {
            case .acknowledge(let token):
                settleProduce(token >> 20, into: &effects)
            case .refuse(let token, let refusal):
                let part = Int(token & UInt64(Self.partsMaximum - 1))
                produces[token >> 20]?.results[part] = ProduceResult(
                    error: PartitionError(refusal))
                if refusal == .notLeader, isBetweenLeaders(slot),
                    let pending = produces[token >> 20]
                {
                    hold(
                        slot, nil, serial: token >> 20, part: part, pending.acknowledgement,
                        .client, deadline: pending.deadline)
                } else {
                    settleProduce(token >> 20, into: &effects)
                }
            case .highWatermark:
                advanced.append(slot)
                if !partitions[slot].streams.isEmpty { moved.append(slot) }
            case .sync:
                flush(slot, into: &effects)
            case .proposeInSync(let next, let serial):
                guard let state = partitions[slot].machine.state else { continue }
                let wish = InSyncWish(
                    partition: partitions[slot].id, state: state, inSync: next, serial: serial)
                effects.append(.proposeInSync(wish))
            }
        }
        list.removeAll(keepingCapacity: true)
        swap(&list, &machineEffects)
    }

    /// One part fewer to wait for; answers at the last.
    mutating func settleProduce(_ serial: UInt64, into effects: inout [Effect]) {
        guard let at = produces.index(forKey: serial) else { return }
        produces.values[at].remaining -= 1
        guard produces.values[at].remaining == 0 else { return }
        let pending = produces.remove(at: at).value
        effects.append(.produced(token: pending.token, pending.results))
    }

    mutating func expireProduce(_ serial: UInt64, now: Now, into effects: inout [Effect]) {
        guard let pending = produces[serial] else { return }
        for (slot, _) in pending.slots {
            // Its partition may be gone by now, and its place empty or another's.
            guard partitions.isOccupied(slot), partitions[slot].machine.hasWaiters else { continue }
            machineEffects.removeAll(keepingCapacity: true)
            partitions[slot].machine.expire(at: now.instant, into: &machineEffects)
            carryOut(slot, into: &effects)
        }
    }
}

extension PartitionError {
    init(_ error: Storage.AppendError) {
        switch error {
        case .corrupt: self = .corruptMessage
        case .recordTooLarge: self = .messageTooLarge
        case .unsupportedFormat: self = .unsupportedMessageFormat
        case .invalidRecord: self = .invalidRecord
        case .invalidTimestamp: self = .invalidTimestamp
        case .outOfOrderSequence: self = .outOfOrderSequence
        case .duplicateTooOld: self = .duplicateSequence
        case .invalidProducerEpoch: self = .invalidProducerEpoch
        case .storage, .writesRefused: self = .storage
        }
    }

    init(_ refusal: PartitionMachine.Refusal) {
        switch refusal {
        case .notLeader: self = .notLeader
        case .syncFailed: self = .storage
        case .timedOut: self = .timedOut
        case .notEnoughReplicas: self = .notEnoughReplicas
        case .notEnoughReplicasAfterAppend: self = .notEnoughReplicasAfterAppend
        }
    }
}
