public import Model
public import NIOCore

/// The answer to a `GroupRequest`; the case is always that of the request.
public enum GroupResponse: Hashable, Sendable {
    case join(Join)
    case sync(Sync)
    case heartbeat(GroupError?)
    case leave(Leave)
    case commitOffsets([Topic<PartitionOutcome>])
    case fetchOffsets(FetchOffsets)
    case describe(Describe)
    case list(List)
    case delete(GroupError?)
    case deleteOffsets(DeleteOffsets)
}

/// What became of one partition of a commit or of an offset removal.
public struct PartitionOutcome: Hashable, Sendable {
    public var index: PartitionIndex
    public var error: GroupError?

    public init(index: PartitionIndex, error: GroupError?) {
        self.index = index
        self.error = error
    }
}

extension GroupResponse {
    /// The generation that the member is part of now, or why it is not.
    public struct Join: Hashable, Sendable {
        public var error: GroupError?
        /// -1 beside most errors.
        public var generation: Int32 = -1
        public var protocolType: String?
        public var protocolName: String?
        /// Empty where there is none.
        public var leaderID: String = ""
        public var skipsAssignment: Bool = false
        public var memberID: String
        /// Everyone, for the leader; empty for the others.
        public var members: [Member] = []

        /// A member with its metadata for the chosen protocol.
        public struct Member: Hashable, Sendable {
            public var memberID: String
            public var groupInstanceID: String?
            public var metadata: ByteBuffer

            public init(memberID: String, groupInstanceID: String?, metadata: ByteBuffer) {
                self.memberID = memberID
                self.groupInstanceID = groupInstanceID
                self.metadata = metadata
            }
        }

        public init(error: GroupError? = nil, memberID: String) {
            self.error = error
            self.memberID = memberID
        }
    }

    /// The member's part of the assignment; empty beside an error.
    public struct Sync: Hashable, Sendable {
        public var error: GroupError?
        public var protocolType: String?
        public var protocolName: String?
        public var assignment: ByteBuffer

        public init(
            error: GroupError? = nil, protocolType: String? = nil, protocolName: String? = nil,
            assignment: ByteBuffer = ByteBuffer()
        ) {
            self.error = error
            self.protocolType = protocolType
            self.protocolName = protocolName
            self.assignment = assignment
        }
    }

    /// One outcome for each member that was to leave, in the order of the request.
    ///
    /// Versions 0 to 2 have room for one error only: the group's, else the single member's.
    public struct Leave: Hashable, Sendable {
        public var error: GroupError?
        public var members: [Member] = []

        /// What became of one of them.
        public struct Member: Hashable, Sendable {
            public var identity: MemberIdentity
            public var error: GroupError?

            public init(identity: MemberIdentity, error: GroupError?) {
                self.identity = identity
                self.error = error
            }
        }

        public init(error: GroupError? = nil, members: [Member] = []) {
            self.error = error
            self.members = members
        }
    }

    /// Committed offsets; a partition without one has a nil offset, which the wire writes as -1.
    public struct FetchOffsets: Hashable, Sendable {
        public var error: GroupError?
        public var topics: [Topic<Partition>] = []

        /// One partition's committed position.
        public struct Partition: Hashable, Sendable {
            public var index: PartitionIndex
            public var offset: Offset?
            public var leaderEpoch: LeaderEpoch
            public var metadata: String

            public init(
                index: PartitionIndex, offset: Offset? = nil, leaderEpoch: LeaderEpoch = .unknown,
                metadata: String = ""
            ) {
                self.index = index
                self.offset = offset
                self.leaderEpoch = leaderEpoch
                self.metadata = metadata
            }
        }

        public init(error: GroupError? = nil, topics: [Topic<Partition>] = []) {
            self.error = error
            self.topics = topics
        }
    }

    /// The group as an administrator sees it.
    public struct Describe: Hashable, Sendable {
        public var error: GroupError?
        /// nil beside an error, which the wire writes as an empty string.
        public var state: GroupState?
        public var protocolType: String = ""
        public var protocolName: String = ""
        public var members: [Member] = []

        /// A member; metadata and assignment are empty unless the group is stable, as in Kafka.
        public struct Member: Hashable, Sendable {
            public var memberID: String
            public var groupInstanceID: String?
            public var clientID: String
            public var clientHost: String
            public var metadata: ByteBuffer
            public var assignment: ByteBuffer

            public init(
                memberID: String, groupInstanceID: String?, clientID: String, clientHost: String,
                metadata: ByteBuffer, assignment: ByteBuffer
            ) {
                self.memberID = memberID
                self.groupInstanceID = groupInstanceID
                self.clientID = clientID
                self.clientHost = clientHost
                self.metadata = metadata
                self.assignment = assignment
            }
        }

        public init(error: GroupError? = nil, state: GroupState? = nil) {
            self.error = error
            self.state = state
        }
    }

    /// This slot's groups, in the order of their ids.
    public struct List: Hashable, Sendable {
        public var error: GroupError?
        public var groups: [Listing] = []

        /// One line of the list.
        public struct Listing: Hashable, Sendable {
            public var groupID: String
            public var protocolType: String
            public var state: GroupState
            /// Always "classic": the only protocol of groups here.
            public var groupType: String { "classic" }

            public init(groupID: String, protocolType: String, state: GroupState) {
                self.groupID = groupID
                self.protocolType = protocolType
                self.state = state
            }
        }

        public init(error: GroupError? = nil, groups: [Listing] = []) {
            self.error = error
            self.groups = groups
        }
    }

    /// One outcome for each partition, unless the whole request failed.
    public struct DeleteOffsets: Hashable, Sendable {
        public var error: GroupError?
        public var topics: [Topic<PartitionOutcome>] = []

        public init(error: GroupError? = nil, topics: [Topic<PartitionOutcome>] = []) {
            self.error = error
            self.topics = topics
        }
    }
}

/// Where a classic group stands; the raw value is the name in DescribeGroups and ListGroups.
public enum GroupState: String, Hashable, Sendable, CaseIterable {
    /// No members; offsets may be there.
    case empty = "Empty"
    /// Waiting for the members to join.
    case preparingRebalance = "PreparingRebalance"
    /// Everyone joined; waiting for the leader's assignment to be in the log.
    case completingRebalance = "CompletingRebalance"
    /// The assignment is in the log and given out.
    case stable = "Stable"
    /// No such group; never the state of a group that is held.
    case dead = "Dead"
}
