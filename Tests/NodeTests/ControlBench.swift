import Coordination
import Model
import NIOCore
import Node
import Replication
import Storage

/// A control machine, a table in memory that takes changes when a test says so, and what was said.
struct ControlBench {
    typealias Effect = Control.Effect

    var control: Control
    /// What is durable.
    var table: [String: TableChange] = [:]
    /// Writes that were asked for and not made, in order.
    var writes: [(number: UInt64, changes: [TableChange])] = []
    /// Partitions that were to be opened and are not, in order.
    var opens: [PartitionOrder] = []
    var effects: [Effect] = []
    var view: ClusterView?
    var now = Now(
        instant: Instant(nanoseconds: 1_000_000_000),
        wall: Timestamp(milliseconds: 1_700_000_000_000))

    /// A broker that starts from `table`, up to where clients may come.
    init(
        table: [String: TableChange] = [:], seed: UInt64 = 1, epoch: Int32 = 0,
        offsetsPartitions: Int32 = 3
    ) {
        let broker = BrokerEntry(
            id: NodeID(1), rack: nil,
            endpoints: [Endpoint(listener: "PLAIN", host: "localhost", port: 9092)])
        control = Control(
            identity: Control.Identity(
                clusterID: "cluster", broker: broker, logEpoch: LeaderEpoch(epoch),
                cleanStart: true),
            defaults: TopicDefaultsView(
                partitions: 2, replicas: 1, autoCreateTopics: true,
                configuration: ["flush": "async"]),
            offsetsPartitions: offsetsPartitions, groups: GroupConfiguration(),
            generator: SeededGenerator(seed: seed))
        self.table = table
        handle(.start(table.values.sorted { $0.key < $1.key }))
    }

    mutating func handle(_ input: Control.Input) {
        var said: [Effect] = []
        control.handle(input, now: now, into: &said)
        for effect in said {
            switch effect {
            case .persist(let number, let changes): writes.append((number, changes))
            case .open(let order): opens.append(order)
            case .publish(let next): view = next
            default: effects.append(effect)
            }
        }
    }

    mutating func request(_ token: UInt64, _ request: ControlRequest) {
        handle(.request(token: token, request))
    }

    /// Makes the oldest write durable without telling anybody.
    mutating func write() {
        for change in writes[0].changes {
            table[change.key] = change.value == nil ? nil : change
        }
    }

    /// Makes the oldest write and tells the machine; or tells it that it failed.
    mutating func persist(failure: String? = nil) {
        if failure == nil { write() }
        let (number, _) = writes.removeFirst()
        handle(.persisted(number, failure: failure))
    }

    mutating func openAll(failure: String? = nil) {
        while !opens.isEmpty {
            let orders = opens
            opens = []
            for order in orders { handle(.opened(order.partition, failure: failure)) }
        }
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
        for case .load(let partition) in take() {
            if !records.isEmpty { handle(.slotRecords(partition, records)) }
            handle(.slotEnd(partition))
        }
    }

    /// Answers every append that was asked for.
    mutating func append(error: PartitionError? = nil) {
        for case .append(let number, _, _) in effects {
            handle(.appended(number, ProduceResult(error: error)))
        }
        effects.removeAll { if case .append = $0 { true } else { false } }
    }
}

extension [Control.Effect] {
    var replies: [(token: UInt64, reply: ControlReply)] {
        compactMap { if case .reply(let token, let reply) = $0 { (token, reply) } else { nil } }
    }

    var producerIDs: [ProducerID?] {
        replies.compactMap { if case .producerID(let id) = $0.reply { .some(id) } else { nil } }
    }

    var closed: [TopicPartition] {
        compactMap { if case .close(let partition) = $0 { partition } else { nil } }
    }

    var ready: [[String]] {
        compactMap { if case .ready(let failures) = $0 { failures } else { nil } }
    }

    var groupReplies: [GroupResponse] {
        replies.compactMap { if case .group(let response) = $0.reply { response } else { nil } }
    }
}
