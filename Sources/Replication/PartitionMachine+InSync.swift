import DequeModule
public import Model

/// The followers of a partition and the in-sync set.
extension PartitionMachine {
    /// What this broker last heard of a follower: its copy and the end that it vouches for; nil
    /// while it is not attached under this epoch.
    public func attachedFollower(_ node: NodeID) -> (id: ReplicaID, end: Offset)? {
        guard let follower = followers.first(where: { $0.node == node }),
            let id = follower.attached, let end = follower.end
        else { return nil }
        return (id, end)
    }

    mutating func lead(
        _ next: PartitionState, as id: ReplicaID, _ log: LogPosition, minInSync: Int,
        into effects: inout [Effect]
    ) {
        // Whoever resigned is elected anew: its followers were let go.
        guard next.leaderEpoch > ledEpoch else { return }
        precondition(next.leader == id.node, "the register names somebody else as leader")
        ledEpoch = next.leaderEpoch
        state = next
        selfID = id
        self.minInSync = minInSync
        followers = next.replicas.filter { $0 != id.node }.map {
            Follower(node: $0, now: lastTick)
        }
        begin(Leadership(next, leader: id.node), log, into: &effects)
    }

    /// The register changed: under the same epoch the in-sync set is decided, and a proposal that
    /// was guarded by the partition epoch before can't be chosen any more.
    mutating func changed(to next: PartitionState, into effects: inout [Effect]) {
        guard let held = state, let id = selfID else { return }
        guard next.partitionEpoch > held.partitionEpoch else { return }
        guard next.leader == id.node, next.leaderEpoch == held.leaderEpoch else {
            return stepDown(into: &effects)
        }
        state = next
        proposal = nil
        leadership = Leadership(next, leader: id.node)
        followers = next.replicas.filter { $0 != id.node }.map { node in
            followers.first { $0.node == node } ?? Follower(node: node, now: lastTick)
        }
        noteFalls(from: held, to: next)
        refreshSets()
        advance(into: &effects)
        propose(into: &effects)
    }

    mutating func attached(
        _ id: ReplicaID, _ epoch: LeaderEpoch, end: Offset, into effects: inout [Effect]
    ) {
        guard epoch == leadership?.epoch,
            let place = followers.firstIndex(where: { $0.node == id.node })
        else { return }
        followers[place].attached = id
        followers[place].isSilent = false
        followers[place].lostAt = nil
        followers[place].end = min(end, self.end)
        followers[place].hasMoved = true
        if end >= self.end { followers[place].caughtUp = lastTick }
        advance(into: &effects)
        propose(into: &effects)
    }

    mutating func acknowledged(
        _ id: ReplicaID, _ epoch: LeaderEpoch, end: Offset, into effects: inout [Effect]
    ) {
        guard epoch == leadership?.epoch,
            let place = followers.firstIndex(where: { $0.node == id.node }),
            followers[place].attached == id, let held = followers[place].end, end > held
        else { return }
        followers[place].isSilent = false
        followers[place].end = min(end, self.end)
        followers[place].hasMoved = true
        if end >= self.end { followers[place].caughtUp = lastTick }
        advance(into: &effects)
        if followers[place].required == nil, proposal == nil { propose(into: &effects) }
    }

    /// The copy may come back at once, so it stays in sync until it is behind.
    mutating func lost(_ node: NodeID) {
        guard let place = followers.firstIndex(where: { $0.node == node }) else { return }
        if followers[place].attached != nil { followers[place].lostAt = lastTick }
        followers[place].attached = nil
        followers[place].end = nil
    }

    mutating func silent(_ node: NodeID, since: Instant) {
        guard let place = followers.firstIndex(where: { $0.node == node }) else { return }
        followers[place].caughtUp = min(followers[place].caughtUp, since)
        followers[place].isSilent = true
        followers[place].isSilentStill = true
    }

    mutating func tick(_ now: Instant, into effects: inout [Effect]) {
        lastTick = max(lastTick, now)
        guard leadership != nil, !followers.isEmpty else { return }
        if needsClock { samples.removeAll(keepingCapacity: true) }
        sample()
        for place in followers.indices { measure(place) }
        needsClock = false
        if let open = proposal, !open.isUnderWay, open.retryAt <= lastTick {
            proposalSerial += 1
            proposal?.serial = proposalSerial
            proposal?.isUnderWay = true
            effects.append(.proposeInSync(open.inSync, serial: proposalSerial))
        }
        propose(into: &effects)
    }

    /// Notes the log end of this moment, and drops those that nothing is measured by any more.
    private mutating func sample() {
        let lag = ReplicationLimits.lagMillisecondsMaximum
        while let first = samples.first, lastTick.milliseconds(since: first.at) > lag {
            samples.removeFirst()
        }
        if let last = samples.last {
            let spacing = lag / ReplicationLimits.endSamplesPerLag
            guard lastTick.milliseconds(since: last.at) >= spacing else { return }
        }
        samples.append(EndSample(at: lastTick, end: end))
    }

    private mutating func measure(_ place: Int) {
        if needsClock {
            followers[place].caughtUp = lastTick
            followers[place].joinedAt = lastTick
        }
        if !followers[place].isSilentStill { followers[place].isSilent = false }
        followers[place].isSilentStill = false
        guard let held = followers[place].end, !followers[place].isSilent else { return }
        if held >= end {
            followers[place].caughtUp = lastTick
        } else if let reached = samples.last(where: { $0.end <= held }) {
            followers[place].caughtUp = max(followers[place].caughtUp, reached.at)
        }
        let steady = ReplicationLimits.steadyMilliseconds
        if lastTick.milliseconds(since: followers[place].joinedAt) >= steady {
            followers[place].falls = 0
        }
    }

    /// Who should be in sync, in placement order.
    func desiredInSync(_ state: PartitionState, _ id: ReplicaID) -> [ReplicaID] {
        var wanted: [ReplicaID] = []
        for node in state.replicas {
            if node == id.node {
                wanted.append(id)
            } else if let place = followers.firstIndex(where: { $0.node == node }) {
                if let member = wantedMember(followers[place]) { wanted.append(member) }
            }
        }
        return wanted
    }

    private func wantedMember(_ follower: Follower) -> ReplicaID? {
        if let member = follower.required {
            // Another copy of the same broker can't vouch for what that one held.
            if let attached = follower.attached, !attached.continues(member, rules) { return nil }
            if let lost = follower.lostAt,
                lastTick.milliseconds(since: lost)
                    >= ReplicationLimits.detachedMillisecondsMaximum
            {
                return nil
            }
            let behind = lastTick.milliseconds(since: follower.caughtUp)
            return behind >= ReplicationLimits.lagMillisecondsMaximum ? nil : member
        }
        guard let attached = follower.attached, let held = follower.end, !follower.isSilent
        else { return nil }
        guard lastTick >= follower.rejoinNotBefore, follower.hasMoved else { return nil }
        // Behind the start of the epoch it may lack what an earlier leader committed: this
        // leader's own high watermark may not have got so far yet.
        let isLevel = held >= highWatermark && held >= epochStart
        return isLevel || !rules.expandAtWatermark ? attached : nil
    }

    /// Proposes the in-sync set as it should be, where it is not so and nothing is under way.
    private mutating func propose(into effects: inout [Effect]) {
        guard proposal == nil, let state, let id = selfID, lastTick >= proposeNotBefore else {
            return
        }
        let wanted = desiredInSync(state, id)
        let mustClear = !state.lastEligible.isEmpty && wanted.count >= needed(state)
        guard wanted != state.inSync || mustClear else { return }
        let pause = ReplicationLimits.proposalRetryMilliseconds
        let next = lastTick.advanced(byMilliseconds: pause)
        proposeNotBefore = next
        proposalSerial += 1
        proposal = InSyncProposal(inSync: wanted, serial: proposalSerial, retryAt: next)
        refreshSets()
        effects.append(.proposeInSync(wanted, serial: proposalSerial))
    }

    /// What an attempt came to. One that failed for certain says nothing of those before it.
    mutating func proposalEnded(
        _ serial: UInt64, isUnknown: Bool, into effects: inout [Effect]
    ) {
        guard let open = proposal, open.serial == serial else { return }
        guard isUnknown || open.isUnknown else {
            proposal = nil
            refreshSets()
            return advance(into: &effects)
        }
        let pause = ReplicationLimits.proposalRetryMilliseconds
        proposal?.isUnknown = true
        proposal?.isUnderWay = false
        proposal?.retryAt = lastTick.advanced(byMilliseconds: pause)
    }

    /// Whoever has fallen out waits longer each time before it may join again.
    private mutating func noteFalls(from former: PartitionState, to next: PartitionState) {
        for place in followers.indices {
            let node = followers[place].node
            let wasIn = former.inSync.contains { $0.node == node }
            let isIn = next.inSync.contains { $0.node == node }
            if wasIn, !isIn {
                let least = ReplicationLimits.lagMillisecondsMaximum / 10
                let wait = min(
                    least << Int64(min(followers[place].falls, 10)),
                    ReplicationLimits.rejoinMillisecondsMaximum)
                followers[place].falls += 1
                followers[place].rejoinNotBefore = lastTick.advanced(byMilliseconds: wait)
                // One that has caught up meanwhile has moved.
                followers[place].hasMoved = followers[place].end.map { $0 >= end } ?? false
            } else if !wasIn, isIn {
                followers[place].joinedAt = lastTick
                followers[place].caughtUp = lastTick
            }
        }
    }

    func needed(_ state: PartitionState) -> Int { state.effectiveMinInSync(minInSync) }

    /// Whether `acks=all` is accepted: the set, and the one that may have replaced it, are large
    /// enough.
    var hasEnoughInSync: Bool {
        guard let state, rules.minInSyncGate else { return true }
        let needed = needed(state)
        return state.inSync.count >= needed && (proposal?.inSync.count ?? needed) >= needed
    }

    /// Which copies a commit waits for: those of the set, and of the one that may replace it.
    mutating func refreshSets() {
        let isProposed = proposal != nil
        for place in followers.indices {
            let node = followers[place].node
            followers[place].required = state?.inSync.first { $0.node == node }
            followers[place].alsoRequired = proposal?.inSync.first { $0.node == node }
            if isProposed, !rules.unionWhileUnknown {
                followers[place].required = followers[place].alsoRequired
            }
        }
        refreshGate()
    }

    /// While anybody is last eligible it may be elected, so nothing is committed without it.
    mutating func refreshGate() {
        mayCommit =
            hasEnoughInSync
            && (!rules.minInSyncGate || !rules.eligibleCleared
                || state?.lastEligible.isEmpty ?? true)
    }

    /// What all required copies vouch for; zero while one of them is not attached.
    var vouchedEnd: Offset {
        var result = end
        for follower in followers {
            guard follower.required != nil || follower.alsoRequired != nil else { continue }
            guard let attached = follower.attached, let held = follower.end else { return .zero }
            if let member = follower.required, !attached.continues(member, rules) { return .zero }
            if let member = follower.alsoRequired, !attached.continues(member, rules) {
                return .zero
            }
            result = min(result, held)
        }
        return result
    }
}

extension Leadership {
    /// What clients are told of a state in which `leader` leads.
    public init(_ state: PartitionState, leader: NodeID) {
        self.init(
            leader: leader, epoch: state.leaderEpoch, replicas: state.replicas,
            inSyncReplicas: state.inSync.map(\.node))
    }
}
