public import Coordination
public import Model
public import NIOCore
import OrderedCollections
import Replication

/// The control half of a broker: which topics there are, who leads, which groups consume.
///
/// Takes requests and the outcomes of its own effects; says what to persist, what to open, what
/// to publish and what to answer. A change is published and answered only after the table holds
/// it durably. Reads no clock and no file; owned by one event loop. Data never passes through it.
public struct Control {
    /// What the shell tells the control machine.
    public enum Input: Sendable {
        /// The table as it was on disk: the first input.
        case start([TableChange])
        case request(token: UInt64, ControlRequest)
        case persisted(UInt64, failure: String?)
        case opened(TopicPartition, failure: String?)
        /// The next records of a slot's log, in order.
        case slotRecords(TopicPartition, [SlotRecord])
        /// A slot's log was read to its end.
        case slotEnd(TopicPartition)
        case appended(UInt64, ProduceResult)
        /// A moment that was asked for has come.
        case wake
    }

    /// What the shell has to do, in order.
    public enum Effect: Sendable {
        /// Write to the table, then say `persisted`.
        case persist(UInt64, [TableChange])
        case open(PartitionOrder)
        case close(TopicPartition)
        case configure(TopicPartition, TopicConfiguration)
        case publish(ClusterView)
        case reply(token: UInt64, ControlReply)
        /// Append a batch to a slot's log with `acks=all`, then say `appended`.
        case append(UInt64, TopicPartition, ByteBuffer)
        /// Read a slot's log, then say `slotRecords` for each piece and `slotEnd`.
        case load(TopicPartition)
        case wake(at: Instant)
        /// Every partition that was in the table is open, or has failed: clients may come.
        case ready(failures: [String])
    }

    /// What stays the same while the process lives.
    public struct Identity: Sendable {
        public let clusterID: String
        public let broker: BrokerEntry
        /// The epoch of every leadership of this broker: raised by each unclean start, because
        /// what was not synced may be gone and consumers have to find that out (KIP-320).
        public let logEpoch: LeaderEpoch
        public let cleanStart: Bool

        public init(
            clusterID: String, broker: BrokerEntry, logEpoch: LeaderEpoch, cleanStart: Bool
        ) {
            self.clusterID = clusterID
            self.broker = broker
            self.logEpoch = logEpoch
            self.cleanStart = cleanStart
        }
    }

    let identity: Identity
    let defaults: TopicDefaultsView
    let offsetsPartitions: Int32
    let groupConfiguration: GroupConfiguration
    var generator: SeededGenerator
    /// All topics that the table holds, by name.
    var topics: OrderedDictionary<String, TopicEntry> = [:]
    /// Names whose change is being written, or whose new partitions are being opened: nobody else
    /// changes them meanwhile.
    var reserved: Set<String> = []
    /// Changes that are being written, by number.
    var changes: [UInt64: PendingChange] = [:]
    /// Topics whose partitions are being opened, by id.
    var openings: [TopicID: PendingOpening] = [:]
    /// Partitions still to be opened before clients may come; nil afterwards.
    var starting: PendingStart?
    var producerIDs = ProducerIDBlock()
    var slots: [SlotState] = []
    /// Requests that came while the topic of the slots was being made.
    var coordinatorWaiters: [UInt64] = []
    /// Which slot an append belongs to.
    var appends: [UInt64: (slot: Int, token: AppendToken)] = [:]
    /// Whom each request to a coordinator belongs to.
    var askers: [UInt64: GroupAsker] = [:]
    var listings: [UInt64: PendingListing] = [:]
    var serial: UInt64 = 0
    var revision: UInt64 = 0
    var announcedWake: Instant?
    var coordinatorEffects: [GroupCoordinator.Effect] = []

    public init(
        identity: Identity, defaults: TopicDefaultsView, offsetsPartitions: Int32,
        groups: GroupConfiguration, generator: SeededGenerator
    ) {
        self.identity = identity
        self.defaults = defaults
        self.offsetsPartitions = offsetsPartitions
        self.groupConfiguration = groups
        self.generator = generator
    }

    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        switch input {
        case .start(let entries): start(entries, into: &effects)
        case .request(let token, let request): serve(request, token, now: now, into: &effects)
        case .persisted(let number, let failure):
            persisted(number, failure: failure, now: now, into: &effects)
        case .opened(let partition, let failure):
            opened(partition, failure: failure, into: &effects)
        case .slotRecords(let partition, let records):
            load(partition, .load(records), now: now, into: &effects)
        case .slotEnd(let partition):
            load(partition, .loaded(epoch: identity.logEpoch), now: now, into: &effects)
        case .appended(let number, let result): appended(number, result, now: now, into: &effects)
        case .wake: wakeCoordinators(now: now, into: &effects)
        }
        announceWake(into: &effects)
    }

    mutating func nextSerial() -> UInt64 {
        serial += 1
        return serial
    }

    private mutating func serve(
        _ request: ControlRequest, _ token: UInt64, now: Now, into effects: inout [Effect]
    ) {
        switch request {
        case .createTopics(let wanted, let validateOnly):
            createTopics(wanted, validateOnly, token, into: &effects)
        case .deleteTopics(let names): deleteTopics(names, token, into: &effects)
        case .createPartitions(let wanted, let validateOnly):
            createPartitions(wanted, validateOnly, token, into: &effects)
        case .alterTopics(let wanted, let validateOnly):
            alterTopics(wanted, validateOnly, token, into: &effects)
        case .producerID: producerID(token, into: &effects)
        case .coordinator(let group):
            coordinator(for: group, token, now: now, into: &effects)
        case .group(let request): group(request, token, now: now, into: &effects)
        case .listGroups(let list): listGroups(list, token, now: now, into: &effects)
        }
    }

    /// The newest picture for every event loop.
    func view() -> ClusterView {
        ClusterView(
            clusterID: identity.clusterID, brokers: [identity.broker],
            controller: identity.broker.id, defaults: defaults, topics: Array(topics.values))
    }

    /// With one broker every partition is placed on it; the epoch says since when.
    var ownLeadership: Leadership {
        let node = identity.broker.id
        return Leadership(
            leader: node, epoch: identity.logEpoch, replicas: [node], inSyncReplicas: [node])
    }

    func entry(name: String, _ record: TopicRecord) -> TopicEntry {
        TopicEntry(
            id: record.id, name: name,
            configuration: TopicConfiguration(
                overrides: record.overrides, broker: defaults.configuration),
            partitions: Array(repeating: ownLeadership, count: Int(record.partitions)))
    }

    func order(_ entry: TopicEntry, _ index: Int32, cleanStart: Bool) -> PartitionOrder {
        PartitionOrder(
            partition: entry.partition(index), configuration: entry.configuration,
            leadership: entry.partitions[Int(index)], cleanStart: cleanStart)
    }
}

/// Producer ids in blocks, so that one durable write serves a thousand producers.
///
/// Ids below the table's value may have been given out by an earlier process and never are again
/// (KAFKA-15552): a restart skips what was left of its block.
struct ProducerIDBlock {
    static let size: Int64 = 1_000
    static let key = "producer-ids"

    var next: Int64 = 0
    /// The first id that is not ours to give; equal to `next` where a block has to be reserved.
    var end: Int64 = 0
    var waiting: [UInt64] = []
    var isReserving = false
}

/// The partitions of the table that are not open yet after a start.
struct PendingStart {
    var remaining: Int
    var failures: [String] = []
}
