import Model
public import NIOCore

/// What acceptors are asked, as bytes.
///
/// ```
/// +---------+------+------------+----------+------------------------------------+
/// | version | kind | generation | store    | by kind                            |
/// | u8 = 1  | u8   | u64        | 2 x u64  |                                    |
/// +---------+------+------------+----------+------------------------------------+
/// 1 prepare     ballot, count u16, count x key
/// 2 accept      ballot, count u16, count x (key, value bytes)
/// 3 read        count u16, count x key
/// 4 adopt       roster
/// 5 raiseFloor  ballot
/// 6 remove      count u16, count x (key, ballot)
/// 7 scan        after text, limit u16
/// 8 install     floor ballot, count u16, count x (key, max seen, accepted ballot, value?)
/// value?: u8, then bytes where it is 1
/// ```
extension PaxosRequest {
    public func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(ByteBuffer.paxosVersion)
        buffer.writeInteger(kind)
        buffer.writeInteger(generation.rawValue)
        buffer.writeStore(store)
        switch body {
        case .prepare(let ballot, let keys):
            buffer.writeBallot(ballot)
            buffer.writeCount(keys.count)
            for key in keys { buffer.writeText(key) }
        case .accept(let ballot, let proposals):
            buffer.writeBallot(ballot)
            buffer.writeCount(proposals.count)
            for proposal in proposals {
                buffer.writeText(proposal.key)
                buffer.writeBytes32(proposal.value)
            }
        case .read(let keys):
            buffer.writeCount(keys.count)
            for key in keys { buffer.writeText(key) }
        case .adopt(let roster): roster.encode(into: &buffer)
        case .raiseFloor(let ballot): buffer.writeBallot(ballot)
        case .remove(let tombstones):
            buffer.writeCount(tombstones.count)
            for tombstone in tombstones {
                buffer.writeText(tombstone.key)
                buffer.writeBallot(tombstone.ballot)
            }
        case .scan(let after, let limit):
            buffer.writeText(after)
            buffer.writeCount(limit)
        case .install(let floor, let entries):
            buffer.writeBallot(floor)
            buffer.writeEntries(entries)
        }
    }

    private var kind: UInt8 {
        switch body {
        case .prepare: 1
        case .accept: 2
        case .read: 3
        case .adopt: 4
        case .raiseFloor: 5
        case .remove: 6
        case .scan: 7
        case .install: 8
        }
    }

    public init(decoding bytes: ByteBuffer) throws(PaxosCodecError) {
        var reader = PaxosReader(bytes)
        try reader.version()
        let kind = try reader.integer(UInt8.self)
        let generation = RosterGeneration(try reader.integer())
        let store = try reader.store()
        let body = try Self.body(kind, &reader)
        try reader.finish()
        self.init(generation: generation, store: store, body: body)
    }

    private static func body(
        _ kind: UInt8, _ reader: inout PaxosReader
    ) throws(PaxosCodecError) -> Body {
        switch kind {
        case 1:
            let ballot = try reader.ballot()
            return .prepare(ballot, try reader.registers { (_, key) in key })
        case 2:
            let ballot = try reader.ballot()
            var total = 0
            let proposals = try reader.registers {
                (reader, key) throws(PaxosCodecError) in
                let value = try reader.bytes(atMost: Limits.envelopeBytesMaximum)
                total += value.readableBytes
                return Proposal(key: key, value: value)
            }
            guard total <= Limits.messageValueBytes else {
                throw .tooLong(total, maximum: Limits.messageValueBytes)
            }
            return .accept(ballot, proposals)
        case 3: return .read(try reader.registers { (_, key) in key })
        case 4: return .adopt(try reader.roster())
        case 5: return .raiseFloor(try reader.ballot())
        case 6:
            return .remove(
                try reader.registers { (reader, key) throws(PaxosCodecError) in
                    Tombstone(key: key, ballot: try reader.ballot())
                })
        case 7:
            let after = try reader.key()
            let limit = try reader.count(atMost: Limits.scanMaximum)
            guard limit > 0 else { throw .empty }
            return .scan(after: after, limit: limit)
        case 8:
            let floor = try reader.ballot()
            return .install(floor: floor, try reader.entries())
        default: throw .unknownKind(kind)
        }
    }
}

/// The lines of an acceptor's log; whoever writes the log frames them and guards them by CRC.
///
/// ```
/// +---------+------+-------------------------------------+
/// | version | kind | by kind                             |
/// | u8 = 1  | u8   |                                     |
/// +---------+------+-------------------------------------+
/// 1 identity  cluster text, store 2 x u64
/// 2 roster    roster
/// 3 floor     ballot
/// 4 promise   key, ballot
/// 5 accept    key, ballot, value bytes
/// 6 remove    key
/// ```
extension AcceptorRecord {
    public func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(ByteBuffer.paxosVersion)
        switch self {
        case .identity(let cluster, let store):
            buffer.writeInteger(1 as UInt8)
            buffer.writeText(cluster)
            buffer.writeStore(store)
        case .roster(let roster):
            buffer.writeInteger(2 as UInt8)
            roster.encode(into: &buffer)
        case .floor(let ballot):
            buffer.writeInteger(3 as UInt8)
            buffer.writeBallot(ballot)
        case .promise(let key, let ballot):
            buffer.writeInteger(4 as UInt8)
            buffer.writeText(key)
            buffer.writeBallot(ballot)
        case .accept(let key, let ballot, let value):
            buffer.writeInteger(5 as UInt8)
            buffer.writeText(key)
            buffer.writeBallot(ballot)
            buffer.writeBytes32(value)
        case .remove(let key):
            buffer.writeInteger(6 as UInt8)
            buffer.writeText(key)
        }
    }

    public init(decoding bytes: ByteBuffer) throws(PaxosCodecError) {
        var reader = PaxosReader(bytes)
        try reader.version()
        let kind = try reader.integer(UInt8.self)
        switch kind {
        case 1:
            let cluster = try reader.text(atMost: Limits.clusterBytesMaximum)
            self = .identity(cluster: cluster, store: try reader.store())
        case 2: self = .roster(try reader.roster())
        case 3: self = .floor(try reader.ballot())
        case 4:
            let key = try reader.key()
            self = .promise(key: key, try reader.ballot())
        case 5:
            let key = try reader.key()
            let ballot = try reader.ballot()
            self = .accept(key: key, ballot, try reader.bytes(atMost: Limits.envelopeBytesMaximum))
        case 6: self = .remove(key: try reader.key())
        default: throw .unknownKind(kind)
        }
        try reader.finish()
    }
}
