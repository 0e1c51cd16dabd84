public import Model

/// A replica as the proposer of an election sees it now.
public struct ElectionMember: Hashable, Sendable {
    /// Its current admission and log epoch.
    public let id: ReplicaID
    /// It answers, and is not passed over because its turn to propose went by.
    public let isAlive: Bool

    public init(id: ReplicaID, isAlive: Bool) {
        self.id = id
        self.isAlive = isAlive
    }
}

/// What a replica says its recorded store holds: the evidence of an election after all members
/// were lost at once.
public struct StoreAnswer: Hashable, Sendable {
    public let id: ReplicaID
    /// Of the last record; unknown in an empty log.
    public let lastEpoch: LeaderEpoch
    public let end: Offset

    public init(id: ReplicaID, lastEpoch: LeaderEpoch, end: Offset) {
        self.id = id
        self.lastEpoch = lastEpoch
        self.end = end
    }
}

/// Changes of leader.
extension PartitionState {
    /// Who may be elected now, the first first: in-sync members that still are what the register
    /// says and are alive, in placement order, then last eligible ones likewise (KIP-966;
    /// reference, section 11). Empty where only another rule may elect.
    package func eligible(
        among members: [ElectionMember], rules: ReplicationRules = ReplicationRules()
    ) -> [ReplicaID] {
        var result: [ReplicaID] = []
        for set in [inSync, lastEligible] {
            for recorded in inPlacementOrder(set) {
                let found = members.first { $0.isAlive && $0.id.continues(recorded, rules) }
                if let found { result.append(found.id) }
            }
        }
        return result
    }

    /// Makes `candidate` the leader of a new epoch, if it is the one whom the rules elect: the
    /// first eligible one; the only replica, which waits for nobody; or, where every electable
    /// member was lost and answered from its recorded store, the one with the longest log.
    ///
    /// - Parameter expecting: the partition epoch of a state that the proposer knows to be chosen.
    ///   A change on top of one that may not be chosen would hide whom that one deposed.
    package func elect(
        _ candidate: ReplicaID, expecting: PartitionEpoch, members: [ElectionMember],
        answers: [StoreAnswer] = [], minInSync: Int, rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard replicas.contains(candidate.node) else { return .failure(.notReplica) }
        let eligible = eligible(among: members, rules: rules)
        if let first = eligible.first {
            guard first == candidate else { return .failure(.notFirst(first.node)) }
            return elected(candidate, members: members, minInSync: minInSync, rules: rules)
        }
        if replicas == [candidate.node] {
            let isRecorded = inSync[0].admission == candidate.admission || !rules.admissionChecked
            guard isRecorded else { return .failure(.storeEmptied) }
            return elected(alone: candidate, rules: rules)
        }
        switch longest(answers, rules: rules) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let winner):
            guard winner == candidate else { return .failure(.notFirst(winner.node)) }
            return elected(alone: candidate, rules: rules)
        }
    }

    /// An operator's explicit choice of a leader with which records may be lost; voters still
    /// wait for the lease of the leader that it deposes.
    public func electUnclean(_ candidate: ReplicaID, expecting: PartitionEpoch) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard replicas.contains(candidate.node) else { return .failure(.notReplica) }
        return elected(alone: candidate, rules: ReplicationRules()).map { state in
            var next = state
            next.isUnclean = true
            return next
        }
    }

    /// The leader gives its leadership away after it stopped serving: to its successor in a
    /// controlled shutdown, to the preferred leader, or to nobody (nil) where none is there.
    ///
    /// Every proposer but the leader itself is refused by the guard: only it knows that it has
    /// stopped, and voters accept its consent instead of a lapsed lease.
    ///
    /// - Parameter leaving: it is about to stop altogether and leaves the in-sync set with the same
    ///   change, so that the successor never waits for it; eligible it stays as in `leaveInSync`.
    package func transfer(
        to successor: NodeID?, from leader: NodeID, leaderEpoch: LeaderEpoch,
        expecting: PartitionEpoch, consent: Consent = .stopped, leaving: Bool = false,
        minInSync: Int = 1, rules: ReplicationRules = ReplicationRules()
    ) -> Outcome {
        guard partitionEpoch == expecting else { return .failure(.changed(partitionEpoch)) }
        guard self.leader == leader, self.leaderEpoch == leaderEpoch else {
            return .failure(.notLeader)
        }
        guard successor != leader else { return .failure(.alreadyDone) }
        if let successor, !inSync.contains(where: { $0.node == successor }) {
            return .failure(.notInSync)
        }
        return changed(raisingLeaderEpoch: true).map { state in
            var next = state
            next.leader = successor
            next.deposed = leaderID
            next.consent = consent
            if leaving, successor != nil {
                next.inSync.removeAll { $0.node == leader }
                next.keepEligible(electable, minInSync: minInSync, rules: rules)
            }
            return next
        }
    }

    /// The leader that this state deposes agrees to it, after it has stopped serving: it found the
    /// change half accepted, in the way of its own.
    ///
    /// Made on top of a state that may not be chosen, as nothing else is: it deposes nobody but the
    /// one who agrees.
    public func agreed(by former: ReplicaID, _ consent: Consent = .stopped) -> Outcome {
        guard deposed == former, !consented else { return .failure(.alreadyDone) }
        guard partitionEpoch.rawValue < .max else { return .failure(.exhausted) }
        var next = self
        next.partitionEpoch = PartitionEpoch(partitionEpoch.rawValue + 1)
        next.consent = consent
        return .success(next)
    }

    /// Elected from the in-sync set, which stays but for those that are known to have lost
    /// something; or from the last eligible ones, and then the rest of both stays eligible.
    ///
    /// Who is doubted leaves the set too, the deposed leader above all, as long as enough are left:
    /// else every produce would wait until the new leader had missed them for
    /// `lagMillisecondsMaximum`. It is the shrinking that the leader would propose then.
    private func elected(
        _ candidate: ReplicaID, members: [ElectionMember], minInSync: Int, rules: ReplicationRules
    ) -> Outcome {
        let standing = electable.filter { recorded in
            recorded.node == candidate.node
                || !members.contains {
                    $0.id.node == recorded.node && !$0.id.continues(recorded, rules)
                }
        }
        let isInSync = inSync.contains { candidate.continues($0, rules) }
        return raised(candidate, rules).map { state in
            var next = state
            next.inSync = isInSync ? standing.filter { inSync.contains($0) } : [candidate]
            let answering = next.inSync.filter { recorded in
                recorded.node == candidate.node
                    || members.contains { $0.id.node == recorded.node && $0.isAlive }
            }
            if answering.count >= minInSync { next.inSync = answering }
            next.keepEligible(standing, minInSync: minInSync, rules: rules)
            return next
        }
    }

    private func elected(alone candidate: ReplicaID, rules: ReplicationRules) -> Outcome {
        raised(candidate, rules).map { state in
            var next = state
            next.inSync = [candidate]
            next.lastEligible = []
            return next
        }
    }

    private func raised(_ candidate: ReplicaID, _ rules: ReplicationRules) -> Outcome {
        changed(raisingLeaderEpoch: leader != candidate.node || rules.epochRaised).map { state in
            var next = state
            next.deposed = leader == candidate.node ? nil : leaderID
            next.leader = candidate.node
            return next
        }
    }

    /// The answer of the greatest (last leader epoch, end offset), once every electable member has
    /// answered from the store that is recorded; an emptied store is no answer, and neither is one
    /// that lost nothing, which would have been elected.
    private func longest(
        _ answers: [StoreAnswer], rules: ReplicationRules
    ) -> Result<ReplicaID, ChangeRefusal> {
        var best: StoreAnswer?
        for recorded in inPlacementOrder(electable) {
            guard let answer = answers.first(where: { $0.id.node == recorded.node }) else {
                return .failure(.unanswered(recorded.node))
            }
            guard answer.id.admission == recorded.admission || !rules.admissionChecked else {
                return .failure(.storeEmptied)
            }
            // It has lost nothing: it is to be waited for, and no other one's log is as good.
            guard !answer.id.continues(recorded, rules) else {
                return .failure(.notFirst(recorded.node))
            }
            if let held = best {
                let isLonger =
                    (held.lastEpoch, held.end) < (answer.lastEpoch, answer.end)
                if isLonger { best = answer }
            } else {
                best = answer
            }
        }
        guard let best else { return .failure(.notInSync) }
        return .success(best.id)
    }
}
