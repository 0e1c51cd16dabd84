internal import Model
internal import NIOCore
internal import OrderedCollections

/// JoinGroup, SyncGroup, Heartbeat and LeaveGroup: finds the group, which does the rest.
extension GroupCoordinator {
    mutating func handle(_ request: GroupRequest.Join, token: RequestToken) {
        if let error = formError(of: request) {
            refuse(request, error, token: token)
            return
        }
        let isNewcomer = request.memberID.isEmpty
        if groups[request.groupID] == nil {
            guard isNewcomer else {
                refuse(request, .unknownMemberID, token: token)
                return
            }
            guard groups.count < configuration.maximumGroups else {
                refuse(request, .policyViolation, token: token)
                return
            }
            groups[request.groupID] = Group(id: request.groupID, now: outbox.now)
        }
        groups[request.groupID]?.join(request, token: token, &outbox)
        forgetIfDisposable(request.groupID)
    }

    private mutating func refuse(
        _ request: GroupRequest.Join, _ error: GroupError, token: RequestToken
    ) {
        outbox.reply(
            token, .join(GroupResponse.Join(error: error, memberID: request.memberID)))
    }

    /// What can be said without the group.
    private func formError(of request: GroupRequest.Join) -> GroupError? {
        let timeouts =
            configuration
            .minimumSessionTimeoutMilliseconds...configuration.maximumSessionTimeoutMilliseconds
        guard timeouts.contains(request.sessionTimeoutMilliseconds) else {
            return .invalidSessionTimeout
        }
        let names =
            [
                request.clientID, request.clientHost, request.protocolType,
                request.groupInstanceID ?? "",
            ] + request.protocols.map(\.name)
        guard names.allSatisfy({ $0.utf8.count <= Bound.nameBytes }),
            request.protocols.count <= configuration.maximumProtocolsPerMember
        else { return .invalidRequest }
        var metadataBytes = 0
        for offered in request.protocols {
            metadataBytes += offered.metadata.readableBytes + offered.name.utf8.count
        }
        guard metadataBytes <= configuration.maximumMemberMetadataBytes else {
            return .invalidRequest
        }
        return nil
    }

    mutating func handle(_ request: GroupRequest.Sync, token: RequestToken) {
        guard let index = groups.index(forKey: request.groupID) else {
            outbox.reply(token, .sync(GroupResponse.Sync(error: .unknownMemberID)))
            return
        }
        groups.values[index].sync(request, token: token, &outbox)
    }

    mutating func handle(_ request: GroupRequest.Heartbeat, token: RequestToken) {
        guard let index = groups.index(forKey: request.groupID) else {
            outbox.reply(token, .heartbeat(.unknownMemberID))
            return
        }
        let error = groups.values[index].heartbeat(request, &outbox)
        outbox.reply(token, .heartbeat(error))
    }

    mutating func handle(_ request: GroupRequest.Leave, token: RequestToken) {
        var response = GroupResponse.Leave()
        for identity in request.members {
            var error: GroupError? = .unknownMemberID
            if let index = groups.index(forKey: request.groupID) {
                error = groups.values[index].leave(identity, &outbox)
            }
            response.members.append(
                GroupResponse.Leave.Member(identity: identity, error: error))
        }
        outbox.reply(token, .leave(response))
        forgetIfDisposable(request.groupID)
    }
}

extension Group {
    /// The error for the member; it counts as a sign of life also while a rebalance calls it.
    mutating func heartbeat(
        _ request: GroupRequest.Heartbeat, _ outbox: inout Outbox
    ) -> GroupError? {
        let error = validate(memberID: request.memberID, groupInstanceID: request.groupInstanceID)
        if let error { return error }
        if request.generation != generation { return .illegalGeneration }
        resetSession(request.memberID, &outbox)
        return state == .preparingRebalance ? .rebalanceInProgress : nil
    }

    /// Without a member id, an administrator removes a static member by its instance id.
    mutating func leave(_ identity: MemberIdentity, _ outbox: inout Outbox) -> GroupError? {
        if identity.memberID.isEmpty {
            guard let instance = identity.groupInstanceID, let memberID = staticMembers[instance]
            else { return .unknownMemberID }
            removeAndRebalance(memberID, &outbox)
            return nil
        }
        if pendingMembers[identity.memberID] == nil {
            let error = validate(
                memberID: identity.memberID, groupInstanceID: identity.groupInstanceID)
            if let error { return error }
            removeAndRebalance(identity.memberID, &outbox)
        } else {
            remove(identity.memberID, &outbox)
            completeJoinIfReady(&outbox)
        }
        return nil
    }
}
