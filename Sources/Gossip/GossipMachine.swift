public import Model
internal import NIOCore
internal import OrderedCollections

/// Membership and dissemination: SWIM with Lifeguard, rumours, and digests as the safety net.
///
/// Finds out who is there, spreads what was chosen, and decides nothing: "dead" is a hint, and a
/// table holds only values that Paxos chose. Pure: inputs become effects, signatures come from
/// `RecordSigner`, chance from the generator. Owned by the control machine of a broker. Its
/// invariants:
///
/// - a member is known by its admission in the table, never by introduction;
/// - what is believed of a member only grows: (boot, incarnation, alive < suspect < dead or left),
///   where a higher incarnation outranks even "dead", unlike in SWIM 4.2, so that a member returns
///   from a partition by itself (memberlist does the same);
/// - an entry of the table only grows by ballot.
///
/// A packet costs what is in it; nothing is proportional to the size of the mesh but a removal
/// from the rounds and the descent of an exchange.
public struct GossipMachine: Sendable {
    public typealias Input = GossipInput
    public typealias Effect = GossipEffect

    let configuration: GossipConfiguration
    let node: NodeID
    let signer: any RecordSigner
    var generator: SeededGenerator
    var now = Instant(nanoseconds: 0)
    /// Collects while an input is handled; swapped with the caller's, so nothing is copied.
    var out: [Effect] = []

    // MARK: Members

    /// What this member says of itself.
    var record: SelfRecord
    var ownAdmission: AdmissionRecord?
    var members = MemberTable()
    var memberTree = DigestTree()
    var ownFingerprint: UInt64 = 0
    var presentCount = 0
    var suspectCount = 0
    var deadCount = 0
    /// Records of members whose admission did not arrive yet.
    var waitingRecords: OrderedDictionary<NodeID, SelfRecord> = [:]
    var membersChanged = false

    // MARK: Detection

    var probeRound = ShuffledRound()
    var gossipRound = ShuffledRound()
    var digestRound = ShuffledRound()
    var deadRound = ShuffledRound()
    var probe: Probe?
    /// The probe of the period before, where it was given more time.
    var overtime: Probe?
    /// One bit for each of the last probes by datagram: whether it was answered, but not directly.
    var helpedProbes: UInt16 = 0
    var probeDue: Instant?
    var relays: OrderedDictionary<UInt64, Relay> = [:]
    /// Lifeguard's local health multiplier: 0 is well, 8 the worst.
    var health = 0
    var suspicionTokens = Double(GossipLimits.suspicionBurst)
    var suspicionTokensAt = Instant(nanoseconds: 0)
    var lastMajority: Instant?
    var isIsolated = false
    var leftAt: Instant?
    var farewell: Farewell?

    // MARK: Dissemination

    var memberRumours = RumourQueue(capacity: GossipLimits.memberRumours)
    var tableRumours = RumourQueue(capacity: GossipLimits.tableRumours)
    var feedRumours = RumourQueue(capacity: GossipLimits.feedRumours)
    var gossipDue: Instant?
    var pushTokens = Double(GossipLimits.pushBurst)
    var pushTokensAt = Instant(nanoseconds: 0)
    var seenTraces: OrderedDictionary<UInt64, UInt8> = [:]

    // MARK: Table

    var table = GossipTable()
    var floor = Ballot.zero
    var applied: [ChosenValue] = []
    var confirming: OrderedDictionary<String, Instant> = [:]
    var toConfirm: [String] = []
    var wants = WantQueue()
    var wantsDue: Instant?

    // MARK: Feeds

    var feeds = FeedTable()
    /// What is believed of slots; nil where nothing is known.
    var slotEpochs: SlotEpochs?
    /// The offsets topic that was deleted last: peers that have not heard of it tell of its slots.
    var goneTopic: UInt64?
    /// Feeds of which somebody has a later state.
    var wantedFeeds: OrderedSet<FeedID> = []
    /// Own feeds whose changes were not told by datagram, and feeds whose mark is to be told.
    var owedMarks: OrderedSet<FeedID> = []
    var feedsDue: Instant?
    var feedTokens = Double(GossipLimits.feedChangeBurst)
    var feedTokensAt = Instant(nanoseconds: 0)
    /// Where the next writing of copies goes on.
    var nextSaved = 0

    // MARK: Links

    var seeds: [SeedState]
    var seedsDue: Instant?
    var seedBackoff = GossipLimits.seedBackoffMilliseconds.lowerBound
    var antiEntropyDue: Instant?
    var deadDue: Instant?
    var descentTokens = Double(GossipLimits.descentsPerSecond)
    var descentTokensAt = Instant(nanoseconds: 0)

    var timers = Timers()
    var stall = Stall()
    var announcedWake: Instant?
    var isStarted = false
    public internal(set) var counters = GossipCounters()

    /// A machine that waits for `start`; throws where the description does not fit a self-record.
    public init(
        configuration: GossipConfiguration, identity: GossipIdentity, signer: any RecordSigner,
        generator: SeededGenerator
    ) throws(GossipDecodeError) {
        let life = MemberLife(boot: identity.boot, incarnation: Incarnation(0))
        guard
            let record = SelfRecord(
                node: identity.node, life: life, isLeaving: false,
                description: identity.description, signer: signer)
        else { throw .overLimit }
        self.configuration = configuration
        self.signer = signer
        self.generator = generator
        self.record = record
        node = identity.node
        seeds = configuration.seeds.map { SeedState(address: $0) }
        memberRumours.replaces = configuration.rules.replacesRumours
        tableRumours.replaces = configuration.rules.replacesRumours
        feedRumours.replaces = configuration.rules.replacesRumours
    }

    var rules: GossipRules { configuration.rules }
    var profile: GossipProfile { configuration.profile }

    /// Handles one input at `now`, which never goes back, and then whatever is due.
    public mutating func handle(_ input: Input, now: Instant, into effects: inout [Effect]) {
        self.now = max(now, self.now)
        swap(&effects, &out)
        accept(input)
        while let due = timers.popDue(self.now) { fire(due.kind) }
        flush()
        swap(&effects, &out)
    }

    private mutating func accept(_ input: Input) {
        switch input {
        case .start(let members, let table): start(members, table)
        case .wake: break
        case .datagram(let from, let bytes): receive(bytes, from: from, overLink: false)
        case .message(let from, let bytes): receiveMessage(bytes, from: from)
        case .linkOpened(let link): opened(link)
        case .linkFailed(let peer, let failure): failed(peer, failure)
        case .seedFailed: break
        case .chosen(let values): adopt(chosen: values)
        case .push(let values, let peer): push(values, to: peer)
        case .confirmed(let key, let value): confirmed(key, value)
        case .setFloor(let floor): raise(to: floor)
        case .restoreFeeds(let copies): restore(copies)
        case .publish(let news): publish(news)
        case .slotEpochs(let epochs): follow(epochs)
        case .pullFeeds: pullEverything()
        case .saveFeeds(let all): saveFeeds(all: all)
        case .forgetSlots(let topic):
            goneTopic = topic
            forgetSlots(of: topic)
        case .describe(let description): describe(description)
        case .leave: leave()
        case .forceLeave(let node): forceOut(node)
        case .slowDisk: changeHealth(by: 1)
        case .voterAnswers(let instant):
            lastMajority = max(instant, lastMajority ?? instant)
            weighIsolation()
        case .trace(let id): trace(TraceMark(id: id, origin: node, hop: 0), from: nil)
        }
    }

    mutating func perform(_ timer: TimerKind) {
        switch timer {
        case .probe: if let due = probeDue, due <= now { nextProbe() }
        case .probeTimeout(let id): probeTimedOut(id)
        case .gossip: if let due = gossipDue, due <= now { gossipTick() }
        case .antiEntropy: if let due = antiEntropyDue, due <= now { compareDigests() }
        case .seeds: if let due = seedsDue, due <= now { contactSeeds() }
        case .deadContact: if let due = deadDue, due <= now { contactDead() }
        case .relayNack(let id): refuse(relay: id)
        case .relayEnd(let id): relays.removeValue(forKey: id)
        case .suspicion(let node): suspicionEnded(node)
        case .feeds: if let due = feedsDue, due <= now { tendFeeds() }
        case .wants: if let due = wantsDue, due <= now { retryWants() }
        case .isolation: weighIsolation()
        case .farewell: sayFarewell()
        case .left: if let at = leftAt, at <= now { finishLeaving() }
        }
    }

    /// What was gathered while handling goes out as one effect each, and the next wake last.
    mutating func flush() {
        if !applied.isEmpty {
            out.append(.tableChanged(applied))
            applied.removeAll(keepingCapacity: true)
        }
        if !toConfirm.isEmpty {
            out.append(.confirm(toConfirm))
            toConfirm.removeAll(keepingCapacity: true)
        }
        if membersChanged {
            membersChanged = false
            out.append(.persistMembers)
        }
        if let earliest = timers.earliest, earliest != announcedWake {
            announcedWake = earliest
            out.append(.wake(at: earliest))
        }
    }

    mutating func note(_ event: GossipEvent) { out.append(.event(event)) }
}

/// A seed as it is configured, and who answered there.
struct SeedState {
    let address: MeshAddress
    var peer: NodeID?
}
