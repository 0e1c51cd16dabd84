internal import Model
internal import NIOCore

/// How messages over a link are written; their layout stands at `LinkMessage`.
extension LinkMessage {
    func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt8(1), code)
        switch self {
        case .packet(let packet):
            var inner = Packet.open(packet.kind)
            for part in packet.parts { inner.writeImmutableBuffer(part.encoded()) }
            Packet.close(&inner, parts: packet.parts.count)
            bytes.writeImmutableBuffer(inner)
        case .hello(let roots, let state, let accusations):
            bytes.writeMultipleIntegers(roots.table, roots.members)
            state.write(into: &bytes)
            let sent = accusations.prefix(GossipLimits.evidencePerMember)
            bytes.writeInteger(UInt8(sent.count))
            for accusation in sent { accusation.write(into: &bytes) }
        case .branches(let tree, let hashes):
            bytes.writeInteger(tree.rawValue)
            for hash in hashes { bytes.writeInteger(hash) }
        case .leaves(let tree, let mask, let hashes):
            bytes.writeMultipleIntegers(tree.rawValue, mask)
            for hash in hashes { bytes.writeInteger(hash) }
        case .entries(let leaves, let adverts):
            Self.write(leaves, into: &bytes)
            bytes.writeInteger(UInt32(adverts.count))
            for advert in adverts { advert.write(into: &bytes) }
        case .members(let leaves, let wantsAnswer, let states):
            Self.write(leaves, into: &bytes)
            bytes.writeMultipleIntegers(UInt8(wantsAnswer ? 1 : 0), UInt32(states.count))
            for state in states { state.write(into: &bytes) }
        case .want(let keys), .doubt(let keys):
            bytes.writeInteger(UInt16(keys.count))
            for key in keys { bytes.writeText(key) }
        case .values(let values):
            bytes.writeInteger(UInt32(values.count))
            for value in values { value.write(into: &bytes) }
        case .marks(let marks, let wantsAnswer):
            bytes.writeMultipleIntegers(UInt8(wantsAnswer ? 1 : 0), UInt16(marks.count))
            for mark in marks { mark.write(into: &bytes) }
        case .pull(let pulls):
            bytes.writeInteger(UInt16(pulls.count))
            for pull in pulls {
                bytes.writeFeedID(pull.feed)
                bytes.writeFeedVersion(pull.since)
            }
        case .delta(let delta): delta.write(into: &bytes)
        }
        return bytes
    }

    /// A packet that is encoded already, as a message.
    static func wrap(_ packet: ByteBuffer) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt8(1), UInt8(1))
        bytes.writeImmutableBuffer(packet)
        return bytes
    }

    private static func write(_ leaves: [UInt16], into bytes: inout ByteBuffer) {
        bytes.writeInteger(UInt16(leaves.count))
        for leaf in leaves { bytes.writeInteger(leaf) }
    }

    private var code: UInt8 {
        switch self {
        case .packet: 1
        case .hello: 2
        case .branches: 3
        case .leaves: 4
        case .entries: 5
        case .members: 6
        case .want: 7
        case .values: 8
        case .doubt: 9
        case .marks: 10
        case .pull: 11
        case .delta: 12
        }
    }
}
