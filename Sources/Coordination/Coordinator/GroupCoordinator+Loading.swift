internal import Model
internal import OrderedCollections

/// Taking over a slot and giving it up.
extension GroupCoordinator {
    /// Applies records in the order of the log; the last word on each key counts.
    ///
    /// Bounds on groups and offsets are not applied here: what was acknowledged is not dropped.
    mutating func load(_ records: [SlotRecord]) {
        if phase != .loading {
            unload()
            phase = .loading
            unreadableRecords = 0
        }
        for record in records {
            do throws(SlotRecordError) {
                apply(try record.content())
            } catch {
                unreadableRecords += 1
            }
        }
    }

    private mutating func apply(_ content: SlotRecordContent) {
        switch content {
        case .unknown:
            break
        case .offset(let key, let value):
            let offsetKey = OffsetKey(topic: key.topic, partition: key.partition)
            guard let value else {
                guard rules.tombstonesRead else { return }
                groups[key.groupID]?.offsets[offsetKey] = nil
                forgetIfDisposable(key.groupID)
                return
            }
            groups[key.groupID, default: Group(id: key.groupID, now: outbox.now)]
                .offsets[offsetKey] = value
        case .group(let groupID, let value):
            var group = Group(id: groupID, now: outbox.now)
            group.offsets = groups[groupID]?.offsets ?? [:]
            if let value { group.restore(value, &outbox) }
            groups[groupID] = group
            forgetIfDisposable(groupID)
        }
    }

    /// Begins to answer. Members get a whole session timeout to be heard of: they may have been
    /// without a coordinator for a while, and a move must not cost them their assignment.
    mutating func finishLoading(epoch: LeaderEpoch) {
        if phase == .unloaded { load([]) }
        phase = .active(epoch)
        outbox.timers.removeAll()
        armedWake = nil  // the owner may have dropped the timer with the slot
        for groupID in Array(groups.keys) {
            groups[groupID]?.resume(&outbox)
        }
        scheduleRetentionCheck()
        if !deletedWhileLoading.isEmpty {
            let topics = deletedWhileLoading
            deletedWhileLoading = []
            deleteOffsets(ofTopics: topics)
        }
    }

    /// Forgets everything; whoever waits is sent to look for the new coordinator.
    mutating func unload() {
        phase = .unloaded
        for pending in outbox.drainAppends() {
            guard case .commit(let commit) = pending else { continue }
            let refused = commit.topics.map { topic in
                Topic(
                    name: topic.name,
                    partitions: topic.partitions.map {
                        PartitionOutcome(index: $0.index, error: $0.error ?? .notCoordinator)
                    })
            }
            outbox.reply(commit.token, .commitOffsets(refused))
        }
        for groupID in Array(groups.keys) { groups[groupID]?.dismiss(&outbox) }
        for (_, removal) in removals.sorted(by: { $0.key < $1.key }) {
            guard let token = removal.token, let response = removal.response else { continue }
            if case .deleteOffsets = response {
                let refused = GroupResponse.DeleteOffsets(error: .notCoordinator)
                outbox.reply(token, .deleteOffsets(refused))
            } else {
                outbox.reply(token, .delete(.notCoordinator))
            }
        }
        groups.removeAll()
        removals.removeAll()
        outbox.timers.removeAll()
        nextRetentionCheck = nil
    }
}

extension Group {
    /// Takes the state that a record tells: stable with its members, or empty.
    mutating func restore(_ value: GroupMetadataValue, _ outbox: inout Outbox) {
        isInLog = true
        protocolType = value.protocolType.isEmpty ? nil : value.protocolType
        protocolName = value.protocolName
        generation = max(value.generation, 0)
        for stored in value.members where members[stored.memberID] == nil {
            add(
                Member(
                    id: stored.memberID, groupInstanceID: stored.groupInstanceID,
                    clientID: stored.clientID, clientHost: stored.clientHost,
                    rebalanceTimeoutMilliseconds: stored.rebalanceTimeoutMilliseconds,
                    sessionTimeoutMilliseconds: stored.sessionTimeoutMilliseconds,
                    protocols: [
                        MemberProtocol(
                            name: value.protocolName ?? "", metadata: stored.subscription)
                    ],
                    assignment: stored.assignment, deadline: outbox.now.instant))
        }
        if let stored = value.leaderID, members[stored] != nil { leaderID = stored }
        if !members.isEmpty { transition(to: .stable, now: outbox.now) }
        stateTimestamp = value.currentStateTimestamp
        subscribedTopics = computeSubscribedTopics()
    }

    /// The slot is loaded: time counts again.
    mutating func resume(_ outbox: inout Outbox) {
        for memberID in Array(members.keys) { resetSession(memberID, &outbox) }
        // KIP-389: a lower limit is enforced by asking everyone to join again.
        if members.count > outbox.configuration.maximumMembersPerGroup {
            prepareRebalance(&outbox)
        }
    }

    /// The slot moves away.
    mutating func dismiss(_ outbox: inout Outbox) {
        for memberID in Array(members.keys) {
            answerJoin(
                memberID, GroupResponse.Join(error: .notCoordinator, memberID: memberID), &outbox)
            answerSync(memberID, GroupResponse.Sync(error: .notCoordinator), &outbox)
        }
    }
}
