import Coordination
import Model
import NIOCore
import Node
import Replication
import Storage

/// An idempotent producer of one partition, as clients are: several batches under way, all that is
/// not acknowledged sent again in order after an error or a broker's crash.
struct NodeProducer {
    struct Batch {
        let first: Int32
        let count: Int32
    }

    static let topic = "work"
    static let partitions: Int32 = 2
    private static let inFlightMaximum = 5

    let name: Int
    let partition: Int32
    private(set) var id: ProducerID?
    /// The log offset of each record that was acknowledged with one, by the record's number.
    private(set) var acknowledged: [Int32: Int64] = [:]
    /// Records that the broker said are in the log.
    private(set) var acknowledgedCount: Int32 = 0
    private(set) var produced: Int32 = 0
    private var unacknowledged: [Batch] = []
    private var sent = 0
    private var inFlight: [UInt64: Batch] = [:]
    private var idToken: UInt64?
    private var hasFailed = false
    /// For the report of a failure.
    private(set) var lastError: PartitionError?

    init(name: Int, partition: Int32) {
        self.name = name
        self.partition = partition
    }

    var isDone: Bool { unacknowledged.isEmpty }

    /// The connection is gone with all its answers.
    mutating func disconnect() {
        inFlight = [:]
        idToken = nil
        hasFailed = true
    }

    /// Sends something where it may; new records only while `continues`.
    mutating func act(
        _ process: inout NodeProcess, token: UInt64, continues: Bool,
        random: inout SeededGenerator
    ) {
        guard let entry = process.view?.topic(named: Self.topic) else { return }
        guard let id else {
            if idToken == nil {
                idToken = token
                process.ask(token, .producerID)
            }
            return
        }
        if hasFailed {
            guard inFlight.isEmpty else { return }
            hasFailed = false
            sent = 0
        }
        guard inFlight.count < Self.inFlightMaximum else { return }
        if sent == unacknowledged.count {
            guard continues else { return }
            let count = 1 + Int32(random.next(upperBound: 3 as UInt64))
            unacknowledged.append(Batch(first: produced, count: count))
            produced += count
        }
        let batch = unacknowledged[sent]
        sent += 1
        inFlight[token] = batch
        let partition = entry.partition(partition)
        process.post(
            .produce(
                ProduceWork(
                    token: token, acknowledgement: .all,
                    deadline: process.now.instant.advanced(byMilliseconds: 500), origin: .client,
                    parts: [
                        ProduceWork.Part(
                            partition: partition, records: records(batch, id, process.now))
                    ])), to: partition)
    }

    private func records(_ batch: Batch, _ id: ProducerID, _ now: Now) -> ByteBuffer {
        var builder = RecordBatchBuilder(
            producerID: id, producerEpoch: ProducerEpoch(0), baseSequence: batch.first)
        for number in batch.first..<batch.first + batch.count {
            builder.append(
                key: nil, value: ByteBuffer(string: "\(name):\(number)"), timestamp: now.wall)
        }
        return builder.finish()
    }

    /// Takes an answer that is for it; says what is wrong with it.
    mutating func hear(_ answer: NodeProcess.Answer, ids: inout Set<ProducerID>) -> String? {
        switch answer {
        case .control(let token, .producerID(let given)) where token == idToken:
            idToken = nil
            id = given
            if let given, !ids.insert(given).inserted { return "\(given) was given twice" }
            return nil
        case .produced(let token, let results):
            guard let batch = inFlight.removeValue(forKey: token) else { return nil }
            switch results[0].error {
            case nil: return acknowledge(batch, at: results[0].base.rawValue)
            case .duplicateSequence: return acknowledge(batch, at: nil)
            case let error:
                hasFailed = true
                lastError = error
                return nil
            }
        default: return nil
        }
    }

    private mutating func acknowledge(_ batch: Batch, at base: Int64?) -> String? {
        guard let index = unacknowledged.firstIndex(where: { $0.first == batch.first }) else {
            return "batch \(batch.first) of producer \(name) was acknowledged twice"
        }
        unacknowledged.remove(at: index)
        if index < sent { sent -= 1 }
        acknowledgedCount = max(acknowledgedCount, batch.first + batch.count)
        guard let base else { return nil }
        for step in 0..<batch.count { acknowledged[batch.first + step] = base + Int64(step) }
        return nil
    }
}

/// A simple consumer that commits ever greater offsets and, after a restart, asks for the last.
struct NodeConsumer {
    let group: String
    private var acknowledged: Int64 = -1
    private var sent: Int64 = -1
    private var token: UInt64?
    private var knowsCoordinator = false
    private(set) var isChecked = true

    init(group: String) { self.group = group }

    mutating func disconnect() {
        token = nil
        knowsCoordinator = false
        isChecked = false
    }

    mutating func act(_ process: inout NodeProcess, token next: UInt64, continues: Bool) {
        guard token == nil else { return }
        token = next
        if !knowsCoordinator {
            process.ask(next, .coordinators(groups: [group]))
        } else if !isChecked {
            process.ask(
                next, .group(.fetchOffsets(GroupRequest.FetchOffsets(groupID: group, topics: nil))))
        } else if continues {
            sent += 1
            process.ask(next, .group(.commitOffsets(commit(sent))))
        } else {
            token = nil
        }
    }

    private func commit(_ offset: Int64) -> GroupRequest.CommitOffsets {
        GroupRequest.CommitOffsets(
            groupID: group, generation: -1, memberID: "",
            topics: [
                Topic(
                    name: NodeProducer.topic,
                    partitions: [
                        GroupRequest.CommitOffsets.Partition(
                            index: PartitionIndex(0), offset: Offset(offset), leaderEpoch: .unknown,
                            metadata: "")
                    ])
            ])
    }

    mutating func hear(_ answer: NodeProcess.Answer) -> String? {
        guard case .control(let of, let reply) = answer, of == token else { return nil }
        token = nil
        switch reply {
        case .coordinators(let found): knowsCoordinator = found == [NodeID(1)]
        case .group(.commitOffsets(let topics)):
            if topics[0].partitions[0].error == nil { acknowledged = sent }
        case .group(.fetchOffsets(let found)):
            guard found.error == nil else { return nil }
            isChecked = true
            let offset = found.topics.first?.partitions.first?.offset?.rawValue ?? -1
            guard (acknowledged...sent).contains(offset) else {
                return "\(group) committed \(acknowledged), at most \(sent), and finds \(offset)"
            }
            acknowledged = offset
        default: return nil
        }
        return nil
    }
}

/// Makes, grows and removes topics, and knows which there have to be.
struct NodeAdministrator {
    private enum Expectation: Equatable {
        case absent
        case present(TopicID, partitions: Int)
        /// A request about it was not answered.
        case unknown
    }

    private static let names = [NodeProducer.topic, "b", "c.d"]
    private var expected: [String: Expectation] = [:]
    private var pending: (token: UInt64, name: String)?

    mutating func disconnect() {
        if let pending { expected[pending.name] = .unknown }
        pending = nil
    }

    /// Compares what a broker knows after its start with what it has to.
    mutating func check(_ view: ClusterView) -> String? {
        for name in Self.names {
            let entry = view.topic(named: name)
            let found: Expectation =
                entry.map { .present($0.id, partitions: $0.partitions.count) } ?? .absent
            let wanted = expected[name] ?? .absent
            guard wanted == .unknown || wanted == found else {
                return "topic \(name): expected \(wanted), found \(found)"
            }
            expected[name] = found
        }
        return nil
    }

    mutating func act(
        _ process: inout NodeProcess, token: UInt64, random: inout SeededGenerator
    ) {
        guard pending == nil else { return }
        let name = Self.names[Int(random.next(upperBound: UInt64(Self.names.count)))]
        switch expected[name] ?? .absent {
        case .absent:
            let topic = NewTopic(
                name: name, partitions: NodeProducer.partitions,
                overrides: ["segment.bytes": "1024", "retention.ms": "-1"])
            process.ask(token, .createTopics([topic], validateOnly: false))
        case .present(_, let count):
            guard name != NodeProducer.topic else { return }
            if random.next(upperBound: 2 as UInt64) == 0 {
                process.ask(token, .deleteTopics([name]))
            } else {
                process.ask(
                    token,
                    .createPartitions(
                        [NewPartitions(name: name, count: Int32(count + 1))], validateOnly: false))
            }
        case .unknown: return
        }
        pending = (token, name)
    }

    mutating func hear(_ answer: NodeProcess.Answer, _ view: ClusterView?) -> String? {
        guard case .control(let token, .topics(let outcomes)) = answer,
            let asked = pending, asked.token == token
        else { return nil }
        pending = nil
        guard let outcome = outcomes.first else { return "no outcome for \(asked.name)" }
        guard outcome.error == nil else {
            expected[asked.name] = .unknown
            return nil
        }
        let entry = view?.topic(named: asked.name)
        expected[asked.name] =
            entry.map { .present($0.id, partitions: $0.partitions.count) } ?? .absent
        return nil
    }
}
