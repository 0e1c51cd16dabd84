import Model
import NIOCore
import OrderedCollections
import Replication

/// A change of the table that is being written, and who waits for it.
struct PendingChange {
    /// What becomes of the topics once the table holds the change.
    enum Kind {
        case create([TopicEntry])
        case delete([TopicEntry])
        case grow([(entry: TopicEntry, from: Int32)])
        case alter([TopicEntry])
        case producerIDs(end: Int64)
    }

    let kind: Kind
    let token: UInt64?
    var outcomes: [TopicOutcome]
}

/// A topic whose new partitions are being opened; answered when the last one is.
struct PendingOpening {
    var remaining: Int
    let change: UInt64
}

extension Control {
    /// The most partitions of all topics together: each costs files and some KiB.
    static let partitionsMaximum = 200_000

    /// Topics in one request: each is checked against all others.
    static let topicsPerRequestMaximum = 1_000

    mutating func createTopics(
        _ wanted: [NewTopic], _ validateOnly: Bool, _ token: UInt64?,
        into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var entries: [TopicEntry] = []
        var changes: [TableChange] = []
        var request = Request(partitions: partitionsHeld)
        for (place, topic) in wanted.enumerated() {
            guard place < Self.topicsPerRequestMaximum else {
                outcomes.append(
                    TopicOutcome(
                        name: topic.name, error: .policyViolation,
                        message: "at most \(Self.topicsPerRequestMaximum) topics in one request"))
                continue
            }
            let (partitions, refusal) = check(topic, in: &request)
            if let refusal {
                outcomes.append(refusal)
                continue
            }
            let record = TopicRecord(
                id: .random(using: &generator), partitions: partitions,
                overrides: topic.overrides)
            let entry = entry(name: topic.name, record)
            request.partitions += Int(partitions)
            request.collisions.insert(TopicName.collisionKey(of: topic.name))
            outcomes.append(TopicOutcome(name: topic.name, entry: entry))
            entries.append(entry)
            changes.append(change(entry.name, record))
        }
        if validateOnly || entries.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        for entry in entries { reserved.insert(entry.name) }
        write(changes, .create(entries), token, outcomes, into: &effects)
    }

    /// What the topics of one request have in common.
    private struct Request {
        var names: Set<String> = []
        /// The names that are taken by it, as metrics see them.
        var collisions: Set<String> = []
        /// Partitions of all topics, with those of this request.
        var partitions: Int
    }

    /// Partitions of all topics, also of those that are being made.
    private var partitionsHeld: Int {
        var sum = topics.values.reduce(0) { $0 + $1.partitions.count }
        // A sum does not depend on the order.
        for change in changes.values {
            switch change.kind {
            case .create(let entries):
                for entry in entries where topics[entry.name] == nil {
                    sum += entry.partitions.count
                }
            case .grow(let grown):
                for (entry, _) in grown {
                    sum += entry.partitions.count - (topics[entry.name]?.partitions.count ?? 0)
                }
            case .delete, .alter, .producerIDs: continue
            }
        }
        return sum
    }

    private func collides(_ name: String, in request: Request) -> Bool {
        let collision = TopicName.collisionKey(of: name)
        if request.collisions.contains(collision) { return true }
        guard collision != name || name.contains("_") else { return false }
        return topics.keys.contains { TopicName.collisionKey(of: $0) == collision }
            || reserved.contains { TopicName.collisionKey(of: $0) == collision }
    }

    private static func namedTwice(_ name: String) -> TopicOutcome {
        TopicOutcome(
            name: name, error: .invalidRequest, message: "the request names this topic twice")
    }

    /// The partition count that the topic shall have, or why it can't be made.
    private func check(
        _ topic: NewTopic, in request: inout Request
    ) -> (partitions: Int32, refusal: TopicOutcome?) {
        func refuse(_ error: TopicError, _ message: String) -> (Int32, TopicOutcome?) {
            (0, TopicOutcome(name: topic.name, error: error, message: message))
        }
        if let reason = TopicName.refusal(of: topic.name) { return refuse(.invalidTopic, reason) }
        guard request.names.insert(topic.name).inserted else {
            return refuse(.invalidRequest, "the request names this topic twice")
        }
        if topics[topic.name] != nil || reserved.contains(topic.name) {
            return refuse(.alreadyExists, "topic '\(topic.name)' already exists")
        }
        if collides(topic.name, in: request) {
            return refuse(
                .invalidTopic,
                "'\(topic.name)' and another topic's name differ only in '.' and '_'")
        }
        let node = identity.broker.id.rawValue
        var partitions = topic.partitions == -1 ? defaults.partitions : topic.partitions
        if !topic.assignments.isEmpty {
            guard topic.assignments.allSatisfy({ $0 == [node] }) else {
                return refuse(
                    .invalidReplicaAssignment,
                    "each partition can be placed on broker \(node) only: it is the only one")
            }
            partitions = Int32(clamping: topic.assignments.count)
        } else {
            let replicas = topic.replicas == -1 ? 1 : topic.replicas
            guard replicas == 1 else {
                return refuse(
                    .invalidReplicationFactor,
                    "\(replicas) replicas asked for, 1 broker alive (\(node)): ask for 1")
            }
        }
        guard (1...TopicRecord.partitionsMaximum).contains(partitions),
            request.partitions + Int(partitions) <= Self.partitionsMaximum
        else {
            return refuse(
                .invalidPartitions,
                "\(partitions) partitions: expected 1 to \(TopicRecord.partitionsMaximum), and at "
                    + "most \(Self.partitionsMaximum) in all topics together")
        }
        if let reason = TopicConfiguration.refusal(of: topic.overrides) {
            return refuse(.invalidConfiguration, reason)
        }
        return (partitions, nil)
    }

    mutating func deleteTopics(
        _ names: [String], _ token: UInt64, into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var entries: [TopicEntry] = []
        for name in names {
            guard let entry = topics[name], reserved.insert(name).inserted else {
                outcomes.append(
                    TopicOutcome(name: name, error: .unknown, message: "no topic '\(name)'"))
                continue
            }
            outcomes.append(TopicOutcome(name: name, entry: entry))
            entries.append(entry)
        }
        guard !entries.isEmpty else {
            reply(outcomes, to: token, into: &effects)
            return
        }
        let changes = entries.flatMap { entry in
            [
                TableChange(key: Self.key(entry.name), version: nextRevision(), value: nil),
                TableChange(
                    key: ErasureRecord.key(entry.id), version: nextRevision(),
                    value: ByteBuffer()),
            ]
        }
        write(changes, .delete(entries), token, outcomes, into: &effects)
    }

    mutating func createPartitions(
        _ wanted: [(name: String, count: Int32)], _ validateOnly: Bool, _ token: UInt64,
        into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var grown: [(entry: TopicEntry, from: Int32)] = []
        var total = partitionsHeld
        var names: Set<String> = []
        for (name, count) in wanted {
            guard names.insert(name).inserted else {
                outcomes.append(Self.namedTwice(name))
                continue
            }
            guard let entry = topics[name], !reserved.contains(name) else {
                outcomes.append(
                    TopicOutcome(name: name, error: .unknown, message: "no topic '\(name)'"))
                continue
            }
            let held = Int32(clamping: entry.partitions.count)
            guard count > held, count <= TopicRecord.partitionsMaximum, !entry.isInternal,
                total + Int(count - held) <= Self.partitionsMaximum
            else {
                outcomes.append(
                    TopicOutcome(
                        name: name, error: .invalidPartitions,
                        message: "'\(name)' has \(held) partitions: they can only grow, up to "
                            + "\(TopicRecord.partitionsMaximum); \(count) asked for"))
                continue
            }
            total += Int(count - held)
            let next = self.entry(name: name, record(of: entry, partitions: count))
            outcomes.append(TopicOutcome(name: name, entry: next))
            grown.append((next, held))
        }
        if validateOnly || grown.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        for (entry, _) in grown { reserved.insert(entry.name) }
        let changes = grown.map { change($0.entry.name, record(of: $0.entry)) }
        write(changes, .grow(grown), token, outcomes, into: &effects)
    }

    mutating func alterTopics(
        _ wanted: [(name: String, overrides: [String: String])], _ validateOnly: Bool,
        _ token: UInt64, into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var entries: [TopicEntry] = []
        var names: Set<String> = []
        for (name, overrides) in wanted {
            guard names.insert(name).inserted else {
                outcomes.append(Self.namedTwice(name))
                continue
            }
            guard let entry = topics[name], !reserved.contains(name) else {
                outcomes.append(
                    TopicOutcome(name: name, error: .unknown, message: "no topic '\(name)'"))
                continue
            }
            if let reason = TopicConfiguration.refusal(of: overrides) {
                outcomes.append(
                    TopicOutcome(name: name, error: .invalidConfiguration, message: reason))
                continue
            }
            let next = TopicEntry(
                id: entry.id, name: name,
                configuration: entry.configuration.overriding(with: overrides),
                partitions: entry.partitions)
            outcomes.append(TopicOutcome(name: name, entry: next))
            entries.append(next)
        }
        if validateOnly || entries.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        for entry in entries { reserved.insert(entry.name) }
        let changes = entries.map { change($0.name, record(of: $0)) }
        write(changes, .alter(entries), token, outcomes, into: &effects)
    }
}

extension Control {
    static func key(_ topic: String) -> String { "topic/\(topic)" }

    mutating func nextRevision() -> UInt64 {
        revision += 1
        return revision
    }

    mutating func change(_ name: String, _ record: TopicRecord) -> TableChange {
        TableChange(key: Self.key(name), version: nextRevision(), value: record.encoded())
    }

    func record(of entry: TopicEntry, partitions: Int32? = nil) -> TopicRecord {
        TopicRecord(
            id: entry.id, partitions: partitions ?? Int32(clamping: entry.partitions.count),
            overrides: entry.configuration.overrides)
    }

    mutating func write(
        _ table: [TableChange], _ kind: PendingChange.Kind, _ token: UInt64?,
        _ outcomes: [TopicOutcome], into effects: inout [Effect]
    ) {
        let number = nextSerial()
        changes[number] = PendingChange(kind: kind, token: token, outcomes: outcomes)
        effects.append(.persist(number, table))
    }
}
