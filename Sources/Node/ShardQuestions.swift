import Model
import Replication
import Storage

/// The special times of ListOffsets, as clients write them.
enum OffsetQuery {
    static let latest: Int64 = -1
    static let earliest: Int64 = -2
    /// The record with the greatest timestamp (KIP-734).
    static let greatestTimestamp: Int64 = -3
    /// The earliest record on local disk (KIP-405): without tiers, the earliest at all.
    static let earliestLocal: Int64 = -4
    /// The end of what tiers hold (KIP-1005): without tiers there is none.
    static let latestTiered: Int64 = -5
}

/// The answers to one `ask`, some of which wait for a disk thread.
struct Questionnaire {
    let token: UInt64
    var remaining: Int
    var answers: [PartitionAnswer] = []
}

extension Shard {
    /// Answers questions from indexes and the page cache; where records are deleted, only once
    /// the new start of the log is durable here and on every copy that is in sync.
    mutating func ask(
        _ questions: [(TopicPartition, PartitionQuestion)], token: UInt64, now: Now,
        into effects: inout [Effect]
    ) {
        let serial = nextSerial()
        questionnaires[serial] = Questionnaire(token: token, remaining: 1)
        for (place, (id, question)) in questions.enumerated() {
            if case .delete(let before, let patience) = question {
                questionnaires[serial]?.answers.append(.failed(.timedOut))
                questionnaires[serial]?.remaining += 1
                let wish = DeletionWish(
                    serial: serial, place: place, before: before,
                    deadline: clock.advanced(byMilliseconds: max(0, patience)))
                delete(wish, in: id, into: &effects)
            } else {
                let answer = answer(question, about: id, now: now)
                questionnaires[serial]?.answers.append(answer)
            }
        }
        settleQuestionnaire(serial, into: &effects)
    }

    /// One answer fewer to wait for; replies at the last.
    mutating func settleQuestionnaire(_ serial: UInt64, into effects: inout [Effect]) {
        questionnaires[serial]?.remaining -= 1
        guard let asked = questionnaires[serial], asked.remaining == 0 else { return }
        questionnaires[serial] = nil
        effects.append(.answered(token: asked.token, asked.answers))
    }

    /// Answers one question about one partition from the log's indexes and the page cache.
    private mutating func answer(
        _ question: PartitionQuestion, about id: TopicPartition, now: Now
    ) -> PartitionAnswer {
        guard let slot = partitions.index(of: id) else {
            return .failed(.unknownTopicOrPartition)
        }
        guard partitions[slot].isOpen else { return .failed(partitions[slot].unavailability) }
        switch question {
        case .offset(let time, let claimed):
            if let error = refusal(of: claimed, slot) { return .failed(error) }
            return offset(at: time, slot)
        case .end(let epoch, let claimed):
            if let error = refusal(of: claimed, slot) { return .failed(error) }
            let found = partitions[slot].log.endOffset(for: epoch)
            return .end(found?.epoch ?? .unknown, found?.endOffset ?? Offset(-1))
        case .producers:
            if let error = refusal(of: .unknown, slot) { return .failed(error) }
            return .producers(partitions[slot].log.activeProducers)
        case .size:
            return .size(bytes: partitions[slot].log.sizeInBytes)
        case .copies:
            return copies(slot)
        case .delete:
            preconditionFailure("a deletion is answered when it is durable")
        }
    }

    private func copies(_ slot: Int) -> PartitionAnswer {
        guard let leadership = partitions[slot].machine.leadership else {
            return .failed(.notLeader)
        }
        let machine = partitions[slot].machine
        return .copies(
            LeaderCopies(
                epoch: leadership.epoch, start: partitions[slot].log.startOffset,
                end: partitions[slot].log.endOffset, highWatermark: machine.highWatermark,
                isServing: isLeased(slot), isChangingInSync: machine.isChangingInSync,
                followers: machine.copies))
    }

    /// The epoch under which the record at `offset` was appended; unknown in an empty log.
    private func epoch(at offset: Offset, _ slot: Int) -> LeaderEpoch {
        partitions[slot].log.epochs.entries.last { $0.startOffset <= offset }?.epoch ?? .unknown
    }

    private mutating func offset(at time: Int64, _ slot: Int) -> PartitionAnswer {
        let high = partitions[slot].machine.highWatermark
        let start = partitions[slot].log.startOffset
        let unknown = PartitionAnswer.offset(Offset(-1), .none, .unknown)
        switch time {
        case OffsetQuery.latest:
            guard partitions[slot].machine.hasCommittedOwnEpoch else {
                return .failed(.offsetNotAvailable)
            }
            return .offset(high, .none, partitions[slot].machine.leadership?.epoch ?? .unknown)
        case OffsetQuery.earliest, OffsetQuery.earliestLocal:
            return .offset(start, .none, epoch(at: start, slot))
        case OffsetQuery.latestTiered:
            return unknown
        default:
            guard time >= 0 || time == OffsetQuery.greatestTimestamp else { return unknown }
            do throws(ReadError) {
                let found =
                    time < 0
                    ? try partitions[slot].log.maxTimestamp(below: high)
                    : try partitions[slot].log.firstOffset(
                        atOrAfter: Timestamp(milliseconds: time), below: high)
                guard let found else {
                    // The record may be there and not be known to be committed yet.
                    let isKnown = partitions[slot].machine.hasCommittedOwnEpoch
                    return isKnown ? unknown : .failed(.offsetNotAvailable)
                }
                return .offset(found.offset, found.timestamp, found.leaderEpoch)
            } catch {
                return .failed(PartitionError(error))
            }
        }
    }

    /// Names the next piece of a slot's bytes; the shell reads it on a disk thread and asks for the
    /// piece behind it.
    ///
    /// Up to the log's end, and the end is told once all of it is committed: a new leader may hold
    /// what its predecessor wrote and acknowledged to nobody, and may hold committed records that
    /// it does not know to be so. A coordinator that began without the one or with the other would
    /// tell a group an offset that it takes back.
    mutating func scan(_ load: SlotLoad, from offset: Offset, into effects: inout [Effect]) {
        let id = load.partition
        guard let slot = partitions.index(of: id) else { return }
        guard partitions[slot].isOpen else {
            partitions[slot].scanWaiting = (load, offset)
            return
        }
        let next = max(offset, partitions[slot].log.startOffset)
        let end = partitions[slot].log.endOffset
        guard next < end || partitions[slot].committed >= end else {
            partitions[slot].scanWaiting = (load, offset)
            if partitions[slot].log.flushedOffset < end { flush(slot, into: &effects) }
            return
        }
        do throws(ReadError) {
            let piece = try partitions[slot].log.read(
                from: next, below: end,
                maxBytes: Self.scanPieceBytes, atLeastOne: true)
            effects.append(.scanned(load, piece))
        } catch {
            effects.append(.notice(.maintenanceFailed(id, "loading the slot: \(error)")))
        }
    }

    /// The log is back, or more of it is committed: whoever waits to read it goes on.
    mutating func resumeScan(_ slot: Int, into effects: inout [Effect]) {
        guard let (load, offset) = partitions[slot].scanWaiting else { return }
        partitions[slot].scanWaiting = nil
        scan(load, from: offset, into: &effects)
    }

    /// Large enough that a slot is few reads, small enough for a disk thread's buffer.
    static let scanPieceBytes = 1 << 20
}
