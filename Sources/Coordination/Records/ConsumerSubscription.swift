internal import NIOCore

/// The topics that a member of a "consumer" group subscribes to, out of its metadata.
///
/// The coordinator treats metadata as opaque, with this one exception: it must know which topics
/// are in use, so as neither to expire nor to delete their offsets (KIP-211, KIP-496). Version 0 of
/// Kafka's ConsumerProtocolSubscription is a prefix of all later ones.
///
///     +--------------+--------------------------+----------------+----
///     | version: i16 | topics: i32 count, each  | userData: bytes | ...
///     |              |  i16 length, UTF-8       |                |
///     +--------------+--------------------------+----------------+----
enum ConsumerSubscription {
    /// The protocol type for which members write their metadata in this format.
    static let protocolType = "consumer"

    /// The topics in order and without repetition; nil where the bytes are something else.
    static func topics(in metadata: ByteBuffer) -> [String]? {
        var reader = RecordReader(metadata)
        do throws(SlotRecordError) {
            let _: Int16 = try reader.integer()
            let count = try reader.arrayCount()
            var topics: Set<String> = []
            for _ in 0..<count { topics.insert(try reader.string()) }
            return topics.sorted()
        } catch {
            return nil
        }
    }
}
