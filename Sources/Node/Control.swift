public import Coordination
public import Gossip
public import Model
public import NIOCore
import OrderedCollections
public import Replication

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
        case slotRecords(SlotLoad, [SlotRecord], at: [FeedVersion] = [])
        /// A slot's log was read to its end.
        case slotEnd(SlotLoad)
        case appended(UInt64, ProduceResult)
        /// A shard has let go of a partition of which it was told to.
        case closed(TopicPartition)
        /// A broker asks to be told when this one serves these topics no more.
        case stop([TopicClaim], for: NodeID)
        case stopped([TopicID], by: NodeID)
        /// The leader of a partition, which this broker is, wants this in-sync set decided; made on
        /// top of this state.
        case proposeInSync(InSyncWish)
        /// The shard of a partition that this broker led under that epoch serves it no more.
        case stoodDown(TopicPartition, LeaderEpoch)
        /// Until when this broker may serve what it leads with others; nil where it may not.
        case leased(until: Instant?)
        /// Find out which leaderships of this broker stand, then say `leadershipsConfirmed`.
        case confirmLeaderships(UInt64)
        /// This broker is about to stop: leaderships go to others, then say `handedOver`.
        case handOver
        /// Operators want these partitions of this broker to be led by others.
        case giveWay([LeaderWish])
        /// The mesh has shut a broker out for good, or let one in under its id.
        case forgotten(NodeID), letIn(NodeID)
        /// So many voters have left or are dead that nothing can be decided.
        case votersGone
        /// A leader asks, under that number, that this broker does not campaign against these.
        case recognise(from: NodeID, UInt64, [LeadershipClaim])
        /// Everybody who could lead these in place of this broker has promised not to.
        case standing([Standing])
        /// What a replica's store holds of partitions that nobody may lead otherwise.
        case holdings(ReplicaID, [Holding])
        /// Every few seconds: say how old what was told of committed offsets is.
        case affirmFeeds
        /// A moment that was asked for has come.
        case wake
    }

    /// What the shell has to do, in order.
    public enum Effect: Sendable {
        /// Have these decided, then say `decided`.
        case propose(UInt64, [RegisterProposal])
        case leadershipsConfirmed(UInt64, isComplete: Bool)
        /// Until when the shards may serve what this broker leads with others.
        case lease(until: Instant?)
        /// Nothing is led any more: voters need not honour this broker's lease.
        case releaseLease
        /// Others lead what they could; clients may be sent away.
        case handedOver(HandoverReport)
        /// Ask the leader of these partitions to give way.
        case askToGiveWay(NodeID, [LeaderWish])
        /// Ask a broker to say when it serves these topics no more.
        case askToStop(NodeID, [TopicClaim])
        case tellStopped(NodeID, [TopicID])
        /// Tell a leader what was declined of the claims with that number; the rest is promised.
        case recognised(NodeID, UInt64, ReplicaID, declined: [TopicPartition])
        /// Ask a broker, which may be this one, what its store holds of these.
        case inquire(NodeID, [TopicPartition])
        /// Read these registers, so that the table takes in what it lacks, then say `decided`.
        case read(UInt64, [String])
        /// Write to this broker's own records, then say `persisted`.
        case persist(UInt64, [TableChange])
        case open(PartitionOrder)
        /// What this broker is for an open partition from now on.
        case assume(TopicPartition, PartitionRole)
        /// A proposed in-sync set was not chosen, or nobody knows what became of it.
        case proposalEnded(TopicPartition, serial: UInt64, isUnknown: Bool)
        /// Let go of a partition; `delete` removes its files.
        case close(TopicPartition, delete: Bool)
        case configure(TopicPartition, TopicConfiguration)
        case publish(ClusterView)
        case reply(token: UInt64, ControlReply)
        /// Append a batch to a slot's log with `acks=all`, then say `appended`.
        case append(UInt64, TopicPartition, ByteBuffer)
        /// Read a slot's log, then say `slotRecords` for each piece and `slotEnd`.
        case load(SlotLoad)
        /// Have every broker know of these committed offsets.
        case spread(FeedNews)
        /// Whom to believe what is told of slots.
        case slotEpochs(SlotEpochs?)
        /// The offsets topic with this half of an id is gone, and what was told of its slots.
        case forgetSlots(of: UInt64)
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
        public let holdsPartitions: Bool
        /// When this process began: what an earlier one promised it does not know.
        public let startedAt: Instant

        public init(
            clusterID: String, broker: BrokerEntry, logEpoch: LeaderEpoch, cleanStart: Bool,
            startedAt: Instant, holdsPartitions: Bool = true
        ) {
            self.startedAt = startedAt
            self.clusterID = clusterID
            self.broker = broker
            self.logEpoch = logEpoch
            self.cleanStart = cleanStart
            self.holdsPartitions = holdsPartitions
        }
    }

    let identity: Identity
    let rules: SafetyRules
    let defaults: TopicDefaultsView
    let offsetsPartitions: Int32
    let groupConfiguration: GroupConfiguration
    let replicaConfiguration: ReplicaConfiguration
    var generator: SeededGenerator
    /// All topics that the table holds; views share it.
    var topics = TopicTable()
    /// Which topics have a copy on a broker: what a change of its copies is about.
    var placed: [NodeID: Set<String>] = [:]
    /// The registers of partitions that were written: of topics in the table, or to come.
    var states: [TopicPartition: PartitionState] = [:]
    /// Leaderships of this broker that are known to stand, by the epoch of each.
    var confirmed: [TopicPartition: LeaderEpoch] = [:]
    /// The epochs that this broker gave up, or may have: it leads none of them again.
    var yielded: [TopicPartition: LeaderEpoch] = [:]
    /// Partitions whose shard is to stop serving before this broker agrees to be deposed.
    var yielding: Set<TopicPartition> = []
    /// Leaderships that were given up and are on their way to others.
    var moves: OrderedDictionary<TopicPartition, LeaderMove> = [:]
    var movesAgainAt: Instant?
    /// Set once this broker is about to stop: it leads nothing new any more.
    var handover: Handover?
    /// Partitions that this broker leads and may have to do something about, and when it looks.
    var untended: OrderedSet<TopicPartition> = []
    var tendAt: Instant?
    /// When the first broker that is away counts as gone for partitions that wait for nothing else.
    var goneAt: Instant?
    /// Since when each broker is there, and not doubted; and since when it is not there.
    var presentSince: [NodeID: Instant] = [:], absentSince: [NodeID: Instant] = [:]
    /// Brokers that the mesh has shut out.
    var forgotten: Set<NodeID> = []
    /// What operators asked for and is not elected yet.
    var elections: [PendingElections] = []
    var uncleanElections: OrderedDictionary<TopicPartition, UncleanElection> = [:]
    var electAgainAt: Instant?
    /// Leaderships that the table names and nobody has found to stand yet.
    var unconfirmed: OrderedSet<TopicPartition> = []
    /// How often the lease asked which leaderships stand: what was begun before the last time is
    /// too old to serve by.
    var confirmations: UInt64 = 0
    /// When those are read again whose registers could not be read.
    var confirmAgainAt: Instant?
    /// Partitions for which this broker proposes itself in place of a leader that is doubted.
    var campaigns = CampaignBook()
    /// Those of them whose election is being decided.
    var electing: Set<TopicPartition> = []
    var campaignWake: Instant?
    /// How many leaderships were taken over from whom and not told of yet, and when they are.
    var takeovers: OrderedDictionary<NodeID, Int> = [:]
    var takeoversDue: Instant?
    /// What this broker promised to leaders, by partition.
    var promises: [TopicPartition: CampaignPromise] = [:]
    var promisesLookedAt: Instant?
    /// Partitions that it was elected to lead and serves only when its promises have lapsed.
    var bound: OrderedDictionary<TopicPartition, Instant> = [:]
    var boundWake: Instant?
    /// Until when the others let this broker lead slots.
    var standings: [TopicPartition: Standing] = [:]
    /// In-sync sets that are to be proposed together, and when.
    var wishes: [InSyncWish] = []
    var wishesDue: Instant?
    /// Partitions all of whose electable copies lost something: what their stores hold, as far as
    /// it is known.
    var inquiries: OrderedDictionary<TopicPartition, [StoreAnswer]> = [:]
    var inquireAt: Instant?
    /// Until then this broker may serve what it leads with others.
    var leaseUntil = Instant(nanoseconds: 0)
    /// What the shards were told to be for each partition that this broker holds.
    var roles: [TopicPartition: PartitionRole] = [:]
    /// Names whose change is being written, or whose new partitions are being opened: nobody else
    /// changes them meanwhile.
    var reserved: Set<String> = []
    /// Changes that are being decided or opened, by number.
    var changes: [UInt64: PendingChange] = [:]
    /// Deleted partitions whose erasure is being written, by number.
    var erasures: [UInt64: [TopicPartition]] = [:]
    /// Those whose erasure could not be written, and when it is tried again.
    var unerased: (topics: [[TopicPartition]], at: Instant)?
    /// Partitions of deleted topics that the shards were not heard to have let go of, by topic.
    var closing: [TopicID: Set<TopicPartition>] = [:]
    /// Topics that are being deleted, by name, as they were.
    var deletions: [String: TopicEntry] = [:]
    /// Deletions that this broker brings to their end.
    var stops: OrderedDictionary<TopicID, TopicStop> = [:]
    /// Who wants to hear that this broker serves a topic no more.
    var stopAskers: [TopicID: Set<NodeID>] = [:]
    /// Moves that are asked for again, because their partitions changed in the middle.
    var reassignments: [ReassignmentRound] = []
    /// Topics that went of late, oldest first.
    var lately: OrderedSet<TopicID> = []
    /// Registers of such topics that this broker buries, unless another one has by then.
    var unburied: OrderedDictionary<TopicPartition, Instant> = [:]
    var burialsDue: Instant?
    /// When deletions are looked at that nobody brought to their end.
    var orphansAt: Instant?
    /// Requests that wait for a read of registers.
    var lookups = Lookups()
    /// What is known of the brokers, this one first.
    var members: [BrokerMember]
    /// The copies of each broker that was ever there: one that is away is what it was.
    var copies: [NodeID: ReplicaID]
    /// Topics some of whose partitions are being opened here, by id.
    var openings: [TopicID: PendingOpening] = [:]
    /// Partitions still to be opened before clients may come; nil afterwards.
    var starting: PendingStart?
    var producerIDs = ProducerIDBlock()
    var slots: [SlotState] = []
    /// Requests that came while the topic of the slots was being made.
    var coordinatorWaiters: [(token: UInt64, groups: [String])] = []
    /// Which slot an append belongs to.
    var appends: [UInt64: (slot: Int, token: AppendToken, records: [SlotRecord])] = [:]
    /// Recoveries of slots, by number, and which one an append belongs to; looked up only.
    var recoveries: [UInt64: PendingRecovery] = [:]
    var recoveryAppends: [UInt64: UInt64] = [:]
    /// Whom each request to a coordinator belongs to.
    var askers: [UInt64: GroupAsker] = [:]
    var listings: [UInt64: PendingListing] = [:]
    var serial: UInt64 = 0
    var revision: UInt64 = 0
    var announcedWake: Instant?
    var coordinatorEffects: [GroupCoordinator.Effect] = []

    public init(
        identity: Identity, defaults: TopicDefaultsView, offsetsPartitions: Int32,
        groups: GroupConfiguration, replicas: ReplicaConfiguration = ReplicaConfiguration(),
        generator: SeededGenerator
    ) {
        self.init(
            identity: identity, defaults: defaults, offsetsPartitions: offsetsPartitions,
            groups: groups, replicas: replicas, generator: generator, rules: SafetyRules())
    }

    package init(
        identity: Identity, defaults: TopicDefaultsView, offsetsPartitions: Int32,
        groups: GroupConfiguration, replicas: ReplicaConfiguration = ReplicaConfiguration(),
        generator: SeededGenerator, rules: SafetyRules
    ) {
        self.rules = rules
        self.identity = identity
        self.defaults = defaults
        self.offsetsPartitions = offsetsPartitions
        self.groupConfiguration = groups
        self.replicaConfiguration = replicas
        self.generator = generator
        self.members = [
            BrokerMember(
                entry: identity.broker, epoch: identity.logEpoch,
                holdsPartitions: identity.holdsPartitions)
        ]
        self.copies = [identity.broker.id: self.members[0].replica]
    }

    public mutating func handle(_ input: Input, now: Now, into effects: inout [Effect]) {
        switch input {
        case .start(let values): start(values, into: &effects)
        case .learned(let values): learn(values, now: now, into: &effects)
        case .decided(let number, let decisions):
            decided(number, decisions, now: now, into: &effects)
        case .members(let members): follow(members, now: now, into: &effects)
        case .request(let token, let request): serve(request, token, now: now, into: &effects)
        case .persisted(let number, let failure):
            persisted(number, failure: failure, now: now, into: &effects)
        case .opened(let partition, let failure):
            opened(partition, failure: failure, now: now, into: &effects)
        case .slotRecords(let load, let records, let versions):
            self.load(load, .load(records), now: now, into: &effects)
            note(loaded: records, at: versions, by: load)
        case .slotEnd(let load):
            let epoch = slotEpoch(load.partition)
            self.load(load, .loaded(epoch: epoch), now: now, into: &effects)
            spreadLoaded(by: load, now: now, into: &effects)
        case .closed(let partition): closed(partition, now: now, into: &effects)
        case .stop(let claims, let node): stop(claims, for: node, into: &effects)
        case .stopped(let topics, let node):
            hear(stopped: topics, by: node, now: now, into: &effects)
        case .appended(let number, let result): appended(number, result, now: now, into: &effects)
        case .proposeInSync(let wish): gather(wish, now: now, into: &effects)
        case .stoodDown(let partition, let epoch):
            stoodDown(partition, epoch, now: now, into: &effects)
        case .handOver: beginHandover(now: now, into: &effects)
        case .giveWay(let wishes): giveWay(wishes, now: now, into: &effects)
        case .forgotten(let node): forget(node, now: now)
        case .letIn(let node): letIn(node, now: now)
        case .votersGone: abandonHandover(now: now, into: &effects)
        case .leased(let until):
            leaseUntil = until ?? Instant(nanoseconds: 0)
            effects.append(.lease(until: until))
        case .confirmLeaderships(let serial): readTopics(serial, into: &effects)
        case .recognise(let leader, let serial, let claims):
            hear(claims: claims, serial, of: leader, now: now, into: &effects)
        case .standing(let standings): noteStanding(standings)
        case .holdings(let copy, let holdings):
            hear(holdings, of: copy, now: now, into: &effects)
        case .affirmFeeds: affirmFeeds(now: now, into: &effects)
        case .wake:
            announcedWake = nil
            wakeCoordinators(now: now, into: &effects)
            campaign(now: now, into: &effects)
            serveUnbound(now: now, into: &effects)
            proposeWishes(now: now, into: &effects)
            inquire(now: now, into: &effects)
            proposeMovesAgain(now: now, into: &effects)
            lookAtHandover(now: now, into: &effects)
            tend(now: now, into: &effects)
            wakeElections(now: now, into: &effects)
            lookAtStops(now: now, into: &effects)
            tellTakeovers(now: now, into: &effects)
            buryOverdue(now: now, into: &effects)
            reassignAgain(now: now, into: &effects)
            eraseAgain(now: now, into: &effects)
        }
        confirmNews(now: now, into: &effects)
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
        case .deleteTopics(let names, let ids):
            deleteTopics(names, ids, token, now: now, into: &effects)
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
        case .recoverOffsets(let slot, let records, let force):
            recover(slot: slot, records, force: force, token, now: now, into: &effects)
        case .electLeaders(let election):
            electLeaders(election, token, now: now, into: &effects)
        case .reassign(let wishes, let allowsFactorChange):
            reassign(
                wishes, allowsFactorChange: allowsFactorChange, token, now: now, into: &effects)
        }
    }

    /// The newest picture for every event loop.
    func view() -> ClusterView {
        ClusterView(
            clusterID: identity.clusterID, brokers: members.map(\.entry),
            controller: identity.broker.id, defaults: defaults, sharing: topics,
            doubted: Set(members.lazy.filter(\.isDoubted).map(\.entry.id)))
    }
}
