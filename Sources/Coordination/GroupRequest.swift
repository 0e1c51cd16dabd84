public import Model
public import NIOCore

/// Names one waiting request; the owner invents it and routes the reply by it.
///
/// Every request gets exactly one reply, also those that wait for a rebalance when the slot moves.
public struct RequestToken: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable public static func < (left: RequestToken, right: RequestToken) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A request about one group, free of the versions of the wire.
///
/// The broker maps each version of Kafka's messages to these; requests that name many groups
/// become one request for each group, sent to the slot of that group.
public enum GroupRequest: Hashable, Sendable {
    case join(Join)
    case sync(Sync)
    case heartbeat(Heartbeat)
    case leave(Leave)
    case commitOffsets(CommitOffsets)
    case fetchOffsets(FetchOffsets)
    case describe(Describe)
    case list(List)
    case delete(Delete)
    case deleteOffsets(DeleteOffsets)
}

extension GroupRequest {
    /// JoinGroup: enter the group or take part in its next generation.
    public struct Join: Hashable, Sendable {
        public var groupID: String
        /// Empty where the member has no id yet.
        public var memberID: String
        /// The static identity (KIP-345).
        public var groupInstanceID: String?
        public var clientID: String
        public var clientHost: String
        public var sessionTimeoutMilliseconds: Int32
        /// Version 0 has none: give the session timeout.
        public var rebalanceTimeoutMilliseconds: Int32
        public var protocolType: String
        /// In the member's order of preference.
        public var protocols: [MemberProtocol]
        /// True from version 4 on: a dynamic newcomer must come back with the id we give (KIP-394).
        public var requiresKnownMemberID: Bool
        /// True from version 9 on: a returning static leader may skip its assignor (KIP-814).
        public var supportsSkippingAssignment: Bool

        public init(
            groupID: String, memberID: String, groupInstanceID: String? = nil, clientID: String,
            clientHost: String, sessionTimeoutMilliseconds: Int32,
            rebalanceTimeoutMilliseconds: Int32, protocolType: String, protocols: [MemberProtocol],
            requiresKnownMemberID: Bool, supportsSkippingAssignment: Bool
        ) {
            self.groupID = groupID
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.clientID = clientID
            self.clientHost = clientHost
            self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
            self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
            self.protocolType = protocolType
            self.protocols = protocols
            self.requiresKnownMemberID = requiresKnownMemberID
            self.supportsSkippingAssignment = supportsSkippingAssignment
        }
    }

    /// SyncGroup: the leader brings the assignment, everyone fetches their part.
    public struct Sync: Hashable, Sendable {
        public var groupID: String
        public var generation: Int32
        public var memberID: String
        public var groupInstanceID: String?
        /// From version 5 on (KIP-559); absent before.
        public var protocolType: String?
        public var protocolName: String?
        /// Empty except from the leader.
        public var assignments: [MemberAssignment]

        public init(
            groupID: String, generation: Int32, memberID: String, groupInstanceID: String? = nil,
            protocolType: String? = nil, protocolName: String? = nil,
            assignments: [MemberAssignment] = []
        ) {
            self.groupID = groupID
            self.generation = generation
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.protocolType = protocolType
            self.protocolName = protocolName
            self.assignments = assignments
        }
    }

    /// Heartbeat: the member is alive, and learns whether to join again.
    public struct Heartbeat: Hashable, Sendable {
        public var groupID: String
        public var generation: Int32
        public var memberID: String
        public var groupInstanceID: String?

        public init(
            groupID: String, generation: Int32, memberID: String, groupInstanceID: String? = nil
        ) {
            self.groupID = groupID
            self.generation = generation
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
        }
    }

    /// LeaveGroup: one member (versions 0 to 2) or several, static ones also by instance id alone.
    public struct Leave: Hashable, Sendable {
        public var groupID: String
        public var members: [MemberIdentity]

        public init(groupID: String, members: [MemberIdentity]) {
            self.groupID = groupID
            self.members = members
        }
    }
}

extension GroupRequest {
    /// OffsetCommit, from a member or from a simple consumer (generation -1, no member id).
    public struct CommitOffsets: Hashable, Sendable {
        public var groupID: String
        /// -1 outside of group management.
        public var generation: Int32
        public var memberID: String
        public var groupInstanceID: String?
        /// Only versions 2 to 4 can carry it; nil where the wire says -1.
        public var retentionMilliseconds: Int64?
        public var topics: [Topic<Partition>]

        /// The commit of one partition.
        public struct Partition: Hashable, Sendable {
            public var index: PartitionIndex
            public var offset: Offset
            public var leaderEpoch: LeaderEpoch
            public var metadata: String

            public init(
                index: PartitionIndex, offset: Offset, leaderEpoch: LeaderEpoch, metadata: String
            ) {
                self.index = index
                self.offset = offset
                self.leaderEpoch = leaderEpoch
                self.metadata = metadata
            }
        }

        public init(
            groupID: String, generation: Int32, memberID: String, groupInstanceID: String? = nil,
            retentionMilliseconds: Int64? = nil, topics: [Topic<Partition>]
        ) {
            self.groupID = groupID
            self.generation = generation
            self.memberID = memberID
            self.groupInstanceID = groupInstanceID
            self.retentionMilliseconds = retentionMilliseconds
            self.topics = topics
        }
    }

    /// OffsetFetch of one group.
    ///
    /// `require_stable` has no field: it hides offsets of open transactions, of which there are
    /// none, so every visible offset is stable.
    public struct FetchOffsets: Hashable, Sendable {
        public var groupID: String
        /// nil asks for every offset of the group.
        public var topics: [Topic<PartitionIndex>]?

        public init(groupID: String, topics: [Topic<PartitionIndex>]?) {
            self.groupID = groupID
            self.topics = topics
        }
    }

    /// DescribeGroups, one group.
    public struct Describe: Hashable, Sendable {
        public var groupID: String
        /// True from version 6 on (KIP-1043): a missing group is an error, not a dead group.
        public var reportsMissingGroup: Bool

        public init(groupID: String, reportsMissingGroup: Bool) {
            self.groupID = groupID
            self.reportsMissingGroup = reportsMissingGroup
        }
    }

    /// ListGroups, this slot's share; an empty filter lets everything through.
    public struct List: Hashable, Sendable {
        /// Compared without regard to case (KIP-518).
        public var states: [String]
        /// Compared without regard to case (KIP-848); every group here is "classic".
        public var types: [String]

        public init(states: [String] = [], types: [String] = []) {
            self.states = states
            self.types = types
        }
    }

    /// DeleteGroups, one group.
    public struct Delete: Hashable, Sendable {
        public var groupID: String

        public init(groupID: String) { self.groupID = groupID }
    }

    /// OffsetDelete (KIP-496).
    public struct DeleteOffsets: Hashable, Sendable {
        public var groupID: String
        public var topics: [Topic<PartitionIndex>]

        public init(groupID: String, topics: [Topic<PartitionIndex>]) {
            self.groupID = groupID
            self.topics = topics
        }
    }
}

/// A topic by name with one value for each of the partitions that are meant.
public struct Topic<Partition: Hashable & Sendable>: Hashable, Sendable {
    public var name: String
    public var partitions: [Partition]

    public init(name: String, partitions: [Partition]) {
        self.name = name
        self.partitions = partitions
    }
}

/// A way to assign that a member offers, with the bytes that this assignor wants to know of it.
public struct MemberProtocol: Hashable, Sendable {
    public var name: String
    public var metadata: ByteBuffer

    public init(name: String, metadata: ByteBuffer) {
        self.name = name
        self.metadata = metadata
    }
}

/// What the leader decided for one member.
public struct MemberAssignment: Hashable, Sendable {
    public var memberID: String
    public var assignment: ByteBuffer

    public init(memberID: String, assignment: ByteBuffer) {
        self.memberID = memberID
        self.assignment = assignment
    }
}

/// A member as a LeaveGroup names it: by id, by static identity, or by both.
public struct MemberIdentity: Hashable, Sendable {
    public var memberID: String
    public var groupInstanceID: String?

    public init(memberID: String, groupInstanceID: String? = nil) {
        self.memberID = memberID
        self.groupInstanceID = groupInstanceID
    }
}
