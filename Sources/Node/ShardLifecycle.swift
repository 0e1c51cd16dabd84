import Model
import Replication
import Storage

/// How far a stop has come.
struct StopProgress {
    var remaining: Int
    var isClean = true
}

extension Shard {
    /// Takes the partition in and has its log opened on a disk thread; until then it is `loading`.
    mutating func open(_ order: PartitionOrder, now: Now, into effects: inout [Effect]) {
        guard stopping == nil else { return }
        guard !erasing.contains(order.partition) else {
            // It comes back before the files of its last stay are gone.
            reopening[order.partition] = order
            return
        }
        guard partitions.index(of: order.partition) == nil else {
            effects.append(.opened(order.partition, failure: nil))
            return
        }
        let slot = partitions.insert(
            ShardPartition(
                id: order.partition, configuration: order.configuration,
                role: order.role,
                machine: PartitionMachine(
                    syncRequired: order.configuration.durability == .sync,
                    rules: rules.replication),
                complete: CompleteSetLease(rules: rules.replication)))
        partitions[slot].refusedProducer = strangers.remove(order.partition) != nil
        effects.append(.run(.open(order.under(rules.storage))))
    }

    mutating func close(_ id: TopicPartition, delete: Bool, into effects: inout [Effect]) {
        defer { effects.append(.closed(id)) }
        guard let slot = partitions.index(of: id) else {
            reopening[id] = nil
            // Let go of before, while the leave to erase it could not be written.
            if delete, erasing.insert(id).inserted { effects.append(.run(.erase(id))) }
            return
        }
        drive(slot, .resign, into: &effects)
        dismissConsumers(of: slot, into: &effects)
        dismissDeletions(of: slot, into: &effects)
        let isOpening = partitions[slot].isOpening
        for part in held where part.partition == id { settleProduce(part.serial, into: &effects) }
        held.removeAll { $0.partition == id }
        dropStreams(slot)
        partitions[slot].opened?.releaseFiles()
        partitions.remove(at: slot)
        if delete || isOpening { erasing.insert(id) }
        // A log that is still being opened is erased when its opening is reported.
        if delete, !isOpening { effects.append(.run(.erase(id))) }
        // A stop waits for it no more.
        stopping?.remaining -= 1
        finishStop(into: &effects)
    }

    mutating func configure(
        _ id: TopicPartition, _ configuration: TopicConfiguration, into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id) else { return }
        partitions[slot].configuration = configuration
        partitions[slot].machine.syncRequired = configuration.durability == .sync
        partitions[slot].follower?.syncRequired = configuration.durability == .sync
        guard partitions[slot].isOpen else { return }
        partitions[slot].log.configure(logConfiguration(configuration))
        guard partitions[slot].log.refusal == nil else { return }
        synced(slot, into: &effects)
    }

    mutating func finished(_ outcome: DiskOutcome, now: Now, into effects: inout [Effect]) {
        switch outcome {
        case .opened(let order, let result): opened(order, result, now: now, into: &effects)
        case .flushed(let id, let task, let error):
            flushed(id, task, error, now: now, into: &effects)
        case .cut(let id, let result): cutEnded(id, result, now: now, into: &effects)
        case .read(let read, let result): readEnded(read, result, into: &effects)
        case .deleted(let id, let task, let wishes, let error):
            deleted(id, task, wishes, error, into: &effects)
        case .compacted(let id, let task, let result):
            compacted(id, task, result, into: &effects)
        case .closed(let id, let error):
            report(id, error.map { "\($0)" }, into: &effects)
            stopping?.remaining -= 1
            if error != nil { stopping?.isClean = false }
            finishStop(into: &effects)
        case .erased(let id, let error):
            report(id, error.map { "\($0)" }, into: &effects)
            erasing.remove(id)
            if let order = reopening.removeValue(forKey: id) {
                open(order, now: now, into: &effects)
            }
        }
    }

    private mutating func opened(
        _ order: PartitionOrder, _ result: Result<OpenedLog, StorageError>, now: Now,
        into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: order.partition) else {
            effects.append(.run(.erase(order.partition)))
            effects.append(
                .opened(order.partition, failure: "the topic was deleted while it was opened"))
            return
        }
        partitions[slot].isOpening = false
        switch result {
        case .failure(let error):
            let reason = String(describing: error)
            effects.append(.notice(.openFailed(order.partition, reason)))
            effects.append(.opened(order.partition, failure: reason))
        case .success(let opened):
            partitions[slot].opened = opened.log
            if partitions[slot].refusedProducer {
                refuseLateStarts(slot)
            } else if partitions[slot].log.endOffset == .zero {
                beginAtZero(slot)
            }
            // The topic may have been altered while its log was being opened.
            if partitions[slot].configuration != order.configuration {
                partitions[slot].log.configure(logConfiguration(partitions[slot].configuration))
            }
            // Opening ended after a stop was asked for: it is closed like the rest.
            guard stopping == nil else { break }
            takeOn(slot, now: now, into: &effects)
            if opened.report != RecoveryReport() {
                effects.append(.notice(.recovered(order.partition, opened.report)))
            }
            effects.append(.opened(order.partition, failure: nil))
            resumeScan(slot, into: &effects)
        }
        if stopping != nil { closeForStop(slot, into: &effects) }
    }

    func logConfiguration(_ topic: TopicConfiguration) -> LogConfiguration {
        var configuration = LogConfiguration(topic)
        configuration.rules = rules.storage
        return configuration
    }

    /// Gives work on an open log to a disk thread.
    mutating func run(_ job: DiskJob, _ slot: Int, into effects: inout [Effect]) {
        partitions[slot].jobsUnderWay += 1
        effects.append(.run(job))
    }

    /// Such work was reported; the last one lets a stop go on.
    mutating func endJob(_ slot: Int, into effects: inout [Effect]) {
        partitions[slot].jobsUnderWay -= 1
        beginCut(slot, into: &effects)
        resumeTrim(slot, into: &effects)
        if stopping != nil { closeForStop(slot, into: &effects) }
    }

    /// Has everything appended so far synced; one sync at a time for each log.
    mutating func flush(_ slot: Int, into effects: inout [Effect]) {
        guard !partitions[slot].flushUnderWay else {
            partitions[slot].flushAgain = true
            return
        }
        guard let task = partitions[slot].log.beginFlush() else {
            // A log that takes no writes is never synced again: whoever waits for that is refused.
            let isWhole = partitions[slot].log.flushedOffset >= partitions[slot].log.endOffset
            if isWhole { return synced(slot, into: &effects) }
            return drive(slot, .syncFailed, into: &effects)
        }
        partitions[slot].flushUnderWay = true
        run(.flush(partitions[slot].id, task), slot, into: &effects)
    }

    private mutating func flushed(
        _ id: TopicPartition, _ task: FlushTask, _ error: DiskError?, now: Now,
        into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id), partitions[slot].isOpen else { return }
        defer { endJob(slot, into: &effects) }
        partitions[slot].flushUnderWay = false
        if let error {
            partitions[slot].log.failFlush(task, error)
            effects.append(.notice(.syncFailed(id, String(describing: error))))
            drive(slot, .syncFailed, into: &effects)
            reportBroken(slot, into: &effects)
            return
        }
        partitions[slot].log.completeFlush(task)
        let again = partitions[slot].flushAgain
        partitions[slot].flushAgain = false
        synced(slot, into: &effects)
        if again, !partitions[slot].flushUnderWay { flush(slot, into: &effects) }
    }

    /// A log that the device failed takes no writes until it is scanned anew. Where others have
    /// copies they are to lead, and not to count on this one (reference, section 6).
    func reportBroken(_ slot: Int, into effects: inout [Effect]) {
        guard partitions[slot].role.copy != nil, stopping == nil else { return }
        switch partitions[slot].log.refusal {
        case .flushFailed(let reason), .writeFailed(let reason):
            effects.append(.broken(partitions[slot].id, "\(reason)"))
        case .corrupt(let damage):
            effects.append(.broken(partitions[slot].id, "\(damage.kind)"))
        case .closed, nil: return
        }
    }

    /// Tells leader and follower how much of the log is on the device.
    private mutating func synced(_ slot: Int, into effects: inout [Effect]) {
        let offset = partitions[slot].log.flushedOffset
        drive(slot, .synced(upTo: offset), into: &effects)
        driveFollower(slot, .synced(upTo: offset), into: &effects)
    }

    mutating func flushInterval(into effects: inout [Effect]) {
        for slot in partitions.occupied where partitions.wantsIntervalFlush(slot) {
            flush(slot, into: &effects)
        }
    }

    mutating func maintain(now: Now, into effects: inout [Effect]) {
        reopenFailed(into: &effects)
        for slot in partitions.occupied where partitions[slot].isOpen {
            acceptLateStarts(slot, now: now.instant)
            let id = partitions[slot].id
            let high = partitions[slot].committed
            // A follower drops what its leader drops.
            if partitions[slot].machine.leadership != nil,
                let task = partitions[slot].log.applyRetention(now: now, upTo: high)
            {
                run(.delete(id, task, []), slot, into: &effects)
            } else if let start = untrimmedStart(slot) {
                trim(slot, before: start, into: &effects)
            } else if let task = partitions[slot].log.beginCompaction(now: now, upTo: high) {
                run(.compact(id, task), slot, into: &effects)
            }
            if partitions[slot].log.wantsSeal { flush(slot, into: &effects) }
        }
    }

    /// A compaction ran: its segments take the place of the originals, and deletions that waited
    /// for it go on.
    private mutating func compacted(
        _ id: TopicPartition, _ task: CompactionTask,
        _ result: Result<CompactionResult, CompactionError>, into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id), partitions[slot].isOpen else { return }
        defer { endJob(slot, into: &effects) }
        switch result {
        case .success(let result):
            partitions[slot].log.completeCompaction(task, result)
            report(id, result.stopped.map { "compacting: \($0)" }, into: &effects)
        case .failure(let error):
            partitions[slot].log.failCompaction(task, error)
            report(id, "compacting: \(error)", into: &effects)
        }
        resumeDeletions(slot, into: &effects)
    }

    /// Tries again to open what could not be opened, such as when descriptors had run out.
    private mutating func reopenFailed(into effects: inout [Effect]) {
        guard stopping == nil else { return }
        for slot in partitions.occupied
        where !partitions[slot].isOpen && !partitions[slot].isOpening {
            partitions[slot].isOpening = true
            let order = PartitionOrder(
                partition: partitions[slot].id, configuration: partitions[slot].configuration,
                role: partitions[slot].role, cleanStart: false)
            effects.append(.run(.open(order.under(rules.storage))))
        }
    }

    private func report(
        _ id: TopicPartition, _ failure: String?, into effects: inout [Effect]
    ) {
        guard let failure else { return }
        effects.append(.notice(.maintenanceFailed(id, failure)))
    }

    /// Refuses what waits, then flushes and closes each log; the last answer says `stopped`.
    mutating func stop(into effects: inout [Effect]) {
        guard stopping == nil else { return }
        stopping = StopProgress(remaining: partitions.occupied.count)
        for part in held { settleProduce(part.serial, into: &effects) }
        held = []
        for slot in partitions.occupied {
            dismissConsumers(of: slot, into: &effects)
            dismissDeletions(of: slot, into: &effects)
            if !partitions[slot].isOpening { closeForStop(slot, into: &effects) }
        }
        finishStop(into: &effects)
    }

    /// A log is closed once nothing works on it any more: a flush that is still under way would be
    /// taken for done, and what closing vouches for would not be on the device.
    mutating func closeForStop(_ slot: Int, into effects: inout [Effect]) {
        drive(slot, .resign, into: &effects)
        guard partitions[slot].jobsUnderWay == 0 else { return }
        switch partitions[slot].opened?.refusal {
        case .writeFailed, .flushFailed:
            // What the file holds behind the failure is not known: the next start looks.
            stopping?.isClean = false
        case .corrupt where partitions[slot].role.isCounted:
            // The next start claims nothing, and fetches what is damaged.
            stopping?.isClean = false
        case .corrupt, .closed, nil: break
        }
        guard let log = partitions[slot].opened else {
            // Nobody knows what is in it: the next start has to look.
            partitions.remove(at: slot)
            stopping?.isClean = false
            stopping?.remaining -= 1
            finishStop(into: &effects)
            return
        }
        let id = partitions[slot].id
        partitions.remove(at: slot)
        effects.append(.run(.close(id, log)))
    }

    private mutating func finishStop(into effects: inout [Effect]) {
        guard let progress = stopping, progress.remaining == 0 else { return }
        stopping?.remaining = -1
        effects.append(.stopped(clean: progress.isClean))
    }
}
