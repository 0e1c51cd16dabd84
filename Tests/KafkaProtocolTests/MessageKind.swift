import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// Every message of the protocol as values that a parametrised test can range over.
struct MessageKind: Sendable, CustomTestStringConvertible {
    let name: String
    let key: APIKey
    /// A message of this kind, filled from a seed and encoded.
    let encoded: @Sendable (_ version: Int16, _ seed: UInt64) throws -> ByteBuffer
    /// Decodes and returns what encoding the result gives.
    let reencoded: @Sendable (_ bytes: ByteBuffer, _ version: Int16) throws -> ByteBuffer
    /// Whether generating, encoding and decoding gives back the same value, and the size foretold.
    let roundTrips: @Sendable (_ version: Int16, _ seed: UInt64) throws -> Bool

    var testDescription: String { name }

    init<M: KafkaMessage & WireStruct>(_: M.Type) {
        name = String(describing: M.self)
        key = M.apiKey
        encoded = { version, seed in
            var out = ByteBuffer()
            try Self.generated(M.self, version, seed).encode(version: version, into: &out)
            return out
        }
        reencoded = { bytes, version in
            var out = ByteBuffer()
            try M.decode(bytes, version: version).encode(version: version, into: &out)
            return out
        }
        roundTrips = { version, seed in
            let message = try Self.generated(M.self, version, seed)
            var out = ByteBuffer(string: "before")
            out.moveReaderIndex(forwardBy: 6)
            try message.encode(version: version, into: &out)
            let size = try message.encodedSize(version: version)
            return try size == out.readableBytes
                && M.decode(out, version: version) == message
        }
    }

    static func generated<M: KafkaMessage & WireStruct>(
        _: M.Type, _ version: Int16, _ seed: UInt64
    ) throws -> M {
        var visitor = GeneratingVisitor(
            version: version, flexible: M.apiKey.isFlexible(version), seed: seed)
        var message = M()
        try message.traverse(&visitor)
        return message
    }

    static let requests: [MessageKind] = [
        MessageKind(ProduceRequest.self),
        MessageKind(FetchRequest.self),
        MessageKind(ListOffsetsRequest.self),
        MessageKind(MetadataRequest.self),
        MessageKind(OffsetCommitRequest.self),
        MessageKind(OffsetFetchRequest.self),
        MessageKind(FindCoordinatorRequest.self),
        MessageKind(JoinGroupRequest.self),
        MessageKind(HeartbeatRequest.self),
        MessageKind(LeaveGroupRequest.self),
        MessageKind(SyncGroupRequest.self),
        MessageKind(DescribeGroupsRequest.self),
        MessageKind(ListGroupsRequest.self),
        MessageKind(ApiVersionsRequest.self),
        MessageKind(CreateTopicsRequest.self),
        MessageKind(DeleteTopicsRequest.self),
        MessageKind(DeleteRecordsRequest.self),
        MessageKind(InitProducerIDRequest.self),
        MessageKind(OffsetForLeaderEpochRequest.self),
        MessageKind(DescribeConfigsRequest.self),
        MessageKind(AlterConfigsRequest.self),
        MessageKind(DescribeLogDirsRequest.self),
        MessageKind(CreatePartitionsRequest.self),
        MessageKind(DeleteGroupsRequest.self),
        MessageKind(ElectLeadersRequest.self),
        MessageKind(IncrementalAlterConfigsRequest.self),
        MessageKind(AlterPartitionReassignmentsRequest.self),
        MessageKind(ListPartitionReassignmentsRequest.self),
        MessageKind(OffsetDeleteRequest.self),
        MessageKind(DescribeClusterRequest.self),
        MessageKind(DescribeProducersRequest.self),
        MessageKind(DescribeTopicPartitionsRequest.self),
    ]

    static let responses: [MessageKind] = [
        MessageKind(ProduceResponse.self),
        MessageKind(FetchResponse.self),
        MessageKind(ListOffsetsResponse.self),
        MessageKind(MetadataResponse.self),
        MessageKind(OffsetCommitResponse.self),
        MessageKind(OffsetFetchResponse.self),
        MessageKind(FindCoordinatorResponse.self),
        MessageKind(JoinGroupResponse.self),
        MessageKind(HeartbeatResponse.self),
        MessageKind(LeaveGroupResponse.self),
        MessageKind(SyncGroupResponse.self),
        MessageKind(DescribeGroupsResponse.self),
        MessageKind(ListGroupsResponse.self),
        MessageKind(ApiVersionsResponse.self),
        MessageKind(CreateTopicsResponse.self),
        MessageKind(DeleteTopicsResponse.self),
        MessageKind(DeleteRecordsResponse.self),
        MessageKind(InitProducerIDResponse.self),
        MessageKind(OffsetForLeaderEpochResponse.self),
        MessageKind(DescribeConfigsResponse.self),
        MessageKind(AlterConfigsResponse.self),
        MessageKind(DescribeLogDirsResponse.self),
        MessageKind(CreatePartitionsResponse.self),
        MessageKind(DeleteGroupsResponse.self),
        MessageKind(ElectLeadersResponse.self),
        MessageKind(IncrementalAlterConfigsResponse.self),
        MessageKind(AlterPartitionReassignmentsResponse.self),
        MessageKind(ListPartitionReassignmentsResponse.self),
        MessageKind(OffsetDeleteResponse.self),
        MessageKind(DescribeClusterResponse.self),
        MessageKind(DescribeProducersResponse.self),
        MessageKind(DescribeTopicPartitionsResponse.self),
    ]

    static let all = requests + responses
}
