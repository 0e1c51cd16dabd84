import HeapModule
import Model
import NIOCore
import Replication
import Storage

/// How a shard copies what other brokers lead.
extension Shard {
    /// Runs one input through the machine of a partition that is followed, and carries out what it
    /// says. True where the records of the input are to be appended.
    @discardableResult
    mutating func driveFollower(
        _ slot: Int, _ input: FollowerMachine.Input, into effects: inout [Effect]
    ) -> Bool {
        guard partitions[slot].follower != nil else { return false }
        var said: [FollowerMachine.Effect] = []
        swap(&said, &followerEffects)
        partitions[slot].follower?.handle(input, now: clock, into: &said)
        var isToAppend = false
        for effect in said {
            switch effect {
            case .append: isToAppend = true
            case .attach(let leader, let request):
                effects.append(.send(leader, .attach(partitions[slot].id, request)))
            case .truncate(let offset): cut(slot, .truncate(to: offset), into: &effects)
            case .startOver(let offset): cut(slot, .restart(at: offset), into: &effects)
            case .acknowledge: acknowledging.append(slot)
            case .sync: flush(slot, into: &effects)
            case .highWatermark: advanced.append(slot)
            case .logStart(let offset): trim(slot, before: offset, into: &effects)
            case .recordEpoch: break  // The table says it again after a restart.
            case .wake(let moment):
                partitions[slot].followerWake = moment
                deadlines.insert(Deadline(at: moment, serial: UInt64(slot), kind: .follower))
            case .alarm(let alarm):
                effects.append(.notice(.committedCut(partitions[slot].id, alarm)))
            }
        }
        said.removeAll(keepingCapacity: true)
        swap(&said, &followerEffects)
        return isToAppend
    }

    mutating func wakeFollower(_ slot: Int, now: Now, into effects: inout [Effect]) {
        partitions[slot].followerWake = nil
        guard partitions[slot].isOpen else { return }
        driveFollower(slot, .wake, into: &effects)
    }

    /// Takes what a leader sent about its partitions; from anybody else it is nothing.
    mutating func hear(
        fromLeader message: ReplicationMessage, _ from: NodeID, now: Now,
        into effects: inout [Effect]
    ) {
        switch message {
        case .attached(let id, let session, let agreement, let progress):
            guard let slot = followedSlot(id, from) else { return }
            var ownEnd: Offset?
            if case .truncate(let epoch, _) = agreement {
                ownEnd = partitions[slot].log.endOffset(for: epoch)?.endOffset
            }
            driveFollower(
                slot, .attached(session, agreement, progress, ownEnd: ownEnd), into: &effects)
            noteTrimmed(slot)
        case .refused(let id, let session, let reason):
            guard let slot = followedSlot(id, from) else { return }
            driveFollower(slot, .refused(session, reason), into: &effects)
        case .append(let message):
            guard let slot = followedSlot(message.partition, from) else { return }
            append(message, to: slot, now: now, into: &effects)
        case .progress(let entries):
            for entry in entries {
                guard let slot = followedSlot(entry.partition, from) else { continue }
                driveFollower(
                    slot, .progress(entry.session, entry.progress), into: &effects)
            }
        default: return
        }
    }

    /// Says what of these partitions is here, to whoever may lead them next.
    mutating func tellHoldings(
        of partitions: [TopicPartition], to node: NodeID, into effects: inout [Effect]
    ) {
        var copy: ReplicaID?
        var holdings: [Holding] = []
        for id in partitions {
            guard let slot = openSlot(id), let own = self.partitions[slot].role.copy else {
                continue
            }
            copy = own
            holdings.append(
                Holding(
                    partition: id, lastEpoch: self.partitions[slot].log.lastRecordEpoch,
                    end: self.partitions[slot].log.endOffset))
        }
        if let copy { effects.append(.send(node, .holdings(copy, holdings))) }
    }

    /// A partition that is copied from that broker.
    private func followedSlot(_ id: TopicPartition, _ leader: NodeID) -> Int? {
        openSlot(id).flatMap { partitions[$0].follower?.leader == leader ? $0 : nil }
    }

    /// A partition whose log is at hand.
    func openSlot(_ id: TopicPartition) -> Int? {
        guard stopping == nil, let slot = partitions.index(of: id), partitions[slot].isOpen else {
            return nil
        }
        return slot
    }

    private mutating func append(
        _ message: AppendMessage, to slot: Int, now: Now, into effects: inout [Effect]
    ) {
        let isWanted = driveFollower(
            slot,
            .records(message.session, message.leaderEpoch, base: message.base, message.progress),
            into: &effects)
        guard isWanted else { return }
        do throws(Storage.AppendError) {
            _ = try partitions[slot].log.append(
                message.records, leaderEpoch: message.leaderEpoch, origin: .replica, now: now)
            noteWritten(slot, into: &effects)
            partitions[slot].unannouncedBytes += message.records.readableBytes
            let end = partitions[slot].log.endOffset
            let epoch = partitions[slot].log.lastRecordEpoch
            driveFollower(slot, .appended(end: end, lastEpoch: epoch), into: &effects)
            if partitions[slot].log.wantsSeal { flush(slot, into: &effects) }
        } catch {
            if case .storage = error { reportBroken(slot, into: &effects) }
            if !partitions[slot].writesFail {
                partitions[slot].writesFail = true
                effects.append(
                    .notice(
                        .writeFailed(
                            partitions[slot].id, "what its leader sent is lacking: \(error.words)"))
                )
            }
            driveFollower(slot, .appendFailed, into: &effects)
        }
    }

    // MARK: Cutting

    /// Gives the log to a disk thread to be cut, once nothing works on it any more.
    mutating func cut(_ slot: Int, _ cut: LogCut, into effects: inout [Effect]) {
        partitions[slot].cut = cut
        beginCut(slot, into: &effects)
    }

    mutating func beginCut(_ slot: Int, into effects: inout [Effect]) {
        guard let cut = partitions[slot].cut, partitions[slot].jobsUnderWay == 0,
            let log = partitions[slot].opened
        else { return }
        partitions[slot].cut = nil
        partitions[slot].opened = nil
        partitions[slot].isOpening = true
        effects.append(.run(.cut(partitions[slot].id, log, cut)))
    }

    /// The log is back: shorter, or empty.
    mutating func cutEnded(
        _ id: TopicPartition, _ result: Result<OpenedLog, TruncationError>, now: Now,
        into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id) else {
            effects.append(.run(.erase(id)))
            return
        }
        partitions[slot].isOpening = false
        switch result {
        case .failure(let error):
            // What is left is not known: it is opened anew with the next maintenance.
            effects.append(.notice(.openFailed(id, "cutting: \(error)")))
            dropFollower(slot)
        case .success(let opened):
            partitions[slot].opened = opened.log
            partitions[slot].log.configure(logConfiguration(partitions[slot].configuration))
            let end = opened.log.endOffset
            let epoch = opened.log.lastRecordEpoch
            driveFollower(slot, .truncated(end: end, lastEpoch: epoch), into: &effects)
            if stopping == nil {
                takeOn(slot, now: now, into: &effects)
                resumeScan(slot, into: &effects)
            }
        }
        if stopping != nil { closeForStop(slot, into: &effects) }
    }

    /// Tells each leader, in one message, how much of its partitions is here.
    mutating func sendAcknowledgements(into effects: inout [Effect]) {
        guard !acknowledging.isEmpty else { return }
        var leaders: [(node: NodeID, id: ReplicaID, ends: [AcknowledgedEnd])] = []
        for slot in acknowledging where partitions.isOccupied(slot) {
            guard let (epoch, end) = partitions[slot].follower?.takeAcknowledgement(),
                let leader = partitions[slot].follower?.leader,
                let id = partitions[slot].follower?.id
            else { continue }
            let entry = AcknowledgedEnd(
                partition: partitions[slot].id, leaderEpoch: epoch, end: end)
            if let place = leaders.firstIndex(where: { $0.node == leader && $0.id == id }) {
                leaders[place].ends.append(entry)
            } else {
                leaders.append((leader, id, [entry]))
            }
        }
        acknowledging.removeAll(keepingCapacity: true)
        for (node, id, ends) in leaders {
            for start in stride(from: 0, to: ends.count, by: ReplicationLimits.entriesPerMessage) {
                let end = min(ends.count, start + ReplicationLimits.entriesPerMessage)
                effects.append(.send(node, .acknowledged(id, Array(ends[start..<end]))))
            }
        }
    }
}
