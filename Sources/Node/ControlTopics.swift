import Model
import NIOCore
import OrderedCollections
import Replication

/// A change that is being decided or opened, and who waits for it.
struct PendingChange {
    /// What the proposals are about, beside their topics.
    enum Kind {
        case topics
        case producerIDs
        case inSync([(partition: TopicPartition, serial: UInt64)])
        /// And how often leaderships had been confirmed when it began.
        case elections([TopicPartition], after: UInt64)
        case agreement(TopicPartition)
        /// Leaderships that this broker gives away.
        case moves([TopicPartition])
        /// In-sync sets that it leaves.
        case leaving([TopicPartition])
        /// What the leader of partitions does about their copies: registers say what came of it.
        case tending
        case unclean(TopicPartition)
        /// A step of a deletion, and whether it is the last.
        case stop(TopicID, frees: Bool)
        /// The registers of a deleted topic's partitions.
        case burial(TopicID)
        /// The same, read before its absent copies are outlived.
        case copiesRead(TopicID, [Int])
        /// What is made in the place of a deleted topic, for that change.
        case successor(UInt64, Int)
        /// Topics of which another broker asked whether this one serves them.
        case claims([TopicClaim], NodeID)
        /// Registers of topics, read before it is found out what this broker leads.
        case standing(UInt64, then: ArraySlice<String>)
        /// An operator's moves.
        case reassignments(ReassignmentRound)
        /// Registers of leaderships that are read anew, those that are read next, and whom to tell
        /// when all are.
        case confirmation(
            [TopicPartition], UInt64?, after: UInt64, then: ArraySlice<TopicPartition>)
    }

    let kind: Kind
    let token: UInt64?
    /// Names that nobody else on this broker changes meanwhile, one for each proposal.
    let names: [String]
    /// Partitions that it adds, to be counted as held.
    var partitions = 0
    var outcomes: [TopicOutcome]
    /// Topics of it whose partitions are still being opened here, or that wait for a deletion.
    var openings = 0
    /// The outcomes that the proposals are about, in their order.
    var places: [Int] = []
    /// Places of topics that are to be deleted.
    var deleted: Set<Int> = []
    /// What is to be made, by place.
    var records: [Int: TopicRecord] = [:]
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
        var proposals: [RegisterProposal] = []
        var request = Request(partitions: partitionsHeld)
        let before = request.partitions
        for (place, topic) in wanted.enumerated() {
            guard place < Self.topicsPerRequestMaximum else {
                outcomes.append(
                    TopicOutcome(
                        name: topic.name, error: .policyViolation,
                        message: "at most \(Self.topicsPerRequestMaximum) topics in one request"))
                continue
            }
            let (placement, refusal) = check(topic, in: &request)
            if let refusal {
                outcomes.append(refusal)
                continue
            }
            let record = TopicRecord(
                id: .random(using: &generator), placement: placement, overrides: topic.overrides,
                copies: topic.assignments.isEmpty ? copies(of: topic.replicas) : nil)
            request.partitions += placement.count
            request.collisions.insert(TopicName.collisionKey(of: topic.name))
            outcomes.append(TopicOutcome(name: topic.name, entry: entry(name: topic.name, record)))
            proposals.append(
                RegisterProposal(key: Self.key(topic.name), operation: .createTopic(record)))
        }
        if validateOnly || proposals.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        propose(
            proposals, adding: request.partitions - before, token, outcomes, into: &effects)
    }

    /// What the topics of one request have in common.
    private struct Request {
        var names: Set<String> = []
        /// The names that are taken by it, as metrics see them.
        var collisions: Set<String> = []
        /// Partitions of all topics, with those of this request.
        var partitions: Int
        /// What each broker leads, with those of this request; nil until somebody asks.
        var loads: [NodeID: Int]?
    }

    /// Partitions of all topics, also of those that are being made.
    private var partitionsHeld: Int {
        // A sum does not depend on the order.
        topics.partitionCount + changes.values.reduce(0) { $0 + $1.partitions }
    }

    private func collides(_ name: String, in request: Request) -> Bool {
        let collision = TopicName.collisionKey(of: name)
        if request.collisions.contains(collision) { return true }
        guard collision != name || name.contains("_") else { return false }
        return topics.sortedNames.contains { TopicName.collisionKey(of: $0) == collision }
            || reserved.contains { TopicName.collisionKey(of: $0) == collision }
    }

    private static func namedTwice(_ name: String) -> TopicOutcome {
        TopicOutcome(
            name: name, error: .invalidRequest, message: "the request names this topic twice")
    }

    /// Where the topic's partitions shall be, or why it can't be made.
    private func check(
        _ topic: NewTopic, in request: inout Request
    ) -> (placement: [[ReplicaID]], refusal: TopicOutcome?) {
        func refuse(_ error: TopicError, _ message: String) -> ([[ReplicaID]], TopicOutcome?) {
            ([], TopicOutcome(name: topic.name, error: error, message: message))
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
        if let reason = placementRefusal(of: topic.assignments) {
            return refuse(.invalidReplicaAssignment, reason)
        }
        let replicas = replicas(of: topic.replicas)
        guard 1 <= replicas && replicas <= copiesMaximum || !topic.assignments.isEmpty else {
            return refuse(.invalidReplicationFactor, copiesRefusal(replicas))
        }
        let asked = topic.partitions == -1 ? defaults.partitions : topic.partitions
        let partitions =
            topic.assignments.isEmpty ? asked : Int32(clamping: topic.assignments.count)
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
        let placement =
            topic.assignments.isEmpty
            ? place(
                first: 0, count: Int(partitions), replicas: replicas, &request.loads)
            : identify(topic.assignments)
        return (placement, nil)
    }

    /// A topic that can't be changed now: it is not there, or another request that is not over yet
    /// changes it, and whoever takes it for gone is wrong.
    func unknownOrBusy(_ name: String) -> TopicOutcome {
        guard topics[name] != nil, reserved.contains(name) else {
            return TopicOutcome(name: name, error: .unknown, message: "no topic '\(name)'")
        }
        return TopicOutcome(
            name: name, error: .timedOut,
            message: "another request changes '\(name)': ask again when it is over")
    }

    mutating func createPartitions(
        _ wanted: [NewPartitions], _ validateOnly: Bool, _ token: UInt64,
        into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var proposals: [RegisterProposal] = []
        let before = partitionsHeld
        var total = before
        var names: Set<String> = []
        var loads: [NodeID: Int]?
        for wish in wanted {
            guard names.insert(wish.name).inserted else {
                outcomes.append(Self.namedTwice(wish.name))
                continue
            }
            guard let entry = topics[wish.name], !reserved.contains(wish.name) else {
                outcomes.append(unknownOrBusy(wish.name))
                continue
            }
            let held = Int32(clamping: entry.partitions.count)
            if let refusal = refusal(of: wish, held: held, total: total, entry.isInternal) {
                outcomes.append(refusal)
                continue
            }
            total += Int(wish.count - held)
            var next = record(of: entry)
            let placement =
                wish.assignments.isEmpty
                ? place(
                    first: Int(held), count: Int(wish.count - held),
                    replicas: replicas(of: entry), &loads)
                : identify(wish.assignments)
            next.placement += placement
            outcomes.append(
                TopicOutcome(name: wish.name, entry: self.entry(name: wish.name, next)))
            proposals.append(
                RegisterProposal(
                    key: Self.key(wish.name),
                    operation: .growTopic(entry.id, from: held, placement: placement)))
        }
        if validateOnly || proposals.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        propose(proposals, adding: total - before, token, outcomes, into: &effects)
    }

    private func refusal(
        of wish: NewPartitions, held: Int32, total: Int, _ isInternal: Bool
    ) -> TopicOutcome? {
        guard wish.count > held, wish.count <= TopicRecord.partitionsMaximum, !isInternal,
            total + Int(wish.count - held) <= Self.partitionsMaximum
        else {
            return TopicOutcome(
                name: wish.name, error: .invalidPartitions,
                message: "'\(wish.name)' has \(held) partitions: they can only grow, up to "
                    + "\(TopicRecord.partitionsMaximum); \(wish.count) asked for")
        }
        guard !wish.assignments.isEmpty else {
            guard holders.isEmpty else { return nil }
            return TopicOutcome(
                name: wish.name, error: .invalidReplicationFactor,
                message: "no broker that holds data is there: start one")
        }
        let reason =
            wish.assignments.count == Int(wish.count - held)
            ? placementRefusal(of: wish.assignments)
            : "\(wish.assignments.count) placements for \(wish.count - held) new partitions"
        return reason.map {
            TopicOutcome(name: wish.name, error: .invalidReplicaAssignment, message: $0)
        }
    }

    mutating func alterTopics(
        _ wanted: [(name: String, change: ConfigurationChange)], _ validateOnly: Bool,
        _ token: UInt64, into effects: inout [Effect]
    ) {
        var outcomes: [TopicOutcome] = []
        var proposals: [RegisterProposal] = []
        var names: Set<String> = []
        for (name, change) in wanted {
            guard names.insert(name).inserted else {
                outcomes.append(Self.namedTwice(name))
                continue
            }
            guard let entry = topics[name], !reserved.contains(name) else {
                outcomes.append(unknownOrBusy(name))
                continue
            }
            do throws(ConfigurationChange.Refusal) {
                let next = TopicEntry(
                    id: entry.id, name: name,
                    configuration: try change.applied(to: entry.configuration),
                    partitions: entry.partitions, placement: entry.placement,
                    copies: entry.copies)
                outcomes.append(TopicOutcome(name: name, entry: next))
                proposals.append(
                    RegisterProposal(
                        key: Self.key(name),
                        operation: .alterTopic(
                            entry.id, change, defaults: defaults.configuration)))
            } catch {
                outcomes.append(
                    TopicOutcome(name: name, error: .invalidConfiguration, message: error.message))
            }
        }
        if validateOnly || proposals.isEmpty {
            reply(outcomes, to: token, into: &effects)
            return
        }
        propose(proposals, token, outcomes, into: &effects)
    }
}

extension Control {
    private static let topicPrefix = "topic/"

    static func key(_ topic: String) -> String { topicPrefix + topic }

    /// The topic that a register is about; nil for any other register.
    static func topicName(of key: String) -> String? {
        key.hasPrefix(topicPrefix) ? String(key.dropFirst(topicPrefix.count)) : nil
    }

    func reply(
        _ outcomes: [TopicOutcome], to token: UInt64?, into effects: inout [Effect]
    ) {
        guard let token else { return }
        effects.append(.reply(token: token, .topics(outcomes)))
    }

    func record(of entry: TopicEntry) -> TopicRecord {
        TopicRecord(
            id: entry.id, placement: entry.placement,
            overrides: entry.configuration.overrides, copies: entry.copies)
    }

    /// How many copies new partitions of a topic begin with.
    private func replicas(of entry: TopicEntry) -> Int {
        entry.copies == -1 ? min(entry.copiesWanted, holders.count) : entry.placement[0].count
    }

    /// - Parameter waiting: places of outcomes that no proposal is about.
    @discardableResult
    mutating func propose(
        _ proposals: [RegisterProposal], adding partitions: Int = 0, _ token: UInt64?,
        _ outcomes: [TopicOutcome], waiting: [Int] = [], into effects: inout [Effect]
    ) -> UInt64 {
        let number = nextSerial()
        let names = proposals.compactMap { Self.topicName(of: $0.key) }
        for name in names { reserved.insert(name) }
        var change = PendingChange(
            kind: .topics, token: token, names: names, partitions: partitions, outcomes: outcomes)
        change.places = outcomes.indices.filter {
            outcomes[$0].error == nil && !waiting.contains($0)
        }
        for (place, proposal) in zip(change.places, proposals) {
            switch proposal.operation {
            case .createTopic(let record): change.records[place] = record
            case .deleteTopic: change.deleted.insert(place)
            default: break
            }
        }
        // What it waits for besides must not answer it before its proposals are decided.
        change.openings = proposals.isEmpty ? 0 : 1
        changes[number] = change
        if !proposals.isEmpty { effects.append(.propose(number, proposals)) }
        return number
    }
}
