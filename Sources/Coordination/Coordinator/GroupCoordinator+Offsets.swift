internal import Model
internal import OrderedCollections

/// OffsetCommit and OffsetFetch.
extension GroupCoordinator {
    mutating func handle(_ request: GroupRequest.CommitOffsets, token: RequestToken) {
        if let error = commitError(of: request) {
            outbox.reply(token, .commitOffsets(request.outcomes(error)))
            return
        }
        if groups[request.groupID] == nil {
            // A simple consumer, which stores offsets and nothing else.
            groups[request.groupID] = Group(id: request.groupID, now: outbox.now)
        }
        defer { forgetIfDisposable(request.groupID) }
        guard let index = groups.index(forKey: request.groupID) else { return }
        groups.values[index].resetSession(request.memberID, &outbox)
        let commit = prepare(request, token: token, held: groups.values[index].offsets)
        guard !commit.offsets.isEmpty else {
            outbox.reply(token, .commitOffsets(commit.topics))
            return
        }
        let records = commit.offsets.map { offset in
            SlotRecord(
                OffsetCommitKey(
                    groupID: request.groupID, topic: offset.key.topic,
                    partition: offset.key.partition), offset.value)
        }
        groups.values[index].appendsInFlight += 1
        _ = outbox.append(records, then: .commit(commit))
        if !rules.commitsAwaitLog { commitStored(commit, error: nil) }
    }

    /// Who may commit: members of the current generation, and anybody while there are no members.
    private func commitError(of request: GroupRequest.CommitOffsets) -> GroupError? {
        guard outbox.canAppend else { return .coordinatorNotAvailable }
        guard let group = groups[request.groupID] else {
            if request.generation >= 0 { return .illegalGeneration }
            return groups.count < configuration.maximumGroups ? nil : .policyViolation
        }
        if request.generation < 0 && group.state == .empty { return nil }
        let error = group.validate(
            memberID: request.memberID, groupInstanceID: request.groupInstanceID)
        if let error, rules.membersValidated { return error }
        if request.generation != group.generation, rules.generationsFenced {
            return .illegalGeneration
        }
        // The member knows of the generation, but has no assignment in it whose work this could be.
        return group.state == .completingRebalance ? .rebalanceInProgress : nil
    }

    /// Checks each partition by itself, and forms the values of those that pass.
    private func prepare(
        _ request: GroupRequest.CommitOffsets, token: RequestToken,
        held: [OffsetKey: OffsetCommitValue]
    ) -> PendingCommit {
        var commit = PendingCommit(
            groupID: request.groupID, token: token, topics: [], offsets: [])
        let wall = outbox.now.wall
        let (expires, overflows) = wall.milliseconds.addingReportingOverflow(
            request.retentionMilliseconds ?? 0)
        let expiry: Timestamp? =
            request.retentionMilliseconds == nil || overflows
            ? nil : Timestamp(milliseconds: expires)
        var newKeys = 0
        for topic in request.topics {
            var outcomes: [PartitionOutcome] = []
            for partition in topic.partitions {
                let key = OffsetKey(topic: topic.name, partition: partition.index)
                let isNew = held[key] == nil
                let room = configuration.maximumOffsetsPerGroup - held.count - newKeys
                let error = self.error(
                    of: partition, topic: topic.name, hasRoom: !isNew || room > 0)
                outcomes.append(PartitionOutcome(index: partition.index, error: error))
                guard error == nil else { continue }
                newKeys += isNew ? 1 : 0
                let value = OffsetCommitValue(
                    offset: partition.offset, leaderEpoch: partition.leaderEpoch,
                    metadata: partition.metadata, commitTimestamp: wall, expireTimestamp: expiry)
                commit.offsets.append((key, value))
            }
            commit.topics.append(Topic(name: topic.name, partitions: outcomes))
        }
        return commit
    }

    private func error(
        of partition: GroupRequest.CommitOffsets.Partition, topic: String, hasRoom: Bool
    ) -> GroupError? {
        let limit = min(configuration.maximumOffsetMetadataBytes, Bound.nameBytes)
        if partition.metadata.utf8.count > limit { return .offsetMetadataTooLarge }
        // A negative offset would read back as "nothing committed".
        if partition.offset < .zero || topic.isEmpty || topic.utf8.count > Bound.nameBytes {
            return .invalidRequest
        }
        return hasRoom ? nil : .policyViolation
    }

    /// The log answered for a commit: now, and not before, it is visible.
    mutating func commitStored(_ commit: PendingCommit, error: AppendError?) {
        guard let index = groups.index(forKey: commit.groupID) else { return }
        if let error {
            let topics = commit.topics.map { topic in
                Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { outcome in
                        PartitionOutcome(
                            index: outcome.index, error: outcome.error ?? error.asCommitError)
                    })
            }
            outbox.reply(commit.token, .commitOffsets(topics))
            return
        }
        for (key, value) in commit.offsets { groups.values[index].offsets[key] = value }
        outbox.reply(commit.token, .commitOffsets(commit.topics))
    }

    /// The state of the group does not matter, nor that it exists: simple consumers ask too.
    mutating func handle(_ request: GroupRequest.FetchOffsets, token: RequestToken) {
        let offsets = groups[request.groupID]?.offsets ?? [:]
        var response = GroupResponse.FetchOffsets()
        if let topics = request.topics {
            response.topics = topics.map { topic in
                Topic(
                    name: topic.name,
                    partitions: topic.partitions.map { index in
                        answer(index, offsets[OffsetKey(topic: topic.name, partition: index)])
                    })
            }
        } else {
            for key in offsets.keys.sorted() {
                let partition = answer(key.partition, offsets[key])
                if response.topics.last?.name == key.topic {
                    response.topics[response.topics.count - 1].partitions.append(partition)
                } else {
                    response.topics.append(Topic(name: key.topic, partitions: [partition]))
                }
            }
        }
        outbox.reply(token, .fetchOffsets(response))
    }

    private func answer(
        _ index: PartitionIndex, _ value: OffsetCommitValue?
    ) -> GroupResponse.FetchOffsets.Partition {
        guard let value else {
            return GroupResponse.FetchOffsets.Partition(index: index)
        }
        return GroupResponse.FetchOffsets.Partition(
            index: index, offset: value.offset, leaderEpoch: value.leaderEpoch,
            metadata: value.metadata)
    }
}
