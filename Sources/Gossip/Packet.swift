internal import Model
internal import NIOCore

/// One packet of the detector or of a rumour: a datagram's payload, or the same over a link.
///
///     0        version, 1
///     1        kind: 1 ping, 2 ack, 3 nack, 4 ping request, 5 gossip, 6 digests
///     2        number of parts
///     3        ping, ack, nack: probe id, UInt64
///              ping request: probe id, UInt64, target, Int32
///              digests: roots of the table's and the members' trees, two UInt64
///     ..       parts: kind, UInt8; length, UInt16; body
///
/// Probe ids are random, so that a replayed ack cannot feign life. The count of parts makes every
/// strict prefix recognisable.
struct Packet {
    /// What the packet is about, beside the parts that ride on it.
    enum Kind: Hashable {
        case ping(UInt64)
        case ack(UInt64)
        case nack(UInt64)
        case pingRequest(UInt64, target: NodeID)
        case gossip
        case digests(Roots)
    }

    static let headerBytes = 3
    var kind: Kind
    var parts: [Part]

    /// Opens a packet; the count of its parts is set by `close`.
    static func open(_ kind: Kind) -> ByteBuffer {
        var bytes = ByteBuffer()
        switch kind {
        case .ping(let id): bytes.writeMultipleIntegers(UInt8(1), UInt8(1), UInt8(0), id)
        case .ack(let id): bytes.writeMultipleIntegers(UInt8(1), UInt8(2), UInt8(0), id)
        case .nack(let id): bytes.writeMultipleIntegers(UInt8(1), UInt8(3), UInt8(0), id)
        case .pingRequest(let id, let target):
            bytes.writeMultipleIntegers(UInt8(1), UInt8(4), UInt8(0), id, target.rawValue)
        case .gossip: bytes.writeMultipleIntegers(UInt8(1), UInt8(5), UInt8(0))
        case .digests(let roots):
            bytes.writeMultipleIntegers(UInt8(1), UInt8(6), UInt8(0), roots.table, roots.members)
        }
        return bytes
    }

    static func close(_ bytes: inout ByteBuffer, parts: Int) {
        bytes.setInteger(UInt8(parts), at: bytes.readerIndex + 2)
    }

    init(decoding bytes: ByteBuffer) throws(GossipDecodeError) {
        var bytes = bytes
        let version = try bytes.take(UInt8.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        let code = try bytes.take(UInt8.self)
        let count = Int(try bytes.take(UInt8.self))
        guard count <= GossipLimits.partsPerPacket else { throw .overLimit }
        switch code {
        case 1: kind = .ping(try bytes.take(UInt64.self))
        case 2: kind = .ack(try bytes.take(UInt64.self))
        case 3: kind = .nack(try bytes.take(UInt64.self))
        case 4:
            let id = try bytes.take(UInt64.self)
            kind = .pingRequest(id, target: NodeID(try bytes.take(Int32.self)))
        case 5: kind = .gossip
        case 6: kind = .digests(try Roots(decoding: &bytes))
        default: throw .unknownKind(code)
        }
        parts = []
        parts.reserveCapacity(count)
        for _ in 0..<count { parts.append(try Part(decoding: &bytes)) }
        try bytes.finish()
    }
}

/// The roots of both digest trees: equal ones mean that there is nothing to exchange.
struct Roots: Hashable {
    var table: UInt64
    var members: UInt64

    init(table: UInt64, members: UInt64) {
        self.table = table
        self.members = members
    }

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        table = try bytes.take(UInt64.self)
        members = try bytes.take(UInt64.self)
    }
}

/// A key at a ballot with the fingerprint and size of its value, without the value.
///
///     0        ballot, 20 bytes
///     20       content hash, UInt64
///     28       bytes of the value, UInt32; UInt32.max for a tombstone
///     32       key text
struct Advert: Hashable {
    let key: String
    let ballot: Ballot
    let hash: ContentHash
    /// Nil for a tombstone.
    let size: Int?

    init(key: String, ballot: Ballot, hash: ContentHash, size: Int?) {
        self.key = key
        self.ballot = ballot
        self.hash = hash
        self.size = size
    }

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        ballot = try bytes.takeBallot()
        hash = ContentHash(rawValue: try bytes.take(UInt64.self))
        let length = try bytes.take(UInt32.self)
        guard length == .max || length <= UInt32(ChosenValue.valueBytesMaximum) else {
            throw .overLimit
        }
        size = length == .max ? nil : Int(length)
        key = try bytes.takeText(maximum: ChosenValue.keyBytesMaximum)
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeBallot(ballot)
        bytes.writeInteger(hash.rawValue)
        bytes.writeInteger(size.map { UInt32($0) } ?? .max)
        bytes.writeText(key)
    }
}

extension ChosenValue {
    /// As it travels: ballot, key text, 1 and the length and bytes of the value, or 0.
    var encodedBytes: Int {
        ByteBuffer.ballotBytes + 2 + key.utf8.count + 1 + (value.map { 4 + $0.readableBytes } ?? 0)
    }

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        let ballot = try bytes.takeBallot()
        let key = try bytes.takeText(maximum: ChosenValue.keyBytesMaximum)
        var value: ByteBuffer?
        switch try bytes.take(UInt8.self) {
        case 0: value = nil
        case 1:
            let length = Int(try bytes.take(UInt32.self))
            guard length <= ChosenValue.valueBytesMaximum else { throw .overLimit }
            value = try bytes.takeBytes(length)
        default: throw .invalidValue
        }
        self.init(key: key, ballot: ballot, value: value)
    }

    func write(into bytes: inout ByteBuffer) {
        bytes.writeBallot(ballot)
        bytes.writeText(key)
        guard let value else {
            bytes.writeInteger(UInt8(0))
            return
        }
        bytes.writeMultipleIntegers(UInt8(1), UInt32(value.readableBytes))
        bytes.writeImmutableBuffer(value)
    }
}
