public import Model
public import NIOCore

/// Reads record batches from partitions, waiting for them where there are none yet.
///
/// From version 7 on it may belong to a session and name only what changed (KIP-227); version 12
/// carries the last fetched epoch, so that the leader can tell a divergence (KIP-595). From 13 on
/// topics have ids instead of names (KIP-516), so that nobody reads on in another topic that got
/// the name since; from 15 on a follower says who it is in a tagged field (KIP-903).
///
///     to 14    [replica id][max wait][min bytes][max bytes][isolation][session id][epoch]
///              [topics][forgotten topics][rack]{0: cluster id}
///     from 15  the same without [replica id]; {0: cluster id, 1: [replica id][replica epoch]}
public struct FetchRequest: Sendable, Hashable {
    public var clusterID: String? = nil
    /// -1 for a consumer; up to version 14.
    public var replicaID: Int32 = -1
    /// Who fetches, from version 15 on.
    public var replicaState: ReplicaState = ReplicaState()
    public var maxWaitMilliseconds: Int32 = 0
    public var minBytes: Int32 = 0
    public var maxBytes: Int32 = .max
    /// 0 read_uncommitted, 1 read_committed.
    public var isolationLevel: Int8 = 0
    /// 0 for none.
    public var sessionID: Int32 = 0
    /// -1 for no session, 0 to begin one.
    public var sessionEpoch: Int32 = -1
    public var topics: [Topic] = []
    public var forgottenTopics: [ForgottenTopic] = []
    public var rackID: String = ""

    /// Where ids took the place of names (KIP-516).
    public static let firstVersionByID: Int16 = 13

    public init() {}

    public init(
        clusterID: String? = nil, replicaID: Int32 = -1,
        replicaState: ReplicaState = ReplicaState(), maxWaitMilliseconds: Int32 = 0,
        minBytes: Int32 = 0, maxBytes: Int32 = .max, isolationLevel: Int8 = 0,
        sessionID: Int32 = 0, sessionEpoch: Int32 = -1, topics: [Topic] = [],
        forgottenTopics: [ForgottenTopic] = [], rackID: String = ""
    ) {
        self.clusterID = clusterID
        self.replicaID = replicaID
        self.replicaState = replicaState
        self.maxWaitMilliseconds = maxWaitMilliseconds
        self.minBytes = minBytes
        self.maxBytes = maxBytes
        self.isolationLevel = isolationLevel
        self.sessionID = sessionID
        self.sessionEpoch = sessionEpoch
        self.topics = topics
        self.forgottenTopics = forgottenTopics
        self.rackID = rackID
    }

    /// The follower that fetches and its incarnation (KIP-903).
    public struct ReplicaState: Sendable, Hashable {
        /// -1 for a consumer.
        public var replicaID: Int32 = -1
        public var replicaEpoch: Int64 = -1

        public init() {}

        public init(replicaID: Int32 = -1, replicaEpoch: Int64 = -1) {
            self.replicaID = replicaID
            self.replicaEpoch = replicaEpoch
        }
    }

    /// Partitions that leave the session.
    public struct ForgottenTopic: Sendable, Hashable {
        /// Up to version 12.
        public var name: String = ""
        /// From version 13 on.
        public var topicID: TopicID = .zero
        public var partitionIndexes: [Int32] = []

        public init() {}

        public init(
            name: String = "", topicID: TopicID = .zero, partitionIndexes: [Int32] = []
        ) {
            self.name = name
            self.topicID = topicID
            self.partitionIndexes = partitionIndexes
        }
    }

    /// The partitions of one topic that are read.
    public struct Topic: Sendable, Hashable {
        /// Up to version 12.
        public var name: String = ""
        /// From version 13 on.
        public var topicID: TopicID = .zero
        public var partitions: [Partition] = []

        public init() {}

        public init(name: String = "", topicID: TopicID = .zero, partitions: [Partition] = []) {
            self.name = name
            self.topicID = topicID
            self.partitions = partitions
        }
    }

    /// Where to read in one partition and how much at most.
    public struct Partition: Sendable, Hashable {
        public var index: Int32 = 0
        public var currentLeaderEpoch: Int32 = -1
        public var fetchOffset: Int64 = 0
        public var lastFetchedEpoch: Int32 = -1
        public var logStartOffset: Int64 = -1
        public var partitionMaxBytes: Int32 = 0

        public init() {}

        public init(
            index: Int32 = 0, currentLeaderEpoch: Int32 = -1, fetchOffset: Int64 = 0,
            lastFetchedEpoch: Int32 = -1, logStartOffset: Int64 = -1, partitionMaxBytes: Int32 = 0
        ) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.fetchOffset = fetchOffset
            self.lastFetchedEpoch = lastFetchedEpoch
            self.logStartOffset = logStartOffset
            self.partitionMaxBytes = partitionMaxBytes
        }
    }
}

extension FetchRequest: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&replicaID, until: 14)
        try wire.visit(&maxWaitMilliseconds)
        try wire.visit(&minBytes)
        try wire.visit(&maxBytes)
        try wire.visit(&isolationLevel)
        try wire.visit(&sessionID, since: 7)
        try wire.visit(&sessionEpoch, since: 7)
        try wire.visit(&topics)
        try wire.visit(&forgottenTopics, since: 7)
        try wire.visit(&rackID, since: 11)
    }

    func presentTags(version: Int16) -> UInt32 {
        var present: UInt32 = 0
        if version >= 12, clusterID != nil { present |= 1 << 0 }
        if version >= 15, replicaState != .init() { present |= 1 << 1 }
        return present
    }

    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool {
        switch tag {
        case 0 where wire.version >= 12: try wire.visit(&clusterID)
        case 1 where wire.version >= 15: try wire.visit(&replicaState)
        default: return false
        }
        return true
    }
}

extension FetchRequest.ReplicaState: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&replicaID)
        try wire.visit(&replicaEpoch)
    }
}

extension FetchRequest.ForgottenTopic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, until: 12)
        try wire.visit(&topicID, since: 13)
        try wire.visit(&partitionIndexes)
    }
}

extension FetchRequest.Topic: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&name, until: 12)
        try wire.visit(&topicID, since: 13)
        try wire.visit(&partitions)
    }
}

extension FetchRequest.Partition: WireStruct {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visit(&index)
        try wire.visit(&currentLeaderEpoch, since: 9)
        try wire.visit(&fetchOffset)
        try wire.visit(&lastFetchedEpoch, since: 12)
        try wire.visit(&logStartOffset, since: 5)
        try wire.visit(&partitionMaxBytes)
    }
}

extension FetchRequest: KafkaRequest {
    public typealias Response = FetchResponse

    public static var apiKey: APIKey { .fetch }

    public static func decode(_ body: ByteBuffer, version: Int16) throws(WireError) -> Self {
        try decodeMessage(body, version: version)
    }

    public func encode(version: Int16, into out: inout ByteBuffer) throws(WireError) {
        try encodeMessage(self, version: version, into: &out)
    }

    public func encodedSize(version: Int16) throws(WireError) -> Int {
        try sizeOfMessage(self, version: version)
    }
}
