internal import Model

/// The moments at which groups want to be looked at: a binary heap of (moment, group).
///
/// Each group has at most one entry that counts, the one it remembers as `Group.scheduled`; all
/// others are stale and are dropped when they come up. So a heartbeat, which only moves a deadline
/// back, costs nothing here: the group looks again when the old entry fires. Owned by the
/// coordinator. Equal moments come out in the order of the group ids, so runs repeat.
struct TimerQueue {
    /// One wish to be woken.
    struct Entry: Hashable, Comparable {
        var moment: Instant
        var groupID: String

        static func < (left: Entry, right: Entry) -> Bool {
            if left.moment != right.moment { return left.moment < right.moment }
            return left.groupID < right.groupID
        }
    }

    private var heap: [Entry] = []

    var first: Instant? { heap.first?.moment }
    var count: Int { heap.count }

    mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes out the earliest entry if its moment has come.
    mutating func pop(dueAt moment: Instant) -> Entry? {
        guard let first = heap.first, first.moment <= moment else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown()
        return first
    }

    /// Forgets everything, as for a slot that moved or before a rebuild without stale entries.
    mutating func removeAll() { heap.removeAll() }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
