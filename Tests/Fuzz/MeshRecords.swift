// A libFuzzer target, built by scripts/fuzz and not by the package.

import Gossip
import Model
import NIOCore
import Node

/// What a newcomer may be answered, and what registers may hold. The first byte chooses; what is
/// read is written again and read to the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMeshRecords(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let all = UnsafeBufferPointer(start: data, count: count)
    let bytes = ByteBuffer(bytes: all.dropFirst())
    switch all[0] % 5 {
    case 0:
        guard let answer = try? JoinAnswer(decoding: bytes) else { return 0 }
        precondition((try? JoinAnswer(decoding: answer.encoded())) == answer)
    case 1:
        guard let record = try? TopicRecord(decoding: bytes, home: NodeID(1)) else { return 0 }
        precondition((try? TopicRecord(decoding: record.encoded())) == record)
        _ = RegisterOperation.growTopic(
            record.id, from: record.partitions, placement: [[replica]]
        )
        .applied(to: bytes)
    case 2:
        guard let record = try? AdmissionRecord(decoding: bytes) else { return 0 }
        precondition((try? AdmissionRecord(decoding: record.encoded())) == record)
        _ = RegisterOperation.member(.revoke(record.node)).applied(to: bytes)
    case 3:
        guard let record = try? SelfRecord(decoding: bytes) else { return 0 }
        precondition(record.encoded == bytes)
    default:
        guard let member = try? PersistedMember(decoding: bytes) else { return 0 }
        precondition((try? PersistedMember(decoding: member.encoded())) == member)
    }
    return 0
}
