import HeapModule
import Model
import NIOCore
import Replication
import Storage

/// A fetch that waits for more bytes than there were.
struct PendingFetch {
    let work: FetchWork
    /// Bytes appended to its partitions since it began to wait; reads are tried again only when
    /// they could satisfy it.
    var arrived: Int
    let slots: [Int]
}

extension Shard {
    /// Answers at once where there is enough, an error, or no time to wait; else holds it back.
    mutating func fetch(_ work: FetchWork, now: Now, into effects: inout [Effect]) {
        var bytes = 0
        var hasError = false
        let mayWait = work.deadline > now.instant
        let results = read(
            work, bytes: &bytes, hasError: &hasError, mayWait: mayWait, into: &effects)
        if bytes >= work.minBytes || hasError || !mayWait {
            effects.append(.fetched(token: work.token, results))
            return
        }
        let serial = work.token
        let slots = work.parts.compactMap { partitions.index(of: $0.partition) }
        for slot in slots { partitions[slot].watchers.append(serial) }
        fetches[serial] = PendingFetch(work: work, arrived: bytes, slots: slots)
        deadlines.insert(Deadline(at: work.deadline, serial: serial, kind: .fetch))
    }

    /// Reads each part within the bounds of the whole: at least one batch, so that a batch larger
    /// than `maxBytes` can't stop a consumer for ever (KIP-74).
    private mutating func read(
        _ work: FetchWork, bytes: inout Int, hasError: inout Bool, mayWait: Bool,
        into effects: inout [Effect]
    ) -> [FetchResult] {
        var results: [FetchResult] = []
        results.reserveCapacity(work.parts.count)
        for part in work.parts {
            let result = read(
                part, budget: work.maxBytes - bytes, first: bytes == 0, mayWait: mayWait,
                into: &effects)
            bytes += result.records.byteCount
            if result.error != nil || result.diverging != nil { hasError = true }
            results.append(result)
        }
        return results
    }

    private mutating func read(
        _ part: FetchWork.Part, budget: Int, first: Bool, mayWait: Bool,
        into effects: inout [Effect]
    ) -> FetchResult {
        guard let slot = partitions.index(of: part.partition) else {
            return FetchResult(error: .unknownTopicOrPartition)
        }
        guard partitions[slot].isOpen else {
            return FetchResult(error: partitions[slot].unavailability)
        }
        if isBetweenLeaders(slot) {
            // Who leads is known in a moment; until then there is nothing new. An answer would say
            // where what is committed ends, which nobody knows now: a client that reads to the end
            // would stop there.
            return mayWait ? FetchResult() : FetchResult(error: .notLeader)
        }
        let isFollower = part.readsFollowers && partitions[slot].follower != nil
        let refusal =
            isFollower
            ? followerRefusal(of: part, slot) : refusal(of: part.currentLeaderEpoch, slot)
        if let refusal { return FetchResult(error: refusal) }
        var result = FetchResult()
        result.highWatermark = partitions[slot].committed
        result.logStart = partitions[slot].log.startOffset
        if !isFollower, part.offset >= result.highWatermark,
            !partitions[slot].machine.hasCommittedOwnEpoch
        {
            // As between leaders: more may be committed than this leader knows yet (KIP-207).
            return mayWait ? FetchResult() : FetchResult(error: .offsetNotAvailable)
        }
        if part.lastFetchedEpoch > .unknown,
            let diverging = divergence(of: part, slot)
        {
            result.diverging = diverging
            return result
        }
        guard budget > 0 || first else { return result }
        do throws(ReadError) {
            result.records = try partitions[slot].log.read(
                from: part.offset,
                below: rules.node.consumersSeeCommitted
                    ? result.highWatermark : partitions[slot].log.endOffset,
                maxBytes: min(part.maxBytes, max(budget, 0)), atLeastOne: first)
        } catch {
            result.error = PartitionError(error)
            noteUnreadable(slot, error, into: &effects)
        }
        return result
    }

    /// KIP-320: a client with an older belief is fenced, one with a newer is asked to wait.
    func refusal(of claimed: LeaderEpoch, _ slot: Int) -> PartitionError? {
        guard let leadership = partitions[slot].machine.leadership, isLeased(slot) else {
            return .notLeader
        }
        if claimed == .unknown || claimed == leadership.epoch { return nil }
        return claimed < leadership.epoch ? .fencedLeaderEpoch : .unknownLeaderEpoch
    }

    /// Why a follower does not serve a consumer (KIP-392): it has lost its leader, or does not know
    /// yet that what is asked for is committed. What it knows to be committed it always holds.
    private func followerRefusal(of part: FetchWork.Part, _ slot: Int) -> PartitionError? {
        guard let follower = partitions[slot].follower, follower.isFollowing else {
            return .notLeader
        }
        let claimed = part.currentLeaderEpoch
        if claimed != .unknown, claimed != follower.leaderEpoch {
            return claimed < follower.leaderEpoch ? .fencedLeaderEpoch : .unknownLeaderEpoch
        }
        guard part.offset > partitions[slot].committed else { return nil }
        // Where a log ends only its leader knows: at OFFSET_OUT_OF_RANGE a client begins anew, and
        // this broker may be cut off and far behind. A deviation from KIP-392.
        return part.offset > partitions[slot].log.endOffset ? .notLeader : .offsetNotAvailable
    }

    /// Where the client's last read record is not in this log, the place where the two part.
    private func divergence(
        of part: FetchWork.Part, _ slot: Int
    ) -> (epoch: LeaderEpoch, end: Offset)? {
        guard let (epoch, end) = partitions[slot].log.endOffset(for: part.lastFetchedEpoch) else {
            return nil
        }
        return epoch < part.lastFetchedEpoch || end < part.offset ? (epoch, end) : nil
    }

    /// Consumers whose partitions moved while this input was handled, in the order they moved.
    mutating func serveWaitingConsumers(now: Now, into effects: inout [Effect]) {
        guard !advanced.isEmpty else { return }
        for slot in advanced where partitions.isOccupied(slot) {
            if partitions[slot].scanWaiting != nil { resumeScan(slot, into: &effects) }
            let bytes = partitions[slot].unannouncedBytes
            partitions[slot].unannouncedBytes = 0
            let watchers = partitions[slot].watchers
            guard !watchers.isEmpty else { continue }
            var still: [UInt64] = []
            for serial in watchers {
                guard let at = fetches.index(forKey: serial) else { continue }
                fetches.values[at].arrived += bytes
                if fetches.values[at].arrived >= fetches.values[at].work.minBytes {
                    finishFetch(serial, into: &effects)
                } else {
                    still.append(serial)
                }
            }
            partitions[slot].watchers = still
        }
        advanced.removeAll(keepingCapacity: true)
    }

    /// Reads once more and answers with what there is.
    mutating func finishFetch(_ serial: UInt64, into effects: inout [Effect]) {
        guard let pending = fetches.removeValue(forKey: serial) else { return }
        for slot in pending.slots where partitions.isOccupied(slot) {
            partitions[slot].watchers.removeAll { $0 == serial }
        }
        var bytes = 0
        var hasError = false
        let results = read(
            pending.work, bytes: &bytes, hasError: &hasError, mayWait: false, into: &effects)
        effects.append(.fetched(token: pending.work.token, results))
    }

    mutating func settle(_ token: UInt64, now: Now, into effects: inout [Effect]) {
        guard fetches[token] != nil else { return }
        finishFetch(token, into: &effects)
    }

    /// Drops a fetch whose connection is gone; appended batches stay, only their answer goes.
    mutating func forget(_ token: UInt64) {
        guard let pending = fetches.removeValue(forKey: token) else { return }
        for slot in pending.slots where partitions.isOccupied(slot) {
            partitions[slot].watchers.removeAll { $0 == token }
        }
    }

    /// Answers everybody who waits at a partition that is being closed.
    mutating func dismissConsumers(of slot: Int, into effects: inout [Effect]) {
        let watchers = partitions[slot].watchers
        for serial in watchers { finishFetch(serial, into: &effects) }
    }
}

extension PartitionError {
    init(_ error: ReadError) {
        switch error {
        case .outOfRange: self = .offsetOutOfRange
        case .corrupt: self = .corruptMessage
        case .storage: self = .storage
        }
    }
}
