public import Gossip
public import Model
internal import NIOCore

/// How a simulated member is stopped.
public enum FreezeKind: Hashable, Sendable {
    /// As by SIGSTOP: neither packets nor timers are handled.
    case process
    /// The anomaly of the Lifeguard paper: what is sent and received waits, and whatever sends is
    /// stuck in it; timers of suspicions go on.
    case traffic
}

/// What was sent in a simulation, with 35 bytes of transport overhead for each datagram.
public struct TrafficCount: Hashable, Sendable {
    public var datagrams = 0
    public var datagramBytes = 0
    public var messages = 0
    public var messageBytes = 0
    public static let datagramOverheadBytes = 35
}

/// Gossip machines on a simulated network under virtual time.
///
/// Datagrams need keys of both boots, as in the transport: they are dropped until a handshake,
/// and after a restart of either side. Paxos is a dictionary of registers that answers reads.
/// Faults are set between runs; everything random comes from the seed.
public struct GossipMesh {
    var timeline = Timeline<MeshEvent>()
    public var network: SimulatedNetwork
    public internal(set) var nodes: [SimulatedMember] = []
    /// What Paxos chose: answers `confirm`.
    public var registers: [String: ChosenValue] = [:]
    public internal(set) var traffic = TrafficCount()
    /// Mixes everything that was delivered: two runs share it if they did the same.
    public internal(set) var traceHash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// Sees every effect of every member, in order.
    public var observe: ((_ member: Int, _ effect: GossipEffect, _ now: Instant) -> Void)?
    /// The boot of a peer for which a member has datagram keys: [from * count + to].
    var keys: [UInt32]
    /// Pairs with an open link, by lower * count + higher; looked up only.
    var links: Set<Int> = []
    var dialling: [Int: UInt64] = [:]
    var waiting: [Int: [ByteBuffer]] = [:]
    var addresses: [MeshAddress: Int] = [:]
    var dials: UInt64 = 0
    /// Reused for every input.
    private var scratch: [GossipEffect] = []
    let configuration: GossipConfiguration
    let seed: UInt64

    /// A mesh whose members are admitted in everybody's table, and not started.
    public init(
        count: Int, configuration: GossipConfiguration = GossipConfiguration(),
        faults: NetworkFaults = .lan, seed: UInt64
    ) {
        self.configuration = configuration
        self.seed = seed
        network = SimulatedNetwork(endpoints: count, faults: faults, seed: seed ^ 0xA11)
        keys = [UInt32](repeating: 0, count: count * count)
        for index in 0..<count {
            let node = NodeID(Int32(index + 1))
            let member = SimulatedMember(node: node, address: Self.address(index))
            nodes.append(member)
            addresses[member.address] = index
        }
    }

    public var now: Instant { timeline.now }
    public var count: Int { nodes.count }
    /// Events so far.
    public var eventCount: Int { timeline.popped }

    static func address(_ index: Int) -> MeshAddress {
        MeshAddress(host: "10.0.\(index / 250).\(index % 250 + 1)", port: 7_946)
    }

    /// The register that admits a simulated member.
    public static func admission(
        _ index: Int, number: UInt32 = 1, isRevoked: Bool = false
    ) -> ChosenValue {
        let node = NodeID(Int32(index + 1))
        let record = AdmissionRecord(
            node: node, key: SimulatedSigner.key(of: node),
            store: StoreID(high: 1, low: UInt64(index)), number: AdmissionNumber(number),
            isRevoked: isRevoked)
        return ChosenValue(
            key: record.registerKey,
            ballot: Ballot(counter: UInt64(number), proposer: NodeID(1), boot: BootEpoch(1)),
            value: record.encoded())
    }

    // MARK: Starting and stopping

    /// Starts everybody with all members known, alive and with keys: a mesh that has run for long.
    public mutating func startWarm(table extra: [ChosenValue] = []) {
        let table = nodes.indices.map { Self.admission($0) } + extra
        for value in table { registers[value.key] = value }
        for index in nodes.indices { prepare(index, configuration: configuration) }
        let records = nodes.compactMap { member in
            member.machine.map { PersistedMember(status: .alive, record: $0.ownRecord) }
        }
        for from in nodes.indices {
            for to in nodes.indices where from != to { keys[from * count + to] = 1 }
        }
        for index in nodes.indices {
            handle(.start(members: records, table: table), at: index)
            for peer in nodes.indices where peer != index {
                let link = LinkUp(peer: nodes[peer].node, boot: BootEpoch(1))
                nodes[index].isMuted = true
                handle(.linkOpened(link), at: index)
                nodes[index].isMuted = false
            }
        }
    }

    /// Starts one member with what it remembers, at a higher boot; `seeds` are other members.
    public mutating func start(
        _ index: Int, seeds: [Int] = [], remembering members: [PersistedMember] = [],
        table: [ChosenValue] = []
    ) {
        var configuration = configuration
        configuration.seeds = seeds.map { nodes[$0].address }
        prepare(index, configuration: configuration)
        handle(.start(members: members, table: table), at: index)
    }

    private mutating func prepare(_ index: Int, configuration: GossipConfiguration) {
        nodes[index].boot += 1
        let identity = GossipIdentity(
            node: nodes[index].node, boot: BootEpoch(nodes[index].boot),
            description: SelfDescription(
                addresses: [nodes[index].address],
                endpoints: [
                    ClientEndpoint(
                        listener: "clients", host: nodes[index].address.host, port: 9_092)
                ], rack: "rack-\(index % 3)", softwareVersion: "0.2.0"))
        let generator = SeededGenerator(
            seed: seed &* 0x9E37_79B9 &+ UInt64(index) &* 7_919 &+ nodes[index].boot)
        nodes[index].machine = try? GossipMachine(
            configuration: configuration, identity: identity,
            signer: SimulatedSigner(key: SimulatedSigner.key(of: nodes[index].node)),
            generator: generator)
        nodes[index].isUp = true
        for peer in nodes.indices { keys[index * count + peer] = 0 }
        nodes[index].nextWake = nil
        nodes[index].inbox = []
        nodes[index].inboxBytes = 0
        nodes[index].outbox = []
        nodes[index].freeze = nil
        nodes[index].stalls = nil
    }

    /// As by SIGKILL: its links break, and what is on the way is lost.
    public mutating func crash(_ index: Int) {
        nodes[index].machine = nil
        nodes[index].isUp = false
        nodes[index].inbox = []
        nodes[index].outbox = []
        for peer in nodes.indices where links.remove(pair(index, peer)) != nil {
            let failure = Delivery.linkFailed(peer: nodes[index].node, .closed)
            if !network.isCut(.streams, from: index, to: peer) {
                timeline.schedule(
                    .deliver(failure, to: peer, boot: nodes[peer].boot),
                    at: now.advanced(byMilliseconds: 1))
            }
        }
    }

    /// What a member would find on its disk.
    public func persisted(_ index: Int) -> [PersistedMember] {
        nodes[index].machine?.persistedMembers ?? []
    }

    /// Moves a stopped member to another address.
    public mutating func move(_ index: Int, to address: MeshAddress) {
        addresses[nodes[index].address] = nil
        nodes[index].address = address
        addresses[address] = index
    }

    public mutating func freeze(_ index: Int, _ kind: FreezeKind, until end: Instant) {
        guard nodes[index].isUp else { return }
        nodes[index].freeze = (kind, max(end, nodes[index].freeze?.until ?? end))
        timeline.schedule(.thaw(index), at: end)
    }

    /// Freezes later, so that a run need not be interrupted.
    public mutating func scheduleFreeze(
        _ index: Int, _ kind: FreezeKind, at start: Instant, until end: Instant
    ) {
        timeline.schedule(.freeze(index, kind, until: end), at: start)
    }

    /// Stops a member's traffic for `duration`, then lets it pass for `interval`, until `end`.
    public mutating func stall(
        _ index: Int, durationMilliseconds: Int64, intervalMilliseconds: Int64, until end: Instant
    ) {
        nodes[index].stalls = StallCycle(
            durationMilliseconds: durationMilliseconds,
            intervalMilliseconds: intervalMilliseconds, end: end)
        timeline.schedule(.stall(index, boot: nodes[index].boot), at: now)
    }

    // MARK: Faults between groups

    /// Cuts both directions between two groups.
    public mutating func partition(_ left: Range<Int>, _ right: Range<Int>) {
        for a in left {
            for b in right {
                network.cut(.all, from: a, to: b)
                network.cut(.all, from: b, to: a)
                links.remove(pair(a, b))
            }
        }
    }

    func pair(_ a: Int, _ b: Int) -> Int { min(a, b) * count + max(a, b) }

    // MARK: Acting

    /// Paxos chose a value, and `index` learned it first.
    public mutating func choose(_ value: ChosenValue, at index: Int) {
        registers[value.key] = value
        handle(.chosen([value]), at: index)
    }

    /// Gives one member an input now.
    public mutating func handle(_ input: GossipInput, at index: Int) {
        guard nodes[index].isUp else { return }
        var effects = scratch
        scratch = []
        let now = now
        nodes[index].machine?.handle(input, now: now, into: &effects)
        for effect in effects { perform(effect, of: index) }
        effects.removeAll(keepingCapacity: true)
        scratch = effects
    }

    /// Lets the sends of a stalled member return.
    mutating func resumeSends(of index: Int) {
        var effects: [GossipEffect] = []
        let now = now
        nodes[index].machine?.resumeSends(now: now, into: &effects)
        for effect in effects { perform(effect, of: index) }
    }

    public mutating func run(milliseconds: Int64) {
        run(until: now.advanced(byMilliseconds: milliseconds))
    }

    public mutating func run(until limit: Instant) {
        while let event = timeline.next(until: limit) { happen(event) }
    }
}
