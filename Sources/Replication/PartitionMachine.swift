import DequeModule
public import Model

/// Decides when a record of one partition is committed, and when its producer may be told so.
///
/// Pure: the shard appends to the log and syncs it, and tells this machine what became of that and
/// what the followers acknowledged; the machine answers with effects. Owned by the shard of the
/// partition. Its invariants:
///
/// - the high watermark never falls within an epoch and never passes the log end;
/// - it never passes what any member of the in-sync set, or of a proposed one, vouches for; with
///   fewer members than `min.insync.replicas` it stands still (KIP-966);
/// - where `syncRequired`, the high watermark never passes what is synced, so that a consumer
///   never reads a record that a power cut could take back;
/// - an acknowledgement waits at its last offset, a duplicate's at its original's, so that a retry
///   is never answered before the batch that it repeats (KIP-98).
///
/// Waiters are in order of their offsets; each costs one entry and is released in order. Nothing
/// is allocated for a record, a batch or an acknowledgement of a follower.
public struct PartitionMachine: Sendable {
    /// What became of the log, or what somebody decided.
    public enum Input: Hashable, Sendable {
        /// This broker leads under `leadership` and nobody follows; its log is as the offsets say.
        case lead(Leadership, end: Offset, synced: Offset)
        /// This broker leads with followers; `log` is what it held as a follower. Ignored unless
        /// the epoch is above every one that it led before.
        case leadReplicas(PartitionState, self: ReplicaID, log: LogPosition, minInSync: Int)
        /// The register holds this now: a proposal was chosen, or somebody else changed it.
        case stateChanged(PartitionState)
        /// The topic's `min.insync.replicas` was altered.
        case minInSyncChanged(Int)
        /// A follower's log agrees with this one up to its end; `end` is what it vouches for.
        case followerAttached(ReplicaID, LeaderEpoch, end: Offset)
        /// A follower holds everything below `end`, synced where the topic is `flush: sync`.
        case followerAcked(ReplicaID, LeaderEpoch, end: Offset)
        /// The link to that broker is gone.
        case followerLost(NodeID)
        /// That broker was heard of last at that moment, and should have been since: what it holds
        /// says nothing of now.
        case followerSilent(NodeID, since: Instant)
        /// The proposal of that serial was not chosen, and never will be.
        case proposalFailed(UInt64)
        /// Nobody knows what became of it: both sets count until the register says more.
        case proposalUnknown(UInt64)
        /// Looks for followers that are behind, and for those that have caught up.
        case tick(Instant)
        /// This broker does not lead: everything that waits is refused.
        case resign
        /// The log now ends at `end`.
        case appended(end: Offset)
        /// Everything below `upTo` survives a power cut.
        case synced(upTo: Offset)
        /// The device refused a sync: nothing that waits for one can be acknowledged.
        case syncFailed
        /// A producer waits until everything below `end` is as safe as it asked.
        case await(Waiter)
    }

    /// A producer's request that waits for one offset; `deadline` is its own timeout.
    public struct Waiter: Hashable, Sendable {
        public let token: UInt64
        public let end: Offset
        public let acknowledgement: Acknowledgement
        public let deadline: Instant

        public init(
            token: UInt64, end: Offset, acknowledgement: Acknowledgement, deadline: Instant
        ) {
            self.token = token
            self.end = end
            self.acknowledgement = acknowledgement
            self.deadline = deadline
        }
    }

    /// Why a waiter is not acknowledged. The records may still become durable: the producer's
    /// idempotent retry finds out.
    public enum Refusal: Hashable, Sendable {
        case notLeader
        case syncFailed
        case timedOut
        /// Too few are in sync: nothing was appended.
        case notEnoughReplicas
        /// The records are committed, but by now too few are in sync, as Kafka answers then. While
        /// they are not committed a producer waits on, until its own timeout.
        case notEnoughReplicasAfterAppend
    }

    /// What the shard has to do.
    public enum Effect: Hashable, Sendable {
        case acknowledge(UInt64)
        case refuse(UInt64, Refusal)
        /// Consumers may read below this offset now, and followers are told.
        case highWatermark(Offset)
        /// Sync the log and say `synced(upTo:)`; not said again before that answer.
        case sync
        /// Propose this in-sync set by `PartitionState.alterInSync`, guarded by the epochs of
        /// `state`; answered by `stateChanged`, `proposalFailed` or `proposalUnknown` with the
        /// serial. At most one is under way; after an unknown outcome the same set is proposed
        /// again.
        case proposeInSync([ReplicaID], serial: UInt64)
    }

    public internal(set) var leadership: Leadership?
    public internal(set) var highWatermark = Offset.zero
    public internal(set) var end = Offset.zero
    public internal(set) var synced = Offset.zero
    /// Where this epoch began: the log end when the leadership was taken.
    public internal(set) var epochStart = Offset.zero
    /// Whether the topic is `flush: sync`.
    public var syncRequired: Bool
    /// What the register holds; nil where nobody follows.
    public internal(set) var state: PartitionState?
    public internal(set) var proposal: InSyncProposal?
    public internal(set) var minInSync = 1
    var selfID: ReplicaID?
    /// The highest epoch that was led with followers; none is led twice.
    var ledEpoch = LeaderEpoch.unknown
    var followers: [Follower] = []
    var samples = Deque<EndSample>()
    /// Both sets are large enough to commit.
    var mayCommit = true
    var lastTick = Instant(nanoseconds: 0)
    /// The next tick is the first of this leadership: times are counted from it.
    var needsClock = true
    var proposeNotBefore = Instant(nanoseconds: 0)
    var proposalSerial: UInt64 = 0
    let rules: ReplicationRules
    private var syncUnderWay = false
    private var waiters = Deque<Waiter>()

    public init(syncRequired: Bool) {
        self.init(syncRequired: syncRequired, rules: ReplicationRules())
    }

    package init(syncRequired: Bool, rules: ReplicationRules) {
        self.syncRequired = syncRequired
        self.rules = rules
    }

    /// Whether producers wait; the shard asks so that idle partitions cost nothing in a tick.
    public var hasWaiters: Bool { !waiters.isEmpty }

    /// Whether everything that the leaders before had committed is known to be: until then the
    /// high watermark may lie below one that a client has seen, and ListOffsets waits (KIP-207).
    public var hasCommittedOwnEpoch: Bool {
        leadership != nil && (highWatermark >= epochStart || !rules.newEpochGate)
    }

    /// Why a batch with this acknowledgement must not be appended; nil where it may.
    public func refusal(of acknowledgement: Acknowledgement) -> Refusal? {
        if leadership == nil { return .notLeader }
        if acknowledgement == .all, !hasEnoughInSync { return .notEnoughReplicas }
        return nil
    }

    public mutating func handle(_ input: Input, into effects: inout [Effect]) {
        switch input {
        case .appended(let end):
            precondition(end >= self.end, "an append never shortens a log")
            self.end = end
            advance(into: &effects)
        case .synced(let offset):
            syncUnderWay = false
            synced = max(synced, min(offset, end))
            advance(into: &effects)
        case .await(let waiter): enter(waiter, into: &effects)
        case .followerAcked(let id, let epoch, let end):
            acknowledged(id, epoch, end: end, into: &effects)
        case .lead(let next, let end, let synced):
            lead(next, LogPosition(end: end, synced: synced), into: &effects)
        case .leadReplicas(let state, let id, let log, let minInSync):
            lead(state, as: id, log, minInSync: minInSync, into: &effects)
        case .stateChanged(let state): changed(to: state, into: &effects)
        case .minInSyncChanged(let count):
            minInSync = count
            refreshGate()
            advance(into: &effects)
        case .followerAttached(let id, let epoch, let end):
            attached(id, epoch, end: end, into: &effects)
        case .followerLost(let node): lost(node)
        case .followerSilent(let node, let since): silent(node, since: since)
        case .proposalFailed(let serial): proposalEnded(serial, isUnknown: false, into: &effects)
        case .proposalUnknown(let serial): proposalEnded(serial, isUnknown: true, into: &effects)
        case .tick(let now): tick(now, into: &effects)
        case .resign: stepDown(into: &effects)
        case .syncFailed:
            syncUnderWay = false
            refuseAll(.syncFailed, into: &effects)
        }
    }

    /// Refuses whoever waited past its own timeout.
    public mutating func expire(at instant: Instant, into effects: inout [Effect]) {
        guard waiters.contains(where: { $0.deadline <= instant }) else { return }
        for waiter in waiters where waiter.deadline <= instant {
            effects.append(.refuse(waiter.token, .timedOut))
        }
        waiters.removeAll { $0.deadline <= instant }
    }

    private mutating func lead(
        _ next: Leadership, _ log: LogPosition, into effects: inout [Effect]
    ) {
        if let current = leadership, next.epoch <= current.epoch { return }
        state = nil
        selfID = nil
        followers.removeAll()
        minInSync = 1
        begin(next, log, into: &effects)
    }

    /// Takes the leadership over: whoever waited under an older one is refused.
    mutating func begin(
        _ next: Leadership, _ log: LogPosition, into effects: inout [Effect]
    ) {
        if leadership != nil { refuseAll(.notLeader, into: &effects) }
        precondition(log.synced <= log.end, "what is synced is in the log")
        leadership = next
        end = log.end
        synced = log.synced
        epochStart = log.end
        // What it knew as the leader of an earlier epoch may have been cut since.
        highWatermark = min(log.highWatermark, log.end)
        proposal = nil
        needsClock = true
        refreshSets()
        advance(into: &effects)
    }

    mutating func stepDown(into effects: inout [Effect]) {
        leadership = nil
        state = nil
        proposal = nil
        followers.removeAll()
        refuseAll(.notLeader, into: &effects)
    }

    private mutating func enter(_ waiter: Waiter, into effects: inout [Effect]) {
        precondition(waiter.end <= end, "nobody waits for a record that was not appended")
        guard leadership != nil else {
            effects.append(.refuse(waiter.token, .notLeader))
            return
        }
        if waiter.acknowledgement == .all, waiter.end <= highWatermark, !hasEnoughInSync {
            effects.append(.refuse(waiter.token, .notEnoughReplicasAfterAppend))
            return
        }
        insert(waiter)
        release(into: &effects)
        requestSync(into: &effects)
    }

    /// With one in-sync replica the committed end is this log's own.
    mutating func advance(into effects: inout [Effect]) {
        guard leadership != nil else { return }
        var committed = ownEnd
        if !followers.isEmpty { committed = min(committed, vouchedEnd) }
        if committed > highWatermark, mayCommit {
            highWatermark = committed
            effects.append(.highWatermark(committed))
        }
        release(into: &effects)
        requestSync(into: &effects)
    }

    private var ownEnd: Offset { syncRequired && rules.watermarkFromSynced ? synced : end }

    private mutating func release(into effects: inout [Effect]) {
        while let first = waiters.first, isMet(first) {
            effects.append(.acknowledge(first.token))
            waiters.removeFirst()
        }
    }

    private func isMet(_ waiter: Waiter) -> Bool {
        switch waiter.acknowledgement {
        case .none: true
        case .leader: !syncRequired || waiter.end <= synced
        case .all: waiter.end <= highWatermark
        }
    }

    /// One sync serves every waiter that came before it: group commit.
    private mutating func requestSync(into effects: inout [Effect]) {
        guard syncRequired, !syncUnderWay, synced < end, leadership != nil else { return }
        syncUnderWay = true
        effects.append(.sync)
    }

    /// A duplicate's original may lie before later waiters, so order is kept by offset.
    private mutating func insert(_ waiter: Waiter) {
        var index = waiters.endIndex
        while index > waiters.startIndex, waiters[index - 1].end > waiter.end { index -= 1 }
        waiters.insert(waiter, at: index)
    }

    private mutating func refuseAll(_ refusal: Refusal, into effects: inout [Effect]) {
        for waiter in waiters { effects.append(.refuse(waiter.token, refusal)) }
        waiters.removeAll(keepingCapacity: true)
    }
}
