import Model
import OrderedCollections
import Replication

/// What became of a controlled shutdown's leaderships, for the operator.
public struct HandoverReport: Hashable, Sendable {
    /// Leaderships that others took over.
    public let moved: Int
    /// In-sync sets that this broker left without having led.
    public let left: Int
    /// Replicated partitions that this broker still leads by what is decided: nobody in sync could
    /// take them over, or no majority of the voters answered in time.
    public let kept: Int
    public let milliseconds: Int64
}

/// A controlled shutdown that is under way.
struct Handover: Hashable {
    let startedAt: Instant
    let deadline: Instant
    /// Leaderships that are given up together.
    let together: Int
    var moved = 0
    var left = 0
    /// In-sync sets whose leaving is being decided.
    var isLeaving = false
    /// The next look where nothing could be done.
    var lookAt: Instant?
    /// Everything is decided that will be: what is left stands down, then the lease is given back.
    var isEnding = false
    var isOver = false
}

/// Controlled shutdown: leaderships go to in-sync replicas with this broker's consent, in-sync sets
/// are left, the lease is given back.
///
/// Bounded in time: what nobody can take over stays, and is said. Partitions with one copy are
/// served until the broker stops.
extension Control {
    /// How long followers that are there may take to catch up, and voters to answer: longer than a
    /// lease and shorter than anybody waits for a process to end (ten seconds in most systems).
    static let handoverMilliseconds: Int64 = 2_500

    /// Between two looks at what can't be handed over yet.
    private static let lookMilliseconds: Int64 = 25

    mutating func beginHandover(now: Now, into effects: inout [Effect]) {
        guard handover == nil else { return }
        handover = Handover(
            startedAt: now.instant,
            deadline: now.instant.advanced(byMilliseconds: Self.handoverMilliseconds),
            together: Self.movesTogether(of: topics.leads(of: identity.broker.id)))
        campaigns.removeAll()
        unconfirmed = []
        continueHandover(now: now, into: &effects)
    }

    /// The next step, where the one before has ended.
    mutating func continueHandover(now: Now, into effects: inout [Effect]) {
        guard let state = handover, !state.isOver else { return }
        if state.isEnding { return finishHandover(now: now, into: &effects) }
        guard now.instant < state.deadline else { return endHandover(now: now, into: &effects) }
        handover?.lookAt = min(
            state.deadline, now.instant.advanced(byMilliseconds: Self.lookMilliseconds))
        guard moves.isEmpty, !state.isLeaving else { return }
        if giveAway(into: &effects) { return proposeMoves(into: &effects) }
        if leaveInSync(into: &effects) { return }
        // Followers that are there may be in sync in a moment.
        if !mayGainSuccessor() { endHandover(now: now, into: &effects) }
    }

    /// Nobody is left to take anything, or to decide it: as when a whole mesh is stopped.
    mutating func abandonHandover(now: Now, into effects: inout [Effect]) {
        guard let state = handover, !state.isEnding else { return }
        endHandover(now: now, into: &effects)
    }

    mutating func lookAtHandover(now: Now, into effects: inout [Effect]) {
        guard let due = handover?.lookAt, due <= now.instant else { return }
        handover?.lookAt = nil
        continueHandover(now: now, into: &effects)
    }

    /// How many leaderships of so many are given up together: each is without a leader for as long
    /// as its batch takes, so small batches make short pauses, and each costs a few writes of the
    /// voters, so there are not many.
    static func movesTogether(of leaderships: Int) -> Int {
        min(movesPerBatch, max(movesPerBatchMinimum, leaderships / handoverBatches))
    }

    private static let handoverBatches = 16
    private static let movesPerBatchMinimum = 32

    /// Every partition that this broker holds beside others.
    private func sharedPartitions() -> [(partition: TopicPartition, entry: TopicEntry)] {
        sharedPartitions(atMost: .max) { _ in true }
    }

    /// The first of them that are so.
    private func sharedPartitions(
        atMost count: Int, where isWanted: (PartitionState) -> Bool
    ) -> [(partition: TopicPartition, entry: TopicEntry)] {
        var result: [(partition: TopicPartition, entry: TopicEntry)] = []
        for name in (placed[identity.broker.id] ?? []).sorted() {
            guard let entry = topics[name] else { continue }
            for (index, state) in entry.partitions.enumerated() {
                guard state.replicas.count > 1, state.replicas.contains(identity.broker.id),
                    isWanted(state)
                else { continue }
                guard result.count < count else { return result }
                result.append((entry.partition(Int32(index)), entry))
            }
        }
        return result
    }

    private func state(_ shared: (partition: TopicPartition, entry: TopicEntry)) -> PartitionState {
        shared.entry.partitions[Int(shared.partition.index.rawValue)]
    }

    /// One batch of leaderships; false where there is none that somebody could take.
    private mutating func giveAway(into effects: inout [Effect]) -> Bool {
        let batch = sharedPartitions(atMost: handover?.together ?? Self.movesPerBatch) { state in
            state.leader == identity.broker.id && !heirs(of: state).isEmpty
        }
        for shared in batch {
            guard let successor = heirs(of: state(shared)).first else { continue }
            move(shared.partition, shared.entry, to: successor, leaves: true, into: &effects)
        }
        return !batch.isEmpty
    }

    /// Leaves every in-sync set of others in one batch; false where there is none to leave. The
    /// last member stays: it is the one to start again first.
    private mutating func leaveInSync(into effects: inout [Effect]) -> Bool {
        var partitions: [TopicPartition] = []
        var proposals: [RegisterProposal] = []
        let own = ownReplica
        for shared in sharedPartitions() {
            let state = state(shared)
            guard let leader = state.leader, leader != own.node, state.inSync.contains(own),
                members.contains(where: { $0.entry.id == leader }),
                let initial = initial(of: shared.partition, shared.entry)
            else { continue }
            partitions.append(shared.partition)
            proposals.append(
                RegisterProposal(
                    key: PartitionRegister.key(shared.partition),
                    operation: .partition(
                        PartitionChange(
                            .leaveInSync(own), initial: initial, expecting: state.partitionEpoch,
                            minInSync: shared.entry.configuration.minInSync))))
        }
        guard !proposals.isEmpty else { return false }
        handover?.isLeaving = true
        let number = nextSerial()
        changes[number] = PendingChange(
            kind: .leaving(partitions), token: nil, names: [], outcomes: [])
        effects.append(.propose(number, proposals))
        return true
    }

    /// Its role in what it left was told when the change was learned. What was not decided is tried
    /// again with the next look.
    mutating func leavingDecided(
        _ decisions: [Decision], now: Now, into effects: inout [Effect]
    ) {
        var count = 0
        for decision in decisions { if case .chosen = decision { count += 1 } }
        handover?.isLeaving = false
        handover?.left += count
        if count > 0 { continueHandover(now: now, into: &effects) }
    }

    /// Whether a partition that this broker leads has another copy that may come into sync.
    private func mayGainSuccessor() -> Bool {
        sharedPartitions().contains { shared in
            let state = state(shared)
            return state.leader == identity.broker.id
                && electionMembers(state).contains {
                    $0.isAlive && $0.id.node != identity.broker.id
                }
        }
    }

    /// Whatever is still led stands down.
    private mutating func endHandover(now: Now, into effects: inout [Effect]) {
        handover?.isEnding = true
        moves = [:]
        movesAgainAt = nil
        for shared in sharedPartitions() {
            if case .leads = roles[shared.partition] { yielding.insert(shared.partition) }
            assume(shared.entry, shared.partition.index.rawValue, into: &effects)
        }
        finishHandover(now: now, into: &effects)
    }

    /// Nothing is served any more that others may lead: they need not wait for the lease.
    private mutating func finishHandover(now: Now, into effects: inout [Effect]) {
        guard let state = handover, !state.isOver,
            yielding.isEmpty || !rules.node.releasesOnceStopped
        else { return }
        handover?.isOver = true
        handover?.lookAt = nil
        effects.append(.releaseLease)
        let kept = sharedPartitions().count { self.state($0).leader == identity.broker.id }
        effects.append(
            .handedOver(
                HandoverReport(
                    moved: state.moved, left: state.left, kept: kept,
                    milliseconds: now.instant.milliseconds(since: state.startedAt))))
    }
}
