public import Model
public import Replication

/// Where clients reach a broker through one of its listeners.
public struct Endpoint: Hashable, Sendable {
    public let listener: String
    public let host: String
    public let port: Int32

    public init(listener: String, host: String, port: Int32) {
        self.listener = listener
        self.host = host
        self.port = port
    }
}

/// A broker as Metadata answers name it.
public struct BrokerEntry: Hashable, Sendable {
    public let id: NodeID
    public let rack: String?
    public let endpoints: [Endpoint]

    public init(id: NodeID, rack: String?, endpoints: [Endpoint]) {
        self.id = id
        self.rack = rack
        self.endpoints = endpoints
    }

    /// The endpoint for clients of `listener`: they are sent back through the door they came by.
    public func endpoint(for listener: String) -> Endpoint? {
        endpoints.first { $0.listener == listener } ?? endpoints.first
    }
}

/// A topic as everybody sees it: identity, configuration, and who leads each partition.
public struct TopicEntry: Sendable {
    public let id: TopicID
    public let name: String
    public let configuration: TopicConfiguration
    /// By partition index; a topic has at least one.
    public internal(set) var partitions: PartitionStates
    /// Where the partitions were put when they were made, as the topic's record has it.
    let placement: [[ReplicaID]]
    /// How many copies were asked for; -1 where nobody asked.
    let copies: Int16

    init(
        id: TopicID, name: String, configuration: TopicConfiguration,
        partitions: PartitionStates, placement: [[ReplicaID]], copies: Int16
    ) {
        precondition(!partitions.isEmpty, "a topic has a partition")
        precondition(partitions.count == placement.count, "each partition was put somewhere")
        self.id = id
        self.name = name
        self.configuration = configuration
        self.partitions = partitions
        self.placement = placement
        self.copies = copies
    }

    /// Costs a comparison of two numbers for each partition.
    func hasSameLeaders(as other: TopicEntry) -> Bool {
        partitions.count == other.partitions.count
            && zip(partitions, other.partitions).allSatisfy { $0.leader == $1.leader }
    }

    /// The brokers that it was placed on, or has been moved to, in ascending order.
    var brokers: [NodeID] {
        var nodes = Set(placement.lazy.joined().map(\.node))
        for state in partitions { nodes.formUnion(state.replicas) }
        return nodes.sorted()
    }

    /// The brokers that its copies are on now.
    var holders: Set<NodeID> {
        partitions.reduce(into: []) { $0.formUnion($1.replicas) }
    }

    /// How many copies each partition is meant to have, once there are so many brokers.
    var copiesWanted: Int {
        isInternal || copies == -1 ? TopicRecord.copiesByDefault : Int(copies)
    }

    /// Internal topics are the broker's own: clients read them and don't write them.
    public var isInternal: Bool { name == TopicName.consumerOffsets }

    public func partition(_ index: Int32) -> TopicPartition {
        TopicPartition(topic: id, index: PartitionIndex(index))
    }

    /// Who leads partition `index`, and whose copies count; nil where the topic has no such
    /// partition.
    public func state(_ index: Int32) -> PartitionState? {
        partitions.indices.contains(Int(index)) ? partitions[Int(index)] : nil
    }
}

/// One moment's picture of brokers, topics and leaders: the table that Metadata answers come from.
///
/// Immutable and shared: the control machine makes a new one at each change, and every event loop
/// holds the newest it was given. A lookup costs one hash; making one costs what it lists of the
/// brokers, because its topics are shared with the one before (`TopicTable`).
public final class ClusterView: Sendable {
    public let clusterID: String
    public let brokers: [BrokerEntry]
    /// The broker that administrative clients are sent to; every broker decides, so each names
    /// itself.
    public let controller: NodeID
    public let defaults: TopicDefaultsView
    private let topics: TopicTable
    /// Brokers that are suspected: others campaign for what they lead.
    let doubted: Set<NodeID>

    public convenience init(
        clusterID: String, brokers: [BrokerEntry], controller: NodeID,
        defaults: TopicDefaultsView, topics: [TopicEntry]
    ) {
        self.init(
            clusterID: clusterID, brokers: brokers, controller: controller, defaults: defaults,
            sharing: TopicTable(topics))
    }

    init(
        clusterID: String, brokers: [BrokerEntry], controller: NodeID,
        defaults: TopicDefaultsView, sharing topics: TopicTable, doubted: Set<NodeID> = []
    ) {
        self.doubted = doubted
        self.clusterID = clusterID
        self.brokers = brokers
        self.controller = controller
        self.defaults = defaults
        self.topics = topics
    }

    /// All names in ascending order.
    public var sortedNames: [String] { topics.sortedNames }

    public func topic(named name: String) -> TopicEntry? { topics[name] }

    public func topic(id: TopicID) -> TopicEntry? { topics.name(of: id).flatMap { topics[$0] } }

    public func name(of id: TopicID) -> String? { topics.name(of: id) }

    public func broker(_ id: NodeID) -> BrokerEntry? { brokers.first { $0.id == id } }

    /// Where clients are sent for a partition: to its leader, or, while that one is doubted or
    /// gone, to the in-sync replica whose turn it is. That one says NOT_LEADER_OR_FOLLOWER until it
    /// is elected, which clients repeat every 100 ms; they ask for metadata in steps that double,
    /// and would come a second after the election. A deviation: Kafka says LEADER_NOT_AVAILABLE.
    ///
    /// A broker that sees nobody else is more likely the one that is cut off: it sends nobody to
    /// itself.
    public func leader(of state: PartitionState) -> BrokerEntry? {
        let present = state.leader.flatMap { broker($0) }
        if let present, !doubted.contains(present.id) { return present }
        guard brokers.count - doubted.count > 1 else { return present }
        let successor = state.replicas.first { node in
            node != state.leader && !doubted.contains(node) && broker(node) != nil
                && state.inSync.contains { $0.node == node }
        }
        return successor.flatMap { broker($0) } ?? present
    }

    /// How many partitions a broker leads.
    public func leads(of broker: NodeID) -> Int { topics.leads(of: broker) }
}

/// Where a partition is, as seen from the broker that is asked.
public enum PartitionPlace: Sendable {
    /// No such topic, or it has no such partition.
    case unknown
    /// No topic of this id; one that was deleted is never confused with another of its name.
    case unknownID
    /// Another broker leads it, or nobody: whoever asks is sent there.
    case elsewhere(PartitionState)
    /// This broker leads it.
    case here(TopicPartition)

    /// The partition to ask this broker's shards for; nil where there is none.
    public var own: TopicPartition? {
        if case .here(let partition) = self { partition } else { nil }
    }

    /// Why this broker does not serve it; nil where it does.
    public var refusal: PartitionError? {
        switch self {
        case .unknown: .unknownTopicOrPartition
        case .unknownID: .unknownTopicID
        case .elsewhere: .notLeader
        case .here: nil
        }
    }
}

extension ClusterView {
    /// Costs one hash.
    public func place(_ topic: String, _ index: Int32) -> PartitionPlace {
        guard let entry = self.topic(named: topic) else { return .unknown }
        return place(entry, index)
    }

    /// Costs two hashes.
    public func place(_ id: TopicID, _ index: Int32) -> PartitionPlace {
        guard let entry = self.topic(id: id) else { return .unknownID }
        return place(entry, index)
    }

    public func place(_ entry: TopicEntry, _ index: Int32) -> PartitionPlace {
        guard let state = entry.state(index) else { return .unknown }
        return state.leader == controller ? .here(entry.partition(index)) : .elsewhere(state)
    }
}

/// What a topic gets where its creator left it open, as far as a view's readers need to know.
public struct TopicDefaultsView: Hashable, Sendable {
    public let partitions: Int32
    public let replicas: Int16
    public let autoCreateTopics: Bool
    /// Broker-wide values of topic configurations, by Kafka's topic-level names.
    public let configuration: [String: String]

    public init(
        partitions: Int32, replicas: Int16, autoCreateTopics: Bool, configuration: [String: String]
    ) {
        self.partitions = partitions
        self.replicas = replicas
        self.autoCreateTopics = autoCreateTopics
        self.configuration = configuration
    }
}
