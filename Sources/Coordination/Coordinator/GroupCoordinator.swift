public import Model
internal import OrderedCollections

/// Names one append that the log has to answer; greater tokens are later in the log.
public struct AppendToken: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable public static func < (left: AppendToken, right: AppendToken) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The coordinator of all consumer groups of one slot (a partition of `__consumer_offsets`).
///
/// The classic group protocol of Kafka whole: membership with KIP-394 (known member ids), KIP-345
/// (static members), KIP-389 (group size), KIP-559 (protocol in SyncGroup), KIP-814 (skipped
/// assignment), and offsets with KIP-211 (expiry) and KIP-496 (removal). A pure machine: inputs
/// and the moment in, effects out; the same inputs and seed give the same effects.
///
///     unloaded --load--> loading --loaded(epoch)--> active --unload--> unloaded
///
/// What the owner (the control loop of a broker) promises: `append` effects reach the log in their
/// order; each gets one `appended` input, successes in the same order, once the record is
/// committed; `wake` comes at or after the earliest moment asked for (early, late and repeated
/// ones are harmless). What it may rely on: every request gets exactly one reply; nothing is
/// answered or visible before its append is acknowledged, so a slot that is loaded elsewhere
/// knows everything that a client was ever told, but for generations that never got an assignment.
///
/// Costs: a heartbeat is two dictionary look-ups; a join is linear in the members of the group.
public struct GroupCoordinator: Sendable {
    /// What happens to a slot.
    public enum Input: Hashable, Sendable {
        /// The next records of the slot's log, oldest first; the first one begins the loading.
        case load([SlotRecord])
        /// The log was read to its high-water mark; this broker coordinates in this epoch.
        case loaded(epoch: LeaderEpoch)
        /// This broker does not lead the slot any more.
        case unload
        case request(RequestToken, GroupRequest)
        /// The log's answer to an append; nil is success.
        case appended(AppendToken, AppendError?)
        /// Time has passed.
        case wake
        /// These topics are gone: their offsets go too.
        case topicsDeleted([String])
    }

    /// What a slot wants done.
    public enum Effect: Hashable, Sendable {
        case reply(RequestToken, GroupResponse)
        /// Write these records as one batch.
        case append(AppendToken, records: [SlotRecord])
        /// Send `wake` at this moment; an earlier wish stays in force.
        case wake(at: Instant)
    }

    /// Whether the slot answers.
    public enum Phase: Hashable, Sendable {
        case unloaded
        case loading
        case active(LeaderEpoch)
    }

    public let slot: PartitionIndex
    public internal(set) var phase = Phase.loading
    /// Topics that were deleted before this coordinator had read its log.
    var deletedWhileLoading: [String] = []
    /// Records of the slot that could not be read and were passed over while loading.
    public internal(set) var unreadableRecords = 0

    var groups: OrderedDictionary<String, Group> = [:]
    var outbox: Outbox
    /// Removals whose tombstones are on their way, by number; looked up, never iterated.
    var removals: [UInt64: Removal] = [:]
    var lastRemoval: UInt64 = 0
    /// The last append that succeeded: what is visible is the log up to there.
    private var lastSuccess = AppendToken(0)
    /// When offsets are next checked for expiry.
    var nextRetentionCheck: Instant?
    /// The earliest moment that the owner was asked to wake us at.
    var armedWake: Instant?

    /// A slot that is loading: it says so to everybody until `loaded`.
    ///
    /// - Parameter generator: draws the suffixes of member ids, nothing else.
    public init(
        slot: PartitionIndex, configuration: GroupConfiguration, generator: SeededGenerator
    ) {
        self.init(
            slot: slot, configuration: configuration, generator: generator, rules: GroupRules())
    }

    package init(
        slot: PartitionIndex, configuration: GroupConfiguration, generator: SeededGenerator,
        rules: GroupRules
    ) {
        self.slot = slot
        self.outbox = Outbox(configuration: configuration, generator: generator, rules: rules)
    }

    var rules: GroupRules { outbox.rules }

    public var groupCount: Int { groups.count }

    /// Committed positions of all groups: a step for each group.
    public var offsetCount: Int { groups.values.reduce(0) { $0 + $1.offsets.count } }

    /// Positions whose commit is on its way to the log and not acknowledged: each may be before
    /// anything that is written from now on. A step for each of them.
    public var pendingOffsets: Set<OffsetCommitKey> { outbox.pendingOffsets }

    /// Whether the group has a committed position there.
    public func holds(_ key: OffsetCommitKey) -> Bool {
        groups[key.groupID]?.offsets[OffsetKey(topic: key.topic, partition: key.partition)] != nil
    }

    var configuration: GroupConfiguration { outbox.configuration }

    /// Takes one input at one moment; appends what has to be done to `effects`, in order.
    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        outbox.now = now
        swap(&outbox.effects, &effects)
        defer { swap(&outbox.effects, &effects) }
        switch input {
        case .load(let records): load(records)
        case .loaded(let epoch): finishLoading(epoch: epoch)
        case .unload: unload()
        case .request(let token, let request): handle(request, token: token)
        case .appended(let token, let error): appended(token, error: error)
        case .wake: wake()
        case .topicsDeleted(let topics): deleteOffsets(ofTopics: topics)
        }
        dropStaleTimers()
        requestWake()
    }

    private mutating func handle(_ request: GroupRequest, token: RequestToken) {
        if let error = statusError(for: request) {
            outbox.reply(token, request.refusal(error))
            return
        }
        switch request {
        case .join(let join): handle(join, token: token)
        case .sync(let sync): handle(sync, token: token)
        case .heartbeat(let heartbeat): handle(heartbeat, token: token)
        case .leave(let leave): handle(leave, token: token)
        case .commitOffsets(let commit): handle(commit, token: token)
        case .fetchOffsets(let fetch): handle(fetch, token: token)
        case .describe(let describe): handle(describe, token: token)
        case .list(let list): handle(list, token: token)
        case .delete(let delete): handle(delete, token: token)
        case .deleteOffsets(let delete): handle(delete, token: token)
        }
    }

    /// The same for every request: the group id and whether this slot answers now.
    private func statusError(for request: GroupRequest) -> GroupError? {
        if let groupID = request.groupID {
            let mayBeEmpty = request.acceptsEmptyGroupID
            guard groupID.utf8.count <= Bound.nameBytes, mayBeEmpty || !groupID.isEmpty else {
                return .invalidGroupID
            }
        }
        switch phase {
        case .unloaded: return .notCoordinator
        case .loading: return rules.slotReadWhole ? .coordinatorLoadInProgress : nil
        case .active: return nil
        }
    }

    /// The log answered. An unknown token is from before a move of the slot.
    private mutating func appended(_ token: AppendToken, error: AppendError?) {
        guard let pending = outbox.finish(token) else { return }
        if error == nil {
            precondition(token > lastSuccess, "successes come in the order of the appends")
            lastSuccess = token
        }
        guard let index = groups.index(forKey: pending.groupID) else { return }
        groups.values[index].appendsInFlight -= 1
        switch pending {
        case .commit(let commit):
            if rules.commitsAwaitLog { commitStored(commit, error: error) }
        case .assignment(_, let generation, let assignments):
            groups.values[index].assignmentStored(
                generation: generation, assignments, error: error, &outbox)
        case .staticReplacement(let replacement):
            groups.values[index].staticReplacementStored(replacement, error: error, &outbox)
        case .emptyGroup:
            break
        case .removal(let removal, _, let keys):
            tombstonesStored(removal: removal, keys: keys, error: error)
        }
        forgetIfDisposable(pending.groupID)
    }

    /// Drops a group that nobody would miss, so that invented ids leave nothing behind.
    mutating func forgetIfDisposable(_ groupID: String) {
        if groups[groupID]?.isDisposable == true { groups[groupID] = nil }
    }

    /// Tells the owner when to come back, if that is earlier than it knows.
    private mutating func requestWake() {
        var earliest = outbox.timers.first
        if let check = nextRetentionCheck { earliest = min(earliest ?? check, check) }
        if let armed = armedWake, armed <= outbox.now.instant { armedWake = nil }
        guard let earliest else { return }
        if let armed = armedWake, armed <= earliest { return }
        armedWake = earliest
        outbox.effects.append(.wake(at: earliest))
    }
}

extension PendingAppend {
    var groupID: String {
        switch self {
        case .commit(let commit): commit.groupID
        case .assignment(let groupID, _, _): groupID
        case .staticReplacement(let replacement): replacement.groupID
        case .emptyGroup(let groupID): groupID
        case .removal(_, let groupID, _): groupID
        }
    }
}
