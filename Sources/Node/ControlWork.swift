public import Coordination
public import Model
public import NIOCore
import Replication

/// A topic that somebody wants.
public struct NewTopic: Sendable {
    public let name: String
    /// -1 takes the broker's default.
    public let partitions: Int32
    /// -1 takes the broker's default.
    public let replicas: Int16
    /// An explicit placement, by partition; empty lets the broker place.
    public let assignments: [[Int32]]
    public let overrides: [String: String]

    public init(
        name: String, partitions: Int32 = -1, replicas: Int16 = -1, assignments: [[Int32]] = [],
        overrides: [String: String] = [:]
    ) {
        self.name = name
        self.partitions = partitions
        self.replicas = replicas
        self.assignments = assignments
        self.overrides = overrides
    }
}

/// More partitions that somebody wants for a topic.
public struct NewPartitions: Hashable, Sendable {
    public let name: String
    /// How many it shall have in all.
    public let count: Int32
    /// An explicit placement of the new ones; empty lets the broker place.
    public let assignments: [[Int32]]

    public init(name: String, count: Int32, assignments: [[Int32]] = []) {
        self.name = name
        self.count = count
        self.assignments = assignments
    }
}

/// Why a topic was not made, changed or removed; nothing of it was changed.
public enum TopicError: Hashable, Sendable {
    case invalidTopic
    case alreadyExists
    case unknown
    case invalidPartitions
    case invalidReplicationFactor
    case invalidReplicaAssignment
    case invalidConfiguration
    case policyViolation
    case invalidRequest
    /// A partition can't be opened.
    case storage
    /// Not decided in time; whether it comes to pass is open.
    case timedOut
}

/// What became of one topic of an administrative request.
public struct TopicOutcome: Sendable {
    public let name: String
    public var error: TopicError?
    /// In words, for the client's error message.
    public var message: String?
    /// The topic as it is now, or would be.
    public var entry: TopicEntry?

    public init(
        name: String, error: TopicError? = nil, message: String? = nil, entry: TopicEntry? = nil
    ) {
        self.name = name
        self.error = error
        self.message = message
        self.entry = entry
    }
}

/// A request to the control machine.
public enum ControlRequest: Sendable {
    case createTopics([NewTopic], validateOnly: Bool)
    /// Where an id is given, only if the name is still that topic's.
    case deleteTopics([String], ids: [String: TopicID] = [:])
    case createPartitions([NewPartitions], validateOnly: Bool)
    case alterTopics([(name: String, change: ConfigurationChange)], validateOnly: Bool)
    /// Answered when the view holds those of these topics that exist.
    case lookUp([String])
    /// A fresh producer id (KIP-98).
    case producerID
    /// Answered when the groups' slots exist: a coordinator may still be loading.
    case coordinators(groups: [String])
    case group(GroupRequest)
    /// Asked of every slot.
    case listGroups(GroupRequest.List)
    /// Write back those of these positions that a slot's log lacks.
    case recoverOffsets(slot: Int, [SlotRecord], force: Bool)
    case electLeaders(LeaderElection)
    case reassign([ReassignmentWish], allowsFactorChange: Bool)
}

/// The control machine's answer.
public enum ControlReply: Sendable {
    case topics([TopicOutcome])
    /// The look-up is done; false where a register could not be read now.
    case lookedUp(isComplete: Bool)
    case producerID(ProducerID?)
    /// By group, in the order of the request; nil where nobody coordinates it now.
    case coordinators([NodeID?])
    case group(GroupResponse)
    case groups(GroupResponse.List)
    case partitions([ReplicaOutcome])
    case recovered(RecoveryOutcome)
}

/// One change of this broker's own durable records; a nil value removes the key.
public struct TableChange: Hashable, Sendable {
    public let key: String
    public let version: UInt64
    public let value: ByteBuffer?

    public init(key: String, version: UInt64, value: ByteBuffer?) {
        self.key = key
        self.version = version
        self.value = value
    }
}

/// A broker of the mesh as the control machine has to know it.
public struct BrokerMember: Hashable, Sendable {
    public let entry: BrokerEntry
    /// Which binding of its node id is meant; 0 until it is decided.
    public let admission: AdmissionNumber
    /// Its log epoch: since when it has lost nothing.
    public let epoch: LeaderEpoch
    /// It is suspected: others may campaign for what it leads.
    public let isDoubted: Bool
    /// Partitions are placed on it; a voter that holds none answers clients all the same.
    public let holdsPartitions: Bool

    public init(
        entry: BrokerEntry, admission: AdmissionNumber = AdmissionNumber(0), epoch: LeaderEpoch,
        isDoubted: Bool = false, holdsPartitions: Bool = true
    ) {
        self.entry = entry
        self.admission = admission
        self.epoch = epoch
        self.isDoubted = isDoubted
        self.holdsPartitions = holdsPartitions
    }

    /// Its copies, as registers name them.
    var replica: ReplicaID {
        ReplicaID(
            node: entry.id, admission: admission,
            logEpoch: BootEpoch(UInt64(clamping: epoch.rawValue)))
    }
}
