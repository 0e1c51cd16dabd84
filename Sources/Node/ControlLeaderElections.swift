import Model
import OrderedCollections
import Replication

/// An operator's request for elections that is under way.
struct PendingElections {
    /// One partition of it.
    struct Row {
        let partition: TopicPartition
        var outcome: ReplicaOutcome
        /// The epoch that the election is to end.
        let epoch: LeaderEpoch
        var isOpen: Bool
    }

    let token: UInt64
    let isUnclean: Bool
    /// All partitions were asked for: those that need none are not told of.
    let isAll: Bool
    let deadline: Instant
    var rows: [Row]
}

/// An unclean election that is being prepared: what the stores hold that are there.
struct UncleanElection {
    let deadline: Instant
    var answers: [StoreAnswer] = []
    var isProposed = false
    /// Voters hold the change back until then.
    var notBefore: Instant
}

/// Elections that operators ask for: of the preferred leader, and unclean ones.
///
/// Any broker takes the request. The preferred replica is elected by the leader, which alone may
/// give its leadership away, so it is told; an unclean election is proposed here, because there is
/// no leader: of the copies that are there, the one with the longest log.
extension Control {
    /// How long copies that are there have to say what they hold; then those that said it count.
    private static let inspectMilliseconds: Int64 = 1_000

    /// Between two questions to a leader that has not given way: several rounds of Paxos.
    private static let askAgainMilliseconds: Int64 = 250

    /// Elections in one request; each costs a decision.
    private static let electionsMaximum = 10_000

    mutating func electLeaders(
        _ election: LeaderElection, _ token: UInt64, now: Now, into effects: inout [Effect]
    ) {
        var rows: [PendingElections.Row] = []
        for (topic, index) in partitions(of: election).prefix(Self.electionsMaximum) {
            rows.append(row(topic, index, election.isUnclean))
        }
        if election.partitions == nil {
            rows.removeAll { $0.outcome.error == .electionNotNeeded }
        }
        if election.isUnclean {
            for row in rows where row.isOpen {
                inspect(row.partition, now: now, into: &effects)
            }
        }
        let deadline = now.instant.advanced(byMilliseconds: max(0, election.timeoutMilliseconds))
        elections.append(
            PendingElections(
                token: token, isUnclean: election.isUnclean, isAll: election.partitions == nil,
                deadline: deadline, rows: rows))
        if !election.isUnclean { askLeaders(now: now, into: &effects) }
        settleElections(now: now, into: &effects)
    }

    /// Asks those who lead what others are to lead, and again until they do: one that is in the
    /// middle of something, or does not see the other in sync yet, lets it pass.
    private mutating func askLeaders(now: Now, into effects: inout [Effect]) {
        var wishes: OrderedDictionary<NodeID, [LeaderWish]> = [:]
        for pending in elections where !pending.isUnclean {
            for row in pending.rows where row.isOpen {
                guard let state = state(of: row.partition), let leader = state.leader,
                    leader != state.replicas[0]
                else { continue }
                wishes[leader, default: []].append(
                    LeaderWish(partition: row.partition, node: state.replicas[0]))
            }
        }
        guard !wishes.isEmpty else { return }
        let next = now.instant.advanced(byMilliseconds: Self.askAgainMilliseconds)
        electAgainAt = min(electAgainAt ?? next, next)
        for (leader, list) in wishes { ask(leader, for: list, now: now, into: &effects) }
    }

    /// Tells a leader, which may be this broker.
    mutating func ask(
        _ leader: NodeID, for wishes: [LeaderWish], now: Now, into effects: inout [Effect]
    ) {
        if leader == identity.broker.id { return giveWay(wishes, now: now, into: &effects) }
        let step = ReplicationLimits.entriesPerMessage
        for start in stride(from: 0, to: wishes.count, by: step) {
            let end = min(wishes.count, start + step)
            effects.append(.askToGiveWay(leader, Array(wishes[start..<end])))
        }
    }

    private func partitions(of election: LeaderElection) -> [(topic: String, index: Int32)] {
        if let named = election.partitions { return named }
        return topics.sortedNames.flatMap { name in
            (topics[name].map { Array($0.partitions.indices) } ?? []).map { (name, Int32($0)) }
        }
    }

    func state(of partition: TopicPartition) -> PartitionState? {
        topics.name(of: partition.topic).flatMap { topics[$0] }?.state(partition.index.rawValue)
    }

    private func row(_ topic: String, _ index: Int32, _ isUnclean: Bool) -> PendingElections.Row {
        var outcome = ReplicaOutcome(topic: topic, index: index)
        guard let entry = topics[topic], let state = entry.state(index) else {
            outcome.error = .unknown
            outcome.message = "no partition \(index) of '\(topic)'"
            return PendingElections.Row(
                partition: TopicPartition(topic: .zero, index: PartitionIndex(index)),
                outcome: outcome, epoch: .unknown, isOpen: false)
        }
        let refusal = isUnclean ? uncleanRefusal(state) : preferredRefusal(state)
        outcome.error = refusal?.error
        outcome.message = refusal?.message
        return PendingElections.Row(
            partition: entry.partition(index), outcome: outcome, epoch: state.leaderEpoch,
            isOpen: refusal == nil)
    }

    private func preferredRefusal(
        _ state: PartitionState
    ) -> (error: ReplicaOutcomeError, message: String)? {
        let preferred = state.replicas[0]
        if state.leader == preferred {
            return (.electionNotNeeded, "broker \(preferred.rawValue) leads already")
        }
        let isReady =
            electionMembers(state).contains { member in
                member.isAlive && member.id.node == preferred && state.inSync.contains(member.id)
            } && state.leader.map(isPresent) ?? false
        guard !isReady else { return nil }
        return (
            .preferredNotAvailable,
            "broker \(preferred.rawValue), the first replica, is not there or not in sync"
        )
    }

    private func uncleanRefusal(
        _ state: PartitionState
    ) -> (error: ReplicaOutcomeError, message: String)? {
        if !lacksLeader(state) {
            let leader = state.leader?.rawValue ?? -1
            return (.electionNotNeeded, "broker \(leader) leads")
        }
        guard !electionMembers(state).contains(where: \.isAlive) else { return nil }
        return (.noEligibleLeader, "none of the replicas is there")
    }

    // MARK: Unclean

    /// Asks the copies that are there what they hold; where one holds everything it is elected
    /// without being asked.
    private mutating func inspect(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard uncleanElections[partition] == nil, let state = state(of: partition),
            eligible(state).isEmpty
        else { return }
        uncleanElections[partition] = UncleanElection(
            deadline: now.instant.advanced(byMilliseconds: Self.inspectMilliseconds),
            notBefore: now.instant)
        electAgainAt = now.instant.advanced(byMilliseconds: Self.inspectMilliseconds)
        for member in electionMembers(state) where member.isAlive {
            effects.append(.inquire(member.id.node, [partition]))
        }
    }

    mutating func hearUnclean(
        _ answer: StoreAnswer, of partition: TopicPartition, now: Now,
        into effects: inout [Effect]
    ) {
        guard uncleanElections[partition] != nil else { return }
        uncleanElections[partition]?.answers.removeAll { $0.id.node == answer.id.node }
        uncleanElections[partition]?.answers.append(answer)
        proposeUnclean(partition, now: now, into: &effects)
    }

    /// Once all that are there have answered, or had time: the longest log is elected.
    private mutating func proposeUnclean(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard let election = uncleanElections[partition], !election.isProposed,
            election.notBefore <= now.instant
        else { return }
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue), lacksLeader(state),
            let initial = initial(of: partition, entry)
        else {
            uncleanElections[partition] = nil
            return
        }
        let there = electionMembers(state).filter(\.isAlive).map(\.id)
        let answers = election.answers.filter { there.contains($0.id) }
        guard answers.count == there.count || election.deadline <= now.instant else { return }
        var best: StoreAnswer?
        for node in state.replicas {
            guard let answer = answers.first(where: { $0.id.node == node }) else { continue }
            if let held = best, (held.lastEpoch, held.end) >= (answer.lastEpoch, answer.end) {
                continue
            }
            best = answer
        }
        guard let best else {
            uncleanElections[partition] = nil
            return
        }
        uncleanElections[partition]?.isProposed = true
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .unclean(partition), token: nil, names: [], outcomes: [])
        effects.append(
            .propose(
                number,
                [
                    RegisterProposal(
                        key: PartitionRegister.key(partition),
                        operation: .partition(
                            PartitionChange(
                                .electUnclean(best.id), initial: initial,
                                expecting: state.partitionEpoch,
                                minInSync: entry.configuration.minInSync)))
                ]))
    }

    mutating func uncleanDecided(
        _ partition: TopicPartition, _ decision: Decision?, now: Now
    ) {
        switch decision {
        case .chosen:
            uncleanElections[partition] = nil
        case .held(let milliseconds): electUncleanAgain(partition, after: milliseconds, now: now)
        case .refused, .notChosen, .unknown, nil:
            electUncleanAgain(partition, after: Self.inspectMilliseconds / 10, now: now)
        }
    }

    /// Said by whoever leads by it, each time that it begins to: however the election was settled.
    func tellUnclean(
        _ partition: TopicPartition, _ entry: TopicEntry, into effects: inout [Effect]
    ) {
        guard let state = entry.state(partition.index.rawValue), state.isUnclean,
            serves(entry, partition.index.rawValue)
        else { return }
        if case .leads(let held, _, _) = roles[partition], held.leaderEpoch == state.leaderEpoch {
            return
        }
        effects.append(
            .notice(
                "unclean election of '\(entry.name)' partition \(partition.index.rawValue) by an "
                    + "operator: this broker leads under epoch \(state.leaderEpoch.rawValue); what "
                    + "others acknowledged and it does not hold is lost"))
    }

    private mutating func electUncleanAgain(
        _ partition: TopicPartition, after milliseconds: Int64, now: Now
    ) {
        let moment = now.instant.advanced(byMilliseconds: max(1, milliseconds))
        uncleanElections[partition]?.isProposed = false
        uncleanElections[partition]?.notBefore = moment
        electAgainAt = min(electAgainAt ?? moment, moment)
    }

    // MARK: Ends

    /// When the elections of operators are looked at next.
    var electionsWake: Instant? {
        ([electAgainAt].compactMap { $0 } + elections.map(\.deadline)).min()
    }

    mutating func wakeElections(now: Now, into effects: inout [Effect]) {
        if let due = electAgainAt, due <= now.instant {
            electAgainAt = nil
            askLeaders(now: now, into: &effects)
            for partition in Array(uncleanElections.keys) {
                proposeUnclean(partition, now: now, into: &effects)
                guard let election = uncleanElections[partition], !election.isProposed else {
                    continue
                }
                let next = max(election.notBefore, election.deadline)
                if next > now.instant { electAgainAt = min(electAgainAt ?? next, next) }
            }
        }
        settleElections(now: now, into: &effects)
    }

    /// Answers the requests all of whose elections are over, and those that waited long enough.
    mutating func settleElections(now: Now, into effects: inout [Effect]) {
        guard !elections.isEmpty else { return }
        for place in elections.indices {
            for number in elections[place].rows.indices where elections[place].rows[number].isOpen {
                let row = elections[place].rows[number]
                if isElected(row, elections[place].isUnclean) {
                    elections[place].rows[number].isOpen = false
                } else if elections[place].deadline <= now.instant {
                    elections[place].rows[number].isOpen = false
                    elections[place].rows[number].outcome.error = .timedOut
                    elections[place].rows[number].outcome.message =
                        "not elected in time: it may still come to pass"
                }
            }
        }
        for pending in elections where pending.rows.allSatisfy({ !$0.isOpen }) {
            effects.append(
                .reply(token: pending.token, .partitions(pending.rows.map(\.outcome))))
            if pending.isUnclean {
                for row in pending.rows { uncleanElections[row.partition] = nil }
            }
        }
        elections.removeAll { $0.rows.allSatisfy { !$0.isOpen } }
    }

    private func isElected(_ row: PendingElections.Row, _ isUnclean: Bool) -> Bool {
        guard let state = state(of: row.partition) else { return false }
        return isUnclean
            ? !lacksLeader(state) && state.leaderEpoch > row.epoch
            : state.leader == state.replicas[0]
    }
}
