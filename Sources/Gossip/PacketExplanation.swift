import Model
public import NIOCore

/// Packets in words, for whoever looks at the wire of a mesh.
public enum GossipPackets {
    /// Whether a payload carries rumours only, told by its kind.
    package static func isGossip(_ payload: ByteBuffer) -> Bool {
        payload.getInteger(at: payload.readerIndex + 1, as: UInt8.self) == 5
    }

    /// One line: what the packet is, and what rides on it. Never throws: what can't be read is
    /// said to be so.
    public static func explanation(of payload: ByteBuffer) -> String {
        do throws(GossipDecodeError) {
            let packet = try Packet(decoding: payload)
            let riders = packet.parts.map(text)
            return text(packet.kind)
                + (riders.isEmpty ? "" : " | " + riders.joined(separator: ", "))
        } catch {
            return "can't be read: \(error)"
        }
    }

    private static func text(_ kind: Packet.Kind) -> String {
        switch kind {
        case .ping(let id): "PING \(hexadecimal(id))"
        case .ack(let id): "ACK \(hexadecimal(id))"
        case .nack(let id): "NACK \(hexadecimal(id))"
        case .pingRequest(let id, let target): "PING-REQ(\(target.rawValue)) \(hexadecimal(id))"
        case .gossip: "GOSSIP"
        case .digests(let roots):
            "DIGESTS table \(hexadecimal(roots.table)) members \(hexadecimal(roots.members))"
        }
    }

    private static func text(_ part: Part) -> String {
        switch part {
        case .record(let record):
            "record of \(record.node.rawValue) boot \(record.life.boot.rawValue) incarnation "
                + "\(record.life.incarnation.rawValue)" + (record.isLeaving ? " leaving" : "")
        case .accusation(let accusation): "accusation \(accusation)"
        case .value(let value):
            "\(value.key) at (\(value.ballot.proposer.rawValue), \(value.ballot.counter)), "
                + (value.value.map { "\($0.readableBytes) B" } ?? "tombstone")
        case .advert(let advert): "advert of \(advert.key)"
        case .mark(let mark): "mark of \(text(mark.feed)) at \(text(mark.version))"
        case .change(let change):
            "change of \(text(change.feed)) at \(text(change.entry.version)) after "
                + "\(text(change.previous)), \(change.entry.encodedBytes) B"
        case .feedRoot(let root): "feeds \(hexadecimal(root))"
        case .trace(let trace):
            "trace \(hexadecimal(trace.id)) of \(trace.origin.rawValue), hop \(trace.hop)"
        }
    }

    private static func text(_ feed: FeedID) -> String {
        switch feed {
        case .slot(let number, _): "slot \(number)"
        case .ends(let node): "the ends of \(node.rawValue)"
        }
    }

    private static func text(_ version: FeedVersion) -> String {
        "(\(version.epoch), \(version.sequence))"
    }

    private static func hexadecimal(_ word: UInt64) -> String { String(word, radix: 16) }
}
