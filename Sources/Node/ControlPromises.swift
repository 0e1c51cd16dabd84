public import Model
import OrderedCollections
import Replication

/// What this broker promised to leaders that can't renew their leases with the voters: not to
/// campaign against them, and not to serve in their place.
///
/// Kept here because campaigns and elections are; asked for by shards of other brokers, for all
/// partitions of one follower in one message, and only when their lease runs out. So in a mesh
/// whose voters answer nobody asks: nothing is sent for an idle partition, and no failover waits
/// for a promise. `CompleteSetLease` says why nobody else serves meanwhile.
///
/// Nothing of it is on disk. A process that starts does not know what the one before promised, so
/// it neither campaigns nor begins to serve for as long as any promise of that one can bind, but
/// by what a leader that has served gives it. The clock counts suspend.
extension Control {
    /// A leader asks; says what is declined, and all else is promised. Costs three look-ups for
    /// each partition.
    mutating func hear(
        claims: [LeadershipClaim], _ serial: UInt64, of leader: NodeID, now: Now,
        into effects: inout [Effect]
    ) {
        dropLapsedPromises(now: now)
        var declined: [TopicPartition] = []
        for claim in claims where !promise(claim, to: leader, now: now.instant) {
            declined.append(claim.partition)
        }
        effects.append(.recognised(leader, serial, ownReplica, declined: declined))
    }

    /// How many elections ahead of what this broker has heard a leader may be. Each is decided by
    /// the voters and then told to all, so one that missed so many is cut off from the others too.
    /// A refusal is safe: it costs the leader this promise until the news are here, while a promise
    /// to an epoch out of nowhere would refuse every later word of the true leader.
    private static let epochsAhead: Int64 = 64

    /// No where this broker knows that somebody else leads, or that nobody does, or that whoever
    /// asks has no copy, or knows nothing of the partition: it may be deleted.
    private mutating func promise(
        _ claim: LeadershipClaim, to leader: NodeID, now: Instant
    ) -> Bool {
        guard let entry = topics.name(of: claim.partition.topic).flatMap({ topics[$0] }),
            let state = entry.state(claim.partition.index.rawValue),
            state.leaderEpoch < claim.leaderEpoch || state.leader == leader,
            state.replicas.contains(leader),
            Int64(claim.leaderEpoch.rawValue) - Int64(state.leaderEpoch.rawValue)
                <= Self.epochsAhead
        else { return false }
        var promise = promise(of: claim.partition)
        let isGiven = promise.promise(claim.leaderEpoch, known: state.leaderEpoch, now: now)
        promises[claim.partition] = promise
        return isGiven
    }

    private func promise(of partition: TopicPartition) -> CampaignPromise {
        promises[partition] ?? CampaignPromise(startedAt: identity.startedAt)
    }

    /// Entries are bounded by the partitions that the table holds; these bind nobody any more, and
    /// say no more than the start of the process does.
    private mutating func dropLapsedPromises(now: Now) {
        guard promisesLookedAt.map({ now.instant.milliseconds(since: $0) >= 10_000 }) ?? true
        else { return }
        promisesLookedAt = now.instant
        let start = CampaignPromise(startedAt: identity.startedAt)
        guard start.remainingMilliseconds(now: now.instant) == 0 else { return }
        promises = promises.filter { $1.remainingMilliseconds(now: now.instant) > 0 }
    }

    /// For how long a promise keeps this broker from campaigning. Where it led itself, in an
    /// earlier life, there is nobody to campaign against.
    func campaignWait(_ partition: TopicPartition, now: Instant) -> Int64 {
        let entry = topics.name(of: partition.topic).flatMap { topics[$0] }
        guard let state = entry?.state(partition.index.rawValue),
            state.leader != identity.broker.id, rules.replication.campaignPromiseRespected
        else { return 0 }
        return promise(of: partition).remainingMilliseconds(now: now)
    }

    /// The register says that a leader gave its leadership away.
    func releasedByConsent(_ state: PartitionState) -> LeaderEpoch? {
        state.consented ? LeaderEpoch(state.leaderEpoch.rawValue - 1) : nil
    }

    mutating func noteConsent(_ partition: TopicPartition, _ state: PartitionState) {
        guard let epoch = releasedByConsent(state) else { return }
        promises[partition]?.release(epoch)
    }

    // MARK: Elected in spite of a promise

    /// This broker leads by what was chosen; whether it may begin to serve now, or is bound still
    /// by what it promised to a leader before, or may have. Before the first epoch there was none;
    /// and where the leader before served, and then stopped and said so, none is bound to anybody.
    /// Nor is one that serves under this epoch already: what else changed within it, as the in-sync
    /// set, says nothing more of how it was elected.
    mutating func noteBound(_ partition: TopicPartition, _ state: PartitionState, now: Now) {
        var isFree = !rules.replication.campaignPromiseRespected
        if case .leads(let led, _, _) = roles[partition], led.leaderEpoch == state.leaderEpoch {
            isFree = true
        }
        let left =
            isFree
            ? 0
            : promise(of: partition).remainingMilliseconds(
                serving: state, now: now.instant, rules: rules.replication)
        guard left > 0 else {
            if bound[partition] != nil { bound[partition] = nil }
            return
        }
        let due = now.instant.advanced(byMilliseconds: left)
        bound[partition] = due
        boundWake = min(boundWake ?? due, due)
    }

    /// Promises have lapsed: what this broker was elected to lead it serves from now on.
    mutating func serveUnbound(now: Now, into effects: inout [Effect]) {
        guard let wake = boundWake, wake <= now.instant else { return }
        boundWake = nil
        for (partition, due) in Array(bound) {
            guard due <= now.instant else {
                boundWake = min(boundWake ?? due, due)
                continue
            }
            bound[partition] = nil
            takeOn(partition, now: now, into: &effects)
        }
    }

    // MARK: Slots

    /// Until when the others let this broker lead a slot, whatever the voters say.
    mutating func noteStanding(_ standings: [Standing]) {
        for standing in standings where slotIndex(of: standing.partition) != nil {
            self.standings[standing.partition] = standing
        }
    }

    /// Whether everybody who could lead a slot in its place has promised not to.
    func isStanding(_ partition: TopicPartition, now: Now) -> Bool {
        guard let standing = standings[partition], standing.epoch == slotEpoch(partition) else {
            return false
        }
        return now.instant < standing.until
    }
}

/// Until when all who could be elected in place of this broker have promised not to campaign.
public struct Standing: Hashable, Sendable {
    public let partition: TopicPartition
    public let epoch: LeaderEpoch
    public let until: Instant

    public init(partition: TopicPartition, epoch: LeaderEpoch, until: Instant) {
        self.partition = partition
        self.epoch = epoch
        self.until = until
    }
}
