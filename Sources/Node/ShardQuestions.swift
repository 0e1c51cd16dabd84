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

extension Shard {
    /// Answers one question about one partition from the log's indexes and the page cache.
    mutating func answer(
        _ question: PartitionQuestion, about id: TopicPartition, now: Now
    ) -> PartitionAnswer {
        guard let slot = partitions.index(of: id) else {
            return .failed(.unknownTopicOrPartition)
        }
        guard partitions[slot].isOpen else { return .failed(.loading) }
        switch question {
        case .offset(let time, let claimed):
            if let error = refusal(of: claimed, slot) { return .failed(error) }
            return offset(at: time, slot)
        case .end(let epoch, let claimed):
            if let error = refusal(of: claimed, slot) { return .failed(error) }
            let (found, end) = partitions[slot].log.endOffset(for: epoch)
            return .end(found, end)
        case .producers:
            return .producers(partitions[slot].log.activeProducers)
        case .size:
            return .size(bytes: partitions[slot].log.sizeInBytes)
        case .delete(let before):
            return delete(before: before, slot)
        }
    }

    private mutating func offset(at time: Int64, _ slot: Int) -> PartitionAnswer {
        let high = partitions[slot].machine.highWatermark
        let start = partitions[slot].log.startOffset
        let unknown = PartitionAnswer.offset(Offset(-1), .none, .unknown)
        switch time {
        case OffsetQuery.latest:
            return .offset(high, .none, partitions[slot].machine.leadership?.epoch ?? .unknown)
        case OffsetQuery.earliest, OffsetQuery.earliestLocal:
            return .offset(start, .none, partitions[slot].log.epoch(at: start))
        case OffsetQuery.latestTiered:
            return unknown
        default:
            guard time >= 0 || time == OffsetQuery.greatestTimestamp else { return unknown }
            do throws(ReadError) {
                let found =
                    time < 0
                    ? try partitions[slot].log.offsetOfGreatestTimestamp(below: high)
                    : try partitions[slot].log.offset(
                        at: Timestamp(milliseconds: time), below: high)
                guard let (offset, timestamp) = found else { return unknown }
                return .offset(offset, timestamp, partitions[slot].log.epoch(at: offset))
            } catch {
                return .failed(PartitionError(error))
            }
        }
    }

    /// DeleteRecords never passes the high watermark: what is not committed can't be dropped.
    private mutating func delete(before: Int64, _ slot: Int) -> PartitionAnswer {
        let high = partitions[slot].machine.highWatermark
        if before > high.rawValue || before < -1 { return .failed(.offsetOutOfRange) }
        guard partitions[slot].configuration.isDeleted else { return .failed(.policyViolation) }
        do throws(DiskError) {
            try partitions[slot].log.deleteRecords(before: before == -1 ? high : Offset(before))
            return .deleted(lowWatermark: partitions[slot].log.startOffset)
        } catch {
            return .failed(.storage)
        }
    }

    /// Names all of a slot's committed bytes; the shell reads them on a disk thread.
    mutating func scan(_ id: TopicPartition, into effects: inout [Effect]) {
        guard let slot = partitions.index(of: id), partitions[slot].isOpen else { return }
        var pieces: [LogRead] = []
        var next = partitions[slot].log.startOffset
        let high = partitions[slot].machine.highWatermark
        while next < high {
            do throws(ReadError) {
                let piece = try partitions[slot].log.read(
                    from: next, below: high, maxBytes: Self.scanPieceBytes, atLeastOne: true)
                guard let after = piece.nextOffset, after > next else { break }
                pieces.append(piece)
                next = after
            } catch {
                effects.append(.notice(.maintenanceFailed(id, "loading: \(error)")))
                return
            }
        }
        effects.append(.scanned(id, pieces))
    }

    /// Large enough that a slot is few reads, small enough for a disk thread's buffer.
    static let scanPieceBytes = 1 << 20
}
