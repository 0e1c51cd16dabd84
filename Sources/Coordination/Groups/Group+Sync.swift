internal import Model
internal import NIOCore
internal import OrderedCollections

extension Group {
    /// SyncGroup: the leader's assignment goes to the log first, and only then to the members.
    mutating func sync(
        _ request: GroupRequest.Sync, token: RequestToken, _ outbox: inout Outbox
    ) {
        if let error = validate(request) {
            outbox.reply(token, .sync(GroupResponse.Sync(error: error)))
            return
        }
        let memberID = request.memberID
        switch state {
        case .empty, .dead:
            outbox.reply(token, .sync(GroupResponse.Sync(error: .unknownMemberID)))
        case .preparingRebalance:
            outbox.reply(token, .sync(GroupResponse.Sync(error: .rebalanceInProgress)))
        case .completingRebalance:
            // An older sync of the same member has been given up by its client.
            answerSync(memberID, GroupResponse.Sync(error: .rebalanceInProgress), &outbox)
            members[memberID]?.syncToken = token
            members[memberID]?.isPendingSync = false
            if memberID == leaderID && assignmentAppend == nil {
                store(request.assignments, &outbox)
            }
        case .stable:
            members[memberID]?.isPendingSync = false
            outbox.reply(token, .sync(assignmentAnswer(for: memberID)))
            resetSession(memberID, &outbox)
        }
    }

    private func validate(_ request: GroupRequest.Sync) -> GroupError? {
        let error = validate(memberID: request.memberID, groupInstanceID: request.groupInstanceID)
        if let error { return error }
        if request.generation != generation { return .illegalGeneration }
        // KIP-559: version 5 says what it believes to take part in.
        if let type = request.protocolType, type != protocolType {
            return .inconsistentGroupProtocol
        }
        if let name = request.protocolName, name != protocolName {
            return .inconsistentGroupProtocol
        }
        return nil
    }

    private func assignmentAnswer(for memberID: String) -> GroupResponse.Sync {
        GroupResponse.Sync(
            protocolType: protocolType, protocolName: protocolName,
            assignment: members[memberID]?.assignment ?? ByteBuffer())
    }

    /// Members that the leader forgot get an empty assignment; names it invented are dropped.
    private mutating func store(_ assignments: [MemberAssignment], _ outbox: inout Outbox) {
        var byMember: [String: ByteBuffer] = [:]
        for part in assignments where members[part.memberID] != nil {
            byMember[part.memberID] = part.assignment.compacted()
        }
        appendsInFlight += 1
        isInLog = true
        assignmentAppend = outbox.append(
            [SlotRecord(groupID: id, storedValue(assignments: byMember))],
            then: .assignment(groupID: id, generation: generation, byMember))
        guard !outbox.rules.assignmentsAwaitLog else { return }
        assignmentStored(generation: generation, byMember, error: nil, &outbox)
    }

    /// The log answered for an assignment. If the group has moved on meanwhile, nothing happens:
    /// the record is overwritten by that of the generation to come.
    mutating func assignmentStored(
        generation: Int32, _ assignments: [String: ByteBuffer], error: AppendError?,
        _ outbox: inout Outbox
    ) {
        guard state == .completingRebalance, generation == self.generation else { return }
        assignmentAppend = nil
        if let error {
            resetAssignments(answering: error.asGroupError, &outbox)
            prepareRebalance(&outbox)
            return
        }
        transition(to: .stable, now: outbox.now)
        for memberID in Array(members.keys) {
            members[memberID]?.assignment = assignments[memberID] ?? ByteBuffer()
            if answerSync(memberID, assignmentAnswer(for: memberID), &outbox) {
                resetSession(memberID, &outbox)
            }
        }
    }

    /// This generation will have no assignment: whoever waits is told why.
    mutating func resetAssignments(answering error: GroupError, _ outbox: inout Outbox) {
        for memberID in Array(members.keys) {
            members[memberID]?.assignment = ByteBuffer()
            if answerSync(memberID, GroupResponse.Sync(error: error), &outbox) {
                resetSession(memberID, &outbox)
            }
        }
    }
}
