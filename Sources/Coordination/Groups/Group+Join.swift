internal import Model
internal import NIOCore
internal import OrderedCollections

extension Group {
    /// JoinGroup, once its form, its timeouts and the existence of the group are settled.
    mutating func join(
        _ request: GroupRequest.Join, token: RequestToken, _ outbox: inout Outbox
    ) {
        defer { completeJoinIfReady(&outbox) }
        guard accepts(request.memberID, limit: outbox.configuration.maximumMembersPerGroup) else {
            remove(request.memberID, &outbox)
            refuse(token, .groupMaxSizeReached, memberID: "", &outbox)
            return
        }
        guard supports(type: request.protocolType, protocols: request.protocols) else {
            refuse(token, .inconsistentGroupProtocol, memberID: request.memberID, &outbox)
            return
        }
        if request.memberID.isEmpty {
            joinAsNewcomer(request, token: token, &outbox)
        } else if pendingMembers[request.memberID] != nil {
            // Only dynamic members are pending, so one with an instance id is somebody else.
            guard request.groupInstanceID == nil else {
                refuse(token, .unknownMemberID, memberID: request.memberID, &outbox)
                return
            }
            addAndRebalance(request, memberID: request.memberID, token: token, &outbox)
        } else {
            rejoin(request, token: token, &outbox)
        }
    }

    /// KIP-389. While members gather, those who came count, so that the last ones over a limit that
    /// was lowered are turned away; otherwise the members count.
    private func accepts(_ memberID: String, limit: Int) -> Bool {
        switch state {
        case .empty, .dead: true
        case .preparingRebalance: members[memberID]?.joinToken != nil || awaitingJoin < limit
        case .completingRebalance, .stable: members[memberID] != nil || members.count < limit
        }
    }

    private func refuse(
        _ token: RequestToken, _ error: GroupError, memberID: String, _ outbox: inout Outbox
    ) {
        outbox.reply(token, .join(GroupResponse.Join(error: error, memberID: memberID)))
    }

    private mutating func joinAsNewcomer(
        _ request: GroupRequest.Join, token: RequestToken, _ outbox: inout Outbox
    ) {
        let prefix = request.groupInstanceID ?? request.clientID
        var newID = outbox.makeMemberID(prefix: prefix)
        while members[newID] != nil || pendingMembers[newID] != nil {
            newID = outbox.makeMemberID(prefix: prefix)
        }
        if let instance = request.groupInstanceID {
            if let oldID = staticMembers[instance] {
                replaceStatic(request, oldID: oldID, newID: newID, token: token, &outbox)
            } else {
                addAndRebalance(request, memberID: newID, token: token, &outbox)
            }
        } else if request.requiresKnownMemberID {
            guard pendingMembers.count < outbox.configuration.maximumPendingMembersPerGroup else {
                refuse(token, .coordinatorNotAvailable, memberID: "", &outbox)
                return
            }
            let lapse = outbox.now.instant.advanced(
                byMilliseconds: Int64(request.sessionTimeoutMilliseconds))
            pendingMembers[newID] = lapse
            arm(lapse, &outbox)
            refuse(token, .memberIDRequired, memberID: newID, &outbox)
        } else {
            addAndRebalance(request, memberID: newID, token: token, &outbox)
        }
    }

    private mutating func addAndRebalance(
        _ request: GroupRequest.Join, memberID: String, token: RequestToken,
        _ outbox: inout Outbox
    ) {
        if members.isEmpty { protocolType = request.protocolType }
        if state == .preparingRebalance && initialDelayRemaining != nil { newMemberArrived = true }
        add(
            Member(
                id: memberID, groupInstanceID: request.groupInstanceID, clientID: request.clientID,
                clientHost: request.clientHost,
                rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMilliseconds,
                sessionTimeoutMilliseconds: request.sessionTimeoutMilliseconds,
                protocols: request.keptProtocols, joinToken: token, isNew: true,
                deadline: outbox.now.instant))
        let patience = outbox.configuration.newMemberJoinTimeoutMilliseconds
        setDeadline(of: memberID, inMilliseconds: patience, &outbox)
        rebalanceUnlessPreparing(&outbox)
    }

    private mutating func rejoin(
        _ request: GroupRequest.Join, token: RequestToken, _ outbox: inout Outbox
    ) {
        let memberID = request.memberID
        let instance = request.groupInstanceID
        if let error = validate(memberID: memberID, groupInstanceID: instance) {
            refuse(token, error, memberID: memberID, &outbox)
            return
        }
        let isUnchanged = members[memberID]?.protocols == request.keptProtocols
        let isLeader = leaderID == memberID
        // A leader that joins a stable group wants a new assignment, say because topics grew.
        let answersCurrent =
            isUnchanged && (state == .completingRebalance || (state == .stable && !isLeader))
        if answersCurrent {
            let members = isLeader ? describeMembers() : []
            outbox.reply(token, .join(generationAnswer(for: memberID, members: members)))
        } else {
            update(memberID, from: request, token: token, &outbox)
            rebalanceUnlessPreparing(&outbox)
        }
    }

    /// The current generation, as a JoinGroup is told of it.
    func generationAnswer(
        for memberID: String, members: [GroupResponse.Join.Member]
    ) -> GroupResponse.Join {
        var response = GroupResponse.Join(memberID: memberID)
        response.generation = generation
        response.protocolType = protocolType
        response.protocolName = protocolName
        response.leaderID = leaderID ?? ""
        response.members = members
        return response
    }

    /// Everyone with the metadata for the chosen protocol, which only the leader is told.
    func describeMembers() -> [GroupResponse.Join.Member] {
        members.values.map { member in
            GroupResponse.Join.Member(
                memberID: member.id, groupInstanceID: member.groupInstanceID,
                metadata: member.metadata(for: protocolName ?? ""))
        }
    }
}
