public import Model

/// Copies one partition from its leader: attaches, cuts what the leader does not have, and takes
/// batches in order.
///
/// Pure: the shard looks into the log, cuts it and appends to it, and tells this machine what
/// became of that. Owned by the shard of the partition. Its invariants:
///
/// - what it takes comes from the leader of the highest epoch it knows, in the session it asked
///   for, right behind its own end (reference, section 12, rule 1);
/// - it acknowledges what it holds, synced where `syncRequired`, and never more;
/// - its high watermark is the lesser of the leader's and its own end, and a cut below it is an
///   alarm.
///
/// Nothing is allocated for a batch. An acknowledgement is announced once and fetched when the
/// shell flushes its link, so that one message answers many batches of many partitions.
public struct FollowerMachine: Sendable {
    /// What the table says, what the leader sent, or what became of the log.
    public enum Input: Hashable, Sendable {
        /// The log is open and holds this; said before the first `follow`, and again before the
        /// one that comes after this broker led.
        case opened(FollowerPosition)
        /// That broker leads under this epoch; `isUnclean` where records may be lost with it.
        case follow(NodeID, LeaderEpoch, isUnclean: Bool)
        /// This broker leads, or is no replica: nothing is copied.
        case stop
        case linkUp(NodeID)
        /// Said before a new link to the same broker is.
        case linkDown(NodeID)
        /// The leader's answer; `ownEnd` is where this log's largest epoch up to the answer's
        /// ends, nil where it has none so old.
        case attached(AttachSession, LogAgreement, LeaderProgress, ownEnd: Offset?)
        case refused(AttachSession, AttachRefusal)
        /// The log was cut, or emptied, as the effect said.
        case truncated(end: Offset, lastEpoch: LeaderEpoch)
        /// Records from `base` on; to be taken only where the answer is the effect `append`.
        case records(AttachSession, LeaderEpoch, base: Offset, LeaderProgress)
        case appended(end: Offset, lastEpoch: LeaderEpoch)
        /// The records could not be written.
        case appendFailed
        case synced(upTo: Offset)
        /// The leader's watermark or log start moved without records.
        case progress(AttachSession, LeaderProgress)
        /// A wake that was asked for has come.
        case wake
    }

    /// What the shard has to do.
    public enum Effect: Hashable, Sendable {
        case attach(to: NodeID, AttachRequest)
        /// Cut the log and say `truncated`.
        case truncate(to: Offset)
        /// Empty the log, let it begin at this offset, and say `truncated`.
        case startOver(at: Offset)
        /// Write the records of this input and say `appended` or `appendFailed`.
        case append
        /// Fetch `takeAcknowledgement` when the link is flushed next; not said again before.
        case acknowledge
        /// Sync the log and say `synced`; not said again before.
        case sync
        case highWatermark(Offset)
        /// Drop what lies before it, as the leader did.
        case logStart(Offset)
        /// Keep the highest epoch with the log's other checkpoints.
        case recordEpoch(LeaderEpoch)
        case wake(at: Instant)
        case alarm(ReplicationAlarm)
    }

    /// Where it stands with its leader.
    enum Phase: Hashable {
        case idle
        /// Until the link is up.
        case unlinked
        case waiting(until: Instant)
        case attaching(until: Instant)
        /// The log is being cut.
        case truncating
        case following
    }

    public let id: ReplicaID
    public var syncRequired: Bool
    public private(set) var leader: NodeID?
    /// The highest that this replica heard of: whoever comes with a lower one is refused.
    public private(set) var leaderEpoch = LeaderEpoch.unknown
    public private(set) var position = FollowerPosition()
    private(set) var phase = Phase.idle
    private(set) var session = AttachSession(0)
    private var isUnclean = false
    private var isLinked = false
    private var attempts = 0
    /// Sessions of this partition that this process has begun: none may come twice.
    public private(set) var sessions: UInt32
    private var acknowledged: Offset?
    private var isAnnounced = false
    private var isSyncing = false
    private let boot: BootEpoch
    private let rules: ReplicationRules

    /// - Parameters:
    ///   - sessions: those that a machine before this one had begun in this process.
    ///   - epoch: the highest that was recorded before.
    public init(
        id: ReplicaID, boot: BootEpoch, after sessions: UInt32 = 0,
        epoch: LeaderEpoch = .unknown, syncRequired: Bool
    ) {
        self.init(
            id: id, boot: boot, after: sessions, epoch: epoch, syncRequired: syncRequired,
            rules: ReplicationRules())
    }

    package init(
        id: ReplicaID, boot: BootEpoch, after sessions: UInt32 = 0, epoch: LeaderEpoch,
        syncRequired: Bool, rules: ReplicationRules
    ) {
        self.id = id
        self.boot = boot
        self.sessions = sessions
        leaderEpoch = epoch
        self.syncRequired = syncRequired
        self.rules = rules
    }

    public var isFollowing: Bool { phase == .following }

    /// What to acknowledge, if that was not done yet; asked when the link is flushed.
    public mutating func takeAcknowledgement() -> (epoch: LeaderEpoch, end: Offset)? {
        isAnnounced = false
        guard phase == .following, acknowledged != vouchedEnd else { return nil }
        acknowledged = vouchedEnd
        return (leaderEpoch, vouchedEnd)
    }

    private var vouchedEnd: Offset {
        syncRequired && rules.watermarkFromSynced ? position.synced : position.end
    }

    public mutating func handle(
        _ input: Input, now: Instant, into effects: inout [Effect]
    ) {
        switch input {
        case .records(let session, let epoch, let base, let progress):
            records(session, epoch, base: base, progress, now: now, into: &effects)
        case .appended(let end, let lastEpoch):
            // Not with an agreement: a log that takes nothing agrees each time it is asked.
            attempts = 0
            position.end = end
            position.lastEpoch = lastEpoch
            advance(into: &effects)
        case .synced(let offset):
            isSyncing = false
            position.synced = max(position.synced, min(offset, position.end))
            advance(into: &effects)
        case .progress(let session, let progress):
            guard session == self.session, phase == .following else { return }
            take(progress, into: &effects)
            advance(into: &effects)
        case .opened(let position): self.position = position
        case .follow(let node, let epoch, let isUnclean):
            follow(node, epoch, isUnclean, now: now, into: &effects)
        case .stop:
            phase = .idle
            leader = nil
        case .linkUp(let node):
            guard node == leader else { return }
            isLinked = true
            if phase == .unlinked { attach(now: now, into: &effects) }
        case .linkDown(let node):
            guard node == leader else { return }
            isLinked = false
            if phase != .idle, phase != .truncating { phase = .unlinked }
        case .attached(let session, let agreement, let progress, let ownEnd):
            guard session == self.session, isAttaching else { return }
            answered(agreement, progress, ownEnd: ownEnd, now: now, into: &effects)
        case .refused(let session, _):
            guard session == self.session, phase != .idle, phase != .truncating else { return }
            pause(now: now, into: &effects)
        case .truncated(let end, let lastEpoch):
            truncated(end, lastEpoch, now: now, into: &effects)
        case .appendFailed: pause(now: now, into: &effects)
        case .wake: wake(now: now, into: &effects)
        }
    }

    private var isAttaching: Bool {
        if case .attaching = phase { true } else { false }
    }

    private mutating func follow(
        _ node: NodeID, _ epoch: LeaderEpoch, _ isUnclean: Bool, now: Instant,
        into effects: inout [Effect]
    ) {
        guard epoch >= leaderEpoch || !rules.epochFencing else { return }
        if epoch == leaderEpoch, node == leader, phase != .idle { return }
        if epoch > leaderEpoch {
            leaderEpoch = epoch
            effects.append(.recordEpoch(epoch))
        }
        if node != leader { isLinked = false }
        leader = node
        self.isUnclean = isUnclean
        attempts = 0
        // A cut that is under way ends first: the log can't be looked into before.
        guard phase != .truncating else { return }
        if !rules.truncationByEpoch, position.highWatermark < position.end {
            phase = .truncating
            effects.append(.truncate(to: position.highWatermark))
            return
        }
        attach(now: now, into: &effects)
    }

    private mutating func attach(now: Instant, into effects: inout [Effect]) {
        guard let leader, isLinked else {
            phase = self.leader == nil ? .idle : .unlinked
            return
        }
        sessions += 1
        session = AttachSession(boot: boot, count: sessions)
        // The request says it; what is synced until the answer comes is acknowledged after that.
        acknowledged = vouchedEnd
        let deadline = now.advanced(byMilliseconds: ReplicationLimits.attachTimeoutMilliseconds)
        phase = .attaching(until: deadline)
        let request = AttachRequest(
            session: session, leaderEpoch: leaderEpoch, replica: id,
            lastEpoch: position.lastEpoch, end: position.end, vouchedEnd: vouchedEnd,
            logStart: position.logStart)
        effects.append(.attach(to: leader, request))
        effects.append(.wake(at: deadline))
    }

    private mutating func answered(
        _ agreement: LogAgreement, _ progress: LeaderProgress, ownEnd: Offset?, now: Instant,
        into effects: inout [Effect]
    ) {
        switch agreement {
        case .agreed(let from):
            guard from == position.end else { return pause(now: now, into: &effects) }
            phase = .following
            position.leaderWatermark = progress.highWatermark
            take(progress, into: &effects)
            advance(into: &effects)
        case .truncate(_, let end):
            // Both logs hold the answer's epoch, or older ones of which neither can tell: what is
            // kept ends where the first of the two does.
            let target = max(min(end, ownEnd ?? position.logStart), position.logStart)
            guard target < position.end else { return pause(now: now, into: &effects) }
            cut(to: target, into: &effects)
            phase = .truncating
            effects.append(.truncate(to: target))
        case .startOver(let start):
            cut(to: start, into: &effects)
            phase = .truncating
            effects.append(.startOver(at: start))
        }
    }

    /// Nothing that was committed is ever cut, unless an operator chose to lose it.
    private mutating func cut(to target: Offset, into effects: inout [Effect]) {
        guard target < position.highWatermark, let leader else { return }
        guard !isUnclean else { return }
        effects.append(
            .alarm(
                ReplicationAlarm(
                    leader: leader, leaderEpoch: leaderEpoch, cut: target,
                    highWatermark: position.highWatermark)))
    }

    private mutating func truncated(
        _ end: Offset, _ lastEpoch: LeaderEpoch, now: Instant, into effects: inout [Effect]
    ) {
        let isEmptied = end > position.end || lastEpoch == .unknown
        position.end = end
        position.lastEpoch = lastEpoch
        position.synced = isEmptied ? end : min(position.synced, end)
        // What lies before a leader's log start is committed.
        position.highWatermark = isEmptied ? end : min(position.highWatermark, end)
        position.logStart = isEmptied ? end : position.logStart
        guard phase == .truncating else { return }
        attach(now: now, into: &effects)
    }

    private mutating func records(
        _ session: AttachSession, _ epoch: LeaderEpoch, base: Offset, _ progress: LeaderProgress,
        now: Instant, into effects: inout [Effect]
    ) {
        if rules.epochFencing {
            guard phase == .following, session == self.session, epoch == leaderEpoch else {
                return
            }
        } else {
            guard phase != .truncating, base == position.end else { return }
        }
        guard base == position.end else { return pause(now: now, into: &effects) }
        effects.append(.append)
        take(progress, into: &effects)
    }

    /// Known before its records are: the watermark is cut to this log's end as that grows.
    private mutating func take(_ progress: LeaderProgress, into effects: inout [Effect]) {
        position.leaderWatermark = max(position.leaderWatermark, progress.highWatermark)
        if progress.logStart > position.logStart, progress.logStart <= position.end {
            position.logStart = progress.logStart
            effects.append(.logStart(progress.logStart))
        }
    }

    private mutating func advance(into effects: inout [Effect]) {
        let known = min(position.leaderWatermark, position.end)
        if phase == .following, known > position.highWatermark {
            position.highWatermark = known
            effects.append(.highWatermark(known))
        }
        if syncRequired, !isSyncing, position.synced < position.end {
            isSyncing = true
            effects.append(.sync)
        }
        if phase == .following, acknowledged != vouchedEnd, !isAnnounced {
            isAnnounced = true
            effects.append(.acknowledge)
        }
    }

    private mutating func pause(now: Instant, into effects: inout [Effect]) {
        let least = ReplicationLimits.attachMillisecondsMinimum
        let delay = min(
            least << Int64(min(attempts, 10)), ReplicationLimits.attachMillisecondsMaximum)
        attempts += 1
        let until = now.advanced(byMilliseconds: delay)
        phase = .waiting(until: until)
        effects.append(.wake(at: until))
    }

    private mutating func wake(now: Instant, into effects: inout [Effect]) {
        switch phase {
        case .waiting(let until) where until <= now: attach(now: now, into: &effects)
        case .attaching(let until) where until <= now: pause(now: now, into: &effects)
        case .idle, .unlinked, .waiting, .attaching, .truncating, .following: return
        }
    }
}
