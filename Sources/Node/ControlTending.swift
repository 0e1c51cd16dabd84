import Model
import OrderedCollections
import Replication

/// What a leader does about the copies of its partitions: it gives leaderships back to the first
/// replica of the placement, ends reassignments, and replaces copies that are gone for good.
///
/// The leader of a partition decides alone, so nobody duels; what it wants is proposed with the
/// partition epoch that it saw. Partitions are looked at when something about them changes, and
/// again as long as something is to be waited for: an idle broker looks at nothing.
extension Control {
    /// Between two looks at what is waited for; with a random part, so that the leaders of a mesh
    /// do not all move in one moment.
    private static let tendMilliseconds: Int64 = 250
    private static let tendJitterMilliseconds: Int64 = 150

    /// Where only time is waited for: a broker that is to come back, or to be given up.
    private static let idleMilliseconds: Int64 = 1_000

    /// Leaderships that one look gives back: about 300 a second from each broker, which is far
    /// below what voters decide and keeps the connections of clients from moving all at once.
    private static let balancedPerLook = 100

    /// Reassignments that one look begins: copies are made a few at a time, so that the first are
    /// done soon and the disks are not asked for everything at once.
    private static let rebuiltPerLook = 16

    /// Something about a partition that this broker leads has changed.
    mutating func noteUntended(_ partition: TopicPartition, _ state: PartitionState, now: Now) {
        guard state.leader == identity.broker.id, wantsTending(partition, state) else { return }
        untended.append(partition)
        tendSoon(now: now)
    }

    /// Brokers came or went: costs a look at every partition that this broker leads.
    mutating func noteAllUntended(now: Now) {
        for name in (placed[identity.broker.id] ?? []).sorted() {
            guard let entry = topics[name] else { continue }
            for index in entry.partitions.indices {
                noteUntended(entry.partition(Int32(index)), entry.partitions[index], now: now)
            }
        }
    }

    private mutating func tendSoon(now: Now, isIdle: Bool = false) {
        guard tendAt == nil else { return }
        let jitter = Int64.random(in: 0..<Self.tendJitterMilliseconds, using: &generator)
        let pause = isIdle ? Self.idleMilliseconds : Self.tendMilliseconds
        tendAt = now.instant.advanced(byMilliseconds: pause + jitter)
    }

    private func wantsTending(_ partition: TopicPartition, _ state: PartitionState) -> Bool {
        !state.adding.isEmpty || !state.removing.isEmpty
            || (replicaConfiguration.balancesLeaders && state.replicas[0] != state.leader)
            || state.replicas.contains { !isPresent($0) }
            || copiesWanted(partition, state) > state.replicas.count
    }

    func isPresent(_ node: NodeID) -> Bool { members.contains { $0.entry.id == node } }

    /// Looks at what is to be done, as far as this broker is sure to lead.
    mutating func tend(now: Now, into effects: inout [Effect]) {
        if let due = goneAt, due <= now.instant {
            goneAt = nil
            noteAllUntended(now: now)
        }
        guard let due = tendAt, due <= now.instant else { return }
        tendAt = nil
        guard handover == nil else { return untended.removeAll() }
        guard moves.isEmpty, now.instant < leaseUntil else { return tendSoon(now: now) }
        var tasks = Tasks()
        var waiting: OrderedSet<TopicPartition> = []
        for partition in untended {
            guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
                let state = entry.state(partition.index.rawValue),
                state.leader == identity.broker.id, wantsTending(partition, state)
            else { continue }
            // Nothing to look at until then: after a broker's death all partitions wait for it.
            if let due = waitsForBrokersUntil(state, partition, now: now) {
                goneAt = min(goneAt ?? due, due)
                continue
            }
            waiting.append(partition)
            // Not found out yet, or in the middle of something: later.
            switch roles[partition] {
            case .leads, .alone: break
            case .follows, .waits, nil: continue
            }
            tend(partition, entry, state, now: now, &tasks, into: &effects)
        }
        untended = waiting
        let isIdle = moves.isEmpty && tasks.proposals.isEmpty
        proposeMoves(into: &effects)
        if !tasks.proposals.isEmpty {
            let number = nextSerial()
            changes[number] = PendingChange(
                kind: .tending, token: nil, names: [], outcomes: [])
            effects.append(.propose(number, tasks.proposals))
        }
        if !untended.isEmpty { tendSoon(now: now, isIdle: isIdle) }
    }

    /// When copies that are away count as gone, where that alone is waited for. A broker that comes
    /// back, or is forgotten, and any change of the partition have it looked at before.
    private func waitsForBrokersUntil(
        _ state: PartitionState, _ partition: TopicPartition, now: Now
    ) -> Instant? {
        guard state.adding.isEmpty, state.removing.isEmpty,
            state.replicas[0] == state.leader || !isPresent(state.replicas[0])
                || !replicaConfiguration.balancesLeaders,
            copiesWanted(partition, state) <= state.replicas.count
        else { return nil }
        var first: Instant?
        for node in state.replicas where !isPresent(node) {
            guard !isGone(node, now: now), let since = absentSince[node] else { return nil }
            let due = since.advanced(
                byMilliseconds: replicaConfiguration.rebuildAfterMilliseconds)
            first = min(first ?? due, due)
        }
        return first
    }

    /// What one look does.
    private struct Tasks {
        var proposals: [RegisterProposal] = []
        var balanced = 0
        var rebuilt = 0
        var loads: [NodeID: Int] = [:]
    }

    private mutating func tend(
        _ partition: TopicPartition, _ entry: TopicEntry, _ state: PartitionState, now: Now,
        _ tasks: inout Tasks, into effects: inout [Effect]
    ) {
        if !state.adding.isEmpty || !state.removing.isEmpty {
            return endReassignment(partition, entry, state, &tasks, into: &effects)
        }
        if let target = repaired(partition, state, now: now, &tasks) {
            guard tasks.rebuilt < Self.rebuiltPerLook else { return }
            tasks.rebuilt += 1
            propose(.reassign(target), partition, entry, state, &tasks)
            return
        }
        guard replicaConfiguration.balancesLeaders, tasks.balanced < Self.balancedPerLook else {
            return
        }
        let preferred = state.replicas[0]
        guard preferred != identity.broker.id, heirs(of: state).contains(preferred),
            let since = presentSince[preferred],
            now.instant.milliseconds(since: since) >= replicaConfiguration.balanceAfterMilliseconds
        else { return }
        tasks.balanced += 1
        move(partition, entry, to: preferred, leaves: false, into: &effects)
    }

    /// All new copies are in sync: the old ones go, the leader among them first.
    private mutating func endReassignment(
        _ partition: TopicPartition, _ entry: TopicEntry, _ state: PartitionState,
        _ tasks: inout Tasks, into effects: inout [Effect]
    ) {
        guard state.adding.allSatisfy({ node in state.inSync.contains { $0.node == node } }) else {
            return
        }
        guard state.removing.contains(identity.broker.id) else {
            return propose(.completeReassignment, partition, entry, state, &tasks)
        }
        let heir = heirs(of: state).first { !state.removing.contains($0) }
        if let heir { move(partition, entry, to: heir, leaves: false, into: &effects) }
    }

    private func propose(
        _ operation: PartitionOperation, _ partition: TopicPartition, _ entry: TopicEntry,
        _ state: PartitionState, _ tasks: inout Tasks
    ) {
        guard let initial = initial(of: partition, entry) else { return }
        tasks.proposals.append(
            RegisterProposal(
                key: PartitionRegister.key(partition),
                operation: .partition(
                    PartitionChange(
                        operation, initial: initial, expecting: state.partitionEpoch,
                        minInSync: entry.configuration.minInSync))))
    }

    // MARK: Repair

    /// How many copies a partition is meant to have; more than it has where it was made while the
    /// mesh was too small for what was asked.
    private func copiesWanted(_ partition: TopicPartition, _ state: PartitionState) -> Int {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }) else { return 0 }
        return min(entry.copiesWanted, max(copiesMaximum, state.replicas.count))
    }

    /// Whether a broker is not to be expected back: it was forgotten, or is dead for long.
    func isGone(_ node: NodeID, now: Now) -> Bool {
        if forgotten.contains(node) { return true }
        guard !isPresent(node), let since = absentSince[node] else { return false }
        return now.instant.milliseconds(since: since)
            >= replicaConfiguration.rebuildAfterMilliseconds
    }

    /// The replicas that should be, where they should be others: somebody else for each that is
    /// gone, and as many as are wanted. Copies that are there stay where they are.
    private func repaired(
        _ partition: TopicPartition, _ state: PartitionState, now: Now, _ tasks: inout Tasks
    ) -> [NodeID]? {
        let staying = state.replicas.filter { !isGone($0, now: now) }
        let wanted = max(state.replicas.count, copiesWanted(partition, state))
        guard staying.count < wanted, !staying.isEmpty else { return nil }
        var target = staying
        while target.count < wanted, let next = site(beside: target, tasks.loads) {
            target.append(next)
            tasks.loads[next, default: 0] += 1
        }
        // One that is gone stays in the list until somebody can take its place.
        guard target.count >= state.replicas.count, target != state.replicas else { return nil }
        return target
    }

    /// The broker that is to hold one more copy: of a rack that none is in, and with the fewest.
    private func site(beside held: [NodeID], _ loads: [NodeID: Int]) -> NodeID? {
        let racks = members.filter { held.contains($0.entry.id) }.compactMap(\.entry.rack)
        func cost(_ member: BrokerMember) -> (Int, Int, NodeID) {
            let node = member.entry.id
            let shares = member.entry.rack.map { racks.contains($0) } ?? false
            let count = (placed[node]?.count ?? 0) + loads[node, default: 0]
            return (shares ? 1 : 0, count, node)
        }
        // The copies of a pair stay on it: what is gone waits for the broker that takes its id.
        let pair =
            replicaConfiguration.placement == .masterBackup
            ? Set(held.compactMap(BrokerPairs.partner)) : nil
        return holders.filter { member in
            pair?.contains(member.entry.id) ?? true && !held.contains(member.entry.id)
                && !member.isDoubted
                && !forgotten.contains(member.entry.id)
        }.min { cost($0) < cost($1) }?.entry.id
    }

    // MARK: Who is there

    /// Notes since when each broker is there, and since when it is not.
    mutating func notePresence(now: Now) {
        for member in members {
            absentSince[member.entry.id] = nil
            if member.isDoubted {
                presentSince[member.entry.id] = nil
            } else if presentSince[member.entry.id] == nil {
                presentSince[member.entry.id] = now.instant
            }
        }
        let known = Set(copies.keys).union(placed.keys)
        for node in known where !isPresent(node) {
            presentSince[node] = nil
            if absentSince[node] == nil { absentSince[node] = now.instant }
        }
    }

    /// The mesh has shut a broker out for good: its copies are made elsewhere at once.
    mutating func forget(_ node: NodeID, now: Now) {
        forgotten.insert(node)
        noteAllUntended(now: now)
    }

    /// Another broker has the id of one that was shut out, or it is back on a new disk.
    mutating func letIn(_ node: NodeID, now: Now) {
        guard forgotten.remove(node) != nil else { return }
        noteAllUntended(now: now)
    }

    /// An operator wants a partition of this broker to be led by another replica.
    mutating func giveWay(
        _ wishes: [LeaderWish], now: Now, into effects: inout [Effect]
    ) {
        guard handover == nil, now.instant < leaseUntil else { return }
        for wish in wishes {
            guard let entry = topics.name(of: wish.partition.topic).flatMap({ topics[$0] }),
                let state = entry.state(wish.partition.index.rawValue),
                state.leader == identity.broker.id, heirs(of: state).contains(wish.node),
                case .leads = roles[wish.partition]
            else { continue }
            move(wish.partition, entry, to: wish.node, leaves: false, into: &effects)
        }
        proposeMoves(into: &effects)
    }
}
