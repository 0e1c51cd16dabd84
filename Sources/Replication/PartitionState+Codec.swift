import Model
public import NIOCore

/// The layout of a partition's register:
///
///     version u8 = 1
///     flags u8            1 led, 2 deposed, 4 consented, 8 unclean, 16 consented having served
///     leader i32          where led
///     leader epoch i32, partition epoch i32
///     deposed             where deposed: node i32, admission u32, log epoch u64
///     replicas, adding, removing      u8 + each i32
///     in sync, last eligible          u8 + each (node i32, admission u32, log epoch u64)
///
/// Integers are big-endian. About 100 bytes with three replicas.
extension PartitionState {
    /// Why bytes are no partition state; nothing was done with them.
    public enum DecodeError: Error, Hashable, Sendable {
        case truncated
        case version(UInt8)
        case outOfRange(String)
    }

    private static let version: UInt8 = 1

    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(Self.version)
        var flags: UInt8 = leader != nil ? 1 : 0
        if deposed != nil { flags |= 2 }
        if consented { flags |= 4 }
        if consent == .served { flags |= 16 }
        if isUnclean { flags |= 8 }
        buffer.writeInteger(flags)
        if let leader { buffer.writeInteger(leader.rawValue) }
        buffer.writeInteger(leaderEpoch.rawValue)
        buffer.writeInteger(partitionEpoch.rawValue)
        deposed?.encode(into: &buffer)
        for nodes in [replicas, adding, removing] {
            buffer.writeInteger(UInt8(nodes.count))
            for node in nodes { buffer.writeInteger(node.rawValue) }
        }
        for ids in [inSync, lastEligible] {
            buffer.writeInteger(UInt8(ids.count))
            for id in ids { id.encode(into: &buffer) }
        }
        return buffer
    }

    public init(decoding bytes: ByteBuffer) throws(DecodeError) {
        var bytes = bytes
        guard let version: UInt8 = bytes.readInteger(), let flags: UInt8 = bytes.readInteger()
        else { throw .truncated }
        guard version == Self.version else { throw .version(version) }
        guard flags < 32, flags & 20 != 16 else { throw .outOfRange("flags \(flags)") }
        let leader = flags & 1 != 0 ? try Self.readNode(&bytes) : nil
        guard let leaderEpoch: Int32 = bytes.readInteger(),
            let partitionEpoch: Int32 = bytes.readInteger()
        else { throw .truncated }
        let deposed = flags & 2 != 0 ? try Self.readID(&bytes) : nil
        self.init(
            leader: leader, leaderEpoch: LeaderEpoch(leaderEpoch),
            partitionEpoch: PartitionEpoch(partitionEpoch),
            replicas: try Self.readNodes(&bytes), adding: try Self.readNodes(&bytes),
            removing: try Self.readNodes(&bytes), inSync: try Self.readIDs(&bytes),
            lastEligible: try Self.readIDs(&bytes), deposed: deposed,
            consent: flags & 4 == 0 ? nil : flags & 16 == 0 ? .stopped : .served,
            isUnclean: flags & 8 != 0)
        guard bytes.readableBytes == 0 else { throw .outOfRange("bytes behind the state") }
        if let violation { throw .outOfRange(violation) }
    }

    /// Which of its invariants this state breaks; nothing that the change functions make does.
    private var violation: String? {
        if leaderEpoch < LeaderEpoch(0) { return "leader epoch \(leaderEpoch.rawValue)" }
        if partitionEpoch < .initial { return "partition epoch \(partitionEpoch.rawValue)" }
        if replicas.isEmpty { return "no replicas" }
        if inSync.isEmpty { return "nobody in sync" }
        if let leader, !inSync.contains(where: { $0.node == leader }) {
            return "leader \(leader.rawValue) is not in sync"
        }
        for nodes in [replicas, adding, removing, electable.map(\.node)] {
            for (index, node) in nodes.enumerated() where nodes[..<index].contains(node) {
                return "replica \(node.rawValue) is there twice"
            }
        }
        for nodes in [adding, removing, electable.map(\.node)] {
            if let stray = nodes.first(where: { !replicas.contains($0) }) {
                return "\(stray.rawValue) is no replica"
            }
        }
        if consented, deposed == nil { return "a consent of nobody" }
        return nil
    }

    private static func readNode(_ bytes: inout ByteBuffer) throws(DecodeError) -> NodeID {
        guard let node: Int32 = bytes.readInteger() else { throw .truncated }
        guard node >= 0 else { throw .outOfRange("node \(node)") }
        return NodeID(node)
    }

    private static func readCount(_ bytes: inout ByteBuffer) throws(DecodeError) -> Int {
        guard let count: UInt8 = bytes.readInteger() else { throw .truncated }
        guard Int(count) <= ReplicationLimits.replicasMaximum else {
            throw .outOfRange("\(count) replicas")
        }
        return Int(count)
    }

    private static func readNodes(_ bytes: inout ByteBuffer) throws(DecodeError) -> [NodeID] {
        var nodes: [NodeID] = []
        for _ in 0..<(try readCount(&bytes)) { nodes.append(try readNode(&bytes)) }
        return nodes
    }

    private static func readIDs(_ bytes: inout ByteBuffer) throws(DecodeError) -> [ReplicaID] {
        var ids: [ReplicaID] = []
        for _ in 0..<(try readCount(&bytes)) { ids.append(try readID(&bytes)) }
        return ids
    }

    private static func readID(_ bytes: inout ByteBuffer) throws(DecodeError) -> ReplicaID {
        guard let id = ReplicaID(from: &bytes) else { throw .truncated }
        guard id.node.rawValue >= 0 else { throw .outOfRange("node \(id.node.rawValue)") }
        return id
    }
}

/// A replica on the wire and in registers: node i32, admission u32, log epoch u64.
extension ReplicaID {
    func encode(into buffer: inout ByteBuffer) {
        buffer.writeInteger(node.rawValue)
        buffer.writeInteger(admission.rawValue)
        buffer.writeInteger(logEpoch.rawValue)
    }

    init?(from buffer: inout ByteBuffer) {
        guard let node: Int32 = buffer.readInteger(), let admission: UInt32 = buffer.readInteger(),
            let logEpoch: UInt64 = buffer.readInteger()
        else { return nil }
        self.init(
            node: NodeID(node), admission: AdmissionNumber(admission),
            logEpoch: BootEpoch(logEpoch))
    }
}
