/// One topic configuration that Kafka clients know by name, with what Gossamer makes of it.
///
/// The table is the single place that says which names exist, what they may hold, and what holds
/// where nobody set them; CreateTopics, AlterConfigs, DescribeConfigs and the typed
/// `TopicConfiguration` all read it. Source: Kafka's topic configuration reference.
public struct TopicConfigurationKey: Sendable {
    /// The type as DescribeConfigs numbers it.
    public enum Kind: Int8, Sendable {
        case boolean = 1
        case string = 2
        case int = 3
        case long = 5
        case double = 6
        case list = 7
    }

    /// What values are taken.
    enum Domain: Sendable {
        case integer(ClosedRange<Int64>)
        case fraction
        case boolean
        case words([String])
        /// A comma-separated subset of these.
        case subset([String])
        /// Any text; stored and described, with no effect on one broker.
        case text
    }

    public let name: String
    public let kind: Kind
    let domain: Domain
    /// Kafka's broker-wide synonym, shown by DescribeConfigs.
    public let synonym: String
    public let standard: String
    public let documentation: String

    /// The longest value: a list of throttled replicas of a large topic, and still a small record.
    static let valueBytesMaximum = 8_192

    /// What is wrong with `value`, in words for whoever set it; nil where it is fine.
    public func refusal(of value: String) -> String? {
        guard value.utf8.count <= Self.valueBytesMaximum else {
            return "\(name): a value has at most \(Self.valueBytesMaximum) bytes"
        }
        switch domain {
        case .integer(let range):
            guard let number = Int64(value), range.contains(number) else {
                return expected(
                    "a whole number from \(range.lowerBound) to \(range.upperBound)", value)
            }
        case .fraction:
            guard let number = Double(value), (0...1).contains(number) else {
                return expected("a number from 0 to 1", value)
            }
        case .boolean:
            guard value == "true" || value == "false" else {
                return expected("true or false", value)
            }
        case .words(let words):
            guard words.contains(value) else {
                return expected("one of " + words.joined(separator: ", "), value)
            }
        case .subset(let words):
            let parts = value.split(separator: ",", omittingEmptySubsequences: false)
            guard parts.allSatisfy({ part in words.contains { $0 == part.trimmed } }) else {
                return expected("a list out of " + words.joined(separator: ", "), value)
            }
        case .text:
            return nil
        }
        return nil
    }

    private func expected(_ what: String, _ value: String) -> String {
        "\(name)=\(value): expected \(what)"
    }

    /// The key of that name; nil for a name that no topic has.
    public static func named(_ name: String) -> TopicConfigurationKey? {
        all.first { $0.name == name }
    }
}

extension Substring {
    /// Without spaces at either end: lists are often written `compact, delete`.
    var trimmed: Substring {
        var slice = self
        while slice.first == " " { slice = slice.dropFirst() }
        while slice.last == " " { slice = slice.dropLast() }
        return slice
    }
}

extension TopicConfigurationKey {
    private static let anyLong: ClosedRange<Int64> = 0...Int64.max
    private static let bytes: ClosedRange<Int64> = 0...Int64(Int32.max)

    /// Every key, in the order in which DescribeConfigs answers.
    public static let all: [TopicConfigurationKey] = retentionKeys + segmentKeys + messageKeys

    private static let retentionKeys: [TopicConfigurationKey] = [
        key(
            "cleanup.policy", .list, .subset(["delete", "compact"]), "log.cleanup.policy", "delete",
            "delete drops old segments, compact keeps the newest record of each key"),
        key(
            "retention.ms", .long, .integer(-1...Int64.max), "log.retention.ms", "604800000",
            "how long a record is kept at least; -1 for ever"),
        key(
            "retention.bytes", .long, .integer(-1...Int64.max), "log.retention.bytes", "-1",
            "how large a partition may grow before its oldest segments go; -1 without limit"),
        key(
            "delete.retention.ms", .long, .integer(anyLong), "log.cleaner.delete.retention.ms",
            "86400000", "how long a tombstone outlives its compaction"),
        key(
            "min.cleanable.dirty.ratio", .double, .fraction, "log.cleaner.min.cleanable.ratio",
            "0.5", "the share of uncompacted bytes that starts a compaction"),
        key(
            "min.compaction.lag.ms", .long, .integer(anyLong), "log.cleaner.min.compaction.lag.ms",
            "0", "how long a record stays uncompacted at least"),
        key(
            "max.compaction.lag.ms", .long, .integer(1...Int64.max),
            "log.cleaner.max.compaction.lag.ms", "9223372036854775807",
            "how long a record may stay uncompacted"),
        key(
            "file.delete.delay.ms", .long, .integer(anyLong), "log.segment.delete.delay.ms",
            "60000", "kept for clients; files go as soon as no reader holds them"),
    ]

    private static let segmentKeys: [TopicConfigurationKey] = [
        key(
            "segment.bytes", .int, .integer(1_024...Int64(Int32.max)), "log.segment.bytes",
            "1073741824", "the size at which a segment is sealed"),
        key(
            "segment.ms", .long, .integer(1...Int64.max), "log.roll.ms", "604800000",
            "the age at which a segment is sealed"),
        key(
            "segment.index.bytes", .int, .integer(4...Int64(Int32.max)),
            "log.index.size.max.bytes", "10485760", "kept for clients; indexes grow as needed"),
        key(
            "segment.jitter.ms", .long, .integer(anyLong), "log.roll.jitter.ms", "0",
            "kept for clients; segments are sealed without jitter"),
        key(
            "index.interval.bytes", .int, .integer(bytes), "log.index.interval.bytes", "4096",
            "bytes of log between two entries of the offset index"),
        key(
            "preallocate", .boolean, .boolean, "log.preallocate", "false",
            "kept for clients; files grow as they are written"),
        key(
            "flush", .string, .words(["async", "interval", "sync"]), "flush", "async",
            "the durability class: async leaves it to the page cache, sync acknowledges after fsync"
        ),
        key(
            "flush.messages", .long, .integer(1...Int64.max), "log.flush.interval.messages",
            "9223372036854775807", "1 is the same as flush=sync"),
        key(
            "flush.ms", .long, .integer(anyLong), "log.flush.interval.ms", "9223372036854775807",
            "any smaller value is the same as flush=interval"),
    ]

    private static let messageKeys: [TopicConfigurationKey] = [
        key(
            "compression.type", .string, .words(["producer"]), "compression.type", "producer",
            "batches are stored as their producer compressed them"),
        key(
            "max.message.bytes", .int, .integer(bytes), "message.max.bytes", "1048588",
            "the largest record batch"),
        key(
            "message.timestamp.type", .string, .words(["CreateTime", "LogAppendTime"]),
            "log.message.timestamp.type", "CreateTime", "whose clock stamps a record"),
        key(
            "message.timestamp.before.max.ms", .long, .integer(anyLong),
            "log.message.timestamp.before.max.ms", "9223372036854775807",
            "how far behind the broker's clock a record's may be"),
        key(
            "message.timestamp.after.max.ms", .long, .integer(anyLong),
            "log.message.timestamp.after.max.ms", "3600000",
            "how far ahead of the broker's clock a record's may be"),
        key(
            "min.insync.replicas", .int, .integer(1...32_767), "min.insync.replicas", "1",
            "how many in-sync replicas acks=all needs"),
        key(
            "unclean.leader.election.enable", .boolean, .words(["false"]),
            "unclean.leader.election.enable", "false",
            "never by itself: an unclean election is an explicit command"),
        key(
            "leader.replication.throttled.replicas", .list, .text,
            "leader.replication.throttled.replicas", "", "kept for clients"),
        key(
            "follower.replication.throttled.replicas", .list, .text,
            "follower.replication.throttled.replicas", "", "kept for clients"),
    ]

    private static func key(
        _ name: String, _ kind: Kind, _ domain: Domain, _ synonym: String, _ standard: String,
        _ documentation: String
    ) -> TopicConfigurationKey {
        TopicConfigurationKey(
            name: name, kind: kind, domain: domain, synonym: synonym, standard: standard,
            documentation: documentation)
    }
}
