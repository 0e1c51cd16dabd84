internal import Model
internal import OrderedCollections

/// What happens because time has passed, or because topics have gone.
extension GroupCoordinator {
    /// Looks at the groups that asked for it, each once, and at the offsets when that is due.
    mutating func wake() {
        let now = outbox.now.instant
        var due: OrderedSet<String> = []
        while let entry = outbox.timers.pop(dueAt: now) {
            guard let index = groups.index(forKey: entry.groupID),
                groups.values[index].scheduled == entry.moment
            else { continue }
            groups.values[index].scheduled = nil
            due.append(entry.groupID)
        }
        for groupID in due {
            groups[groupID]?.expire(&outbox)
            forgetIfDisposable(groupID)
        }
        if let check = nextRetentionCheck, check <= now {
            expireOffsets()
            scheduleRetentionCheck()
        }
    }

    mutating func scheduleRetentionCheck() {
        nextRetentionCheck = outbox.now.instant.advanced(
            byMilliseconds: configuration.offsetRetentionCheckMilliseconds)
    }

    /// Keeps the queue in proportion to the groups: clients choose their timeouts, so they could
    /// leave one stale entry behind with each request.
    mutating func dropStaleTimers() {
        guard outbox.timers.count > 2 * groups.count + 64 else { return }
        outbox.timers.removeAll()
        for group in groups.values {
            guard let moment = group.scheduled else { continue }
            outbox.timers.push(TimerQueue.Entry(moment: moment, groupID: group.id))
        }
    }

    /// KIP-211: offsets go when their group has been empty for the retention time; those of a
    /// stable group of consumers when nobody subscribes to their topic; those of simple consumers
    /// by their own age. An empty group without offsets goes with them.
    private mutating func expireOffsets() {
        for groupID in Array(groups.keys) {
            guard outbox.canAppend else { return }
            guard let group = groups[groupID], group.appendsInFlight == 0 else { continue }
            let expired = group.expiredOffsets(
                at: outbox.now.wall, retention: configuration.offsetRetentionMilliseconds)
            let becomesUseless =
                group.state == .empty && expired.count == group.offsets.count
                && group.pendingMembers.isEmpty
            guard !expired.isEmpty || becomesUseless else { continue }
            remove(expired, of: groupID, removesGroup: becomesUseless)
        }
    }

    /// Offsets of topics that are gone would mislead a topic that is created anew with that name.
    mutating func deleteOffsets(ofTopics topics: [String]) {
        guard case .active = phase else {
            // Applied once the log was read: until then there is nothing to delete them from.
            deletedWhileLoading += topics
            return
        }
        let gone = Set(topics)
        for groupID in Array(groups.keys) {
            guard let group = groups[groupID] else { continue }
            var keys = Set(group.offsets.keys.filter { gone.contains($0.topic) })
            if group.appendsInFlight > 0 {
                keys.formUnion(
                    outbox.pendingCommits(of: groupID).filter { gone.contains($0.topic) })
            }
            if !keys.isEmpty { remove(keys.sorted(), of: groupID, removesGroup: false) }
        }
    }
}

extension Group {
    func expiredOffsets(at now: Timestamp, retention: Int64) -> [OffsetKey] {
        let base: (OffsetCommitValue) -> Timestamp
        var used: Set<String> = []
        switch (state, protocolType) {
        case (.empty, .some) where stateTimestamp != .none:
            let emptied = stateTimestamp
            base = { _ in emptied }
        case (.empty, _):
            base = { $0.commitTimestamp }
        case (.stable, ConsumerSubscription.protocolType):
            guard let subscribedTopics else { return [] }
            used = subscribedTopics
            base = { $0.commitTimestamp }
        default:
            return []
        }
        let expired = offsets.filter { key, value in
            if used.contains(key.topic) { return false }
            if let moment = value.expireTimestamp { return now >= moment }
            let (age, overflows) = now.milliseconds.subtractingReportingOverflow(
                base(value).milliseconds)
            return !overflows && age >= retention
        }
        return expired.keys.sorted()
    }
}
