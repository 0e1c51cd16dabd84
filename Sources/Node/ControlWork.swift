public import Coordination
public import Model
public import NIOCore

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
    /// The data directory did not take the change.
    case storage
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
    case deleteTopics([String])
    case createPartitions([(name: String, count: Int32)], validateOnly: Bool)
    /// Each topic's overrides as they shall be, whole.
    case alterTopics([(name: String, overrides: [String: String])], validateOnly: Bool)
    /// A fresh producer id (KIP-98).
    case producerID
    /// Answered when the group's slot exists: its coordinator may still be loading.
    case coordinator(group: String)
    case group(GroupRequest)
    /// Asked of every slot.
    case listGroups(GroupRequest.List)
}

/// The control machine's answer.
public enum ControlReply: Sendable {
    case topics([TopicOutcome])
    case producerID(ProducerID?)
    case coordinator(isReady: Bool)
    case group(GroupResponse)
    case groups(GroupResponse.List)
}

/// One change of the durable table; a nil value removes the key.
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
