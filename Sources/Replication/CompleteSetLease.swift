public import Model

/// A leader's other lease: all who could be elected in its place have promised not to campaign.
///
/// Lasts from the send time of what the slowest of them acknowledged, so that a leader with a
/// complete set serves on while voters are down (reference, section 12, rule 5). The members are
/// those of the in-sync set, of a proposed one, and the last eligible ones; with none there is
/// nobody to be elected. One for each partition led, owned by its shard; at most 15 entries.
public struct CompleteSetLease: Sendable {
    private struct Member {
        let id: ReplicaID
        var sentAt: Instant?
    }

    private var epoch = LeaderEpoch.unknown
    private var members: [Member] = []

    public init() {}

    /// Who has to promise; what members of the same epoch have promised stays.
    public mutating func require(_ state: PartitionState, proposed: [ReplicaID], by leader: NodeID)
    {
        let known = epoch == state.leaderEpoch ? members : []
        epoch = state.leaderEpoch
        members = []
        for id in state.electable + proposed where id.node != leader {
            guard !members.contains(where: { $0.id == id }) else { continue }
            members.append(Member(id: id, sentAt: known.first { $0.id == id }?.sentAt))
        }
    }

    /// A member promised, in answer to what was sent at `sentAt`.
    public mutating func promised(by id: ReplicaID, _ epoch: LeaderEpoch, sentAt: Instant) {
        guard epoch == self.epoch else { return }
        for place in members.indices where members[place].id.node == id.node {
            // A copy that came back uncleanly is not the one that could be elected, and speaks for
            // its broker none the less.
            members[place].sentAt = max(members[place].sentAt ?? sentAt, sentAt)
        }
    }

    /// Until when the partition may be served; nil where somebody has not promised.
    public var until: Instant? {
        guard epoch > .unknown else { return nil }
        var end = Instant(nanoseconds: .max)
        for member in members {
            guard let sentAt = member.sentAt else { return nil }
            end = min(end, sentAt.advanced(byMilliseconds: ReplicationLimits.leaseMilliseconds))
        }
        return end
    }

    public func isHeld(at now: Instant) -> Bool { until.map { now < $0 } ?? false }
}

/// A follower's side of it: until when it must neither campaign nor serve against the leader of an
/// epoch.
///
/// Longer than the leader counts on, for the drift of two clocks. It binds a replica that was
/// elected none the less: its proposal may have been on its way when it promised, even from an
/// earlier life, so it waits for the rest before it serves. A broker that starts does not know
/// what it promised before, so it waits as long. Where the leader before consented, or was this
/// broker, nothing binds: `release`. One for each partition followed, owned by its shard.
public struct CampaignPromise: Hashable, Sendable {
    public private(set) var epoch = LeaderEpoch.unknown
    private var until: Instant

    /// - Parameter startedAt: of the process.
    public init(startedAt: Instant) {
        until = startedAt.advanced(
            byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds)
    }

    /// The leader of `epoch` asks; false where a newer epoch is known, and nothing is promised.
    public mutating func promise(
        _ epoch: LeaderEpoch, known: LeaderEpoch, now: Instant
    ) -> Bool {
        guard epoch >= known, epoch >= self.epoch else { return false }
        self.epoch = epoch
        until = max(
            until, now.advanced(byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds))
        return true
    }

    /// The leader up to that epoch gave its leadership away, or was this broker: nobody is bound
    /// to it.
    public mutating func release(_ epoch: LeaderEpoch) {
        guard epoch >= self.epoch else { return }
        until = Instant(nanoseconds: 0)
    }

    /// How long it has to wait before it campaigns against whoever leads now, or serves in its
    /// place.
    public func remainingMilliseconds(now: Instant) -> Int64 {
        guard until > now else { return 0 }
        return max(1, until.milliseconds(since: now))
    }
}
