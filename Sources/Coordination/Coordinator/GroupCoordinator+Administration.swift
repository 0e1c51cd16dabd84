internal import Model
internal import NIOCore
internal import OrderedCollections

/// DescribeGroups, ListGroups, DeleteGroups and OffsetDelete.
extension GroupCoordinator {
    mutating func handle(_ request: GroupRequest.Describe, token: RequestToken) {
        guard let group = groups[request.groupID] else {
            // Before KIP-1043 a missing group was described as a dead one.
            let missing = GroupResponse.Describe(
                error: request.reportsMissingGroup ? .groupIDNotFound : nil, state: .dead)
            outbox.reply(token, .describe(missing))
            return
        }
        let isStable = group.state == .stable
        var response = GroupResponse.Describe(state: group.state)
        response.protocolType = group.protocolType ?? ""
        response.protocolName = isStable ? group.protocolName ?? "" : ""
        response.members = group.members.values.map { member in
            GroupResponse.Describe.Member(
                memberID: member.id, groupInstanceID: member.groupInstanceID,
                clientID: member.clientID, clientHost: member.clientHost,
                metadata: isStable
                    ? member.metadata(for: response.protocolName) : ByteBuffer(),
                assignment: isStable ? member.assignment : ByteBuffer())
        }
        outbox.reply(token, .describe(response))
    }

    mutating func handle(_ request: GroupRequest.List, token: RequestToken) {
        let states = request.states.map { $0.lowercased() }
        let types = request.types.map { $0.lowercased() }
        var response = GroupResponse.List()
        if types.isEmpty || types.contains("classic") {
            for group in groups.values.sorted(by: { $0.id < $1.id })
            where states.isEmpty || states.contains(group.state.rawValue.lowercased()) {
                response.groups.append(
                    GroupResponse.List.Listing(
                        groupID: group.id, protocolType: group.protocolType ?? "",
                        state: group.state))
            }
        }
        outbox.reply(token, .list(response))
    }

    mutating func handle(_ request: GroupRequest.Delete, token: RequestToken) {
        guard let group = groups[request.groupID] else {
            outbox.reply(token, .delete(.groupIDNotFound))
            return
        }
        guard group.state == .empty else {
            outbox.reply(token, .delete(.nonEmptyGroup))
            return
        }
        guard outbox.canAppend else {
            outbox.reply(token, .delete(.coordinatorNotAvailable))
            return
        }
        // Commits on their way come before the tombstones in the log, so they must be covered too.
        let keys = Set(group.offsets.keys).union(outbox.pendingCommits(of: group.id)).sorted()
        remove(keys, of: group.id, removesGroup: true, token: token, response: .delete(nil))
    }

    mutating func handle(_ request: GroupRequest.DeleteOffsets, token: RequestToken) {
        func refuse(_ error: GroupError) {
            let response = GroupResponse.DeleteOffsets(error: error)
            outbox.reply(token, .deleteOffsets(response))
        }
        guard let group = groups[request.groupID] else { return refuse(.groupIDNotFound) }
        guard group.state == .empty || group.isOfConsumers else { return refuse(.nonEmptyGroup) }
        guard outbox.canAppend else { return refuse(.coordinatorNotAvailable) }
        let pending = Set(outbox.pendingCommits(of: group.id))
        var response = GroupResponse.DeleteOffsets()
        var keys: Set<OffsetKey> = []
        for topic in request.topics {
            // KIP-496. A group whose topics can't be read is taken to use all of them.
            let isUsed =
                group.state != .empty && group.subscribedTopics?.contains(topic.name) ?? true
            var outcomes: [PartitionOutcome] = []
            for index in topic.partitions {
                let key = OffsetKey(topic: topic.name, partition: index)
                if !isUsed && (group.offsets[key] != nil || pending.contains(key)) {
                    keys.insert(key)
                }
                outcomes.append(
                    PartitionOutcome(index: index, error: isUsed ? .groupSubscribedToTopic : nil))
            }
            response.topics.append(Topic(name: topic.name, partitions: outcomes))
        }
        remove(
            keys.sorted(), of: group.id, removesGroup: false, token: token,
            response: .deleteOffsets(response))
    }
}
