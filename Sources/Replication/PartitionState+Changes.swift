public import Model

/// Why a change of a partition's register was not made; the register stays as it is.
public enum ChangeRefusal: Error, Hashable, Sendable {
    /// The register is at another partition epoch than the proposer expected.
    case changed(PartitionEpoch)
    /// Only the leader of the current epoch may do that.
    case notLeader
    /// The leader can't leave before it gave the leadership away.
    case isLeader
    case notReplica
    case notInSync
    /// Somebody else comes first.
    case notFirst(NodeID)
    /// A member whose log may be the longest has not answered.
    case unanswered(NodeID)
    /// A member's store was wiped: what it held cannot be compared.
    case storeEmptied
    /// Too few would be left in sync.
    case tooFewInSync
    /// The reassignment that is meant does not run, or another one does.
    case reassignment
    case tooManyReplicas
    case alreadyDone
    /// An epoch has reached its largest number.
    case exhausted
}

/// Changes that keep the leader.
extension PartitionState {
    /// What a change function gives: the state to write, or why not.
    public typealias Outcome = Result<PartitionState, ChangeRefusal>

    /// The leader sets who is in sync, guarded by both epochs (KIP-497). Who leaves a set that is
    /// too small to commit stays eligible; from `min.insync.replicas` on nobody does (KIP-966).
    package func alterInSync(
        to wanted: [ReplicaID], by leader: NodeID, leaderEpoch: LeaderEpoch,
        expecting: PartitionEpoch, minInSync: Int, rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard self.leader == leader, self.leaderEpoch == leaderEpoch,
            wanted.contains(where: { $0.node == leader })
        else { return .failure(.notLeader) }
        guard wanted.allSatisfy({ replicas.contains($0.node) }), Self.areDistinct(wanted) else {
            return .failure(.notReplica)
        }
        return changed().map { state in
            var next = state
            next.inSync = inPlacementOrder(wanted)
            next.keepEligible(electable, minInSync: minInSync, rules: rules)
            return next
        }
    }

    /// A follower leaves before it stops, so that nobody waits for it. The last one stays: it is
    /// the one to start again first.
    package func leaveInSync(
        _ replica: ReplicaID, expecting: PartitionEpoch, minInSync: Int,
        rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard leader != replica.node else { return .failure(.isLeader) }
        guard inSync.contains(replica) else { return .failure(.alreadyDone) }
        guard inSync.count > 1 else { return .failure(.tooFewInSync) }
        return changed().map { state in
            var next = state
            next.inSync.removeAll { $0 == replica }
            next.keepEligible(electable, minInSync: minInSync, rules: rules)
            return next
        }
    }

    /// Begins to move the partition: the new replicas copy while the old ones stay (KIP-455). Takes
    /// the place of a move that runs: what that one added stays only as far as it counts by now, or
    /// is wanted again.
    public func reassign(to target: [NodeID], expecting: PartitionEpoch) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard !target.isEmpty, Set(target).count == target.count else {
            return .failure(.notReplica)
        }
        let unfinished = adding.filter { node in !electable.contains { $0.node == node } }
        let held = replicas.filter { !unfinished.contains($0) || target.contains($0) }
        let removed = held.filter { !target.contains($0) }
        let added = target.filter { !held.contains($0) || unfinished.contains($0) }
        guard target + removed != replicas || added != adding || removed != removing else {
            return .failure(.alreadyDone)
        }
        guard target.count + removed.count <= ReplicationLimits.replicasMaximum else {
            return .failure(.tooManyReplicas)
        }
        return changed().map { state in
            var next = state
            next.adding = added
            next.removing = removed
            next.replicas = target + removed
            return next
        }
    }

    /// Ends it once all new replicas are in sync; a leader that goes has to be followed first.
    package func completeReassignment(
        expecting: PartitionEpoch, minInSync: Int, rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard !adding.isEmpty || !removing.isEmpty else { return .failure(.reassignment) }
        let target = replicas.filter { !removing.contains($0) }
        if let leader, removing.contains(leader) { return .failure(.isLeader) }
        guard adding.allSatisfy({ node in inSync.contains { $0.node == node } }) else {
            return .failure(.notInSync)
        }
        return withdrawn(removing, leaving: target, minInSync: minInSync, rules)
    }

    /// Goes back to the replicas before; a new leader among those that were added stays away.
    package func cancelReassignment(
        expecting: PartitionEpoch, minInSync: Int, rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard !adding.isEmpty || !removing.isEmpty else { return .failure(.reassignment) }
        if let leader, adding.contains(leader) { return .failure(.isLeader) }
        let before = replicas.filter { !adding.contains($0) }
        return withdrawn(adding, leaving: before, minInSync: minInSync, rules)
    }

    /// Takes replicas out of everything; what remains in sync has to be able to commit.
    private func withdrawn(
        _ leavers: [NodeID], leaving remaining: [NodeID], minInSync: Int,
        _ rules: ReplicationRules
    ) -> Outcome {
        let stay = inSync.filter { !leavers.contains($0.node) }
        let needed = min(max(1, minInSync), remaining.count)
        guard stay.count >= min(needed, inSync.count), !stay.isEmpty else {
            return .failure(.tooFewInSync)
        }
        return changed().map { state in
            var next = state
            next.replicas = remaining
            next.adding = []
            next.removing = []
            next.inSync = stay
            next.keepEligible(
                lastEligible.filter { !leavers.contains($0.node) }, minInSync: minInSync,
                rules: rules)
            return next
        }
    }

    /// The next state with its epochs raised and without what belongs to one change of leader.
    func changed(raisingLeaderEpoch: Bool = false) -> Outcome {
        guard partitionEpoch.rawValue < .max, leaderEpoch.rawValue < .max else {
            return .failure(.exhausted)
        }
        var next = self
        next.partitionEpoch = PartitionEpoch(partitionEpoch.rawValue + 1)
        next.deposed = nil
        next.consent = nil
        if raisingLeaderEpoch {
            next.leaderEpoch = LeaderEpoch(leaderEpoch.rawValue + 1)
            next.isUnclean = false
        }
        return .success(next)
    }

    /// Those of `former` that are not in sync stay eligible while the set is too small.
    mutating func keepEligible(_ former: [ReplicaID], minInSync: Int, rules: ReplicationRules) {
        let isTooSmall = inSync.count < effectiveMinInSync(minInSync)
        let keeps = isTooSmall ? rules.eligibleKept : !rules.eligibleCleared
        lastEligible =
            keeps
            ? inPlacementOrder(
                former.filter { member in !inSync.contains { $0.node == member.node } })
            : []
    }

    private static func areDistinct(_ ids: [ReplicaID]) -> Bool {
        Set(ids.map(\.node)).count == ids.count
    }
}
