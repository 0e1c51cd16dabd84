import Coordination
import KafkaProtocol
import Node

extension PartitionError {
    /// The code that makes clients do the right thing.
    var code: ErrorCode {
        switch self {
        case .unknownTopicOrPartition: .unknownTopicOrPartition
        case .unknownTopicID: .unknownTopicID
        // Retriable, and makes the client look for the leader again after its backoff.
        case .loading: .notLeaderOrFollower
        case .notLeader: .notLeaderOrFollower
        case .fencedLeaderEpoch: .fencedLeaderEpoch
        case .unknownLeaderEpoch: .unknownLeaderEpoch
        case .offsetOutOfRange: .offsetOutOfRange
        case .corruptMessage: .corruptMessage
        case .messageTooLarge: .messageTooLarge
        case .unsupportedMessageFormat: .unsupportedForMessageFormat
        case .invalidRecord: .invalidRecord
        case .invalidTimestamp: .invalidTimestamp
        case .outOfOrderSequence: .outOfOrderSequenceNumber
        case .duplicateSequence: .duplicateSequenceNumber
        case .invalidProducerEpoch: .invalidProducerEpoch
        case .unknownProducer: .unknownProducerID
        case .invalidTopic: .invalidTopic
        case .policyViolation: .policyViolation
        case .offsetNotAvailable: .offsetNotAvailable
        case .notEnoughReplicas: .notEnoughReplicas
        case .notEnoughReplicasAfterAppend: .notEnoughReplicasAfterAppend
        case .storage: .storageError
        case .timedOut: .requestTimedOut
        }
    }
}

extension TopicError {
    var code: ErrorCode {
        switch self {
        case .invalidTopic: .invalidTopic
        case .alreadyExists: .topicAlreadyExists
        case .unknown: .unknownTopicOrPartition
        case .invalidPartitions: .invalidPartitions
        case .invalidReplicationFactor: .invalidReplicationFactor
        case .invalidReplicaAssignment: .invalidReplicaAssignment
        case .invalidConfiguration: .invalidConfig
        case .policyViolation: .policyViolation
        case .invalidRequest: .invalidRequest
        case .storage: .storageError
        case .timedOut: .requestTimedOut
        }
    }
}

extension GroupError? {
    var errorCode: ErrorCode { ErrorCode(rawValue: code) }
}
