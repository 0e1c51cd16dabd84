/// What an operator wants of the leader of partitions (KIP-183, KIP-460).
public struct LeaderElection: Sendable {
    /// The first replica of the placement shall lead; or, unclean, any that is there, where nobody
    /// leads and nobody who holds everything is there.
    public let isUnclean: Bool
    /// By topic and index; nil for all partitions.
    public let partitions: [(topic: String, index: Int32)]?
    public let timeoutMilliseconds: Int64

    public init(
        isUnclean: Bool, partitions: [(topic: String, index: Int32)]?, timeoutMilliseconds: Int64
    ) {
        self.isUnclean = isUnclean
        self.partitions = partitions
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// Where an operator wants one partition to be; without a target a move that runs is called off
/// (KIP-455).
public struct ReassignmentWish: Sendable {
    public let topic: String
    public let index: Int32
    public let target: [Int32]?

    public init(topic: String, index: Int32, target: [Int32]?) {
        self.topic = topic
        self.index = index
        self.target = target
    }
}

/// Why nothing was done with a partition as it was asked.
public enum ReplicaOutcomeError: Hashable, Sendable {
    case unknown
    /// The right replica leads already.
    case electionNotNeeded
    /// The first replica is not there, or not in sync.
    case preferredNotAvailable
    /// No replica is there that could lead.
    case noEligibleLeader
    case noReassignment
    case invalidAssignment
    case invalidFactor
    /// Not done in time; it may still come to pass.
    case timedOut
}

/// What became of one partition of an operator's request.
public struct ReplicaOutcome: Sendable {
    public let topic: String
    public let index: Int32
    public var error: ReplicaOutcomeError?
    /// In words, for the client's error message.
    public var message: String?

    public init(
        topic: String, index: Int32, error: ReplicaOutcomeError? = nil, message: String? = nil
    ) {
        self.topic = topic
        self.index = index
        self.error = error
        self.message = message
    }
}
