import HeapModule
import Model
import Replication

/// The campaigns of a broker, by partition and by the moment at which each goes on.
///
/// After a broker's death there are ten thousand, and they go on a few at a time: whoever looks for
/// those that are due must not look at all of them, and ending one must not move the others. Costs
/// a hash for a look-up and a place in a heap for each moment that a campaign asks for. Looked up
/// and never iterated, so its order is that of the moments.
struct CampaignBook {
    /// A moment that a campaign asked for; void where it has asked for another one since.
    private struct Due: Comparable {
        let at: Instant
        let serial: UInt64
        let partition: TopicPartition

        static func < (left: Due, right: Due) -> Bool {
            (left.at, left.serial) < (right.at, right.serial)
        }

        static func == (left: Due, right: Due) -> Bool { left.serial == right.serial }
    }

    private var campaigns: [TopicPartition: Campaign] = [:]
    private var dues = Heap<Due>()
    private var serial: UInt64 = 0

    /// A campaign that is put in place asks for its moment by `note`.
    subscript(partition: TopicPartition) -> Campaign? {
        get { campaigns[partition] }
        set { campaigns[partition] = newValue }
    }

    mutating func removeAll() {
        campaigns.removeAll()
        dues = Heap()
    }

    /// A campaign is to be woken then.
    mutating func note(_ moment: Instant, of partition: TopicPartition) {
        serial += 1
        dues.insert(Due(at: moment, serial: serial, partition: partition))
    }

    /// When the first of them is due.
    var nextDue: Instant? {
        mutating get {
            while let first = dues.min, campaigns[first.partition]?.wakeAt != first.at {
                dues.removeMin()
            }
            return dues.min?.at
        }
    }

    /// Takes out the moments that have come, and says whose they are: the first first.
    mutating func takeDue(_ now: Instant) -> [TopicPartition] {
        var result: [TopicPartition] = []
        while let due = nextDue, due <= now, let first = dues.popMin() {
            // One that asked for the same moment twice is woken once.
            if result.last != first.partition { result.append(first.partition) }
        }
        return result
    }
}
