import DequeModule
public import Model

/// Decides when a record of one partition is committed, and when its producer may be told so.
///
/// Pure: the shard appends to the log and syncs it, and tells this machine what became of that;
/// the machine answers with effects. Owned by the shard of the partition. Its invariants:
///
/// - the high watermark never falls within an epoch and never passes the log end;
/// - where `syncRequired`, the high watermark never passes what is synced, so that a consumer
///   never reads a record that a power cut could take back;
/// - an acknowledgement waits at its last offset, a duplicate's at its original's, so that a retry
///   is never answered before the batch that it repeats (KIP-98).
///
/// Waiters are in order of their offsets; each costs one entry and is released in order.
public struct PartitionMachine: Sendable {
    /// What became of the log, or what somebody decided.
    public enum Input: Hashable, Sendable {
        /// This broker leads under `leadership`, and its log is as the offsets say.
        case lead(Leadership, end: Offset, synced: Offset)
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
    }

    /// What the shard has to do.
    public enum Effect: Hashable, Sendable {
        case acknowledge(UInt64)
        case refuse(UInt64, Refusal)
        /// Consumers may read below this offset now.
        case highWatermark(Offset)
        /// Sync the log and say `synced(upTo:)`; not said again before that answer.
        case sync
    }

    public private(set) var leadership: Leadership?
    public private(set) var highWatermark = Offset.zero
    public private(set) var end = Offset.zero
    public private(set) var synced = Offset.zero
    /// Whether the topic is `flush: sync`.
    public var syncRequired: Bool
    private var syncUnderWay = false
    private var waiters = Deque<Waiter>()

    public init(syncRequired: Bool) { self.syncRequired = syncRequired }

    /// Whether producers wait; the shard asks so that idle partitions cost nothing in a tick.
    public var hasWaiters: Bool { !waiters.isEmpty }

    public mutating func handle(_ input: Input, into effects: inout [Effect]) {
        switch input {
        case .lead(let next, let end, let synced):
            lead(next, end: end, synced: synced, into: &effects)
        case .resign:
            leadership = nil
            refuseAll(.notLeader, into: &effects)
        case .appended(let end):
            precondition(end >= self.end, "an append never shortens a log")
            self.end = end
            advance(into: &effects)
        case .synced(let offset):
            syncUnderWay = false
            synced = max(synced, min(offset, end))
            advance(into: &effects)
        case .syncFailed:
            syncUnderWay = false
            refuseAll(.syncFailed, into: &effects)
        case .await(let waiter):
            precondition(waiter.end <= end, "nobody waits for a record that was not appended")
            guard leadership != nil else {
                effects.append(.refuse(waiter.token, .notLeader))
                return
            }
            insert(waiter)
            release(into: &effects)
            requestSync(into: &effects)
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
        _ next: Leadership, end: Offset, synced: Offset, into effects: inout [Effect]
    ) {
        if let current = leadership {
            guard next.epoch > current.epoch else { return }
            refuseAll(.notLeader, into: &effects)
        }
        precondition(synced <= end, "what is synced is in the log")
        leadership = next
        self.end = end
        self.synced = synced
        advance(into: &effects)
    }

    /// With one in-sync replica the committed end is this log's own.
    private mutating func advance(into effects: inout [Effect]) {
        guard leadership != nil else { return }
        let committed = syncRequired ? synced : end
        if committed > highWatermark {
            highWatermark = committed
            effects.append(.highWatermark(committed))
        }
        release(into: &effects)
        requestSync(into: &effects)
    }

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
