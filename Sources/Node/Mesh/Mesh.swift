public import Gossip
public import Model
public import NIOCore
public import OrderedCollections
public import Paxos
public import Replication

/// A broker's part in the mesh: gossip spreads, Paxos decides, and admissions say who belongs.
///
/// The composition of the gossip machine, the proposer and, where this broker votes, the acceptor:
/// what one says is another's input, and only what needs the outside comes out as an effect. Pure;
/// owned by the control loop. Its invariants:
///
/// - only chosen values enter the table, and they are `learned` before their proposal is `decided`;
/// - a broker that is not in the roster never answers a Paxos request;
/// - nobody is admitted without a decision.
public struct Mesh {
    /// What happened outside, or what somebody decided.
    public enum Input: Sendable {
        /// What the disk remembers; the first input.
        case start(MeshMemory)
        case wake
        case datagram(from: NodeID, ByteBuffer)
        case message(from: NodeID, MeshMessageKind, ByteBuffer)
        case linkOpened(LinkUp)
        case linkFailed(NodeID, LinkFailure)
        case seedFailed(MeshAddress, LinkFailure)
        case join(token: UInt64, JoinClaim)
        /// From the control machine.
        case propose(UInt64, [RegisterProposal])
        case read(UInt64, [String])
        /// From an operator.
        case decide(token: UInt64, RegisterProposal)
        case changeVoters(token: UInt64, VoterChange)
        case registersPersisted(serial: UInt64, isDurable: Bool)
        /// The table of the acceptor's records has no room for them: nothing was written.
        case registersRefused(serial: UInt64)
        case describe(SelfDescription)
        case leave
        case forceLeave(NodeID)
        /// Sends a rumour that every broker notes the passing of.
        case trace(UInt64)
        case slowDisk
        /// News of a feed that this broker owns.
        case spread(FeedNews)
        /// What the registers say of the offsets topic.
        case slotEpochs(SlotEpochs?)
        /// Have every member send all that it has of every feed.
        case pullFeeds
        /// Say `persistFeeds` for those that changed.
        case saveFeeds(all: Bool)
        /// The offsets topic with this half of an id is gone.
        case forgetSlots(of: UInt64)
        /// A lease is asked for, granted or given back.
        case lease(from: NodeID, ReplicationMessage)
        case leadershipsConfirmed(UInt64, isComplete: Bool)
        /// This broker serves nothing any more that others may lead.
        case releaseLease
    }

    /// What the shell, or the control machine, has to do; in order.
    public enum Effect: Sendable {
        case sendDatagram(to: NodeID, ByteBuffer)
        /// Over the link with the peer, which is opened where there is none.
        case send(to: NodeID, MeshMessageKind, ByteBuffer)
        case connect(NodeID, [MeshAddress])
        case contactSeeds([MeshAddress])
        /// Only the last one asked for counts.
        case wake(at: Instant)
        /// Write to the acceptor's records with one fsync, then say `registersPersisted`.
        case persistRegisters(serial: UInt64, [TableChange])
        /// Write to the table of chosen values; nobody waits for it.
        case persistChosen([TableChange])
        case replicate(to: NodeID, ReplicationMessage)
        /// Write these copies of feeds, each in place of the last; nobody waits for it.
        case persistFeeds([(name: String, ByteBuffer)])
        case removeFeed(name: String)
        /// Until when this broker may serve what it leads; nil where it may not.
        case leased(until: Instant?)
        /// Have every leadership of this broker read anew, then say `leadershipsConfirmed`.
        case confirmLeaderships(UInt64)
        /// Write to this broker's own records; nobody waits for it.
        case persistOwn([TableChange])
        /// The table as the control machine starts from it; said once.
        case loaded([ChosenValue])
        case learned([ChosenValue])
        case decided(UInt64, [Decision])
        case members([BrokerMember])
        /// Whom links and datagrams are to be trusted from: said for each admission that is news.
        case admitted(AdmissionRecord)
        /// News of a member: where it is, and its life, so that older ones are refused.
        case heard(MemberSnapshot)
        /// Close the member's links and drop its keys at once.
        case forget(NodeID)
        case joinAnswer(token: UInt64, JoinAnswer)
        case answer(token: UInt64, Decision)
        case votersAnswer(token: UInt64, VoterChangeAnswer)
        case left
        case event(MeshEvent)
    }

    /// What stays the same while the process lives.
    public struct Identity: Sendable {
        public let clusterID: String
        public let node: NodeID
        public let boot: BootEpoch
        public let store: StoreID
        public let key: PublicKey
        /// Whether this broker began the cluster: it votes first.
        public let isFounder: Bool
        /// This broker as clients know it.
        public let member: BrokerMember
        public let voters: VoterSettings

        public init(
            clusterID: String, node: NodeID, boot: BootEpoch, store: StoreID, key: PublicKey,
            isFounder: Bool, member: BrokerMember, voters: VoterSettings = VoterSettings()
        ) {
            self.clusterID = clusterID
            self.node = node
            self.boot = boot
            self.store = store
            self.key = key
            self.isFounder = isFounder
            self.member = member
            self.voters = voters
        }
    }

    let identity: Identity
    let rules: SafetyRules
    /// By what this process is told apart, in ballots and operations, from all that ever were under
    /// its node id: its boot, and above it the admission, because boots begin anew with each disk.
    var life: BootEpoch
    let seeds: (proposer: UInt64, driver: UInt64)
    public internal(set) var gossip: GossipMachine
    public internal(set) var proposer: Proposer
    public internal(set) var acceptor: Acceptor?
    public internal(set) var driver: RosterDriver
    public internal(set) var sweeper: Sweeper
    var sweep = SweepWatch()
    var watch: RosterWatch
    /// What this broker is for, as it tells the others.
    var ownRoles: MemberRoles
    public internal(set) var leaseHolder: LeaseHolder
    var leaseBook: LeaseBook
    /// The generation of the acceptor's roster when leases last heard of it.
    var votingGeneration = RosterGeneration.none
    /// Of the roster whose voters grant this broker's lease.
    var leaseGeneration = RosterGeneration.none
    var now = Instant(nanoseconds: 0)
    var out: [Effect] = []
    /// The roster and all admissions: what a newcomer is given, by key.
    var charter: OrderedDictionary<String, ChosenValue> = [:]
    public internal(set) var admissions: OrderedDictionary<NodeID, AdmissionRecord> = [:]
    /// The other members as gossip last described them.
    public internal(set) var peers: OrderedDictionary<NodeID, MemberSnapshot> = [:]
    var peersChanged = false
    /// What waits for the proposer, by token.
    var errands: OrderedDictionary<UInt64, Errand> = [:]
    var serial: UInt64 = 0
    /// The versions of what is written to disk.
    var version: UInt64 = 0
    /// What the disk has of each member.
    var persisted: OrderedDictionary<NodeID, PersistedMember> = [:]
    /// The table as it was on disk, until the control machine is told of it.
    var remembered: [ChosenValue] = []
    /// Values that came before the control machine was told of the table; nil afterwards.
    var early: [ChosenValue]? = []
    public internal(set) var isIsolated = false
    var gossipWake: Instant?
    var proposerWake: Instant?
    var driverWake: Instant?
    var leaseWake: Instant?
    var sweeperWake: Instant?
    var announcedWake: Instant?

    /// Throws where the description is too long for a self-record.
    public init(
        identity: Identity, description: SelfDescription, configuration: GossipConfiguration,
        signer: any RecordSigner, seed: UInt64
    ) throws(GossipDecodeError) {
        try self.init(
            identity: identity, description: description, configuration: configuration,
            signer: signer, seed: seed, rules: SafetyRules())
    }

    package init(
        identity: Identity, description: SelfDescription, configuration: GossipConfiguration,
        signer: any RecordSigner, seed: UInt64, rules: SafetyRules
    ) throws(GossipDecodeError) {
        var configuration = configuration
        configuration.rules = rules.gossip
        self.rules = rules
        var generator = SeededGenerator(seed: seed)
        self.identity = identity
        watch = RosterWatch(policy: VoterPolicy(settings: identity.voters))
        ownRoles = description.roles
        gossip = try GossipMachine(
            configuration: configuration,
            identity: GossipIdentity(
                node: identity.node, boot: identity.boot, description: description),
            signer: signer, generator: SeededGenerator(seed: generator.next()))
        life = identity.boot
        seeds = (generator.next(), generator.next())
        proposer = Proposer(
            node: identity.node, boot: life, roster: nil, seed: seeds.proposer,
            configuration: Proposer.Configuration(), rules: rules.registers)
        driver = RosterDriver(
            node: identity.node, boot: life, seed: seeds.driver,
            configuration: RosterDriver.Configuration(), rules: rules.registers)
        sweeper = Sweeper(
            node: identity.node, seed: generator.next(), configuration: Sweeper.Configuration(),
            rules: rules.registers)
        leaseHolder = LeaseHolder(rules: rules.replication)
        leaseBook = LeaseBook(
            life: identity.boot, startedAt: Instant(nanoseconds: 0), rules: rules.replication)
    }

    /// Which key and store a node id is bound to; nil where it was never given.
    public func admission(of node: NodeID) -> AdmissionRecord? { admissions[node] }

    /// By which this broker is known.
    public var publicKey: PublicKey { identity.key }

    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        self.now = now
        swap(&out, &effects)
        serve(input)
        publishPeers()
        announceWake()
        swap(&out, &effects)
    }

    private mutating func serve(_ input: Input) {
        switch input {
        case .start(let memory): start(memory)
        case .wake:
            announcedWake = nil
            reportVoters()
            drive(gossip: .wake)
            drive(proposer: .wake)
            drive(driver: .wake)
            drive(lease: .wake)
            drive(sweeper: .wake)
            lookAtRoster()
            lookAtTombstones()
        case .datagram(let from, let bytes): drive(gossip: .datagram(from: from, bytes))
        case .message(let from, let kind, let bytes): receive(bytes, kind, from: from)
        case .linkOpened(let link):
            drive(gossip: .linkOpened(link))
            drive(proposer: .reachable(link.peer))
        case .linkFailed(let node, let failure):
            drive(gossip: .linkFailed(node, failure))
            drive(proposer: .unreachable(node))
        case .seedFailed(let seed, let failure): drive(gossip: .seedFailed(seed, failure))
        case .join(let token, let claim): join(token, claim)
        case .propose(let number, let proposals): propose(.control(number, proposals), proposals)
        case .read(let number, let keys): read(.lookUp(number, keys, withFloor: false), keys)
        case .decide(let token, let proposal):
            propose(.operatorWish(token, proposal), [proposal])
        case .changeVoters(let token, let change): changeVoters(token, change)
        case .registersPersisted(let serial, let isDurable):
            drive(acceptor: isDurable ? .persisted(serial: serial) : .persistFailed(serial: serial))
        case .registersRefused(let serial): drive(acceptor: .persistRefused(serial: serial))
        case .describe(let description):
            ownRoles = description.roles
            drive(gossip: .describe(description))
        case .leave: drive(gossip: .leave)
        case .forceLeave(let node): drive(gossip: .forceLeave(node))
        case .trace(let id): drive(gossip: .trace(id: id))
        case .slowDisk: drive(gossip: .slowDisk)
        case .spread(let news): drive(gossip: .publish(news))
        case .slotEpochs(let epochs): drive(gossip: .slotEpochs(epochs))
        case .pullFeeds: drive(gossip: .pullFeeds)
        case .saveFeeds(let all): drive(gossip: .saveFeeds(all: all))
        case .forgetSlots(let topic): drive(gossip: .forgetSlots(of: topic))
        case .lease(let from, let message): hear(lease: message, from: from)
        case .leadershipsConfirmed(let serial, let isComplete):
            drive(lease: isComplete ? .confirmed(serial) : .confirmationFailed(serial))
        case .releaseLease: drive(lease: .release)
        }
    }

    mutating func nextSerial() -> UInt64 {
        serial += 1
        return serial
    }

    mutating func nextVersion() -> UInt64 {
        version += 1
        return version
    }

    private mutating func announceWake() {
        let next = [gossipWake, proposerWake, driverWake, leaseWake, sweeperWake].compactMap { $0 }
            .min()
        guard let next, next != announcedWake else { return }
        announcedWake = next
        out.append(.wake(at: next))
    }

    private mutating func receive(_ bytes: ByteBuffer, _ kind: MeshMessageKind, from: NodeID) {
        var body = bytes
        switch kind {
        case .gossip: drive(gossip: .message(from: from, bytes))
        case .paxosRequest:
            guard let id: UInt64 = body.readInteger(),
                let request = try? PaxosRequest(decoding: body)
            else { return out.append(.event(.malformed(from: from, kind))) }
            guard mayAsk(request.body, from) else {
                return out.append(.event(.outOfTurn(from: from)))
            }
            drive(acceptor: .request(from: from, requestID: id, request))
        case .paxosReply:
            guard let id: UInt64 = body.readInteger(), let reply = try? PaxosReply(decoding: body)
            else { return out.append(.event(.malformed(from: from, kind))) }
            hear(reply, id, from: from)
        case .join, .joinAnswer, .inspect, .inspectAnswer, .form, .replication:
            // The shell's: none of them comes here.
            return
        }
    }
}

/// What the disk remembers of the mesh.
public struct MeshMemory: Sendable {
    public var members: [PersistedMember]
    public var chosen: [ChosenValue]
    /// The acceptor's log; empty where this broker never voted.
    public var acceptorLog: [AcceptorRecord]
    /// First values of registers, from the table of a broker that was alone until now.
    public var imports: [RegisterProposal]
    /// The highest version in any of the files.
    public var version: UInt64
    /// Copies of feeds, as `persistFeeds` gave them away.
    public var feeds: [ByteBuffer] = []

    public init(
        members: [PersistedMember] = [], chosen: [ChosenValue] = [],
        acceptorLog: [AcceptorRecord] = [], imports: [RegisterProposal] = [], version: UInt64 = 0
    ) {
        self.members = members
        self.chosen = chosen
        self.acceptorLog = acceptorLog
        self.imports = imports
        self.version = version
    }
}

/// Something that an operator may want to see; the shell keeps the last of them.
public enum MeshEvent: Sendable {
    case gossip(GossipEvent)
    case alarm(GossipAlarm)
    case isolated(Bool)
    case acceptorHalted(Acceptor.HaltReason)
    case malformed(from: NodeID, MeshMessageKind)
    /// A member that does not vote wanted to change what only a change of the roster may.
    case outOfTurn(from: NodeID)
    /// The first start waits for these registers to be decided.
    case beginningDelayed([String])
    case rosterLearned(Roster)
    /// How far a change of who votes has come, and what became of it.
    case rosterProgress(RosterProgress)
    case rosterChanged(RosterOutcome)
}
