// A libFuzzer target, built by scripts/fuzz and not by the package.

import Model
import NIOCore
import Replication

/// What a member may send about the partitions that it leads or copies, and what a partition's
/// register may hold. The first byte chooses; what is read is written again and read to the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzReplication(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let all = UnsafeBufferPointer(start: data, count: count)
    let bytes = ByteBuffer(bytes: all.dropFirst())
    if all[0] % 2 == 0 {
        guard let message = try? ReplicationMessage(decoding: bytes) else { return 0 }
        var again = ByteBuffer()
        message.encode(into: &again)
        precondition(again == bytes)
        hear(message)
    } else {
        guard let state = try? PartitionState(decoding: bytes) else { return 0 }
        precondition(state.encoded() == bytes)
        change(state)
    }
    return 0
}

private func change(_ state: PartitionState) {
    let id = state.inSync[0]
    let at = state.partitionEpoch
    let members = state.electable.map { ElectionMember(id: $0, isAlive: true) }
    let outcomes = [
        state.elect(id, expecting: at, members: members, minInSync: 2),
        state.electUnclean(id, expecting: at),
        state.leaveInSync(id, expecting: at, minInSync: 2),
        state.reassign(to: [NodeID(1), NodeID(2)], expecting: at),
        state.completeReassignment(expecting: at, minInSync: 2),
        state.cancelReassignment(expecting: at, minInSync: 2),
        state.transfer(
            to: id.node, from: state.leader ?? id.node, leaderEpoch: state.leaderEpoch,
            expecting: at),
        state.alterInSync(
            to: [id], by: state.leader ?? id.node, leaderEpoch: state.leaderEpoch, expecting: at,
            minInSync: 2),
    ]
    for case .success(let next) in outcomes {
        precondition((try? PartitionState(decoding: next.encoded())) == next)
    }
}

/// A follower and a leader's answer take anything.
private func hear(_ message: ReplicationMessage) {
    let id = ReplicaID(node: NodeID(2), admission: AdmissionNumber(1), logEpoch: BootEpoch(1))
    var follower = FollowerMachine(id: id, boot: BootEpoch(1), syncRequired: true)
    var effects: [FollowerMachine.Effect] = []
    let now = Instant(nanoseconds: 1)
    let position = FollowerPosition(end: Offset(10), synced: Offset(5), highWatermark: Offset(7))
    follower.handle(.opened(position), now: now, into: &effects)
    follower.handle(.follow(NodeID(1), LeaderEpoch(1), isUnclean: false), now: now, into: &effects)
    follower.handle(.linkUp(NodeID(1)), now: now, into: &effects)
    var session = AttachSession(0)
    for case .attach(_, let request) in effects { session = request.session }
    switch message {
    case .attach(_, let request):
        _ = FollowerStream.answer(
            request, logStart: Offset(3), logEnd: Offset(9), found: (LeaderEpoch(1), Offset(9)))
    case .attached(_, _, let agreement, let progress):
        follower.handle(
            .attached(session, agreement, progress, ownEnd: Offset(4)), now: now, into: &effects)
    case .progress(let entries):
        for entry in entries {
            follower.handle(.progress(session, entry.progress), now: now, into: &effects)
        }
    case .append(let append):
        let agreed = LogAgreement.agreed(from: Offset(10))
        follower.handle(
            .attached(session, agreed, append.progress, ownEnd: nil), now: now, into: &effects)
        follower.handle(
            .records(session, append.leaderEpoch, base: append.base, append.progress), now: now,
            into: &effects)
    default: return
    }
}
