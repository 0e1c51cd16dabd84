// A libFuzzer target, built by scripts/fuzz and not by the package.

import KafkaProtocol
import NIOCore

/// The messages that the first byte of an input chooses from: what a broker and a client decode.
private let messages: [any KafkaMessage.Type] = [
    AlterConfigsRequest.self, AlterConfigsResponse.self,
    ApiVersionsRequest.self, ApiVersionsResponse.self,
    CreatePartitionsRequest.self, CreatePartitionsResponse.self,
    CreateTopicsRequest.self, CreateTopicsResponse.self,
    DeleteGroupsRequest.self, DeleteGroupsResponse.self,
    DeleteRecordsRequest.self, DeleteRecordsResponse.self,
    DeleteTopicsRequest.self, DeleteTopicsResponse.self,
    DescribeClusterRequest.self, DescribeClusterResponse.self,
    DescribeConfigsRequest.self, DescribeConfigsResponse.self,
    DescribeGroupsRequest.self, DescribeGroupsResponse.self,
    DescribeLogDirsRequest.self, DescribeLogDirsResponse.self,
    DescribeProducersRequest.self, DescribeProducersResponse.self,
    DescribeTopicPartitionsRequest.self, DescribeTopicPartitionsResponse.self,
    FetchRequest.self, FetchResponse.self,
    FindCoordinatorRequest.self, FindCoordinatorResponse.self,
    HeartbeatRequest.self, HeartbeatResponse.self,
    IncrementalAlterConfigsRequest.self, IncrementalAlterConfigsResponse.self,
    InitProducerIDRequest.self, InitProducerIDResponse.self,
    JoinGroupRequest.self, JoinGroupResponse.self,
    LeaveGroupRequest.self, LeaveGroupResponse.self,
    ListGroupsRequest.self, ListGroupsResponse.self,
    ListOffsetsRequest.self, ListOffsetsResponse.self,
    MetadataRequest.self, MetadataResponse.self,
    OffsetCommitRequest.self, OffsetCommitResponse.self,
    OffsetDeleteRequest.self, OffsetDeleteResponse.self,
    OffsetFetchRequest.self, OffsetFetchResponse.self,
    OffsetForLeaderEpochRequest.self, OffsetForLeaderEpochResponse.self,
    ProduceRequest.self, ProduceResponse.self,
    SyncGroupRequest.self, SyncGroupResponse.self,
]

/// What decodes must encode, in the size foretold, and decode to the same message again.
private func check<M: KafkaMessage>(_: M.Type, _ body: ByteBuffer, _ version: Int16) {
    guard let message = try? M.decode(body, version: version) else { return }
    var again = ByteBuffer()
    do {
        try message.encode(version: version, into: &again)
        let size = try message.encodedSize(version: version)
        precondition(size == again.readableBytes)
        let decoded = try M.decode(again, version: version)
        precondition(decoded == message)
    } catch {
        preconditionFailure("\(M.self) version \(version) decodes but fails again: \(error)")
    }
}

/// A whole frame as a stranger sends it: the header chooses the message.
private func checkFrame(_ frame: ByteBuffer) {
    var body = frame
    guard let header = try? RequestHeader.decode(&body), let key = header.supported else { return }
    for message in messages where message.apiKey == key {
        if let request = message as? any KafkaRequest.Type {
            check(request, body, header.apiVersion)
        }
    }
}

/// Inputs: [message][version][body], or a frame where the first byte chooses no message, or the
/// opaque bytes of a consumer.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestDecoder(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: data, count: count)
    guard count >= 2 else { return 0 }
    let choice = Int(bytes[0])
    if choice < messages.count {
        let message = messages[choice]
        let versions = message.apiKey.versions
        let version = versions.lowerBound + Int16(bytes[1]) % Int16(versions.count)
        check(message, ByteBuffer(bytes: bytes.dropFirst(2)), version)
    } else if choice < 0xF0 {
        checkFrame(ByteBuffer(bytes: bytes.dropFirst()))
    } else {
        let blob = ByteBuffer(bytes: bytes.dropFirst())
        _ = try? ConsumerProtocol.Subscription.decode(blob)
        _ = try? ConsumerProtocol.Assignment.decode(blob)
    }
    return 0
}
