import Model
import OrderedCollections
import Replication

/// Who leads next: campaigns against leaders that are doubted, and leaderships that are found to
/// stand.
extension Control {
    /// The replicas as they are now: those that are not doubted may be elected.
    func electionMembers(_ state: PartitionState) -> [ElectionMember] {
        state.replicas.compactMap { node in
            copies[node].map { copy in
                ElectionMember(
                    id: copy, isAlive: members.contains { $0.entry.id == node && !$0.isDoubted })
            }
        }
    }

    /// Who may lead a partition now, the best first.
    func eligible(_ state: PartitionState) -> [ReplicaID] {
        state.eligible(among: electionMembers(state), rules: rules.replication)
    }

    /// Whether leaders of a partition are elected: the only copy that a placement names leads
    /// without a decision, until somebody made one.
    func isElected(_ partition: TopicPartition, _ state: PartitionState) -> Bool {
        state.replicas.count > 1 || states[partition] != nil
    }

    /// Whether a partition needs another leader: it has none, or one that is away, doubted, or not
    /// the copy any more that was elected.
    func lacksLeader(_ state: PartitionState) -> Bool {
        guard let leader = state.leader, let copy = copies[leader] else { return true }
        guard members.contains(where: { $0.entry.id == leader && !$0.isDoubted }) else {
            return true
        }
        return !state.inSync.contains(copy)
    }

    // MARK: Campaigns

    /// Brokers came or went, or are doubted: opens the campaigns that this broker may win, and ends
    /// those whose reason is gone. Costs a look at every partition that this broker holds.
    ///
    /// - Parameter encouraged: whether a broker is there that was not: campaigns that failed go on.
    mutating func reviewLeaders(now: Now, encouraged: Bool) {
        for name in (placed[identity.broker.id] ?? []).sorted() {
            guard let entry = topics[name] else { continue }
            for index in entry.partitions.indices {
                let partition = entry.partition(Int32(index))
                reviewLeader(partition, entry.partitions[index], now: now.instant)
                if encouraged { tell(partition, .encouraged, now: now.instant) }
            }
        }
    }

    mutating func reviewLeader(
        _ partition: TopicPartition, _ state: PartitionState, now: Instant
    ) {
        let own = ownReplica
        guard isElected(partition, state), state.replicas.contains(own.node), handover == nil,
            moves[partition] == nil,
            lacksLeader(state) || hasYielded(partition, state)
        else {
            inquiries[partition] = nil
            tell(partition, .refuted, now: now)
            return
        }
        let eligible = eligible(state)
        if eligible.isEmpty { return reviewLost(partition, state, now: now) }
        inquiries[partition] = nil
        let rank = eligible.firstIndex(of: own)
        // Whoever is before it sees a leader and does not campaign: this broker stopped, and nobody
        // else knows.
        if rank != 0, hasYielded(partition, state) {
            tell(partition, .refuted, now: now)
            return giveAway(partition, state, to: eligible[0].node, now: now)
        }
        guard let rank else {
            tell(partition, .refuted, now: now)
            return
        }
        openCampaign(partition, state, rank: rank, now: now)
    }

    mutating func openCampaign(
        _ partition: TopicPartition, _ state: PartitionState, rank: Int, now: Instant
    ) {
        if campaigns[partition]?.leaderEpoch == state.leaderEpoch {
            drive(partition, .rank(rank), now: now)
            return
        }
        let jitter = Int64.random(
            in: 0..<ReplicationLimits.campaignJitterMilliseconds, using: &generator)
        var campaign = Campaign(
            against: state.leader, state.leaderEpoch, rank: rank, jitter: jitter, now: now)
        var said: [Campaign.Effect] = []
        campaign.open(into: &said)
        campaigns[partition] = campaign
        follow(said, of: partition)
    }

    /// Says something to a campaign that may be there.
    private mutating func tell(
        _ partition: TopicPartition, _ input: Campaign.Input, now: Instant
    ) {
        guard campaigns[partition] != nil else { return }
        drive(partition, input, now: now)
    }

    /// Those to be proposed are gathered by `campaign`.
    @discardableResult
    private mutating func drive(
        _ partition: TopicPartition, _ input: Campaign.Input, now: Instant
    ) -> Bool {
        var said: [Campaign.Effect] = []
        campaigns[partition]?.handle(input, now: now, into: &said)
        return follow(said, of: partition)
    }

    @discardableResult
    private mutating func follow(_ said: [Campaign.Effect], of partition: TopicPartition) -> Bool {
        var isToPropose = false
        for effect in said {
            switch effect {
            case .propose: isToPropose = true
            case .wake(let moment):
                campaigns.note(moment, of: partition)
                wakeCampaigns(at: moment)
            case .ended: campaigns[partition] = nil
            }
        }
        return isToPropose
    }

    /// How long the first of several campaigns waits for the others: what the voters answer about
    /// the lapse of one lease differs by as much.
    private static let campaignMilliseconds: Int64 = 3

    private mutating func wakeCampaigns(at due: Instant) {
        let moment = due.advanced(byMilliseconds: Self.campaignMilliseconds)
        campaignWake = min(campaignWake ?? moment, moment)
    }

    /// Proposes this broker for all partitions whose time has come, in one batch.
    mutating func campaign(now: Now, into effects: inout [Effect]) {
        guard let wake = campaignWake, wake <= now.instant else { return }
        campaignWake = nil
        var partitions: [TopicPartition] = []
        var proposals: [RegisterProposal] = []
        for partition in campaigns.takeDue(now.instant) {
            guard drive(partition, .wake, now: now.instant) else { continue }
            let wait = campaignWait(partition, now: now.instant)
            guard wait == 0 else {
                drive(partition, .held(milliseconds: wait), now: now.instant)
                continue
            }
            guard let proposal = election(of: partition) else {
                drive(partition, .failed, now: now.instant)
                continue
            }
            partitions.append(partition)
            electing.insert(partition)
            proposals.append(proposal)
        }
        if let due = campaigns.nextDue { wakeCampaigns(at: due) }
        for batch in Self.batches(of: Array(zip(partitions, proposals))) {
            let number = nextSerial()
            changes[number] = PendingChange(
                kind: .elections(batch.map(\.0), after: confirmations), token: nil, names: [],
                outcomes: [])
            effects.append(.propose(number, batch.map(\.1)))
        }
    }

    /// Nil where this broker is not the one to be elected: the proposal would be refused, and its
    /// ballot be in the way of whoever is.
    private func election(of partition: TopicPartition) -> RegisterProposal? {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue),
            let initial = initial(of: partition, entry)
        else { return nil }
        let members = electionMembers(state)
        let first = state.eligible(among: members, rules: rules.replication).first
        guard first == nil || first == ownReplica else { return nil }
        let operation = PartitionOperation.elect(
            ownReplica, members: members, answers: inquiries[partition] ?? [])
        return RegisterProposal(
            key: PartitionRegister.key(partition),
            operation: .partition(
                PartitionChange(
                    operation, initial: initial, expecting: state.partitionEpoch,
                    minInSync: entry.configuration.minInSync)))
    }

    /// What was chosen is in the picture already.
    ///
    /// - Parameter isFresh: whether no confirmation was asked for since it was begun. What the
    ///   lease had confirmed does not cover this leadership, which a rival may have ended
    ///   meanwhile.
    mutating func electionsDecided(
        _ partitions: [TopicPartition], _ decisions: [Decision], isFresh: Bool, now: Now,
        into effects: inout [Effect]
    ) {
        for partition in partitions { electing.remove(partition) }
        for (partition, decision) in zip(partitions, decisions) {
            switch decision {
            case .chosen(let value):
                guard let bytes = value.value,
                    let state = try? PartitionState(decoding: bytes),
                    state.leader == identity.broker.id, isFresh
                else {
                    electionMissed(partition, .failed, now: now)
                    continue
                }
                confirmed[partition] = state.leaderEpoch
                noteTakeover(from: state.deposed?.node, now: now)
                takeOn(partition, now: now, into: &effects)
            case .held(let milliseconds):
                electionMissed(partition, .held(milliseconds: milliseconds), now: now)
            case .refused, .notChosen, .unknown: electionMissed(partition, .failed, now: now)
            }
        }
    }

    /// How long the leaderships of a broker that died are gathered for one line of the log: nearly
    /// all of them move within it.
    private static let takeoverMilliseconds: Int64 = 1_000

    private mutating func noteTakeover(from former: NodeID?, now: Now) {
        guard let former else { return }
        takeovers[former, default: 0] += 1
        takeoversDue =
            takeoversDue ?? now.instant.advanced(byMilliseconds: Self.takeoverMilliseconds)
    }

    mutating func tellTakeovers(now: Now, into effects: inout [Effect]) {
        guard let due = takeoversDue, due <= now.instant else { return }
        takeoversDue = nil
        for (former, count) in takeovers {
            let partitions = count == 1 ? "a partition" : "\(count) partitions"
            effects.append(
                .notice(
                    "leads \(partitions) in place of broker \(former.rawValue), which is silent"
                ))
        }
        takeovers = [:]
    }

    /// This proposal was not chosen; an earlier one, which voters held back when some had accepted
    /// it, may have been settled by it or by a rival: then the register names this broker, and
    /// nobody has looked yet whether that stands.
    private mutating func electionMissed(
        _ partition: TopicPartition, _ input: Campaign.Input, now: Now
    ) {
        drive(partition, input, now: now.instant)
        let entry = topics.name(of: partition.topic).flatMap { topics[$0] }
        guard let state = entry?.state(partition.index.rawValue) else { return }
        noteUnconfirmed(partition, state)
    }

    /// A register says something new: a campaign may be over, or have to begin; and where it names
    /// this broker, it has to be found out whether that still stands.
    mutating func review(
        _ partition: TopicPartition, _ entry: TopicEntry, _ index: Int32, now: Now
    ) {
        guard let state = entry.state(index) else { return }
        endMoveWhereDecided(partition)
        noteConsent(partition, state)
        noteUntended(partition, state, now: now)
        if campaigns[partition] != nil {
            drive(partition, .decided(state.leader, state.leaderEpoch), now: now.instant)
        }
        reviewLeader(partition, state, now: now.instant)
        noteUnconfirmed(partition, state)
    }

    /// A register, or a placement, names this broker: whether that stands is found out at the end
    /// of this input, for all of them at once. What its own proposal elected it to stands.
    mutating func noteUnconfirmed(_ partition: TopicPartition, _ state: PartitionState) {
        guard state.leader == identity.broker.id, confirmed[partition] != state.leaderEpoch,
            isElected(partition, state), !electing.contains(partition),
            !hasYielded(partition, state), handover == nil
        else { return }
        unconfirmed.append(partition)
    }

    mutating func confirmNews(now: Now, into effects: inout [Effect]) {
        guard confirmAgainAt.map({ $0 <= now.instant }) ?? true else { return }
        // Also where nothing is left to find out: the moment would be asked for again for ever.
        confirmAgainAt = nil
        guard !unconfirmed.isEmpty else { return }
        let partitions = Array(unconfirmed)
        unconfirmed = []
        for batch in Self.batches(of: partitions) { confirm(Array(batch), nil, into: &effects) }
    }

    mutating func takeOn(
        _ partition: TopicPartition, now: Now, into effects: inout [Effect]
    ) {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue)
        else { return }
        if state.leader == identity.broker.id { noteBound(partition, state, now: now) }
        tellUnclean(partition, entry, into: &effects)
        assume(entry, partition.index.rawValue, into: &effects)
        slotMoved(partition, now: now, into: &effects)
    }
}
