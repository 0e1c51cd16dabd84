// A libFuzzer target, built by scripts/fuzz and not by the package.

import Model
import NIOCore
import Paxos

/// What a member may send to a voter and to a proposer, and what a disk may hold. The first byte
/// chooses; what is read is written again and read to the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPaxos(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 1 else { return 0 }
    let all = UnsafeBufferPointer(start: data, count: count)
    let bytes = ByteBuffer(bytes: all.dropFirst())
    switch all[0] % 5 {
    case 0:
        guard let request = try? PaxosRequest(decoding: bytes) else { return 0 }
        var again = ByteBuffer()
        request.encode(into: &again)
        precondition((try? PaxosRequest(decoding: again)) == request)
        serve(request)
    case 1:
        guard let reply = try? PaxosReply(decoding: bytes) else { return 0 }
        var again = ByteBuffer()
        reply.encode(into: &again)
        precondition((try? PaxosReply(decoding: again)) == reply)
        hear(reply)
    case 2:
        guard let record = try? AcceptorRecord(decoding: bytes) else { return 0 }
        var again = ByteBuffer()
        record.encode(into: &again)
        precondition((try? AcceptorRecord(decoding: again)) == record)
    case 3:
        guard let roster = try? Roster(decoding: bytes) else { return 0 }
        precondition((try? Roster(decoding: roster.encoded())) == roster)
    default:
        guard let envelope = try? Envelope(decoding: bytes) else { return 0 }
        precondition((try? Envelope(decoding: envelope.encoded())) == envelope)
    }
    return 0
}

private let voter = Voter(
    node: NodeID(1), store: StoreID(high: 1, low: 1),
    key: PublicKey(words: InlineWords4(1, 0, 0, 0)))
private let roster = Roster(
    generation: RosterGeneration(1), voters: [voter], cluster: "cluster")

/// A change that brings the voter in: an acceptor under it may be installed registers.
private let joint = Roster(
    generation: RosterGeneration(2),
    voters: [
        Voter(node: NodeID(3), store: StoreID(high: 3, low: 3), key: voter.key)
    ], next: [voter], cluster: "cluster")

private func serve(_ request: PaxosRequest) {
    for roster in [roster, joint] { serve(request, under: roster) }
}

private func serve(_ request: PaxosRequest, under roster: Roster) {
    var acceptor = Acceptor(cluster: "cluster", node: voter.node, store: voter.store)
    var effects: [Acceptor.Effect] = []
    acceptor.handle(.loaded([]), into: &effects)
    acceptor.handle(.persisted(serial: 1), into: &effects)
    acceptor.handle(.adopt(roster), into: &effects)
    acceptor.handle(.persisted(serial: 2), into: &effects)
    acceptor.handle(.request(from: NodeID(2), requestID: 1, request), into: &effects)
    acceptor.handle(.persisted(serial: 3), into: &effects)
}

private func hear(_ reply: PaxosReply) {
    var proposer = Proposer(node: NodeID(2), boot: BootEpoch(1), roster: roster, seed: 1)
    var effects: [Proposer.Effect] = []
    let now = Instant(nanoseconds: 1)
    proposer.handle(.read(token: 1, ["a", "b"]), now: now, into: &effects)
    for case .send(let node, let id, _) in effects {
        var more: [Proposer.Effect] = []
        proposer.handle(
            .reply(from: node, requestID: id, reply), now: now, into: &more)
    }
    drive(reply, now: now)
}

/// A driver that repairs is shown the reply in every step that it comes to.
private func drive(_ reply: PaxosReply, now: Instant) {
    var driver = RosterDriver(node: NodeID(2), boot: BootEpoch(1), seed: 1)
    var effects: [RosterDriver.Effect] = []
    driver.handle(.start(.finish), now: now, into: &effects)
    guard case .read(let token, let key)? = effects.last else { return }
    let value = ChosenValue(
        key: key, ballot: Ballot(counter: 1, proposer: NodeID(2), boot: BootEpoch(1)),
        value: joint.encoded())
    effects = []
    driver.handle(.decided(token: token, .chosen(value)), now: now, into: &effects)
    var next = 0
    while next < min(effects.count, 64) {
        if case .send(let node, let id, _) = effects[next] {
            driver.handle(.reply(from: node, requestID: id, reply), now: now, into: &effects)
            let adopted = PaxosReply(
                generation: joint.generation, store: StoreID(high: 3, low: 3),
                body: .adopted(joint.generation))
            driver.handle(.reply(from: node, requestID: id, adopted), now: now, into: &effects)
        }
        next += 1
    }
}
