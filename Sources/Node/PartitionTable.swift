public import Model
import Replication
import Storage

/// The order to open one partition: everything that its shard has to know.
public struct PartitionOrder: Sendable {
    public let partition: TopicPartition
    public let configuration: TopicConfiguration
    public let role: PartitionRole
    /// Whether the process before this one closed its logs in order.
    public let cleanStart: Bool
    private(set) var rules = StorageRules()

    public init(
        partition: TopicPartition, configuration: TopicConfiguration, role: PartitionRole,
        cleanStart: Bool
    ) {
        self.partition = partition
        self.configuration = configuration
        self.role = role
        self.cleanStart = cleanStart
    }

    /// The same, its log opened under these rules.
    func under(_ rules: StorageRules) -> PartitionOrder {
        var order = self
        order.rules = rules
        return order
    }

    /// Where the log lies in the data directory: by identity, so that a topic that is deleted and
    /// made again under its name never meets the files of the one before.
    public static func directory(of partition: TopicPartition) -> String {
        "\(topicDirectory(of: partition.topic))/\(partition.index.rawValue)"
    }

    /// `logs/` and the topic's id as 32 hexadecimal digits.
    public static func topicDirectory(of topic: TopicID) -> String {
        "logs/" + hexadecimal(topic.high) + hexadecimal(topic.low)
    }

    private static func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// One partition on its shard: the log, the machine, and who waits.
struct ShardPartition {
    let id: TopicPartition
    var configuration: TopicConfiguration
    /// What this broker is for it, also while it is being opened.
    var role: PartitionRole
    var machine: PartitionMachine
    /// Copies from the leader, where that is another broker.
    var follower: FollowerMachine?
    /// The followers that copy from here, one each.
    var streams: [FollowerStream] = []
    /// It waits for the next tick, with copies that are not in sync.
    var isThrottled = false
    var followerWake: Instant?
    /// What the followers before it, of this partition, began of sessions with leaders.
    var sessions: UInt32 = 0
    /// What the log is waiting to be cut to, until nothing works on it.
    var cut: LogCut?
    /// A reading of this slot for its coordinator that came while the log was not at hand, or
    /// before all of it was committed.
    var scanWaiting: (load: SlotLoad, from: Offset)?
    /// Nil until the disk thread has opened it, and for ever where it could not.
    var opened: PartitionLog?
    /// The disk thread has the order to open it.
    var isOpening = true
    /// A producer was refused while the log was not open.
    var refusedProducer = false
    /// When a batch was last refused because of who leads, who is in sync, or the disk.
    var refusedAt: Instant?
    /// Whose batches those were.
    var refused = RefusedBatches()
    /// When a batch was last refused by whoever led; nil once that is long ago.
    var lateStartsRefused: Instant?
    /// The last append failed on the disk, and that was reported.
    var writesFail = false
    /// The damage that was reported last.
    var unreadable: (segment: Offset, position: Int64)?
    /// Fetches that wait for this partition, by serial; answered ones are dropped when met.
    var watchers: [UInt64] = []
    /// Bytes appended that waiting consumers were not told of.
    var unannouncedBytes = 0
    var flushUnderWay = false
    /// Flushes, deletions and compactions that disk threads were given and have not reported.
    var jobsUnderWay = 0
    var flushAgain = false
    /// Deletions asked for while another one or a compaction runs; bounded by the requests.
    var deletionsWaiting: [DeletionWish] = []
    /// Deletions that are durable here and not on every copy in sync; bounded by the requests.
    var trimsWaiting: [TrimWait] = []
    /// Up to where each copy has durably dropped its records, as it said under this epoch.
    var trimmed: [ReplicaID: Offset] = [:]
    /// What this copy has told its leader of its own, and in which session.
    var trimTold: (session: UInt32, start: Offset)?

    var isOpen: Bool { opened != nil }

    /// Whether another broker could be elected in its place: then it serves within its lease only.
    var needsLease: Bool { if case .leads = role { true } else { false } }

    /// Who promised not to campaign against this broker; asked for while its lease runs out.
    var complete: CompleteSetLease

    /// The epoch in which this broker leads it with others.
    var leadsUnder: LeaderEpoch? {
        guard case .leads(let state, _, _) = role, machine.leadership?.epoch == state.leaderEpoch
        else { return nil }
        return state.leaderEpoch
    }

    /// What was known to be committed when it last ceased to lead or to follow.
    var watermark = Offset.zero

    /// Below it everything is committed, as far as this broker knows.
    var committed: Offset {
        if machine.leadership != nil { return machine.highWatermark }
        return follower?.position.highWatermark ?? watermark
    }

    /// What clients hear while the log is not open.
    var unavailability: PartitionError { isOpening ? .loading : .storage }

    /// The log in place; only where `isOpen`.
    var log: PartitionLog {
        get {
            guard let opened else { preconditionFailure("partition \(id) has no log yet") }
            return opened
        }
        _modify {
            precondition(opened != nil, "partition \(id) has no log yet")
            yield &opened!
        }
    }
}

/// The partitions of a shard in fixed places, so that the hot path reads and changes them without
/// copying.
///
/// A place is reused after its partition is gone. One hash per look-up. Each partition sits in an
/// object of its own, because reading an element of an array copies it, which for these costs
/// dozens of reference counts. So a copy of the table shares them: it has one owner, its shard.
struct PartitionTable {
    private final class Seat {
        var partition: ShardPartition

        init(_ partition: ShardPartition) { self.partition = partition }
    }

    private var places: [Seat?] = []
    private var index: [TopicPartition: Int] = [:]
    private var free: [Int] = []
    /// Places that hold a partition, in ascending order.
    private(set) var occupied: [Int] = []

    func index(of id: TopicPartition) -> Int? { index[id] }

    func isOccupied(_ place: Int) -> Bool { places.indices.contains(place) && places[place] != nil }

    mutating func insert(_ partition: ShardPartition) -> Int {
        precondition(index[partition.id] == nil, "a partition is opened once")
        let place: Int
        if let reused = free.popLast() {
            place = reused
            places[place] = Seat(partition)
        } else {
            place = places.count
            places.append(Seat(partition))
        }
        index[partition.id] = place
        occupied.insert(place, at: rank(of: place))
        return place
    }

    mutating func remove(at place: Int) {
        guard let seat = places[place] else { return }
        index[seat.partition.id] = nil
        occupied.remove(at: rank(of: place))
        places[place] = nil
        free.append(place)
    }

    /// Where a place is among the occupied ones, or would be.
    private func rank(of place: Int) -> Int {
        var low = 0
        var high = occupied.count
        while low < high {
            let middle = (low + high) / 2
            if occupied[middle] < place { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func seat(_ place: Int) -> Seat {
        guard let seat = places[place] else { preconditionFailure("place \(place) is empty") }
        return seat
    }

    // What loops over all partitions ask: a look into the object. The subscript would copy the
    // whole partition for it, which costs dozens of reference counts, thirty thousand times.

    func isOpen(_ place: Int) -> Bool { seat(place).partition.isOpen }

    /// Whether this broker leads it with others.
    func leadsOthers(_ place: Int) -> Bool { seat(place).partition.machine.state != nil }

    /// Whether it is served within a lease only.
    func needsLease(_ place: Int) -> Bool {
        seat(place).partition.needsLease && seat(place).partition.isOpen
    }

    func followerWake(_ place: Int) -> Instant? { seat(place).partition.followerWake }

    /// Whether its topic has it synced now and then, and something is not synced.
    func wantsIntervalFlush(_ place: Int) -> Bool {
        let seat = seat(place)
        guard seat.partition.configuration.durability == .interval, seat.partition.isOpen else {
            return false
        }
        return seat.partition.log.flushedOffset < seat.partition.log.endOffset
    }

    subscript(place: Int) -> ShardPartition {
        _read { yield seat(place).partition }
        nonmutating _modify { yield &seat(place).partition }
    }
}
