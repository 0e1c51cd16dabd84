internal import DequeModule
internal import Model
internal import NIOCore
internal import Synchronization

/// The newest small batches of all logs of a shard, in memory, within one budget.
///
/// Consumers that keep up are served from here without a system call. A log's entries are always a
/// gapless suffix of it: a batch too large to keep clears what the log had. Oldest goes first, over
/// all logs, so an idle partition gives its memory back to the busy ones. One short lock that is
/// never contended, since one event loop owns all its logs.
public final class TailCache: Sendable {
    private struct Entry {
        let baseOffset: Int64
        let lastOffset: Int64
        let batch: ByteBuffer
    }

    private struct Ring {
        var entries: Deque<Entry> = []
        /// The number of the first entry, counted over the ring's life.
        var firstNumber: UInt64 = 0
        var bytes = 0

        mutating func removeFirst() -> Int {
            guard let entry = entries.popFirst() else { return 0 }
            firstNumber += 1
            let cost = TailCache.cost(of: entry.batch)
            bytes -= cost
            return cost
        }
    }

    private struct State {
        var rings: [UInt64: Ring] = [:]
        /// Which log's entry is the oldest; skips those that are gone already.
        var order: Deque<(log: UInt64, number: UInt64)> = []
        var bytes = 0
        /// Entries in all rings.
        var live = 0
    }

    /// A batch up to this size is kept; larger ones are cheaper from the page cache.
    static let maximumBatchBytes = 64 * 1024
    /// What one log may take of the budget.
    static let maximumLogBytes = 256 * 1024
    /// Bookkeeping of one entry beside its bytes: buffer object, allocation, two deque slots.
    private static let overhead = 160

    private let state = Mutex(State())
    private let budget: Int

    public init(budgetBytes: Int) { budget = budgetBytes }

    /// Bytes held now, with bookkeeping.
    public var usedBytes: Int { state.withLock { $0.bytes } }

    private static func cost(of batch: ByteBuffer) -> Int { batch.capacity + overhead }

    func append(log: UInt64, baseOffset: Offset, lastOffset: Offset, batch: ByteBuffer) {
        let cost = Self.cost(of: batch)
        state.withLock { state in
            let entry = Entry(
                baseOffset: baseOffset.rawValue, lastOffset: lastOffset.rawValue, batch: batch)
            let number = Self.push(entry, cost: cost, to: log, in: &state)
            state.order.append((log: log, number: number))
            while state.bytes > budget, let oldest = state.order.popFirst() {
                guard state.rings[oldest.log]?.firstNumber == oldest.number else { continue }
                state.bytes -= state.rings[oldest.log]?.removeFirst() ?? 0
                state.live -= 1
            }
            // What a log dropped by itself stays behind in the order, until it outnumbers the rest.
            if state.order.count > 64 + 2 * state.live { Self.sweep(&state) }
        }
    }

    private static func push(
        _ entry: Entry, cost: Int, to log: UInt64, in state: inout State
    ) -> UInt64 {
        var freed = 0
        var dropped = 0
        func insert(into ring: inout Ring) -> UInt64 {
            ring.entries.append(entry)
            ring.bytes += cost
            while ring.bytes > maximumLogBytes {
                freed += ring.removeFirst()
                dropped += 1
            }
            return ring.firstNumber + UInt64(ring.entries.count) - 1
        }
        let number = insert(into: &state.rings[log, default: Ring()])
        state.bytes += cost - freed
        state.live += 1 - dropped
        return number
    }

    private static func sweep(_ state: inout State) {
        let rings = state.rings
        state.order.removeAll { item in
            guard let ring = rings[item.log] else { return true }
            return item.number < ring.firstNumber
        }
    }

    /// Forgets what a log has here: after a large batch, a truncation, a close.
    func clear(log: UInt64) {
        state.withLock { state in
            guard var ring = state.rings[log] else { return }
            state.bytes -= ring.bytes
            state.live -= ring.entries.count
            ring.firstNumber += UInt64(ring.entries.count)
            ring.entries = []
            ring.bytes = 0
            state.rings[log] = ring
        }
    }

    /// Forgets the log itself.
    func remove(log: UInt64) {
        state.withLock { state in
            guard let ring = state.rings.removeValue(forKey: log) else { return }
            state.bytes -= ring.bytes
            state.live -= ring.entries.count
        }
    }

    /// Whole batches from the one that holds `from`, all below `limit`; nil where the cache does
    /// not reach back so far. One batch is given as it is, several are copied together.
    func read(
        log: UInt64, from: Offset, below limit: Offset, maxBytes: Int, atLeastOne: Bool
    ) -> ByteBuffer? {
        state.withLock { state -> ByteBuffer? in
            guard let ring = state.rings[log], let first = ring.entries.first,
                first.baseOffset <= from.rawValue
            else { return nil }
            var low = 0
            var high = ring.entries.count
            while low < high {
                let middle = (low + high) / 2
                if ring.entries[middle].lastOffset < from.rawValue {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            var end = low
            var bytes = 0
            while end < ring.entries.count, ring.entries[end].lastOffset < limit.rawValue {
                let size = ring.entries[end].batch.readableBytes
                if bytes + size > maxBytes && !(end == low && atLeastOne) { break }
                bytes += size
                end += 1
            }
            guard end > low else { return ByteBuffer() }
            if end == low + 1 { return ring.entries[low].batch }
            var result = ByteBuffer()
            result.reserveCapacity(bytes)
            for index in low..<end { result.writeImmutableBuffer(ring.entries[index].batch) }
            return result
        }
    }
}
