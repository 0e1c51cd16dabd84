internal import Model
internal import NIOCore
internal import OrderedCollections

/// Static membership (KIP-345): a process that comes back under its instance id takes the place of
/// the member that it was.
extension Group {
    /// Gives the place of `oldID` to a process that joined with the same instance id and no member
    /// id. Whoever still uses the old id is fenced from here on.
    mutating func replaceStatic(
        _ request: GroupRequest.Join, oldID: String, newID: String, token: RequestToken,
        _ outbox: inout Outbox
    ) {
        answerJoin(oldID, GroupResponse.Join(error: .fencedInstanceID, memberID: oldID), &outbox)
        answerSync(oldID, GroupResponse.Sync(error: .fencedInstanceID), &outbox)
        guard let old = members[oldID] else { return }
        let oldLeaderID = leaderID ?? ""
        let oldTopics = topics(of: old)
        rename(old, to: newID)
        members[newID]?.clientID = request.clientID
        members[newID]?.clientHost = request.clientHost
        members[newID]?.isPendingSync = false
        update(newID, from: request, token: token, &outbox)
        resetSession(newID, &outbox)
        switch state {
        case .empty, .dead, .preparingRebalance:
            return
        case .completingRebalance:
            // The leader may be assigning to the old id at this moment.
            prepareRebalance(&outbox)
        case .stable:
            // Kafka compares the chosen protocol only. We also compare the subscribed topics, so
            // that a new version of a program gets the topics that it now asks for.
            let keepsTopics = members[newID].map { topics(of: $0) == oldTopics } ?? false
            guard selectProtocol() == protocolName, keepsTopics else {
                prepareRebalance(&outbox)
                return
            }
            appendsInFlight += 1
            let replacement = StaticReplacement(
                groupID: id, old: old, newMemberID: newID, token: token,
                oldLeaderID: oldLeaderID,
                supportsSkippingAssignment: request.supportsSkippingAssignment)
            _ = outbox.append(
                [SlotRecord(groupID: id, storedValue(assignments: nil))],
                then: .staticReplacement(replacement))
        }
    }

    private func topics(of member: Member) -> [String]? {
        guard isOfConsumers, let protocolName else { return nil }
        return ConsumerSubscription.topics(in: member.metadata(for: protocolName))
    }

    /// Moves a member to another id, with its leadership and its instance id.
    private mutating func rename(_ member: Member, to newID: String) {
        members[member.id] = nil
        var renamed = member
        renamed.id = newID
        members[newID] = renamed
        if leaderID == member.id { leaderID = newID }
        if let instance = member.groupInstanceID { staticMembers[instance] = newID }
    }

    /// The log answered for a change of id. If a rebalance began meanwhile, the join that waits
    /// is part of it, and the next generation's record holds the new id.
    mutating func staticReplacementStored(
        _ replacement: StaticReplacement, error: AppendError?, _ outbox: inout Outbox
    ) {
        let newID = replacement.newMemberID
        guard state == .stable, members[newID]?.joinToken == replacement.token else { return }
        if let error {
            var response = GroupResponse.Join(error: error.asGroupError, memberID: "")
            response.generation = generation
            response.protocolType = protocolType
            response.protocolName = protocolName
            response.leaderID = replacement.oldLeaderID
            answerJoin(newID, response, &outbox)
            guard let current = members[newID] else { return }
            count(current.protocols, by: -1)
            count(replacement.old.protocols, by: 1)
            if leaderID == newID { leaderID = replacement.old.id }
            rename(current, to: replacement.old.id)
            members[replacement.old.id] = replacement.old
            resetSession(replacement.old.id, &outbox)
            return
        }
        let isLeader = leaderID == newID
        var response = generationAnswer(for: newID, members: [])
        if replacement.supportsSkippingAssignment {
            // KIP-814: it may lead, but must not assign, for a stable group gives nothing out.
            response.members = isLeader ? describeMembers() : []
            response.skipsAssignment = isLeader
        } else {
            // An id that is nobody's keeps an older client from assigning.
            response.leaderID = replacement.oldLeaderID
        }
        answerJoin(newID, response, &outbox)
        resetSession(newID, &outbox)
    }
}
