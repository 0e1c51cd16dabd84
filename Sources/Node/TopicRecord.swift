public import Model
public import NIOCore

/// The value of `topic/<name>` in the table: what survives a restart about one topic.
///
///     version u8 = 1
///     topic id            16 bytes
///     partitions          i32
///     configurations      u16, each: name u16 + bytes, value u16 + bytes, ascending by name
///
/// Integers are big-endian. Placement is not in it: with one voter every partition is placed on
/// the broker that made the topic; a placement becomes a part of it with version 2.
public struct TopicRecord: Hashable, Sendable {
    public var id: TopicID
    public var partitions: Int32
    public var overrides: [String: String]

    public init(
        id: TopicID, partitions: Int32, overrides: [String: String]
    ) {
        self.id = id
        self.partitions = partitions
        self.overrides = overrides
    }

    /// Why bytes are not a topic record.
    public enum DecodeError: Error, Equatable {
        case truncated
        case version(UInt8)
        case outOfRange(String)
    }

    /// Kafka has no such bound; a topic beyond it is a slip of the hand, and each partition costs
    /// files and memory.
    public static let partitionsMaximum: Int32 = 100_000

    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt8(1))
        buffer.writeInteger(id.high)
        buffer.writeInteger(id.low)
        buffer.writeInteger(partitions)
        buffer.writeInteger(UInt16(overrides.count))
        for name in overrides.keys.sorted() {
            for text in [name, overrides[name] ?? ""] {
                buffer.writeInteger(UInt16(text.utf8.count))
                buffer.writeString(text)
            }
        }
        return buffer
    }

    public init(decoding bytes: ByteBuffer) throws(DecodeError) {
        var bytes = bytes
        guard let version: UInt8 = bytes.readInteger() else { throw .truncated }
        guard version == 1 else { throw .version(version) }
        guard let high: UInt64 = bytes.readInteger(), let low: UInt64 = bytes.readInteger(),
            let partitions: Int32 = bytes.readInteger(),
            let count: UInt16 = bytes.readInteger()
        else { throw .truncated }
        guard (1...Self.partitionsMaximum).contains(partitions) else {
            throw .outOfRange("\(partitions) partitions")
        }
        var overrides: [String: String] = [:]
        for _ in 0..<count {
            guard let name = Self.readText(&bytes), let value = Self.readText(&bytes) else {
                throw .truncated
            }
            overrides[name] = value
        }
        self.init(
            id: TopicID(high: high, low: low), partitions: partitions,
            overrides: overrides)
    }

    private static func readText(_ bytes: inout ByteBuffer) -> String? {
        guard let length: UInt16 = bytes.readInteger() else { return nil }
        return bytes.readString(length: Int(length))
    }
}
