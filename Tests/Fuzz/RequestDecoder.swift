// A libFuzzer target, built by scripts/fuzz and not by the package.

import KafkaProtocol
import NIOCore

/// The request of each key; the compiler refuses a key without one.
private func request(of key: APIKey) -> any KafkaRequest.Type {
    switch key {
    case .produce: ProduceRequest.self
    case .fetch: FetchRequest.self
    case .listOffsets: ListOffsetsRequest.self
    case .metadata: MetadataRequest.self
    case .offsetCommit: OffsetCommitRequest.self
    case .offsetFetch: OffsetFetchRequest.self
    case .findCoordinator: FindCoordinatorRequest.self
    case .joinGroup: JoinGroupRequest.self
    case .heartbeat: HeartbeatRequest.self
    case .leaveGroup: LeaveGroupRequest.self
    case .syncGroup: SyncGroupRequest.self
    case .describeGroups: DescribeGroupsRequest.self
    case .listGroups: ListGroupsRequest.self
    case .apiVersions: ApiVersionsRequest.self
    case .createTopics: CreateTopicsRequest.self
    case .deleteTopics: DeleteTopicsRequest.self
    case .deleteRecords: DeleteRecordsRequest.self
    case .initProducerID: InitProducerIDRequest.self
    case .offsetForLeaderEpoch: OffsetForLeaderEpochRequest.self
    case .describeConfigs: DescribeConfigsRequest.self
    case .alterConfigs: AlterConfigsRequest.self
    case .describeLogDirs: DescribeLogDirsRequest.self
    case .createPartitions: CreatePartitionsRequest.self
    case .deleteGroups: DeleteGroupsRequest.self
    case .electLeaders: ElectLeadersRequest.self
    case .incrementalAlterConfigs: IncrementalAlterConfigsRequest.self
    case .alterPartitionReassignments: AlterPartitionReassignmentsRequest.self
    case .listPartitionReassignments: ListPartitionReassignmentsRequest.self
    case .offsetDelete: OffsetDeleteRequest.self
    case .describeCluster: DescribeClusterRequest.self
    case .describeProducers: DescribeProducersRequest.self
    case .describeTopicPartitions: DescribeTopicPartitionsRequest.self
    }
}

private func response<Request: KafkaRequest>(to _: Request.Type) -> any KafkaMessage.Type {
    Request.Response.self
}

/// The messages that the first byte of an input chooses from: what a broker and a client decode.
private let messages: [any KafkaMessage.Type] = APIKey.allCases.flatMap { key in
    let request = request(of: key)
    return [request, response(to: request)]
}

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
    check(request(of: key), body, header.apiVersion)
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
