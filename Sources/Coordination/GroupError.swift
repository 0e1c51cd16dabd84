/// What a group request can be refused with; each raw value is the error code on Kafka's wire.
///
/// Closed on purpose: the broker maps every case by its number, so an error that clients have never
/// heard of cannot leave this target. Success is the absence of an error (see `Optional.code`).
public enum GroupError: Int16, Error, Hashable, Sendable, CaseIterable {
    /// UNKNOWN_SERVER_ERROR: the record that the answer needs does not fit the log.
    case unknownServerError = -1
    /// OFFSET_METADATA_TOO_LARGE: the note beside a committed offset is over the limit.
    case offsetMetadataTooLarge = 12
    /// COORDINATOR_LOAD_IN_PROGRESS: the slot's log is still being read.
    case coordinatorLoadInProgress = 14
    /// COORDINATOR_NOT_AVAILABLE: the slot cannot write now; ask again.
    case coordinatorNotAvailable = 15
    /// NOT_COORDINATOR: another broker leads this slot.
    case notCoordinator = 16
    /// ILLEGAL_GENERATION: the member speaks from another generation.
    case illegalGeneration = 22
    /// INCONSISTENT_GROUP_PROTOCOL: protocol type or names do not meet the group's.
    case inconsistentGroupProtocol = 23
    /// INVALID_GROUP_ID: the group id is empty or too long.
    case invalidGroupID = 24
    /// UNKNOWN_MEMBER_ID: no such member in this group.
    case unknownMemberID = 25
    /// INVALID_SESSION_TIMEOUT: outside the configured bounds.
    case invalidSessionTimeout = 26
    /// REBALANCE_IN_PROGRESS: join again.
    case rebalanceInProgress = 27
    /// INVALID_COMMIT_OFFSET_SIZE: the commit does not fit the log's record size.
    case invalidCommitOffsetSize = 28
    /// INVALID_REQUEST: a field breaks one of this target's named bounds.
    case invalidRequest = 42
    /// POLICY_VIOLATION: the slot or the group holds as much as it may.
    case policyViolation = 44
    /// NON_EMPTY_GROUP: the group has members.
    case nonEmptyGroup = 68
    /// GROUP_ID_NOT_FOUND: no such group.
    case groupIDNotFound = 69
    /// MEMBER_ID_REQUIRED: join again with the id given in the answer (KIP-394).
    case memberIDRequired = 79
    /// GROUP_MAX_SIZE_REACHED: the group is full (KIP-389).
    case groupMaxSizeReached = 81
    /// FENCED_INSTANCE_ID: another process took this static identity (KIP-345).
    case fencedInstanceID = 82
    /// GROUP_SUBSCRIBED_TO_TOPIC: the offset belongs to a topic in use (KIP-496).
    case groupSubscribedToTopic = 86
}

extension GroupError? {
    /// The number on Kafka's wire: 0 is NONE.
    public var code: Int16 { self?.rawValue ?? 0 }
}

/// Why the slot's log did not take an append; the owner of the log says so.
///
/// The names are those of the log; `asGroupError` says what clients hear instead.
public enum AppendError: Error, Hashable, Sendable, CaseIterable {
    /// This broker no longer leads the slot, or its disk failed.
    case notLeader
    /// Too few in-sync replicas, or the slot is not known yet.
    case unavailable
    /// The replicas did not acknowledge in time; the record may yet be in the log.
    case timedOut
    /// The records exceed what the log accepts in one batch.
    case tooLarge

    /// The error for requests that waited for an offset commit or a removal.
    var asCommitError: GroupError {
        switch self {
        case .notLeader: .notCoordinator
        case .unavailable, .timedOut: .coordinatorNotAvailable
        case .tooLarge: .invalidCommitOffsetSize
        }
    }

    /// The error for requests that waited for the group's own record.
    var asGroupError: GroupError {
        switch self {
        case .notLeader: .notCoordinator
        case .unavailable: .coordinatorNotAvailable
        case .timedOut: .rebalanceInProgress
        case .tooLarge: .unknownServerError
        }
    }
}
