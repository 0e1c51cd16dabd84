internal import HeapModule
public import Model

/// Virtual time: what happens next, the earliest first, equal moments in order of scheduling.
///
/// The heart of every simulation: nothing passes but by popping, so a run depends on its seed
/// alone. Scheduling and popping cost a logarithm of what is pending.
public struct Timeline<Event> {
    private struct Entry: Comparable {
        let at: Int64
        let serial: UInt64
        let slot: Int

        static func < (left: Entry, right: Entry) -> Bool {
            if left.at != right.at { return left.at < right.at }
            return left.serial < right.serial
        }
    }

    public private(set) var now = Instant(nanoseconds: 0)
    /// Events popped so far.
    public private(set) var popped = 0
    private var heap = Heap<Entry>()
    private var slots: [Event?] = []
    private var free: [Int] = []
    private var serial: UInt64 = 0

    public init() {}

    public var isEmpty: Bool { heap.isEmpty }

    /// Schedules an event; one in the past happens now.
    public mutating func schedule(_ event: Event, at instant: Instant) {
        serial += 1
        let slot: Int
        if let last = free.popLast() {
            slot = last
            slots[slot] = event
        } else {
            slot = slots.count
            slots.append(event)
        }
        let at = max(instant.nanoseconds, now.nanoseconds)
        heap.insert(Entry(at: at, serial: serial, slot: slot))
    }

    /// The next event up to `limit`; nil when there is none, and then it is `limit`.
    public mutating func next(until limit: Instant) -> Event? {
        guard let first = heap.min, first.at <= limit.nanoseconds else {
            now = max(now, limit)
            return nil
        }
        heap.removeMin()
        now = Instant(nanoseconds: first.at)
        popped += 1
        let event = slots[first.slot]
        slots[first.slot] = nil
        free.append(first.slot)
        return event
    }
}
