import Model
import OrderedCollections
import Replication

/// A leadership of this broker on its way to another one: given up, and not decided yet.
struct LeaderMove: Hashable {
    var successor: NodeID
    /// The epoch that is given up; this broker serves in it no more, whatever becomes of the move.
    let epoch: LeaderEpoch
    /// This broker is about to stop: it leaves the in-sync set with the same change.
    let leaves: Bool
    /// What this broker can say of the epoch that it gives up.
    let consent: Consent
    /// The shard serves it no more, so the consent may be given.
    var hasStoodDown: Bool
    var isProposed = false
}

/// Leaderships that move on purpose: their leader stops serving, then gives them away.
///
/// Nobody waits for a lease, because voters take the consent of the leader instead. A move whose
/// proposal fails is proposed again, to whoever is in sync then, until the register shows another
/// leader: this broker never goes back to an epoch that it gave up.
extension Control {
    /// How long after a round that decided nothing the next one is made: several rounds of Paxos.
    private static let moveAgainMilliseconds: Int64 = 50

    /// The most leaderships in one batch: one message and one write of the voters (`Paxos`), so
    /// that each partition is without a leader for as long as that takes, however many there are.
    static let movesPerBatch = 256

    /// In-sync replicas other than this broker that seem well, in placement order.
    func heirs(of state: PartitionState) -> [NodeID] {
        successors(of: state).filter { node in
            node != identity.broker.id && state.inSync.contains { $0.node == node }
        }
    }

    /// Gives one leadership up; `proposeMoves` then has all of them decided at once.
    mutating func move(
        _ partition: TopicPartition, _ entry: TopicEntry, to successor: NodeID, leaves: Bool,
        into effects: inout [Effect]
    ) {
        guard moves[partition] == nil, let state = entry.state(partition.index.rawValue),
            state.leader == identity.broker.id
        else { return }
        var wasLed = false
        if case .leads = roles[partition] { wasLed = true }
        yielded[partition] = state.leaderEpoch
        campaigns[partition] = nil
        moves[partition] = LeaderMove(
            successor: successor, epoch: state.leaderEpoch, leaves: leaves,
            consent: wasLed ? .served : .stopped, hasStoodDown: !wasLed)
        if wasLed { assume(entry, partition.index.rawValue, into: &effects) }
        if !rules.node.movesOnceStopped { moves[partition]?.hasStoodDown = true }
    }

    /// Gives away what this broker serves no more, a moment later: it yielded, and nobody took it.
    mutating func giveAway(
        _ partition: TopicPartition, _ state: PartitionState, to successor: NodeID, now: Instant
    ) {
        guard moves[partition] == nil, !yielding.contains(partition), handover == nil else {
            return
        }
        moves[partition] = LeaderMove(
            successor: successor, epoch: state.leaderEpoch, leaves: false,
            consent: .stopped, hasStoodDown: true)
        let moment = now.advanced(byMilliseconds: Self.moveAgainMilliseconds)
        movesAgainAt = min(movesAgainAt ?? moment, moment)
    }

    /// The shard serves it no more.
    mutating func moverStoodDown(_ partition: TopicPartition, into effects: inout [Effect]) {
        moves[partition]?.hasStoodDown = true
        proposeMoves(into: &effects)
    }

    /// Proposes what is given up, once all of it is.
    mutating func proposeMoves(into effects: inout [Effect]) {
        guard moves.values.allSatisfy(\.hasStoodDown) else { return }
        var partitions: [TopicPartition] = []
        var proposals: [RegisterProposal] = []
        for partition in Array(moves.keys) {
            guard let move = moves[partition], !move.isProposed,
                let proposal = proposal(of: move, partition)
            else { continue }
            moves[partition]?.isProposed = true
            partitions.append(partition)
            proposals.append(proposal)
        }
        guard !proposals.isEmpty else { return }
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .moves(partitions), token: nil, names: [], outcomes: [])
        effects.append(.propose(number, proposals))
    }

    private mutating func proposal(
        of move: LeaderMove, _ partition: TopicPartition
    ) -> RegisterProposal? {
        guard let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(partition.index.rawValue),
            let initial = initial(of: partition, entry)
        else {
            moves.removeValue(forKey: partition)
            return nil
        }
        let others = heirs(of: state)
        let successor = others.contains(move.successor) ? move.successor : others.first
        return RegisterProposal(
            key: PartitionRegister.key(partition),
            operation: .partition(
                PartitionChange(
                    .transfer(
                        to: successor, from: identity.broker.id, epoch: move.epoch,
                        move.consent, leaves: move.leaves),
                    initial: initial, expecting: state.partitionEpoch,
                    minInSync: entry.configuration.minInSync)))
    }

    /// What was chosen is in the picture already.
    mutating func movesDecided(
        _ partitions: [TopicPartition], _ decisions: [Decision], now: Now,
        into effects: inout [Effect]
    ) {
        var isOpen = false
        for (partition, decision) in zip(partitions, decisions) {
            if case .chosen = decision {
                moves.removeValue(forKey: partition)
                handover?.moved += 1
                continue
            }
            moves[partition]?.isProposed = false
            endMoveWhereDecided(partition)
            // Under it lies an election that deposes this broker: that one is agreed to.
            if case .held = decision, handover == nil,
                let move = moves.removeValue(forKey: partition),
                let entry = topics.name(of: partition.topic).flatMap({ topics[$0] })
            {
                agree(partition, entry, move.consent, into: &effects)
            }
            isOpen = isOpen || moves[partition] != nil
        }
        if isOpen {
            movesAgainAt = now.instant.advanced(byMilliseconds: Self.moveAgainMilliseconds)
        }
        continueHandover(now: now, into: &effects)
    }

    mutating func proposeMovesAgain(now: Now, into effects: inout [Effect]) {
        guard let due = movesAgainAt, due <= now.instant else { return }
        movesAgainAt = nil
        proposeMoves(into: &effects)
    }

    /// Somebody leads under a newer epoch: nothing is left to give away.
    mutating func endMoveWhereDecided(_ partition: TopicPartition) {
        guard let move = moves[partition] else { return }
        let entry = topics.name(of: partition.topic).flatMap { topics[$0] }
        let state = entry?.state(partition.index.rawValue)
        if state?.leaderEpoch != move.epoch || state?.leader != identity.broker.id {
            moves.removeValue(forKey: partition)
        }
    }
}
