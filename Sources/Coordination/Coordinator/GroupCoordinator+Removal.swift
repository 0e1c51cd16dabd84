internal import Model
internal import NIOCore
internal import OrderedCollections

/// One removal of offsets, and perhaps of their group, whose tombstones may take several appends.
///
/// Held until the last of them is answered. Offsets vanish as each append is acknowledged; the
/// request that waits hears once all are, or the first error.
struct Removal {
    let groupID: String
    var appendsLeft: Int
    var error: AppendError?
    /// Whether the group itself goes, if it is still empty by then.
    var removesGroup: Bool
    var token: RequestToken?
    /// The answer on success.
    var response: GroupResponse?
}

extension GroupCoordinator {
    /// Starts a removal; with nothing to write, it is over at once.
    mutating func remove(
        _ keys: [OffsetKey], of groupID: String, removesGroup: Bool,
        token: RequestToken? = nil, response: GroupResponse? = nil
    ) {
        guard let index = groups.index(forKey: groupID) else { return }
        var batches: [(keys: [OffsetKey], records: [SlotRecord])] = []
        var bytes = 0
        for key in keys {
            let record = SlotRecord(
                OffsetCommitKey(groupID: groupID, topic: key.topic, partition: key.partition), nil)
            bytes += record.key.readableBytes
            let isFull =
                bytes > Bound.tombstoneBytesPerAppend
                || batches.last?.keys.count == Bound.tombstonesPerAppend
            if batches.isEmpty || isFull {
                batches.append(([], []))
                bytes = record.key.readableBytes
            }
            batches[batches.count - 1].keys.append(key)
            batches[batches.count - 1].records.append(record)
        }
        if removesGroup && groups.values[index].isInLog {
            if batches.isEmpty { batches.append(([], [])) }
            batches[batches.count - 1].records.append(SlotRecord(groupID: groupID, nil))
        }
        guard !batches.isEmpty else {
            if removesGroup { groups[groupID] = nil }
            if let token, let response { outbox.reply(token, response) }
            return
        }
        lastRemoval += 1
        removals[lastRemoval] = Removal(
            groupID: groupID, appendsLeft: batches.count, removesGroup: removesGroup, token: token,
            response: response)
        groups.values[index].appendsInFlight += batches.count
        for batch in batches {
            _ = outbox.append(
                batch.records,
                then: .removal(removal: lastRemoval, groupID: groupID, batch.keys))
        }
    }

    /// The log answered for some tombstones. Commits that follow them in the log are answered later
    /// and so come back; commits before them are here already.
    mutating func tombstonesStored(
        removal number: UInt64, keys: [OffsetKey], error: AppendError?
    ) {
        guard var removal = removals.removeValue(forKey: number),
            let index = groups.index(forKey: removal.groupID)
        else { return }
        removal.appendsLeft -= 1
        if let error {
            removal.error = removal.error ?? error
        } else {
            for key in keys { groups.values[index].offsets[key] = nil }
        }
        guard removal.appendsLeft == 0 else {
            removals[number] = removal
            return
        }
        let group = groups.values[index]
        let isUntouched =
            group.state == .empty && group.offsets.isEmpty && group.appendsInFlight == 0
        if removal.removesGroup && removal.error == nil && isUntouched {
            groups[removal.groupID] = nil
        }
        guard let token = removal.token, let response = removal.response else { return }
        guard let error = removal.error else {
            outbox.reply(token, response)
            return
        }
        switch response {
        case .deleteOffsets:
            let failed = GroupResponse.DeleteOffsets(error: error.asCommitError)
            outbox.reply(token, .deleteOffsets(failed))
        default:
            outbox.reply(token, .delete(error.asCommitError))
        }
    }
}
