public import Model

/// A leader's other lease: all who could be elected in its place have promised not to campaign.
///
/// Lasts from the send time of what the slowest of them acknowledged, so that a leader with a
/// complete set serves on while voters are down (reference, section 12, rule 5). The members are
/// those of the in-sync set, of a proposed one, and the last eligible ones. One for each partition
/// led, owned by its shard; at most 15 entries.
///
/// Why nobody else serves while it is held. Let the leader's epoch be e.
///
/// - Who leads in e + 1 was elected from those that the register names as electable in e, and only
///   the leader itself adds to these: what it proposed and does not know the outcome of counts
///   too, so its members are no fewer.
/// - Each of them has promised, after this leader asked, that it knows of no epoch above e; so none
///   had begun to serve in one. From then on it neither campaigns nor serves in a later epoch for
///   longer than this lease lasts, even if a proposal of its own that was on its way, or that
///   somebody else completed, elects it meanwhile (`CampaignPromise`).
/// - Whoever leads in e + 2 or later was elected from a set that a leader of e + 1 could enlarge
///   only once it served. So the first that serves in any later epoch is one of the members, and
///   has waited.
///
/// So once anybody has begun to serve in an epoch, no lease of an earlier one is held ever again:
/// whoever leads in the next one by its consent, after it has stopped, need not wait (`Consent`).
///
/// A member counts as the very copy that the register names: one that started uncleanly may have
/// forgotten what it knew of later epochs with what it had not synced.
///
/// It says nothing of changes that need no election from that set. An operator's unclean election
/// is one; a deletion of the topic is another: whoever must know that nothing is acknowledged
/// any more waits until a member has heard of it (which declines from then on) and a lease longer.
/// Without any other member there is nobody to decline, so then only a sole copy is leased.
public struct CompleteSetLease: Sendable {
    private struct Member {
        let id: ReplicaID
        var sentAt: Instant?
    }

    private var epoch = LeaderEpoch.unknown
    private var members: [Member] = []
    /// What the members were made of: with the same again there is nothing to do.
    private var partitionEpoch: PartitionEpoch?
    private var proposed: [ReplicaID] = []
    /// Whether the leader has the only copy there is.
    private var isSole = false
    private let rules: ReplicationRules

    public init() { self.init(rules: ReplicationRules()) }

    package init(rules: ReplicationRules) { self.rules = rules }

    /// Who has to promise.
    public var nodes: [NodeID] { members.map(\.id.node) }

    /// Who has to promise; what members of the same epoch have promised stays.
    public mutating func require(_ state: PartitionState, proposed: [ReplicaID], by leader: NodeID)
    {
        guard
            state.leaderEpoch != epoch || state.partitionEpoch != partitionEpoch
                || proposed != self.proposed
        else { return }
        partitionEpoch = state.partitionEpoch
        self.proposed = proposed
        let known = epoch == state.leaderEpoch ? members : []
        epoch = state.leaderEpoch
        isSole = state.replicas == [leader]
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
            guard id == members[place].id || !rules.promiseOfTheCopy else { continue }
            members[place].sentAt = max(members[place].sentAt ?? sentAt, sentAt)
        }
    }

    /// Until when the partition may be served; nil where somebody has not promised.
    public var until: Instant? {
        guard epoch > .unknown, isSole || !members.isEmpty else { return nil }
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
/// what it promised before, so it waits as long. Where the leader that it promised to consented,
/// nothing binds: `release`; and nothing keeps it from serving by the consent of one that served.
/// One for each partition about which a leader asked, owned by the control loop, which is the one
/// that campaigns.
public struct CampaignPromise: Hashable, Sendable {
    public private(set) var epoch = LeaderEpoch.unknown
    private var until: Instant
    /// What a process before this one may have promised binds until then, whoever consents.
    private let inherited: Instant

    /// - Parameter startedAt: of the process.
    public init(startedAt: Instant) {
        inherited = startedAt.advanced(
            byMilliseconds: ReplicationLimits.leaseHonouredMilliseconds)
        until = inherited
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

    /// The leader of that epoch gave its leadership away: it has stopped, and nobody is bound to
    /// it. It asked only once it served, when every promise to those before it had lapsed. Of other
    /// epochs, and of what an earlier process promised, its consent says nothing.
    public mutating func release(_ epoch: LeaderEpoch) {
        guard epoch == self.epoch, epoch > .unknown else { return }
        until = inherited
    }

    /// How long it has to wait before it serves by what elected it.
    ///
    /// Not at all in the first epoch, before which nobody led; nor where the leader before had
    /// served, and has stopped: that one had waited itself for whatever was promised to others.
    /// What a process before promised to leaders after that one keeps it from later epochs, not
    /// from this one.
    package func remainingMilliseconds(
        serving state: PartitionState, now: Instant, rules: ReplicationRules
    ) -> Int64 {
        if state.leaderEpoch <= LeaderEpoch(0) { return 0 }
        let isFreed =
            state.consent == .served || state.consented && !rules.onlyServersRelease
        if isFreed, epoch < state.leaderEpoch { return 0 }
        return remainingMilliseconds(now: now)
    }

    /// How long it has to wait before it campaigns against whoever leads now.
    public func remainingMilliseconds(now: Instant) -> Int64 {
        guard until > now else { return 0 }
        return max(1, until.milliseconds(since: now))
    }
}
