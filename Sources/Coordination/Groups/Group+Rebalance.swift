internal import Model
internal import NIOCore
internal import OrderedCollections

extension Group {
    mutating func rebalanceUnlessPreparing(_ outbox: inout Outbox) {
        if state != .preparingRebalance { prepareRebalance(&outbox) }
    }

    /// Calls everyone to join again.
    ///
    /// From an empty group this starts the initial delay, which ends only by time; else it ends as
    /// soon as all members are there.
    mutating func prepareRebalance(_ outbox: inout Outbox) {
        if state == .completingRebalance {
            resetAssignments(answering: .rebalanceInProgress, &outbox)
        }
        for index in members.values.indices { members.values[index].isPendingSync = false }
        syncDeadline = nil
        assignmentAppend = nil
        let initialDelay = outbox.configuration.initialRebalanceDelayMilliseconds
        var wait = max(rebalanceTimeoutMilliseconds, 1)
        if state == .empty && initialDelay > 0 {
            initialDelayRemaining = max(rebalanceTimeoutMilliseconds - initialDelay, 0)
            newMemberArrived = false
            wait = initialDelay
        } else {
            initialDelayRemaining = nil
        }
        transition(to: .preparingRebalance, now: outbox.now)
        waitForJoins(milliseconds: wait, &outbox)
        completeJoinIfReady(&outbox)
    }

    private mutating func waitForJoins(milliseconds: Int64, _ outbox: inout Outbox) {
        let deadline = outbox.now.instant.advanced(byMilliseconds: milliseconds)
        joinDeadline = deadline
        arm(deadline, &outbox)
    }

    /// Starts the generation if everybody is there, those with a promised id (KIP-394) included.
    mutating func completeJoinIfReady(_ outbox: inout Outbox) {
        guard state == .preparingRebalance, initialDelayRemaining == nil,
            awaitingJoin == members.count, pendingMembers.isEmpty
        else { return }
        completeJoin(&outbox)
    }

    /// The wait for members is over: extends the initial delay or starts the generation.
    mutating func joinDeadlinePassed(_ outbox: inout Outbox) {
        if let remaining = initialDelayRemaining, newMemberArrived, remaining > 0 {
            newMemberArrived = false
            let delay = min(outbox.configuration.initialRebalanceDelayMilliseconds, remaining)
            initialDelayRemaining = remaining - delay
            waitForJoins(milliseconds: delay, &outbox)
        } else {
            initialDelayRemaining = nil
            completeJoin(&outbox)
        }
    }

    private mutating func completeJoin(_ outbox: inout Outbox) {
        // Static members keep their place until their session ends (KIP-345).
        let absent = members.values.filter { $0.joinToken == nil && $0.groupInstanceID == nil }
        for member in absent { remove(member.id, &outbox) }
        guard electJoinedLeader() || members.isEmpty else {
            // Only static members are left and none came: wait until their sessions decide.
            let retry = outbox.configuration.minimumRebalanceRetryMilliseconds
            waitForJoins(milliseconds: max(rebalanceTimeoutMilliseconds, retry), &outbox)
            return
        }
        joinDeadline = nil
        initialDelayRemaining = nil
        generation = generation == Int32.max ? 1 : generation + 1
        protocolName = selectProtocol()
        subscribedTopics = computeSubscribedTopics()
        if members.isEmpty {
            transition(to: .empty, now: outbox.now)
            storeEmpty(&outbox)
        } else {
            transition(to: .completingRebalance, now: outbox.now)
            announceGeneration(&outbox)
        }
    }

    /// Whether there is a leader that takes part in this generation.
    private mutating func electJoinedLeader() -> Bool {
        guard let leaderID else { return false }
        if members[leaderID]?.joinToken != nil { return true }
        guard let joined = members.values.first(where: { $0.joinToken != nil }) else {
            return false
        }
        self.leaderID = joined.id
        return true
    }

    private mutating func announceGeneration(_ outbox: inout Outbox) {
        let everyone = describeMembers()
        for memberID in Array(members.keys) {
            let members = memberID == leaderID ? everyone : []
            answerJoin(memberID, generationAnswer(for: memberID, members: members), &outbox)
            self.members[memberID]?.isNew = false
            self.members[memberID]?.isPendingSync = true
            resetSession(memberID, &outbox)
        }
        let deadline = outbox.now.instant.advanced(
            byMilliseconds: max(rebalanceTimeoutMilliseconds, 1))
        syncDeadline = deadline
        arm(deadline, &outbox)
    }

    /// If this record is lost, the generation before it comes back at a restart, whose members then
    /// time out: harmless, so nobody waits for it.
    private mutating func storeEmpty(_ outbox: inout Outbox) {
        appendsInFlight += 1
        isInLog = true
        _ = outbox.append(
            [SlotRecord(groupID: id, storedValue(assignments: nil))],
            then: .emptyGroup(groupID: id))
    }

    /// The group as its record says it; with `assignments`, as it will be once they are given out.
    func storedValue(assignments: [String: ByteBuffer]?) -> GroupMetadataValue {
        GroupMetadataValue(
            protocolType: protocolType ?? "", generation: generation, protocolName: protocolName,
            leaderID: leaderID, currentStateTimestamp: stateTimestamp,
            members: members.values.map { member in
                GroupMetadataValue.Member(
                    memberID: member.id, groupInstanceID: member.groupInstanceID,
                    clientID: member.clientID, clientHost: member.clientHost,
                    rebalanceTimeoutMilliseconds: member.rebalanceTimeoutMilliseconds,
                    sessionTimeoutMilliseconds: member.sessionTimeoutMilliseconds,
                    subscription: member.metadata(for: protocolName ?? ""),
                    assignment: assignments.map { $0[member.id] ?? ByteBuffer() }
                        ?? member.assignment)
            })
    }

    // MARK: Departures and failures

    /// A member leaves or failed: the others rebalance.
    mutating func removeAndRebalance(_ memberID: String, _ outbox: inout Outbox) {
        remove(memberID, &outbox)
        switch state {
        case .empty, .dead: break
        case .preparingRebalance: completeJoinIfReady(&outbox)
        case .completingRebalance, .stable: prepareRebalance(&outbox)
        }
    }

    /// Does all that is due, and asks to be looked at again. Called too early, it does nothing.
    mutating func expire(_ outbox: inout Outbox) {
        let now = outbox.now.instant
        for memberID in pendingMembers.filter({ $0.value <= now }).keys {
            pendingMembers[memberID] = nil
        }
        for memberID in Array(members.keys) {
            guard let member = members[memberID], member.canExpire, member.deadline <= now else {
                continue
            }
            removeAndRebalance(memberID, &outbox)
        }
        if let joinDeadline, joinDeadline <= now { joinDeadlinePassed(&outbox) }
        if let syncDeadline, syncDeadline <= now { syncDeadlinePassed(&outbox) }
        completeJoinIfReady(&outbox)
        if let next = nextDeadline { arm(next, &outbox) }
    }

    /// Those who joined and never fetched their assignment are dropped; the others rebalance.
    private mutating func syncDeadlinePassed(_ outbox: inout Outbox) {
        syncDeadline = nil
        guard state == .completingRebalance || state == .stable else { return }
        let absent = members.values.filter(\.isPendingSync).map(\.id)
        guard !absent.isEmpty else { return }
        for memberID in absent { remove(memberID, &outbox) }
        prepareRebalance(&outbox)
    }
}
