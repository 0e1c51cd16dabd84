import Model
import OrderedCollections
public import Replication

/// What a broker is for one of the partitions that it holds.
public enum PartitionRole: Hashable, Sendable {
    /// It has the only copy: it leads, and nobody follows or could.
    case alone(Leadership)
    /// It leads the others under the state's epoch.
    case leads(PartitionState, as: ReplicaID, minInSync: Int)
    /// It copies from whoever leads.
    case follows(PartitionState, as: ReplicaID)
    /// Nobody leads that it knows of: it keeps what it has.
    case waits(PartitionState, as: ReplicaID)

    /// Whether this broker's copy counts as one that holds all that is committed, so that it may be
    /// elected.
    var isCounted: Bool {
        switch self {
        case .alone: false
        case .leads(let state, let copy, _), .follows(let state, let copy),
            .waits(let state, let copy):
            state.replicas.count > 1 && state.electable.contains(copy)
        }
    }

    /// This broker's copy, where registers name it.
    var copy: ReplicaID? {
        switch self {
        case .alone: nil
        case .leads(_, let copy, _), .follows(_, let copy), .waits(_, let copy): copy
        }
    }
}

/// The copies of partitions: who leads, by what was chosen, and what this broker is to be.
extension Control {
    /// This broker's copies, as registers name them.
    var ownReplica: ReplicaID { copies[identity.broker.id] ?? members[0].replica }

    /// A partition whose register was never written: as placed. The only copy of a partition leads
    /// without a decision; its epoch is the log epoch of its broker, so that consumers notice an
    /// unclean start.
    private func asPlaced(_ set: [ReplicaID]) -> PartitionState {
        guard set.count == 1 else { return .initial(placement: set) }
        let copy = copies[set[0].node] ?? set[0]
        return .initial(
            placement: [copy], epoch: LeaderEpoch(Int32(clamping: copy.logEpoch.rawValue)))
    }

    func entry(name: String, _ record: TopicRecord) -> TopicEntry {
        var states = PartitionStates()
        // Partitions are placed in turns: one state in memory serves many of them.
        var known: [[ReplicaID]: PartitionState] = [:]
        for (index, set) in record.placement.enumerated() {
            let partition = TopicPartition(
                topic: record.id, index: PartitionIndex(Int32(clamping: index)))
            if let written = self.states[partition] {
                states.append(written)
            } else {
                let state = known[set] ?? asPlaced(set)
                known[set] = state
                states.append(state)
            }
        }
        let isGrowing = name == TopicName.consumerOffsets || record.copies == -1
        return TopicEntry(
            id: record.id, name: name,
            configuration: TopicConfiguration(
                overrides: record.overrides, broker: defaults.configuration,
                replicas: isGrowing ? TopicRecord.copiesByDefault : Int(record.copies)),
            partitions: states, placement: record.placement, copies: record.copies)
    }

    /// Whether it leads, as far as is found to stand: then it coordinates what the slot holds.
    func serves(_ entry: TopicEntry, _ index: Int32) -> Bool {
        switch role(entry, index) {
        case .alone, .leads: true
        case .follows, .waits: false
        }
    }

    /// Whether this broker has a copy of it.
    func holds(_ entry: TopicEntry, _ index: Int32) -> Bool {
        entry.state(index)?.replicas.contains(identity.broker.id) ?? false
    }

    /// What this broker is to be for a partition that it holds.
    func role(_ entry: TopicEntry, _ index: Int32) -> PartitionRole {
        let state = entry.partitions[Int(index)]
        let own = ownReplica
        if state.replicas == [own.node], states[entry.partition(index)] == nil {
            return .alone(Leadership(state, leader: own.node))
        }
        guard let leader = state.leader, !isDone(with: state, own) else {
            return .waits(state, as: own)
        }
        guard leader == own.node else { return .follows(state, as: own) }
        // It lost something since it was elected: whoever holds everything is to lead.
        guard state.inSync.contains(own),
            confirmed[entry.partition(index)] == state.leaderEpoch
                || !rules.node.servesWhatIsConfirmed,
            !hasYielded(entry.partition(index), state), bound[entry.partition(index)] == nil
        else { return .waits(state, as: own) }
        return .leads(state, as: own, minInSync: entry.configuration.minInSync)
    }

    /// Whether a broker that is about to stop has nothing to do with a partition any more: what it
    /// has left it copies no further, or the leader would take it in again.
    private func isDone(with state: PartitionState, _ own: ReplicaID) -> Bool {
        guard let handover else { return false }
        return handover.isEnding || !state.inSync.contains(own)
    }

    func order(_ entry: TopicEntry, _ index: Int32, cleanStart: Bool) -> PartitionOrder {
        PartitionOrder(
            partition: entry.partition(index), configuration: entry.configuration,
            role: role(entry, index), cleanStart: cleanStart)
    }

    /// Has a partition of this broker opened in its role.
    mutating func open(
        _ entry: TopicEntry, _ index: Int32, into effects: inout [Effect]
    ) {
        let order = order(entry, index, cleanStart: identity.cleanStart)
        roles[order.partition] = order.role
        noteUnconfirmed(order.partition, entry.partitions[Int(index)])
        effects.append(.open(order))
    }

    /// Tells the shard of a partition what it is now, where that is something else.
    mutating func assume(_ entry: TopicEntry, _ index: Int32, into effects: inout [Effect]) {
        let partition = entry.partition(index)
        guard let held = roles[partition] else { return }
        let next = role(entry, index)
        guard next != held else { return }
        roles[partition] = next
        effects.append(.assume(partition, next))
    }

    /// Takes in what was chosen for one partition; says what is wrong with it, if anything. Does
    /// nothing with other registers.
    mutating func note(partition value: ChosenValue) -> String? {
        guard let partition = PartitionRegister.partition(of: value.key) else { return nil }
        guard let bytes = value.value else {
            states[partition] = nil
            return nil
        }
        do throws(PartitionState.DecodeError) {
            states[partition] = try PartitionState(decoding: bytes)
            return nil
        } catch {
            return "\(value.key) can't be read (\(error)): upgrade"
        }
    }

    /// The registers of some partitions of a topic changed: this broker may lead now, or follow
    /// somebody else, or hold what it did not.
    mutating func refresh(
        _ name: String, _ indices: [Int32], now: Now, into effects: inout [Effect]
    ) {
        guard let old = topics[name] else { return }
        let known = indices.filter { old.state($0) != nil }
        let news = known.map { index in
            (Int(index), states[old.partition(index)] ?? asPlaced(old.placement[Int(index)]))
        }
        guard let next = topics.update(name, news) else { return }
        notePlaces(known, of: old, in: next)
        for index in known {
            let partition = next.partition(index)
            if roles[partition] == nil, holds(next, index) {
                open(next, index, into: &effects)
            } else if roles[partition] != nil, !holds(next, index) {
                // Moved away: its copy is of no use to anybody.
                roles[partition] = nil
                effects.append(.close(partition, delete: true))
            } else {
                assume(next, index, into: &effects)
            }
            review(partition, next, index, now: now)
            slotMoved(partition, now: now, into: &effects)
        }
    }

    /// Copies of a topic came to brokers, or left them. Costs a look at all of its partitions only
    /// where one left.
    private mutating func notePlaces(_ indices: [Int32], of old: TopicEntry, in next: TopicEntry) {
        var left: Set<NodeID> = []
        for index in indices { left.formUnion(old.partitions[Int(index)].replicas) }
        for index in indices {
            for node in next.partitions[Int(index)].replicas {
                placed[node, default: []].insert(next.name)
                left.remove(node)
            }
        }
        guard !left.isEmpty else { return }
        for node in left.subtracting(next.holders) { placed[node]?.remove(next.name) }
    }

    /// Brokers came, or came back as another copy: what they hold alone is led under another epoch,
    /// and this broker may have become one that leads nothing. Costs the topics placed on them.
    mutating func follow(moved: [NodeID], into effects: inout [Effect]) {
        var names: Set<String> = []
        for node in moved { names.formUnion(placed[node] ?? []) }
        for name in names.sorted() {
            guard let entry = topics[name] else { continue }
            let next = self.entry(name: name, record(of: entry))
            put(next)
            for index in next.partitions.indices { assume(next, Int32(index), into: &effects) }
        }
    }

    // MARK: In-sync sets

    /// How long the first of several in-sync sets waits for the others: a follower that falls
    /// silent falls out of all sets at once, and what is proposed together takes one message and
    /// one fsync of each voter instead of one for each partition.
    private static let wishesMilliseconds: Int64 = 1

    /// Registers that are proposed together: what one message of Paxos holds. The answer comes when
    /// all of them are decided, so one that is fought for holds up no more than these.
    static let registersTogether = 256

    /// Lists of so many.
    static func batches<Item>(of items: [Item]) -> [ArraySlice<Item>] {
        stride(from: 0, to: items.count, by: registersTogether).map { start in
            items[start..<min(items.count, start + registersTogether)]
        }
    }

    /// Has the in-sync set of a partition that this broker leads decided, a moment later.
    mutating func gather(_ wish: InSyncWish, now: Now, into effects: inout [Effect]) {
        wishes.append(wish)
        guard wishes.count < Self.registersTogether else { return propose(into: &effects) }
        wishesDue = wishesDue ?? now.instant.advanced(byMilliseconds: Self.wishesMilliseconds)
    }

    mutating func proposeWishes(now: Now, into effects: inout [Effect]) {
        if let due = wishesDue, due <= now.instant { propose(into: &effects) }
    }

    private mutating func propose(into effects: inout [Effect]) {
        wishesDue = nil
        var serials: [(partition: TopicPartition, serial: UInt64)] = []
        var proposals: [RegisterProposal] = []
        for wish in wishes {
            guard let proposal = proposal(of: wish) else {
                effects.append(
                    .proposalEnded(wish.partition, serial: wish.serial, isUnknown: false))
                continue
            }
            serials.append((wish.partition, wish.serial))
            proposals.append(proposal)
        }
        wishes.removeAll(keepingCapacity: true)
        guard !proposals.isEmpty else { return }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .inSync(serials), token: nil, names: [], outcomes: [])
        effects.append(.propose(number, proposals))
    }

    private func proposal(of wish: InSyncWish) -> RegisterProposal? {
        let partition = wish.partition
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let initial = initial(of: partition, entry)
        else { return nil }
        let operation = PartitionOperation.alterInSync(
            wish.inSync, by: identity.broker.id, epoch: wish.state.leaderEpoch)
        return RegisterProposal(
            key: PartitionRegister.key(partition),
            operation: .partition(
                PartitionChange(
                    operation, initial: initial, expecting: wish.state.partitionEpoch,
                    minInSync: entry.configuration.minInSync)))
    }

    /// What a register means that was never written: never what it holds by now.
    func initial(of partition: TopicPartition, _ entry: TopicEntry) -> PartitionState? {
        let index = Int(partition.index.rawValue)
        guard entry.placement.indices.contains(index) else { return nil }
        return asPlaced(entry.placement[index])
    }

    /// What was chosen came as a role already.
    mutating func inSyncDecided(
        _ partition: TopicPartition, _ serial: UInt64, _ decision: Decision, now: Now,
        into effects: inout [Effect]
    ) {
        switch decision {
        case .chosen: return
        case .refused, .notChosen:
            effects.append(.proposalEnded(partition, serial: serial, isUnknown: false))
        case .held:
            effects.append(.proposalEnded(partition, serial: serial, isUnknown: true))
            yield(partition, into: &effects)
        case .unknown:
            effects.append(.proposalEnded(partition, serial: serial, isUnknown: true))
        }
    }
}
