import Gossip
import Model
import NIOCore
import Paxos
import Simulation

@testable import Node

/// A few meshes in one process: whatever one sends is delivered a millisecond later, links open at
/// once, disks write at once. Time is a number.
struct MeshBench {
    /// One broker's part, and what it said that the test looks at.
    struct Broker {
        var mesh: Mesh
        let store: StoreID
        let key: PublicKey
        var boot: BootEpoch
        var isUp = true
        var wakeAt: Instant?
        var registers: [String: TableChange] = [:]
        var chosen: [String: ChosenValue] = [:]
        /// How often each key was written as gone.
        var erased: [String: Int] = [:]
        var members: [BrokerMember] = []
        var learned: [ChosenValue] = []
        var decisions: [UInt64: [Decision]] = [:]
        var answers: [UInt64: Decision] = [:]
        var voterAnswers: [UInt64: VoterChangeAnswer] = [:]
        var joins: [UInt64: JoinAnswer] = [:]
        var forgotten: [NodeID] = []
        var isLoaded = false
        /// Whether the table of its acceptor's records has no room for more.
        var isFull = false
    }

    private struct Delivery {
        let at: Instant
        let to: NodeID
        let input: Mesh.Input
    }

    private(set) var brokers: [NodeID: Broker] = [:]
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var deliveries: [Delivery] = []
    private var lastToken: UInt64 = 0

    static func address(_ node: Int32) -> MeshAddress {
        MeshAddress(host: "b\(node)", port: 7946)
    }

    static func key(_ node: Int32, _ copy: UInt64 = 0) -> PublicKey {
        PublicKey(words: InlineWords4(UInt64(node), copy, 0, 0))
    }

    private static func make(
        _ node: Int32, boot: BootEpoch, isFounder: Bool, seeds: [Int32]
    ) throws -> Mesh {
        let description = SelfDescription(
            addresses: [address(node)],
            endpoints: [ClientEndpoint(listener: "PLAIN", host: "b\(node)", port: 9092)],
            rack: "r\(node)", leaderEpoch: Int32(boot.rawValue))
        let entry = BrokerEntry(
            id: NodeID(node), rack: "r\(node)",
            endpoints: [Endpoint(listener: "PLAIN", host: "b\(node)", port: 9092)])
        return try Mesh(
            identity: Mesh.Identity(
                clusterID: "cluster", node: NodeID(node), boot: boot, store: store(node),
                key: key(node), isFounder: isFounder,
                member: BrokerMember(entry: entry, epoch: LeaderEpoch(Int32(boot.rawValue)))),
            description: description,
            configuration: GossipConfiguration(seeds: seeds.map(address)),
            signer: SimulatedSigner(key: key(node)), seed: UInt64(node) &* 77 &+ boot.rawValue)
    }

    static func store(_ node: Int32) -> StoreID { StoreID(high: 7, low: UInt64(node)) }

    /// A founder with brokers that it admitted, a moment later.
    static func formed(of count: Int32) throws -> MeshBench {
        var bench = MeshBench()
        try bench.start(1, isFounder: true)
        bench.run(milliseconds: 100)
        for node in 2...max(2, count) where node <= count {
            _ = try bench.join(node, at: 1, seeds: [1])
        }
        bench.run(milliseconds: 2_000)
        return bench
    }

    /// Starts a broker with what it remembers.
    mutating func start(
        _ node: Int32, boot: UInt64 = 1, isFounder: Bool = false, seeds: [Int32] = [],
        _ memory: MeshMemory = MeshMemory()
    ) throws {
        var mesh = try Self.make(node, boot: BootEpoch(boot), isFounder: isFounder, seeds: seeds)
        if !promotesVoters { mesh.watch.policy.settings.target = nil }
        var broker = Broker(
            mesh: mesh, store: Self.store(node), key: Self.key(node), boot: BootEpoch(boot))
        if let before = brokers[NodeID(node)] {
            broker.registers = before.registers
            broker.chosen = before.chosen
        }
        brokers[NodeID(node)] = broker
        tell(node, .start(memory))
    }

    /// What a broker's disk holds, as a restart reads it.
    func memory(of node: Int32) -> MeshMemory {
        let broker = brokers[NodeID(node)]
        let changes = broker?.registers.values.sorted { $0.key < $1.key } ?? []
        return MeshMemory(
            chosen: broker?.chosen.values.sorted { $0.key < $1.key } ?? [],
            acceptorLog: MeshRecords.acceptorLog(changes) ?? [], version: 1_000)
    }

    /// Has a founder admit a newcomer, and starts it with what it was given.
    mutating func join(_ node: Int32, at member: Int32, seeds: [Int32]) throws -> JoinAnswer? {
        lastToken += 1
        let token = lastToken
        tell(
            member,
            .join(
                token: token,
                JoinClaim(
                    key: Self.key(node), store: Self.store(node), boot: BootEpoch(1),
                    node: NodeID(node))))
        run(milliseconds: 100)
        let answer = brokers[NodeID(member)]?.joins[token]
        if case .admitted(_, _, let values) = answer {
            try start(node, seeds: seeds, MeshMemory(chosen: values, version: 10))
        }
        return answer
    }

    mutating func fill(_ node: Int32, _ isFull: Bool) { brokers[NodeID(node)]?.isFull = isFull }

    mutating func kill(_ node: Int32) { brokers[NodeID(node)]?.isUp = false }

    /// Gives one broker an input now.
    mutating func tell(_ node: Int32, _ input: Mesh.Input) {
        let id = NodeID(node)
        guard brokers[id]?.isUp == true else { return }
        var effects: [Mesh.Effect] = []
        brokers[id]?.mesh.handle(input, now: now, into: &effects)
        for effect in effects { perform(effect, of: node) }
    }

    mutating func run(milliseconds: Int64) {
        let end = now.advanced(byMilliseconds: milliseconds)
        while let next = nextMoment(), next <= end {
            now = max(now, next)
            if let place = deliveries.indices.filter({ deliveries[$0].at <= now }).min(by: {
                deliveries[$0].at < deliveries[$1].at
            }) {
                let delivery = deliveries.remove(at: place)
                tell(delivery.to.rawValue, delivery.input)
                continue
            }
            for node in brokers.keys.sorted() {
                guard let wake = brokers[node]?.wakeAt, wake <= now else { continue }
                brokers[node]?.wakeAt = nil
                tell(node.rawValue, .wake)
            }
        }
        now = end
    }

    private func nextMoment() -> Instant? {
        let wakes = brokers.values.filter(\.isUp).compactMap(\.wakeAt)
        return (wakes + deliveries.map(\.at)).min()
    }

    private mutating func post(_ input: Mesh.Input, to node: NodeID) {
        deliveries.append(
            Delivery(at: now.advanced(byMilliseconds: 1), to: node, input: input))
    }

    private mutating func open(_ from: Int32, _ to: NodeID, dialled: MeshAddress?) {
        guard let peer = brokers[to], peer.isUp, let own = brokers[NodeID(from)] else {
            let failure = Gossip.LinkFailure.unreachable
            if let dialled {
                post(.seedFailed(dialled, failure), to: NodeID(from))
            } else {
                post(.linkFailed(to, failure), to: NodeID(from))
            }
            return
        }
        guard peer.mesh.admission(of: NodeID(from))?.isRevoked == false else {
            post(.linkFailed(to, .authentication), to: NodeID(from))
            return
        }
        post(.linkOpened(LinkUp(peer: to, boot: peer.boot, dialled: dialled)), to: NodeID(from))
        post(.linkOpened(LinkUp(peer: NodeID(from), boot: own.boot)), to: to)
    }

    /// Whether brokers that join are made voters; most tests are about one voter.
    var promotesVoters = false

    private mutating func perform(_ effect: Mesh.Effect, of node: Int32) {
        let id = NodeID(node)
        switch effect {
        case .sendDatagram(let to, let bytes): post(.datagram(from: id, bytes), to: to)
        case .send(let to, let kind, let bytes): post(.message(from: id, kind, bytes), to: to)
        case .connect(let to, _): open(node, to, dialled: nil)
        case .contactSeeds(let seeds):
            for seed in seeds {
                if let number = Int32(seed.host.dropFirst()) {
                    open(node, NodeID(number), dialled: seed)
                }
            }
        case .wake(let moment): brokers[id]?.wakeAt = moment
        case .persistFeeds, .removeFeed: return
        case .persistRegisters(let serial, _) where brokers[id]?.isFull == true:
            post(.registersRefused(serial: serial), to: id)
        case .persistRegisters(let serial, let changes):
            for change in changes {
                brokers[id]?.registers[change.key] = change.value == nil ? nil : change
            }
            post(.registersPersisted(serial: serial, isDurable: true), to: id)
        case .persistChosen(let changes):
            for change in changes {
                brokers[id]?.chosen[change.key] = MeshRecords.chosen(change)
                if change.value == nil { brokers[id]?.erased[change.key, default: 0] += 1 }
            }
        case .persistOwn, .admitted, .heard, .left, .event: return
        case .replicate(let to, let message): post(.lease(from: id, message), to: to)
        case .leased: return
        case .confirmLeaderships(let serial):
            post(.leadershipsConfirmed(serial, isComplete: true), to: id)
        case .loaded: brokers[id]?.isLoaded = true
        case .learned(let values): brokers[id]?.learned += values
        case .decided(let number, let decisions): brokers[id]?.decisions[number] = decisions
        case .members(let members): brokers[id]?.members = members
        case .forget(let other): brokers[id]?.forgotten.append(other)
        case .joinAnswer(let token, let answer): brokers[id]?.joins[token] = answer
        case .answer(let token, let decision): brokers[id]?.answers[token] = decision
        case .votersAnswer(let token, let answer): brokers[id]?.voterAnswers[token] = answer
        }
    }
}
