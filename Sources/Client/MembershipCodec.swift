public import NIOCore

/// The bytes that members of a classic consumer group pass to each other through the coordinator.
///
/// ```
/// subscription: version int16 | topics: array of string | user data: nullable bytes | ..
/// assignment:   version int16 | array of (topic string, array of int32) | user data | ..
/// ```
///
/// Later versions only append, so version 0 is written and any version is read. Source: Kafka's
/// "consumer protocol" messages. The bytes come from other clients and are not trusted.
public enum MembershipCodec {
    /// A bound on counts that a stranger claims; the loop ends with the bytes anyway.
    private static let elementsMax: Int32 = 1_000_000

    static func subscription(to topics: [String]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(Int16(0))
        buffer.writeInteger(Int32(topics.count))
        for topic in topics { write(topic, into: &buffer) }
        buffer.writeInteger(Int32(-1))
        return buffer
    }

    static func topics(ofSubscription bytes: ByteBuffer) -> [String]? {
        var bytes = bytes
        guard bytes.readInteger(as: Int16.self) != nil,
            let count = bytes.readInteger(as: Int32.self), (0...elementsMax).contains(count)
        else { return nil }
        var topics: [String] = []
        for _ in 0..<count {
            guard let topic = readString(&bytes) else { return nil }
            topics.append(topic)
        }
        return topics
    }

    static func assignment(_ partitions: [TopicPartitionName]) -> ByteBuffer {
        var buffer = ByteBuffer()
        let topics = Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
        buffer.writeInteger(Int16(0))
        buffer.writeInteger(Int32(topics.count))
        for (topic, names) in topics {
            write(topic, into: &buffer)
            buffer.writeInteger(Int32(names.count))
            for name in names.sorted() { buffer.writeInteger(name.partition) }
        }
        buffer.writeInteger(Int32(-1))
        return buffer
    }

    /// The partitions of an assignment; nil where the bytes are none. No bytes are no partitions.
    public static func partitions(ofAssignment bytes: ByteBuffer) -> [TopicPartitionName]? {
        var bytes = bytes
        if bytes.readableBytes == 0 { return [] }
        guard bytes.readInteger(as: Int16.self) != nil,
            let count = bytes.readInteger(as: Int32.self), (0...elementsMax).contains(count)
        else { return nil }
        var result: [TopicPartitionName] = []
        for _ in 0..<count {
            guard let topic = readString(&bytes), let rows = bytes.readInteger(as: Int32.self),
                (0...elementsMax).contains(rows)
            else { return nil }
            for _ in 0..<rows {
                guard let partition = bytes.readInteger(as: Int32.self) else { return nil }
                result.append(TopicPartitionName(topic: topic, partition: partition))
            }
        }
        return result
    }

    private static func write(_ text: String, into buffer: inout ByteBuffer) {
        buffer.writeInteger(Int16(clamping: text.utf8.count))
        buffer.writeString(text)
    }

    private static func readString(_ bytes: inout ByteBuffer) -> String? {
        guard let length = bytes.readInteger(as: Int16.self), length >= 0 else { return nil }
        return bytes.readString(length: Int(length))
    }
}
