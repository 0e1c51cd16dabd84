/// The words that go with each error code.
enum ErrorCodeText {
    static let table: [Int16: (name: String, message: String)] = [
        -1: ("UNKNOWN_SERVER_ERROR", "The server met an unexpected error."),
        0: ("NONE", "No error."),
        1: ("OFFSET_OUT_OF_RANGE", "The offset lies outside the log of the partition."),
        2: (
            "CORRUPT_MESSAGE",
            "The batch fails its checksum, its size is invalid or it is damaged otherwise."
        ),
        3: ("UNKNOWN_TOPIC_OR_PARTITION", "This server does not host the topic or partition."),
        4: ("INVALID_FETCH_SIZE", "The fetch size is invalid."),
        5: ("LEADER_NOT_AVAILABLE", "The partition has no leader at the moment."),
        6: (
            "NOT_LEADER_OR_FOLLOWER",
            "This broker does not lead the partition, or is no replica of it."
        ),
        7: ("REQUEST_TIMED_OUT", "The request was not finished in time."),
        8: ("BROKER_NOT_AVAILABLE", "The broker is not available."),
        9: ("REPLICA_NOT_AVAILABLE", "The replica is not available."),
        10: ("MESSAGE_TOO_LARGE", "The batch is larger than the topic or the server accepts."),
        11: ("STALE_CONTROLLER_EPOCH", "A newer controller is known."),
        12: ("OFFSET_METADATA_TOO_LARGE", "The metadata of the offset commit is too long."),
        13: ("NETWORK_EXCEPTION", "The server disconnected before it answered."),
        14: ("COORDINATOR_LOAD_IN_PROGRESS", "The coordinator is still loading its log."),
        15: ("COORDINATOR_NOT_AVAILABLE", "The coordinator is not available."),
        16: ("NOT_COORDINATOR", "This broker does not coordinate the group."),
        17: (
            "INVALID_TOPIC_EXCEPTION",
            "The name of the topic is invalid, or the topic is internal."
        ),
        18: (
            "RECORD_LIST_TOO_LARGE",
            "The batches of the request exceed the segment size of the topic."
        ),
        19: ("NOT_ENOUGH_REPLICAS", "Fewer replicas are in sync than the topic requires."),
        20: (
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            "The batch was written, but to fewer replicas than the topic requires."
        ),
        21: ("INVALID_REQUIRED_ACKS", "Acks must be -1, 0 or 1."),
        22: ("ILLEGAL_GENERATION", "The generation is not that of the group."),
        23: (
            "INCONSISTENT_GROUP_PROTOCOL",
            "The protocols of the member do not fit those of the group."
        ),
        24: ("INVALID_GROUP_ID", "The group id is invalid."),
        25: ("UNKNOWN_MEMBER_ID", "The group does not know the member."),
        26: (
            "INVALID_SESSION_TIMEOUT",
            "The session timeout is outside the range that the broker allows."
        ),
        27: ("REBALANCE_IN_PROGRESS", "The group is rebalancing; join again."),
        28: ("INVALID_COMMIT_OFFSET_SIZE", "The offset commit is too large."),
        29: ("TOPIC_AUTHORIZATION_FAILED", "Access to the topic is denied."),
        30: ("GROUP_AUTHORIZATION_FAILED", "Access to the group is denied."),
        31: ("CLUSTER_AUTHORIZATION_FAILED", "Access to the cluster is denied."),
        32: (
            "INVALID_TIMESTAMP",
            "The timestamp of the record is out of the range that the topic accepts."
        ),
        33: ("UNSUPPORTED_SASL_MECHANISM", "The SASL mechanism is not supported."),
        34: ("ILLEGAL_SASL_STATE", "The request is not valid in this state of SASL."),
        35: ("UNSUPPORTED_VERSION", "The version of the API is not supported."),
        36: ("TOPIC_ALREADY_EXISTS", "A topic of this name exists already."),
        37: ("INVALID_PARTITIONS", "The number of partitions is invalid."),
        38: (
            "INVALID_REPLICATION_FACTOR",
            "The replication factor is below 1 or above the number of brokers."
        ),
        39: ("INVALID_REPLICA_ASSIGNMENT", "The assignment of replicas is invalid."),
        40: ("INVALID_CONFIG", "The configuration is invalid."),
        41: ("NOT_CONTROLLER", "This broker is not the controller."),
        42: ("INVALID_REQUEST", "The request is malformed or contradicts itself."),
        43: ("UNSUPPORTED_FOR_MESSAGE_FORMAT", "The message format does not support the request."),
        44: ("POLICY_VIOLATION", "The request violates a policy of the broker."),
        45: ("OUT_OF_ORDER_SEQUENCE_NUMBER", "The sequence number of the batch leaves a gap."),
        46: ("DUPLICATE_SEQUENCE_NUMBER", "The sequence number of the batch was used already."),
        47: ("INVALID_PRODUCER_EPOCH", "The epoch of the producer is older than the one known."),
        48: ("INVALID_TXN_STATE", "The transaction is in the wrong state for this."),
        49: (
            "INVALID_PRODUCER_ID_MAPPING",
            "The producer id does not belong to the transactional id."
        ),
        50: (
            "INVALID_TRANSACTION_TIMEOUT",
            "The transaction timeout is above what the broker allows."
        ),
        51: ("CONCURRENT_TRANSACTIONS", "Another operation on the transaction is running."),
        53: ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "Access to the transactional id is denied."),
        54: ("SECURITY_DISABLED", "Security features are disabled."),
        55: (
            "OPERATION_NOT_ATTEMPTED",
            "The operation was not tried, since an earlier one of the request failed."
        ),
        56: ("KAFKA_STORAGE_ERROR", "The disk failed when the log was used."),
        57: ("LOG_DIR_NOT_FOUND", "The broker does not have this log directory."),
        59: ("UNKNOWN_PRODUCER_ID", "The partition knows nothing of this producer id."),
        60: ("REASSIGNMENT_IN_PROGRESS", "A reassignment of the partition is running."),
        68: ("NON_EMPTY_GROUP", "The group still has members."),
        69: ("GROUP_ID_NOT_FOUND", "There is no such group."),
        70: ("FETCH_SESSION_ID_NOT_FOUND", "There is no such fetch session."),
        71: ("INVALID_FETCH_SESSION_EPOCH", "The epoch of the fetch session is wrong."),
        72: ("LISTENER_NOT_FOUND", "The leader has no listener like the one asked."),
        73: ("TOPIC_DELETION_DISABLED", "Deletion of topics is disabled."),
        74: (
            "FENCED_LEADER_EPOCH",
            "The leader epoch of the request is older than the one of the broker."
        ),
        75: (
            "UNKNOWN_LEADER_EPOCH",
            "The leader epoch of the request is newer than the one of the broker."
        ),
        76: (
            "UNSUPPORTED_COMPRESSION_TYPE",
            "The client cannot read the compression of the batch."
        ),
        77: ("STALE_BROKER_EPOCH", "The epoch of the broker has changed."),
        78: ("OFFSET_NOT_AVAILABLE", "The leader does not know its high-water mark yet."),
        79: ("MEMBER_ID_REQUIRED", "Join again with the member id of this answer."),
        80: ("PREFERRED_LEADER_NOT_AVAILABLE", "The preferred leader is not available."),
        81: ("GROUP_MAX_SIZE_REACHED", "The group is full."),
        82: ("FENCED_INSTANCE_ID", "Another member has taken over the instance id."),
        83: (
            "ELIGIBLE_LEADERS_NOT_AVAILABLE",
            "No replica that may lead the partition is available."
        ),
        84: ("ELECTION_NOT_NEEDED", "The right replica leads the partition already."),
        85: ("NO_REASSIGNMENT_IN_PROGRESS", "No reassignment of the partition is running."),
        86: ("GROUP_SUBSCRIBED_TO_TOPIC", "The group is subscribed to the topic."),
        87: ("INVALID_RECORD", "A record of the batch was refused by the broker."),
        88: ("UNSTABLE_OFFSET_COMMIT", "An offset commit of the partition is still pending."),
        89: ("THROTTLING_QUOTA_EXCEEDED", "The quota of the client is exceeded."),
        90: ("PRODUCER_FENCED", "A newer producer with the same transactional id exists."),
        91: ("RESOURCE_NOT_FOUND", "There is no such resource."),
        92: ("DUPLICATE_RESOURCE", "The request names a resource twice."),
        100: ("UNKNOWN_TOPIC_ID", "This server does not know the topic id."),
        103: ("INCONSISTENT_TOPIC_ID", "The topic id of the log is not the one of the request."),
        105: ("TRANSACTIONAL_ID_NOT_FOUND", "There is no such transactional id."),
        106: ("FETCH_SESSION_TOPIC_ID_ERROR", "The fetch session met topics with and without ids."),
        110: ("FENCED_MEMBER_EPOCH", "The coordinator has fenced the epoch of the member."),
        113: ("STALE_MEMBER_EPOCH", "The epoch of the member is old."),
        114: ("MISMATCHED_ENDPOINT_TYPE", "The request went to an endpoint of the wrong type."),
        115: ("UNSUPPORTED_ENDPOINT_TYPE", "The type of endpoint is not supported."),
        129: ("REBOOTSTRAP_REQUIRED", "The client shall start again from its bootstrap addresses."),
    ]
}
