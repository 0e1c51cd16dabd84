public import Coordination
public import Model
public import NIOCore
import Replication

/// The control half of a broker: which topics there are, who leads, which groups consume.
///
/// Takes requests, values that were chosen anywhere in the mesh, and the outcomes of its own
/// effects; says what to propose, what to open, what to publish and what to answer. It changes its
/// picture only by chosen values, whoever proposed them. Reads no clock and no file; owned by one
/// event loop. Data never passes through it.
public struct Control {
    /// What the shell tells the control machine.
    public enum Input: Sendable {
        /// The table of chosen values as it was on disk: the first input.
        case start([ChosenValue])
        case request(token: UInt64, ControlRequest)
        /// Values that the table took in, in order.
        case learned([ChosenValue])
        /// What became of proposals, in their order; said after what was chosen was `learned`.
        case decided(UInt64, [Decision])
        /// All brokers that are not gone, this one too.
        case members([BrokerMember])
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
        /// Have these decided, then say `decided`.
        case propose(UInt64, [RegisterProposal])
        /// Read these registers, so that the table takes in what it lacks, then say `decided`.
        case read(UInt64, [String])
        /// Write to this broker's own records, then say `persisted`.
        case persist(UInt64, [TableChange])
        case open(PartitionOrder)
        /// Let go of a partition; `delete` removes its files.
        case close(TopicPartition, delete: Bool)
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
        /// Something that an operator should know.
        case notice(String)
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
    /// All topics that the table holds; views share it.
    var topics = TopicTable()
    /// Which topics have partitions that a broker leads: what a change of its epoch is about.
    var led: [NodeID: Set<String>] = [:]
    /// Names whose change is being written, or whose new partitions are being opened: nobody else
    /// changes them meanwhile.
    var reserved: Set<String> = []
    /// Changes that are being decided or opened, by number.
    var changes: [UInt64: PendingChange] = [:]
    /// Deleted partitions whose erasure is being written, by number.
    var erasures: [UInt64: [TopicPartition]] = [:]
    /// Requests that wait for a read of registers.
    var lookups = Lookups()
    /// What is known of the brokers, this one first.
    var members: [BrokerMember]
    /// Since when each of them leads what it leads.
    var epochs: [NodeID: LeaderEpoch]
    /// Topics some of whose partitions are being opened here, by id.
    var openings: [TopicID: PendingOpening] = [:]
    /// Partitions still to be opened before clients may come; nil afterwards.
    var starting: PendingStart?
    var producerIDs = ProducerIDBlock()
    var slots: [SlotState] = []
    /// Requests that came while the topic of the slots was being made.
    var coordinatorWaiters: [(token: UInt64, groups: [String])] = []
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
        self.members = [BrokerMember(entry: identity.broker, epoch: identity.logEpoch)]
        self.epochs = [identity.broker.id: identity.logEpoch]
    }

    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        switch input {
        case .start(let values): start(values, into: &effects)
        case .learned(let values): learn(values, now: now, into: &effects)
        case .decided(let number, let decisions):
            decided(number, decisions, now: now, into: &effects)
        case .members(let members): follow(members, into: &effects)
        case .request(let token, let request): serve(request, token, now: now, into: &effects)
        case .persisted(let number, let failure):
            persisted(number, failure: failure, into: &effects)
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
        case .lookUp(let names): lookUp(names, token, into: &effects)
        case .coordinators(let groups):
            coordinators(of: groups, token, into: &effects)
        case .group(let request): group(request, token, now: now, into: &effects)
        case .listGroups(let list): listGroups(list, token, now: now, into: &effects)
        }
    }

    /// The newest picture for every event loop.
    func view() -> ClusterView {
        ClusterView(
            clusterID: identity.clusterID, brokers: members.map(\.entry),
            controller: identity.broker.id, defaults: defaults, sharing: topics)
    }

    /// Until replicas exist a partition has one copy, whose broker leads it; the epoch says since
    /// when, and rises with each unclean start of that broker.
    func leadership(_ replicas: [NodeID]) -> Leadership {
        let leader = replicas.first ?? identity.broker.id
        return Leadership(
            leader: leader, epoch: epochs[leader] ?? LeaderEpoch(0), replicas: replicas,
            inSyncReplicas: [leader])
    }

    func entry(name: String, _ record: TopicRecord) -> TopicEntry {
        TopicEntry(
            id: record.id, name: name,
            configuration: TopicConfiguration(
                overrides: record.overrides, broker: defaults.configuration),
            partitions: leaderships(record.placement))
    }

    private func leaderships(_ placement: [[NodeID]]) -> [Leadership] {
        var leaderships: [Leadership] = []
        leaderships.reserveCapacity(placement.count)
        for replicas in placement {
            // Neighbours mostly have the same placement.
            let last = leaderships.last
            if let last, last.replicas == replicas {
                leaderships.append(last)
            } else {
                leaderships.append(leadership(replicas))
            }
        }
        return leaderships
    }

    /// Puts a topic in the place of the one with its name, which is returned.
    @discardableResult
    mutating func put(_ next: TopicEntry) -> TopicEntry? {
        let old = topics[next.name]
        topics.set(next)
        if let old {
            guard !next.hasSameLeaders(as: old) else { return old }
            forgetLeaders(of: old)
        }
        for leader in next.leaders { led[leader, default: []].insert(next.name) }
        return old
    }

    /// Takes a topic out and returns it.
    mutating func take(_ name: String) -> TopicEntry? {
        guard let old = topics.remove(name) else { return nil }
        forgetLeaders(of: old)
        return old
    }

    private mutating func forgetLeaders(of topic: TopicEntry) {
        for leader in topic.leaders { led[leader]?.remove(topic.name) }
    }

    /// Since when a broker leads has changed: its partitions are given the new epoch, and no
    /// other's. Costs the topics that it has partitions of.
    mutating func refreshLeaderships(of broker: NodeID) {
        for name in (led[broker] ?? []).sorted() {
            guard let topic = topics[name] else { continue }
            var partitions = topic.partitions
            for index in partitions.indices where partitions[index].leader == broker {
                let last = index > 0 ? partitions[index - 1] : nil
                let replicas = partitions[index].replicas
                partitions[index] =
                    last.map { $0.replicas == replicas } == true
                    ? partitions[index - 1] : leadership(replicas)
            }
            topics.set(
                TopicEntry(
                    id: topic.id, name: name, configuration: topic.configuration,
                    partitions: partitions))
        }
    }

    /// Whether this broker leads a partition of a topic.
    func isOwn(_ entry: TopicEntry, _ index: Int32) -> Bool {
        entry.leadership(index)?.leader == identity.broker.id
    }

    func order(_ entry: TopicEntry, _ index: Int32, cleanStart: Bool) -> PartitionOrder {
        PartitionOrder(
            partition: entry.partition(index), configuration: entry.configuration,
            leadership: entry.partitions[Int(index)], cleanStart: cleanStart)
    }
}
