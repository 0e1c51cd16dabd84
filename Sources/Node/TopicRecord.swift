public import Model
public import NIOCore

/// The value of the register `topic/<name>`: what was decided about one topic.
///
///     version u8 = 2
///     topic id            16 bytes
///     configurations      u16, each: name u16 + bytes, value u16 + bytes, ascending by name
///     partitions          i32
///     placement           runs: count i32, replicas u8, each i32
///
/// Integers are big-endian. A run says that as many partitions in a row have these replicas, in
/// placement order, so a large topic on few brokers stays small. Version 1 had the partitions
/// before the configurations and no placement: all of it was on the one broker there was.
public struct TopicRecord: Hashable, Sendable {
    public var id: TopicID
    /// The brokers that hold each partition, by index; the first is the preferred leader.
    public var placement: [[NodeID]]
    public var overrides: [String: String]

    public init(id: TopicID, placement: [[NodeID]], overrides: [String: String]) {
        precondition(!placement.isEmpty, "a topic has a partition")
        self.id = id
        self.placement = placement
        self.overrides = overrides
    }

    public var partitions: Int32 { Int32(clamping: placement.count) }

    /// Why bytes are not a topic record.
    public enum DecodeError: Error, Equatable {
        case truncated
        case version(UInt8)
        case outOfRange(String)
    }

    /// Kafka has no such bound; a topic beyond it is a slip of the hand, and each partition costs
    /// files and memory.
    public static let partitionsMaximum: Int32 = 100_000
    /// More copies than any mesh of five voters can make use of, with room.
    public static let replicasMaximum = 32

    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt8(2))
        buffer.writeInteger(id.high)
        buffer.writeInteger(id.low)
        buffer.writeInteger(UInt16(overrides.count))
        for name in overrides.keys.sorted() {
            for text in [name, overrides[name] ?? ""] {
                buffer.writeInteger(UInt16(text.utf8.count))
                buffer.writeString(text)
            }
        }
        buffer.writeInteger(partitions)
        var start = 0
        while start < placement.count {
            let replicas = placement[start]
            let end = placement[start...].firstIndex { $0 != replicas } ?? placement.count
            buffer.writeInteger(Int32(end - start))
            buffer.writeInteger(UInt8(replicas.count))
            for node in replicas { buffer.writeInteger(node.rawValue) }
            start = end
        }
        return buffer
    }

    /// - Parameter home: where the partitions of a record of version 1 are; without it such a
    ///   record is refused, because only the table of a single broker ever held one.
    public init(decoding bytes: ByteBuffer, home: NodeID? = nil) throws(DecodeError) {
        var bytes = bytes
        guard let version: UInt8 = bytes.readInteger() else { throw .truncated }
        guard version == 2 || (version == 1 && home != nil) else { throw .version(version) }
        guard let high: UInt64 = bytes.readInteger(), let low: UInt64 = bytes.readInteger() else {
            throw .truncated
        }
        var count = version == 1 ? try Self.readCount(&bytes) : 0
        let overrides = try Self.readOverrides(&bytes)
        if version == 2 { count = try Self.readCount(&bytes) }
        let placement =
            version == 2
            ? try Self.readPlacement(&bytes, count)
            : Array(repeating: [home ?? NodeID(0)], count: count)
        guard bytes.readableBytes == 0 else { throw .outOfRange("bytes behind the record") }
        self.init(
            id: TopicID(high: high, low: low), placement: placement, overrides: overrides)
    }

    private static func readCount(_ bytes: inout ByteBuffer) throws(DecodeError) -> Int {
        guard let count: Int32 = bytes.readInteger() else { throw .truncated }
        guard (1...partitionsMaximum).contains(count) else {
            throw .outOfRange("\(count) partitions")
        }
        return Int(count)
    }

    private static func readOverrides(
        _ bytes: inout ByteBuffer
    ) throws(DecodeError) -> [String: String] {
        guard let count: UInt16 = bytes.readInteger() else { throw .truncated }
        var overrides: [String: String] = [:]
        for _ in 0..<count {
            guard let name = Self.readText(&bytes), let value = Self.readText(&bytes) else {
                throw .truncated
            }
            overrides[name] = value
        }
        return overrides
    }

    private static func readPlacement(
        _ bytes: inout ByteBuffer, _ count: Int
    ) throws(DecodeError) -> [[NodeID]] {
        var placement: [[NodeID]] = []
        while placement.count < count {
            guard let run: Int32 = bytes.readInteger(), let copies: UInt8 = bytes.readInteger()
            else { throw .truncated }
            guard run >= 1, Int(run) <= count - placement.count else {
                throw .outOfRange("a run of \(run) partitions")
            }
            guard (1...replicasMaximum).contains(Int(copies)) else {
                throw .outOfRange("\(copies) replicas")
            }
            var replicas: [NodeID] = []
            for _ in 0..<copies {
                guard let node: Int32 = bytes.readInteger() else { throw .truncated }
                guard node >= 0, !replicas.contains(NodeID(node)) else {
                    throw .outOfRange("replica \(node)")
                }
                replicas.append(NodeID(node))
            }
            placement += Array(repeating: replicas, count: Int(run))
        }
        return placement
    }

    private static func readText(_ bytes: inout ByteBuffer) -> String? {
        guard let length: UInt16 = bytes.readInteger() else { return nil }
        return bytes.readText(length: Int(length))
    }
}
