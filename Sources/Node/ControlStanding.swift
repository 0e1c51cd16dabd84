import Model
import OrderedCollections
import Replication

/// Which leaderships of this broker stand: found out before it serves by them, and given up where a
/// rival's election lies in their way.
extension Control {
    // MARK: Giving way

    /// Whether this broker gave up the leadership that a state names, or may have.
    func hasYielded(_ partition: TopicPartition, _ state: PartitionState) -> Bool {
        state.leader == identity.broker.id
            && yielded[partition].map { $0 >= state.leaderEpoch } ?? false
    }

    /// Voters hold back what this broker proposes: under it lies a rival's election that a voter
    /// has accepted, and that deposes this broker. It would lie there for as long as this broker's
    /// lease is renewed, so it gives way: it stops serving, and then agrees.
    mutating func yield(_ partition: TopicPartition, into effects: inout [Effect]) {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue),
            state.leader == identity.broker.id, !hasYielded(partition, state)
        else { return }
        // At the end of a handover everything stands down, and the lease is given back.
        guard handover?.isEnding != true else { return }
        yielded[partition] = state.leaderEpoch
        // A shard that was told before that it leads no more does not say so again.
        guard case .leads = roles[partition], rules.node.agreesOnceStopped else {
            return agree(partition, entry, .stopped, into: &effects)
        }
        yielding.insert(partition)
        assume(entry, partition.index.rawValue, into: &effects)
    }

    mutating func stoodDown(
        _ partition: TopicPartition, _ epoch: LeaderEpoch, now: Now, into effects: inout [Effect]
    ) {
        if moves[partition]?.epoch == epoch { return moverStoodDown(partition, into: &effects) }
        guard yielding.remove(partition) != nil else { return }
        guard handover?.isEnding != true else {
            return continueHandover(now: now, into: &effects)
        }
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] })
        else { return }
        agree(partition, entry, .served, into: &effects)
    }

    mutating func agree(
        _ partition: TopicPartition, _ entry: TopicEntry, _ consent: Consent,
        into effects: inout [Effect]
    ) {
        guard let state = entry.state(partition.index.rawValue),
            let initial = initial(of: partition, entry)
        else { return }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .agreement(partition), token: nil, names: [], outcomes: [])
        let change = PartitionChange(
            .agree(ownReplica, consent), initial: initial, expecting: state.partitionEpoch,
            minInSync: entry.configuration.minInSync)
        effects.append(
            .propose(
                number,
                [
                    RegisterProposal(
                        key: PartitionRegister.key(partition), operation: .partition(change))
                ]))
    }

    /// Looks again at who leads one partition.
    mutating func reviewLeader(of partition: TopicPartition, now: Now) {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue)
        else { return }
        reviewLeader(partition, state, now: now.instant)
    }

    // MARK: Standing leaderships

    /// How long after a read that no majority answered the next one is made.
    private static let confirmAgainMilliseconds: Int64 = 200

    /// Reads every register that names this broker as leader, in a way that nothing older can still
    /// be chosen afterwards.
    mutating func confirmLeaderships(_ serial: UInt64, into effects: inout [Effect]) {
        confirmations += 1
        var partitions: [TopicPartition] = []
        for name in (placed[identity.broker.id] ?? []).sorted() {
            guard let entry = topics[name] else { continue }
            for index in entry.partitions.indices {
                let state = entry.partitions[index]
                guard state.leader == identity.broker.id,
                    isElected(entry.partition(Int32(index)), state)
                else { continue }
                partitions.append(entry.partition(Int32(index)))
            }
        }
        confirm(partitions[...], serial, into: &effects)
    }

    /// Registers that are read before the next are: the proposer has other errands too.
    static let confirmedTogether = 8_192

    /// Finds out about some after the others.
    private mutating func confirm(
        _ partitions: ArraySlice<TopicPartition>, _ serial: UInt64, into effects: inout [Effect]
    ) {
        guard !partitions.isEmpty else {
            effects.append(.leadershipsConfirmed(serial, isComplete: true))
            return
        }
        confirm(
            Array(partitions.prefix(Self.confirmedTogether)), serial,
            then: partitions.dropFirst(Self.confirmedTogether), into: &effects)
    }

    mutating func confirm(
        _ partitions: [TopicPartition], _ serial: UInt64?,
        then rest: ArraySlice<TopicPartition> = [], into effects: inout [Effect]
    ) {
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .confirmation(partitions, serial, after: confirmations, then: rest), token: nil,
            names: [], outcomes: [])
        effects.append(
            .propose(
                number,
                partitions.map {
                    RegisterProposal(key: PartitionRegister.key($0), operation: .confirm)
                }))
    }

    mutating func confirmed(
        _ partitions: [TopicPartition], _ decisions: [Decision], _ serial: UInt64?,
        then rest: ArraySlice<TopicPartition>, isFresh: Bool, now: Now,
        into effects: inout [Effect]
    ) {
        var isComplete = true
        for (partition, decision) in zip(partitions, decisions) {
            // What the register holds was learned before this was said.
            guard case .refused(.confirmed, let found) = decision else {
                isComplete = false
                if case .held = decision { yield(partition, into: &effects) }
                if serial == nil { unconfirmed.append(partition) }
                continue
            }
            let entry = topics.name(of: partition.topic).flatMap { topics[$0] }
            guard let state = entry?.state(partition.index.rawValue),
                state.leader == identity.broker.id
            else { continue }
            // A register that was written is empty only once its topic is gone.
            guard found != nil || state.partitionEpoch == .initial else {
                isComplete = false
                continue
            }
            // What the lease asks for itself is as new as the lease.
            guard isFresh || serial != nil else {
                unconfirmed.append(partition)
                continue
            }
            confirmed[partition] = state.leaderEpoch
            takeOn(partition, now: now, into: &effects)
        }
        if !unconfirmed.isEmpty {
            confirmAgainAt = now.instant.advanced(
                byMilliseconds: Self.confirmAgainMilliseconds)
        }
        guard let serial else { return }
        guard isComplete else {
            return effects.append(.leadershipsConfirmed(serial, isComplete: false))
        }
        confirm(rest, serial, into: &effects)
    }
}
