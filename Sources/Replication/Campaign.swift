public import Model

/// When a replica proposes itself in place of a leader that is suspected.
///
/// Opened at suspicion, not at death: the voters, which refuse while they have granted a lease,
/// decide when a successor may be chosen, and their answer says how long that is (reference,
/// sections 10 and 13). The first eligible replica asks at once and is told; the one of rank r
/// begins when no lease can be left, and r * 75 ms and a little more: until then its prepares would
/// only get in the way of the first one's, a thousand registers at a time. Owned by the
/// control loop; one for each partition in question, and an election is proposed for many of them
/// in one message.
public struct Campaign: Hashable, Sendable {
    /// What became of the proposal, of the suspicion, or of the register.
    public enum Input: Hashable, Sendable {
        /// Voters, or this replica's own promise, still bind for so long.
        case held(milliseconds: Int64)
        /// The change was refused for another reason, or nobody knows: ask again.
        case failed
        /// A broker is there that was not: it may be a voter, and the next try succeed.
        case encouraged
        /// This replica's place among those that are eligible has changed.
        case rank(Int)
        /// The register shows this leader.
        case decided(NodeID?, LeaderEpoch)
        /// The leader answers again.
        case refuted
        case wake
    }

    /// What the caller has to do.
    public enum Effect: Hashable, Sendable {
        /// Propose `PartitionState.elect`, unless a promise binds: then say `held`.
        case propose
        case wake(at: Instant)
        /// Somebody leads: forget this campaign.
        case ended
    }

    /// Whom it is against.
    public let leader: NodeID?
    public let leaderEpoch: LeaderEpoch
    public private(set) var rank: Int
    private let openedAt: Instant
    private let jitter: Int64
    private var due: Instant
    private var isProposing = false
    private var isEnded = false
    private var attempts: Int64 = 0
    /// The pause that runs was chosen here, and is none that a voter or a promise asked for.
    private var isWaitingAfterFailure = false

    /// - Parameter jitter: a random number of milliseconds below `campaignJitterMilliseconds`.
    public init(
        against leader: NodeID?, _ leaderEpoch: LeaderEpoch, rank: Int, jitter: Int64,
        now: Instant
    ) {
        precondition(rank >= 0 && jitter >= 0, "ranks and jitter are counts")
        self.leader = leader
        self.leaderEpoch = leaderEpoch
        self.rank = rank
        self.jitter = min(jitter, ReplicationLimits.campaignJitterMilliseconds)
        openedAt = now
        due = now
    }

    /// When it is to be woken; nil while a proposal is under way.
    public var wakeAt: Instant? { isProposing || isEnded ? nil : due }

    /// To be called once, right after it was made.
    public mutating func open(into effects: inout [Effect]) {
        arm(openedAt.advanced(byMilliseconds: lapse + pause), into: &effects)
    }

    /// When voters let go of what they may have granted until this was opened; the first asks them.
    private var lapse: Int64 {
        rank == 0 || leader == nil ? 0 : ReplicationLimits.leaseHonouredMilliseconds
    }

    /// The first does not wait at all: nobody else proposes before its turn.
    private var pause: Int64 {
        rank == 0 ? 0 : Int64(rank) * ReplicationLimits.campaignRankMilliseconds + jitter
    }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        guard !isEnded else { return }
        switch input {
        case .held(let milliseconds):
            isProposing = false
            isWaitingAfterFailure = false
            arm(now.advanced(byMilliseconds: max(1, milliseconds) + pause), into: &effects)
        case .failed:
            isProposing = false
            isWaitingAfterFailure = true
            attempts += 1
            // Longer than a round, longer for those that come later, and longer each time: where
            // the voters are down ten thousand campaigns ask for as long as they are.
            let step = ReplicationLimits.campaignRankMilliseconds
            let wait = min(
                step << min(attempts - 1, 10), ReplicationLimits.campaignMillisecondsMaximum)
            arm(now.advanced(byMilliseconds: wait + pause + jitter), into: &effects)
        case .encouraged:
            attempts = 0
            let turn = now.advanced(byMilliseconds: pause + jitter)
            guard !isProposing, isWaitingAfterFailure, turn < due else { return }
            arm(turn, into: &effects)
        case .rank(let rank): move(to: max(0, rank), now: now, into: &effects)
        case .decided(let node, let epoch):
            // An offline partition waits for a leader still.
            if epoch > leaderEpoch, node != nil { end(into: &effects) }
        case .refuted: end(into: &effects)
        case .wake:
            guard !isProposing, now >= due else { return }
            isProposing = true
            effects.append(.propose)
        }
    }

    /// Whoever was before this one is gone too, or is back.
    private mutating func move(to next: Int, now: Instant, into effects: inout [Effect]) {
        let wasBehind = next < rank
        rank = next
        guard wasBehind, !isProposing else { return }
        let turn = max(now, openedAt.advanced(byMilliseconds: lapse + pause))
        if turn < due { arm(turn, into: &effects) }
    }

    private mutating func arm(_ at: Instant, into effects: inout [Effect]) {
        due = at
        effects.append(.wake(at: at))
    }

    private mutating func end(into effects: inout [Effect]) {
        isEnded = true
        effects.append(.ended)
    }
}
