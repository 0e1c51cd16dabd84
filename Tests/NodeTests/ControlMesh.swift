import Coordination
import Model
import NIOCore
import Replication
import Testing

@testable import Node

/// Several control machines that share one set of registers: what one has chosen all others learn a
/// millisecond later. Shards do at once what they are told. Time is a number.
struct ControlMesh {
    private enum Event {
        case input(Int32, Control.Input)
        /// The voters' answer to a proposal.
        case decide(Int32, UInt64, [RegisterProposal])
    }

    private(set) var controls: [Int32: Control] = [:]
    private(set) var registers = BenchRegisters()
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// Whether the voters answer.
    var hasQuorum = true
    /// What each broker's shards were told to be.
    private(set) var roles: [Int32: [TopicPartition: PartitionRole]] = [:]
    private(set) var views: [Int32: ClusterView] = [:]
    private(set) var reports: [Int32: HandoverReport] = [:]
    private(set) var replies: [UInt64: ControlReply] = [:]
    /// Who gave its lease back, in order.
    private(set) var released: [Int32] = []
    /// The sizes of the batches in which registers were proposed for, as long as there were any.
    private(set) var batches: [Int] = []
    /// Where each broker's copy ends, as it says when asked.
    var ends: [Int32: Int64] = [:]
    private(set) var notices: [String] = []
    /// Brokers that neither hear nor are heard; they go on by themselves.
    var cut: Set<Int32> = []
    /// Brokers whose shards take their time to let go of partitions.
    var keepsOpen: Set<Int32> = []
    /// Until then voters honour the leases of brokers whose topic is to be outlived.
    var leasesUntil = Instant(nanoseconds: 0)
    /// Whom deletions outlived.
    private(set) var outlived: [ReplicaID] = []
    /// Copies that were removed.
    private(set) var closed: [Int32: [TopicPartition]] = [:]
    private var register = "topic/t"
    private var present: [Int32]
    private var doubted: Set<Int32> = []
    private var events: [(at: Instant, event: Event)] = []
    private var wakes: [Int32: Instant] = [:]

    init(_ nodes: ClosedRange<Int32>) {
        present = []
        for node in nodes { start(node) }
        gossip()
    }

    private mutating func start(_ node: Int32) {
        present.append(node)
        controls[node] = Control(
            identity: Control.Identity(
                clusterID: "cluster", broker: ControlBench.broker(node), logEpoch: LeaderEpoch(0),
                cleanStart: true, startedAt: ControlBench.longAgo),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: -1, autoCreateTopics: true,
                configuration: ["flush": "async"]),
            offsetsPartitions: 3, groups: GroupConfiguration(),
            generator: SeededGenerator(seed: UInt64(node)))
        tell(node, .start(registers.all))
        tell(node, .leased(until: Instant(nanoseconds: .max)))
    }

    /// A broker that was never there comes, with the table of the others.
    mutating func join(_ node: Int32) {
        start(node)
        gossip()
    }

    static let id = TopicID(high: 3, low: 3)

    static func partition(_ index: Int32 = 0) -> TopicPartition {
        TopicPartition(topic: id, index: PartitionIndex(index))
    }

    static func copy(_ node: Int32) -> ReplicaID {
        ReplicaID(node: NodeID(node), admission: AdmissionNumber(1), logEpoch: BootEpoch(0))
    }

    // MARK: Driving

    mutating func tell(_ node: Int32, _ input: Control.Input) {
        events.append((now, .input(node, input)))
    }

    /// Has all know who is there.
    mutating func gossip() {
        let members = present.map { node in
            BrokerMember(
                entry: ControlBench.broker(node), admission: AdmissionNumber(1),
                epoch: LeaderEpoch(0), isDoubted: doubted.contains(node))
        }
        for node in present where !cut.contains(node) { tell(node, .members(members)) }
    }

    /// Suspected by all others, and cut off from them and from the voters.
    mutating func cutOff(_ node: Int32) {
        cut.insert(node)
        doubted.insert(node)
        gossip()
    }

    mutating func kill(_ node: Int32) {
        present.removeAll { $0 == node }
        gossip()
    }

    /// Starts it again, from the table that the others have.
    mutating func revive(_ node: Int32) {
        roles[node] = nil
        join(node)
    }

    /// Makes the topic with this placement.
    mutating func create(
        _ placement: [[Int32]], minInSync: Int = 1, name: String = "t", copies: Int16? = nil
    ) {
        register = "topic/\(name)"
        let record = TopicRecord(
            id: Self.id, placement: placement.map { $0.map(Self.copy) },
            overrides: copies == nil
                ? ["min.insync.replicas": "\(minInSync)"] : [:], copies: copies)
        spread([registers.put(register, record.encoded())])
        run(milliseconds: 50)
    }

    private mutating func spread(_ values: [ChosenValue], but proposer: Int32? = nil) {
        for node in present where node != proposer && !cut.contains(node) {
            events.append((now.advanced(byMilliseconds: 1), .input(node, .learned(values))))
        }
    }

    /// The leader of a partition has found out who is in sync, and wants it decided.
    mutating func setInSync(_ index: Int32 = 0, to nodes: [Int32]) {
        let state = state(index)
        guard let leader = state.leader?.rawValue else { return }
        tell(
            leader,
            .proposeInSync(
                InSyncWish(
                    partition: Self.partition(index), state: state,
                    inSync: nodes.map(Self.copy), serial: 1)))
        run(milliseconds: 20)
    }

    /// The same, chosen, and heard of by nobody yet.
    mutating func setInSyncUnheard(_ index: Int32 = 0, to nodes: [Int32]) throws {
        let state = state(index)
        let next = try state.alterInSync(
            to: nodes.map(Self.copy), by: try #require(state.leader),
            leaderEpoch: state.leaderEpoch, expecting: state.partitionEpoch, minInSync: 3
        ).get()
        _ = registers.put(PartitionRegister.key(Self.partition(index)), next.encoded())
    }

    mutating func run(milliseconds: Int64) {
        let end = now.advanced(byMilliseconds: milliseconds)
        while let next = nextMoment(), next <= end {
            now = max(now, next)
            if let place = events.firstIndex(where: { $0.at <= now }) {
                handle(events.remove(at: place).event)
                continue
            }
            for node in present {
                guard let wake = wakes[node], wake <= now else { continue }
                wakes[node] = nil
                drive(node, .wake)
            }
        }
        now = end
    }

    private func nextMoment() -> Instant? {
        (present.compactMap { wakes[$0] } + events.map(\.at)).min()
    }

    private mutating func handle(_ event: Event) {
        switch event {
        case .input(let node, let input): drive(node, input)
        case .decide(let node, let number, let proposals):
            guard hasQuorum, !cut.contains(node) else {
                return tell(node, .decided(number, proposals.map { _ in .notChosen("nobody") }))
            }
            let decisions = proposals.map { decide($0) }
            let chosen = decisions.compactMap(\.chosen)
            if !chosen.isEmpty {
                spread(chosen, but: node)
                tell(node, .learned(chosen))
            }
            tell(node, .decided(number, decisions))
        }
    }

    private mutating func decide(_ proposal: RegisterProposal) -> Decision {
        if case .outlive(_, let copies) = proposal.operation {
            guard now >= leasesUntil else {
                return .held(milliseconds: leasesUntil.milliseconds(since: now))
            }
            outlived += copies
        }
        return registers.decide(proposal)
    }

    /// The partitions that were to be let go of are.
    mutating func letGo(_ node: Int32) {
        keepsOpen.remove(node)
        for partition in closed[node] ?? [] { tell(node, .closed(partition)) }
    }

    private mutating func drive(_ node: Int32, _ input: Control.Input) {
        guard present.contains(node) else { return }
        var effects: [Control.Effect] = []
        let moment = Now(instant: now, wall: Timestamp(milliseconds: 1_700_000_000_000))
        controls[node]?.handle(input, now: moment, into: &effects)
        for effect in effects { perform(effect, of: node) }
    }

    private mutating func perform(_ effect: Control.Effect, of node: Int32) {
        switch effect {
        case .propose(let number, let proposals):
            batches.append(proposals.count)
            let wait: Int64 = hasQuorum ? 3 : 500
            events.append(
                (now.advanced(byMilliseconds: wait), .decide(node, number, proposals)))
        case .read(let number, let keys):
            guard hasQuorum, !cut.contains(node) else {
                return tell(node, .decided(number, keys.map { _ in .unknown("nobody") }))
            }
            let decisions = keys.map(registers.read)
            tell(node, .learned(decisions.compactMap(\.chosen)))
            tell(node, .decided(number, decisions))
        case .persist(let number, _): tell(node, .persisted(number, failure: nil))
        case .askToStop(let other, let claims):
            guard !cut.contains(node), !cut.contains(other.rawValue) else { return }
            tell(other.rawValue, .stop(claims, for: NodeID(node)))
        case .tellStopped(let other, let topics):
            guard !cut.contains(node), !cut.contains(other.rawValue) else { return }
            tell(other.rawValue, .stopped(topics, by: NodeID(node)))
        case .open(let order):
            roles[node, default: [:]][order.partition] = order.role
            tell(node, .opened(order.partition, failure: nil))
        case .assume(let partition, let role):
            let former = roles[node, default: [:]].updateValue(role, forKey: partition)
            if case .leads(let state, _, _)? = former, case .waits = role {
                tell(node, .stoodDown(partition, state.leaderEpoch))
            }
        case .close(let partition, _):
            roles[node]?[partition] = nil
            closed[node, default: []].append(partition)
            if !keepsOpen.contains(node) { tell(node, .closed(partition)) }
        case .askToGiveWay(let leader, let wishes): tell(leader.rawValue, .giveWay(wishes))
        case .inquire(let other, let partitions):
            guard let end = ends[other.rawValue] else { return }
            let holdings = partitions.map {
                Holding(partition: $0, lastEpoch: LeaderEpoch(0), end: Offset(end))
            }
            tell(node, .holdings(Self.copy(other.rawValue), holdings))
        case .notice(let text): notices.append(text)
        case .publish(let view): views[node] = view
        case .reply(let token, let reply): replies[token] = reply
        case .handedOver(let report): reports[node] = report
        case .releaseLease: released.append(node)
        case .wake(let moment): wakes[node] = moment
        default: break
        }
    }

    // MARK: Looking

    /// What is chosen for a partition.
    func state(_ index: Int32 = 0) -> PartitionState {
        if let bytes = registers.value(of: PartitionRegister.key(Self.partition(index))),
            let state = try? PartitionState(decoding: bytes)
        {
            return state
        }
        guard let bytes = registers.value(of: register),
            let record = try? TopicRecord(decoding: bytes)
        else { preconditionFailure("the topic was made") }
        return .initial(placement: record.placement[Int(index)])
    }

    func leader(_ index: Int32 = 0) -> Int32? { state(index).leader?.rawValue }

    /// Who serves a partition, by what its shard was told.
    func serving(_ index: Int32 = 0) -> [Int32] {
        present.filter { node in
            if case .leads? = roles[node]?[Self.partition(index)] { true } else { false }
        }
    }
}
