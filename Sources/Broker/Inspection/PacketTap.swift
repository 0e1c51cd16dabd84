import DequeModule
import Gossip
import Model
import NIOCore
import Transport

/// The last datagrams of this broker, decrypted, for `gossip tap`; empty unless somebody looks.
///
/// Owned by the control loop. Open for a few seconds after each look, so that a terminal that was
/// closed costs nothing afterwards; whoever opens it is named in the log.
struct PacketTap {
    /// A second of a broker in a mesh that is in uproar.
    private static let packetsMaximum = 512
    static let leaseMilliseconds: Int64 = 5_000

    private var packets = Deque<PacketReport>()
    private var lastNumber: UInt64 = 0
    private var openUntil = Instant(nanoseconds: 0)

    mutating func keepOpen(until moment: Instant) { openUntil = moment }

    func isOpen(at now: Instant) -> Bool { now < openUntil }

    mutating func note(
        _ direction: DatagramDirection, _ peer: NodeID, _ payload: ByteBuffer, now: Now
    ) {
        lastNumber += 1
        if packets.count == Self.packetsMaximum { packets.removeFirst() }
        packets.append(
            PacketReport(
                number: lastNumber, at: now.wall.milliseconds, isOutgoing: direction == .outgoing,
                peer: peer.rawValue, bytes: payload.readableBytes + MeshTransport.datagramOverhead,
                text: GossipPackets.explanation(of: payload),
                payload: Hexadecimal.text(of: payload)))
    }

    func packets(after number: UInt64) -> [PacketReport] { packets.filter { $0.number > number } }
}
