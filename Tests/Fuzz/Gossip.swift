// A libFuzzer target, built by scripts/fuzz and not by the package.

import Gossip
import Model
import NIOCore

/// Takes every signature: what lies behind the check is to be reached.
private struct Credulous: RecordSigner {
    func sign(_ bytes: ByteBuffer, context: SignatureContext) -> Signature {
        let words = InlineWords4(1, 2, 3, 4)
        return Signature(r: words, s: words)
    }

    func isValid(
        _ signature: Signature, of bytes: ByteBuffer, context: SignatureContext, by key: PublicKey
    ) -> Bool { true }
}

private let admissions: [ChosenValue] = (1...3).map { node in
    let record = AdmissionRecord(
        node: NodeID(Int32(node)), key: PublicKey(words: InlineWords4(UInt64(node), 0, 0, 0)),
        store: StoreID(high: 1, low: UInt64(node)), number: AdmissionNumber(1))
    return ChosenValue(
        key: record.registerKey,
        ballot: Ballot(counter: 1, proposer: NodeID(1), boot: BootEpoch(1)),
        value: record.encoded())
}

/// What an admitted member may send, to a machine that believes its signatures. Each input is a
/// list of packets: [kind][length, 2 bytes][bytes]; an even kind is a datagram, an odd one a
/// message, and the next bit chooses the sender.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGossip(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var bytes = ByteBuffer(bytes: UnsafeBufferPointer(start: data, count: count))
    let description = SelfDescription(addresses: [MeshAddress(host: "a", port: 1)])
    guard
        var machine = try? GossipMachine(
            configuration: GossipConfiguration(),
            identity: GossipIdentity(node: NodeID(1), boot: BootEpoch(1), description: description),
            signer: Credulous(), generator: SeededGenerator(seed: 7))
    else { return 0 }
    var now = Instant(nanoseconds: 1_000_000_000)
    var effects: [GossipEffect] = []
    machine.handle(.start(members: [], table: admissions), now: now, into: &effects)
    for peer: Int32 in 2...3 {
        machine.handle(
            .linkOpened(LinkUp(peer: NodeID(peer), boot: BootEpoch(1))), now: now, into: &effects)
    }
    // A copy of a feed from a damaged disk, with the sum that no input would get right.
    var saved = ByteBuffer(integer: UInt8(1))
    saved.writeImmutableBuffer(bytes)
    saved.writeInteger(CRC32C.checksum(of: saved))
    machine.handle(.restoreFeeds([saved]), now: now, into: &effects)
    while let kind: UInt8 = bytes.readInteger(), let length: UInt16 = bytes.readInteger() {
        let packet = bytes.readSlice(length: min(Int(length), bytes.readableBytes)) ?? ByteBuffer()
        _ = GossipPackets.explanation(of: packet)
        let sender = NodeID(kind & 2 == 0 ? 2 : 3)
        now = now.advanced(byMilliseconds: Int64(kind >> 2))
        machine.handle(
            kind & 1 == 0 ? .datagram(from: sender, packet) : .message(from: sender, packet),
            now: now, into: &effects)
        machine.handle(.wake, now: now, into: &effects)
        for case .sendDatagram(_, let sent) in effects {
            precondition(sent.readableBytes <= GossipLimits.datagramPayloadBytes)
        }
        effects.removeAll(keepingCapacity: true)
    }
    return 0
}
