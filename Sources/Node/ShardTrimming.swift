import HeapModule
import Model
import Replication
import Storage

/// A DeleteRecords of one partition and the place of its answer.
public struct DeletionWish: Sendable {
    let serial: UInt64
    let place: Int
    let before: Int64
    let deadline: Instant
}

/// A deletion that is durable here, and waits for the copies that are in sync.
struct TrimWait {
    let wish: DeletionWish
    let start: Offset
}

/// DeleteRecords, and how the start of a log travels: the leader deletes and tells its followers
/// with its watermark; each says when it has durably done the same; and once all that are in sync
/// have, whoever asked is answered. So whichever of them leads next serves nothing of it.
extension Shard {
    // MARK: Leader

    /// DeleteRecords never passes the high watermark: what is not committed can't be dropped. One
    /// deletion at a time runs in a log; another waits for it.
    mutating func delete(
        _ wish: DeletionWish, in id: TopicPartition, into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id) else {
            return answer(wish, .failed(.unknownTopicOrPartition), into: &effects)
        }
        guard partitions[slot].isOpen else {
            return answer(wish, .failed(partitions[slot].unavailability), into: &effects)
        }
        if let error = refusal(of: .unknown, slot) {
            return answer(wish, .failed(error), into: &effects)
        }
        let high = partitions[slot].machine.highWatermark
        guard wish.before >= -1, wish.before <= high.rawValue else {
            return answer(wish, .failed(.offsetOutOfRange), into: &effects)
        }
        guard partitions[slot].configuration.isDeleted else {
            return answer(wish, .failed(.policyViolation), into: &effects)
        }
        let target = wish.before == -1 ? high : Offset(wish.before)
        guard target > partitions[slot].log.durableStart else {
            return awaitCopies(wish, target, slot, into: &effects)
        }
        guard let task = partitions[slot].log.deleteRecords(before: target) else {
            partitions[slot].deletionsWaiting.append(wish)
            return
        }
        run(.delete(id, task, [wish]), slot, into: &effects)
    }

    private mutating func answer(
        _ wish: DeletionWish, _ answer: PartitionAnswer, into effects: inout [Effect]
    ) {
        questionnaires[wish.serial]?.answers[wish.place] = answer
        settleQuestionnaire(wish.serial, into: &effects)
    }

    /// A deletion ran, for a request, for retention or because the leader's did: those that waited
    /// for it go on.
    mutating func deleted(
        _ id: TopicPartition, _ task: DeletionTask, _ wishes: [DeletionWish], _ error: DiskError?,
        into effects: inout [Effect]
    ) {
        let slot = partitions.index(of: id).flatMap { partitions[$0].isOpen ? $0 : nil }
        if let error {
            effects.append(.notice(.maintenanceFailed(id, "deleting: \(error)")))
            for wish in wishes { answer(wish, .failed(.storage), into: &effects) }
        }
        guard let slot else {
            if error == nil {
                for wish in wishes { answer(wish, .failed(.notLeader), into: &effects) }
            }
            return
        }
        defer { endJob(slot, into: &effects) }
        if let error {
            partitions[slot].log.failDeletion(task, error)
        } else {
            partitions[slot].log.completeDeletion(task)
            if !partitions[slot].streams.isEmpty { moved.append(slot) }
            noteTrimmed(slot)
            for wish in wishes { awaitCopies(wish, task.startOffset, slot, into: &effects) }
        }
        resumeDeletions(slot, into: &effects)
    }

    mutating func resumeDeletions(_ slot: Int, into effects: inout [Effect]) {
        let waiting = partitions[slot].deletionsWaiting
        partitions[slot].deletionsWaiting = []
        for wish in waiting { delete(wish, in: partitions[slot].id, into: &effects) }
    }

    /// Refuses the deletions that wait at a partition that is being closed, or led by another one.
    mutating func dismissDeletions(of slot: Int, into effects: inout [Effect]) {
        let waiting = partitions[slot].deletionsWaiting + partitions[slot].trimsWaiting.map(\.wish)
        partitions[slot].deletionsWaiting = []
        partitions[slot].trimsWaiting = []
        partitions[slot].trimmed = [:]
        for wish in waiting { answer(wish, .failed(.notLeader), into: &effects) }
    }

    private mutating func awaitCopies(
        _ wish: DeletionWish, _ start: Offset, _ slot: Int, into effects: inout [Effect]
    ) {
        guard partitions[slot].machine.leadership != nil else {
            return answer(wish, .failed(.notLeader), into: &effects)
        }
        partitions[slot].trimsWaiting.append(TrimWait(wish: wish, start: start))
        settleTrims(slot, into: &effects)
        guard questionnaires[wish.serial] != nil else { return }
        deadlines.insert(Deadline(at: wish.deadline, serial: wish.serial, kind: .trim))
    }

    /// Answers what every copy in sync has done; also when a copy left the set.
    mutating func settleTrims(_ slot: Int, into effects: inout [Effect]) {
        let waiting = partitions[slot].trimsWaiting
        guard !waiting.isEmpty else { return }
        let copies = partitions[slot].machine.inSyncFollowers
        let known = partitions[slot].trimmed
        let start = copies.map { known[$0] ?? .zero }.min()
        let low = partitions[slot].log.durableStart
        partitions[slot].trimsWaiting = []
        for wait in waiting {
            if start.map({ $0 >= wait.start }) ?? true {
                answer(wait.wish, .deleted(lowWatermark: max(low, wait.start)), into: &effects)
            } else {
                partitions[slot].trimsWaiting.append(wait)
            }
        }
    }

    /// The records are gone here and maybe not everywhere: whoever asked may ask again.
    mutating func expireTrims(into effects: inout [Effect]) {
        for slot in partitions.occupied where !partitions[slot].trimsWaiting.isEmpty {
            let late = partitions[slot].trimsWaiting.filter { $0.wish.deadline <= clock }
            partitions[slot].trimsWaiting.removeAll { $0.wish.deadline <= clock }
            for wait in late { answer(wait.wish, .failed(.timedOut), into: &effects) }
        }
    }

    /// A follower says where its log durably begins.
    mutating func trimmed(
        _ entry: TrimmedStart, _ replica: ReplicaID, into effects: inout [Effect]
    ) {
        guard let slot = openSlot(entry.partition),
            partitions[slot].machine.leadership?.epoch == entry.leaderEpoch,
            partitions[slot].machine.attachedFollower(replica.node)?.id == replica
        else { return }
        partitions[slot].trimmed[replica] = entry.start
        settleTrims(slot, into: &effects)
    }

    // MARK: Follower

    /// Drops what the leader dropped.
    mutating func trim(_ slot: Int, before offset: Offset, into effects: inout [Effect]) {
        guard let task = partitions[slot].log.deleteRecords(before: offset) else { return }
        run(.delete(partitions[slot].id, task, []), slot, into: &effects)
    }

    /// What a deletion or a compaction was in the way of.
    mutating func resumeTrim(_ slot: Int, into effects: inout [Effect]) {
        guard partitions[slot].isOpen, stopping == nil,
            let start = partitions[slot].follower?.position.logStart,
            start > partitions[slot].log.startOffset
        else { return }
        trim(slot, before: start, into: &effects)
    }

    /// Where the leader's log begins, where this copy does not durably begin there yet: a deletion
    /// that failed is tried again with the next maintenance, and not at once, which would fail too.
    func untrimmedStart(_ slot: Int) -> Offset? {
        guard stopping == nil, partitions[slot].machine.leadership == nil,
            let start = partitions[slot].follower?.position.logStart,
            start > partitions[slot].log.durableStart
        else { return nil }
        return start
    }

    /// The leader is to hear where the log begins, with the end of this turn.
    mutating func noteTrimmed(_ slot: Int) {
        guard partitions[slot].follower?.isFollowing == true,
            partitions[slot].log.durableStart > .zero
        else { return }
        trimming.append(slot)
    }

    /// Tells each leader, in one message, where this broker's copies begin: once in each session,
    /// and when it changes.
    mutating func tellTrimmed(into effects: inout [Effect]) {
        guard !trimming.isEmpty else { return }
        var leaders: [(node: NodeID, id: ReplicaID, starts: [TrimmedStart])] = []
        for slot in trimming where partitions.isOccupied(slot) && partitions[slot].isOpen {
            guard let follower = partitions[slot].follower, follower.isFollowing,
                let leader = follower.leader
            else { continue }
            let start = partitions[slot].log.durableStart
            let told = partitions[slot].trimTold
            guard told?.session != follower.sessions || told?.start != start else { continue }
            partitions[slot].trimTold = (follower.sessions, start)
            let entry = TrimmedStart(
                partition: partitions[slot].id, leaderEpoch: follower.leaderEpoch, start: start)
            if let at = leaders.firstIndex(where: { $0.node == leader && $0.id == follower.id }) {
                leaders[at].starts.append(entry)
            } else {
                leaders.append((leader, follower.id, [entry]))
            }
        }
        trimming.removeAll(keepingCapacity: true)
        for (node, id, starts) in leaders {
            let step = ReplicationLimits.entriesPerMessage
            for first in stride(from: 0, to: starts.count, by: step) {
                let part = Array(starts[first..<min(starts.count, first + step)])
                effects.append(.send(node, .trimmed(id, part)))
            }
        }
    }
}
