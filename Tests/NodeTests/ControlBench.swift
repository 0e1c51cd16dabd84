import Coordination
import Model
import NIOCore
import Node
import Replication
import Storage

/// A control machine, registers that decide when a test says so, and what was said.
struct ControlBench {
    typealias Effect = Control.Effect

    var control: Control
    /// What is chosen.
    var registers = BenchRegisters()
    /// This broker's own records that are durable.
    var records: [String: TableChange] = [:]
    /// Decisions and writes that were asked for and not made, in order.
    var writes: [Write] = []
    /// Partitions that were to be opened and are not, in order.
    var opens: [PartitionOrder] = []
    var effects: [Effect] = []
    var view: ClusterView?
    var now = Now(
        instant: Instant(nanoseconds: 1_000_000_000),
        wall: Timestamp(milliseconds: 1_700_000_000_000))

    /// Something that the machine waits for.
    enum Write {
        case propose(UInt64, [RegisterProposal])
        case read(UInt64, [String])
        case persist(UInt64, [TableChange])
    }

    static func broker(_ id: Int32) -> BrokerEntry {
        BrokerEntry(
            id: NodeID(id), rack: nil,
            endpoints: [Endpoint(listener: "PLAIN", host: "localhost", port: 9091 + id)])
    }

    /// When brokers under test began: what an earlier life promised has lapsed.
    static let longAgo = Instant(nanoseconds: -10_000_000_000)

    /// A broker that starts from `registers`, up to where clients may come.
    init(
        registers: BenchRegisters = BenchRegisters(), seed: UInt64 = 1, epoch: Int32 = 0,
        offsetsPartitions: Int32 = 3, node: Int32 = 1,
        startedAt: Instant = longAgo, placement: PlacementPolicy = .spread
    ) {
        var replicas = ReplicaConfiguration()
        replicas.placement = placement
        let broker = Self.broker(node)
        control = Control(
            identity: Control.Identity(
                clusterID: "cluster", broker: broker, logEpoch: LeaderEpoch(epoch),
                cleanStart: true, startedAt: startedAt),
            defaults: TopicDefaultsView(
                partitions: 2, replicas: 1, autoCreateTopics: true,
                configuration: ["flush": "async"]),
            offsetsPartitions: offsetsPartitions, groups: GroupConfiguration(),
            replicas: replicas, generator: SeededGenerator(seed: seed))
        self.registers = registers
        handle(.start(registers.all))
    }

    mutating func handle(_ input: Control.Input) {
        var said: [Effect] = []
        control.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .persist(let number, let changes): writes.append(.persist(number, changes))
            case .propose(let number, let proposals): writes.append(.propose(number, proposals))
            case .read(let number, let keys): writes.append(.read(number, keys))
            case .open(let order): opens.append(order)
            case .publish(let next): view = next
            case .close(let partition, _):
                effects.append(effect)
                handle(.closed(partition))
            default: effects.append(effect)
            }
        }
    }

    mutating func request(_ token: UInt64, _ request: ControlRequest) {
        handle(.request(token: token, request))
    }

    /// Decides or writes the oldest and tells the machine; or tells it that it failed.
    mutating func persist(failure: String? = nil) {
        switch writes.removeFirst() {
        case .persist(let number, let changes):
            if failure == nil {
                for change in changes { records[change.key] = change.value == nil ? nil : change }
            }
            handle(.persisted(number, failure: failure))
        case .propose(let number, let proposals):
            let decisions = proposals.map { proposal in
                failure.map { Decision.notChosen($0) } ?? registers.decide(proposal)
            }
            handle(.learned(decisions.compactMap(\.chosen)))
            handle(.decided(number, decisions))
        case .read(let number, let keys):
            let decisions = keys.map { key in
                failure.map { Decision.unknown($0) } ?? registers.read(key)
            }
            handle(.learned(decisions.compactMap(\.chosen)))
            handle(.decided(number, decisions))
        }
    }

    mutating func openAll(failure: String? = nil) {
        while !opens.isEmpty {
            let orders = opens
            opens = []
            for order in orders { handle(.opened(order.partition, failure: failure)) }
        }
    }

    /// Lets time pass, and wakes the machine.
    mutating func pass(milliseconds: Int64) {
        now = Now(
            instant: now.instant.advanced(byMilliseconds: milliseconds), wall: now.wall)
        handle(.wake)
    }

    /// Does all that is asked for.
    mutating func settle() {
        while !writes.isEmpty || !opens.isEmpty {
            while !writes.isEmpty { persist() }
            openAll()
        }
    }

    /// What was said since the last call.
    mutating func take() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    mutating func create(_ names: [String], partitions: Int32 = 1, token: UInt64 = 1) {
        request(
            token,
            .createTopics(
                names.map { NewTopic(name: $0, partitions: partitions) }, validateOnly: false))
    }

    /// The outcomes of the one reply that was said.
    mutating func outcomes() -> [TopicOutcome] {
        take().replies.compactMap { if case .topics(let all) = $0.reply { all } else { nil } }
            .last ?? []
    }

    mutating func errors() -> [TopicError?] { outcomes().map(\.error) }

    /// Opens every slot and ends its loading, with what its log holds.
    mutating func loadSlots(_ records: [SlotRecord] = []) {
        for load in take().loads {
            if !records.isEmpty { handle(.slotRecords(load, records)) }
            handle(.slotEnd(load))
        }
    }

    /// Answers every append that was asked for.
    mutating func append(error: PartitionError? = nil, at base: Int64 = -1) {
        var result = ProduceResult(error: error)
        result.base = Offset(base)
        for case .append(let number, _, _) in effects { handle(.appended(number, result)) }
        effects.removeAll { if case .append = $0 { true } else { false } }
    }
}

extension [Control.Effect] {
    var replies: [(token: UInt64, reply: ControlReply)] {
        compactMap { if case .reply(let token, let reply) = $0 { (token, reply) } else { nil } }
    }

    var wakes: [Instant] {
        compactMap { if case .wake(let moment) = $0 { moment } else { nil } }
    }

    var loads: [SlotLoad] {
        compactMap { if case .load(let load) = $0 { load } else { nil } }
    }

    var producerIDs: [ProducerID?] {
        replies.compactMap { if case .producerID(let id) = $0.reply { .some(id) } else { nil } }
    }

    var closed: [TopicPartition] {
        compactMap { if case .close(let partition, _) = $0 { partition } else { nil } }
    }

    var ready: [[String]] {
        compactMap { if case .ready(let failures) = $0 { failures } else { nil } }
    }

    var groupReplies: [GroupResponse] {
        replies.compactMap { if case .group(let response) = $0.reply { response } else { nil } }
    }
}

/// Registers of a mesh in memory: every decision is made at once, by ever higher ballots.
struct BenchRegisters {
    private var values: [String: ChosenValue] = [:]
    private var counter: UInt64 = 0

    /// All of them by key.
    var all: [ChosenValue] { values.keys.sorted().compactMap { values[$0] } }

    func value(of key: String) -> ByteBuffer? { values[key]?.value }

    mutating func decide(_ proposal: RegisterProposal) -> Decision {
        let current = values[proposal.key]
        switch proposal.operation.applied(to: current?.value) {
        case .refuse(let refusal): return .refused(refusal, current: current)
        case .write(let value): return .chosen(put(proposal.key, value))
        }
    }

    func read(_ key: String) -> Decision {
        values[key].map { .chosen($0) } ?? .refused(.absent, current: nil)
    }

    @discardableResult
    mutating func put(_ key: String, _ value: ByteBuffer?) -> ChosenValue {
        counter += 1
        let chosen = ChosenValue(
            key: key,
            ballot: Ballot(counter: counter, proposer: NodeID(1), boot: BootEpoch(1)), value: value)
        values[key] = chosen
        return chosen
    }
}

extension Decision {
    var chosen: ChosenValue? {
        switch self {
        case .chosen(let value): value
        case .refused(_, let current): current
        case .notChosen, .unknown, .held: nil
        }
    }
}
