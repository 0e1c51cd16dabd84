public import Model

/// What a mesh promises: a violation breaks one of these.
///
/// Each has one sentence for a reader who knows Kafka but not the checker that found it broken.
public enum MeshPromise: String, Codable, Hashable, Sendable, CaseIterable {
    case recordKept
    case recordOnce
    case offsetsDense
    case seenStays
    case oneLeader
    case producerServed
    case wordsUnderstood
    case oneOwner
    case groupOffset
    case onlyChosen
    case linearizable
    case oneServes
    case watermarkRises
    case sameMembers
    case bounded
    case deletedStays
    case wholeAgain

    public var sentence: String {
        switch self {
        case .recordKept:
            "A record that was acknowledged with acks=all stays where it is in every copy."
        case .recordOnce:
            "An idempotent producer's records are in the log once each, in their order."
        case .offsetsDense: "A consumer is given every offset, one after the other."
        case .seenStays: "What a consumer was given at an offset is there for ever."
        case .oneLeader: "One broker at most leads a partition under one leader epoch."
        case .producerServed: "A producer that keeps to the protocol is never refused for good."
        case .wordsUnderstood:
            "What a client encodes a broker decodes, and the answers come back in their order."
        case .oneOwner: "One member of a group at most owns a partition in one generation."
        case .groupOffset:
            "A group is told what it committed: nothing older, nothing it never sent."
        case .onlyChosen:
            "No broker has a value in its table that a quorum of voters did not accept."
        case .linearizable:
            "Registers are linearizable: some order explains what everybody was told of one."
        case .oneServes: "No two brokers believe at one moment that they may serve a partition."
        case .watermarkRises: "Within a leader epoch the high watermark never goes back."
        case .sameMembers: "Once all is well every broker knows the same members."
        case .bounded: "What a broker holds is bounded, whatever clients and peers do."
        case .deletedStays:
            "A topic whose deletion was acknowledged never comes back, and one that nobody deleted "
                + "stays; what is made under its name is another one."
        case .wholeAgain:
            "Once nothing is wrong any more the mesh becomes whole and answers everybody."
        }
    }
}

/// What a failure is about: an explanation shows this and leaves out the rest.
public struct MeshSubject: Hashable, Sendable {
    public var partition: TopicPartition?
    public var offset: Int64?
    /// The record's value, by which it is known wherever it is.
    public var value: String?
    public var group: String?

    public init(
        partition: TopicPartition? = nil, offset: Int64? = nil, value: String? = nil,
        group: String? = nil
    ) {
        self.partition = partition
        self.offset = offset
        self.value = value
        self.group = group
    }
}

/// The first promise that a run broke.
public struct MeshFailure: Hashable, Sendable {
    public let promise: MeshPromise
    /// What was seen, with names and numbers.
    public let reason: String
    public let subject: MeshSubject
    /// When it was seen, which may be long after it came to be.
    public let at: Instant
}
