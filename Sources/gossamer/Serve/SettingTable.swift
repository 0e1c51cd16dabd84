import Broker
import Logging
import Node

extension Setting {
    /// Every key that `serve` knows, in the order in which `--check` shows them.
    static let all: [Setting] =
        identity + mesh + voters + topicDefaults + limits + pace + logging

    private static let identity: [Setting] = [
        Setting("nodeId", flag: "--node-id", show: { $0.broker.nodeID.map(String.init) ?? "auto" })
        {
            value, settings throws(Expectation) in
            settings.broker.nodeID = try integer(value, 0...Int32.max)
        },
        Setting("dataDir", flag: "--data-dir", show: { $0.broker.dataDirectory }) {
            value, settings throws(Expectation) in
            let path = try word(value)
            guard !path.isEmpty else { throw Expectation("the path of a directory") }
            settings.broker.dataDirectory = DataHome.absolute(path)
        },
        Setting(
            "kafka.listen", flag: "--kafka", isList: true,
            show: { $0.listeners.map(\.description).joined(separator: ",") }
        ) { value, settings throws(Expectation) in
            settings.listeners = try addresses(value)
        },
        Setting(
            "kafka.advertise", flag: "--advertise", isList: true,
            show: { $0.advertised.map(\.description).joined(separator: ",") }
        ) { value, settings throws(Expectation) in
            settings.advertised = try addresses(value)
        },
        Setting("rack", show: { $0.broker.rack ?? "" }) { value, settings throws(Expectation) in
            settings.broker.rack = try word(value)
        },
    ]

    /// How a number is written that the broker finds by itself.
    private static let automatic = "auto"

    private static func auto(_ value: (some BinaryInteger)?) -> String {
        value.map { "\($0)" } ?? automatic
    }

    private static func isAuto(_ value: SettingValue) throws(Expectation) -> Bool {
        guard case .text(let text) = value else { return false }
        return text == automatic
    }

    private static let topicDefaults: [Setting] = [
        Setting("defaults.partitions", show: { "\($0.broker.defaults.partitions)" }) {
            value, settings throws(Expectation) in
            settings.broker.defaults.partitions = try integer(
                value, 1...TopicRules.maximumPartitions)
        },
        Setting("defaults.replicas", show: { auto($0.broker.defaults.replicas) }) {
            value, settings throws(Expectation) in
            settings.broker.defaults.replicas =
                try isAuto(value)
                ? nil : integer(value, 1...TopicRules.maximumReplicas)
        },
        Setting("defaults.minInsyncReplicas", show: { auto($0.broker.defaults.minInsyncReplicas) })
        {
            value, settings throws(Expectation) in
            settings.broker.defaults.minInsyncReplicas =
                try isAuto(value)
                ? nil : integer(value, 1...Int(TopicRules.maximumReplicas))
        },
        Setting("defaults.flush", show: { $0.broker.defaults.flush.rawValue }) {
            value, settings throws(Expectation) in
            settings.broker.defaults.flush = try Quantities.word(word(value))
        },
        Setting("defaults.autoCreateTopics", show: { "\($0.broker.defaults.autoCreateTopics)" }) {
            value, settings throws(Expectation) in
            settings.broker.defaults.autoCreateTopics = try Quantities.boolean(word(value))
        },
    ]

    private static let limits: [Setting] = [
        Setting("limits.connections", show: { "\($0.broker.limits.connections)" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.connections = try integer(value, 1...1_000_000)
        },
        Setting("limits.requestBytes", show: { "\($0.broker.limits.requestBytes)" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.requestBytes = try bytes(value, 1024...1_073_741_824)
        },
        Setting("limits.idle", show: { "\($0.broker.limits.idleSeconds)s" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.idleSeconds = try seconds(value)
        },
        Setting("limits.frame", show: { "\($0.broker.limits.frameSeconds)s" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.frameSeconds = try seconds(value)
        },
        Setting("limits.bufferedBytes", show: { "\($0.broker.limits.bufferedBytes)" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.bufferedBytes = try bytes(value, 65_536...1 << 40)
        },
        Setting("limits.openFiles", show: { "\($0.broker.limits.openFiles)" }) {
            value, settings throws(Expectation) in
            settings.broker.limits.openFiles = try integer(value, 16...1_000_000)
        },
        Setting("eventLoops", show: { $0.broker.eventLoops.map(String.init) ?? "one per core" }) {
            value, settings throws(Expectation) in
            settings.broker.eventLoops = try integer(value, 1...1024)
        },
    ]

    private static let pace: [Setting] = [
        Setting(
            "placement", flag: "--placement", show: { $0.broker.replicas.placement.rawValue }
        ) { value, settings throws(Expectation) in
            settings.broker.replicas.placement = try Quantities.word(word(value))
        },
        Setting("replicas.balanceLeaders", show: { "\($0.broker.replicas.balancesLeaders)" }) {
            value, settings throws(Expectation) in
            settings.broker.replicas.balancesLeaders = try Quantities.boolean(word(value))
        },
        Setting(
            "replicas.balanceAfter",
            show: { "\($0.broker.replicas.balanceAfterMilliseconds)ms" }
        ) { value, settings throws(Expectation) in
            settings.broker.replicas.balanceAfterMilliseconds = try milliseconds(value)
        },
        Setting(
            "replicas.rebuildAfter",
            show: { "\($0.broker.replicas.rebuildAfterMilliseconds)ms" }
        ) { value, settings throws(Expectation) in
            settings.broker.replicas.rebuildAfterMilliseconds = try milliseconds(value)
        },
        Setting(
            "replicas.catchUpRate", show: { "\($0.broker.replicas.catchUpBytesPerSecond)" }
        ) { value, settings throws(Expectation) in
            settings.broker.replicas.catchUpBytesPerSecond = try bytes(value, 65_536...1 << 40)
        },
        Setting(
            "groups.initialRebalanceDelay",
            show: { "\($0.broker.groupInitialRebalanceDelayMilliseconds)ms" }
        ) { value, settings throws(Expectation) in
            settings.broker.groupInitialRebalanceDelayMilliseconds = try milliseconds(value)
        },
        Setting("groups.offsetsPartitions", show: { "\($0.broker.offsetsTopicPartitions)" }) {
            value, settings throws(Expectation) in
            settings.broker.offsetsTopicPartitions = try integer(value, 1...1000)
        },
        Setting("groups.offsetsRetention", show: { "\($0.broker.offsetsRetentionMinutes)m" }) {
            value, settings throws(Expectation) in
            let time = try milliseconds(value)
            guard time >= 60_000 else { throw Expectation("a duration of at least 1m") }
            settings.broker.offsetsRetentionMinutes = time / 60_000
        },
        Setting("retention.checkInterval", show: { "\($0.broker.retentionCheckMilliseconds)ms" }) {
            value, settings throws(Expectation) in
            settings.broker.retentionCheckMilliseconds = try positiveMilliseconds(value)
        },
        Setting("flush.interval", show: { "\($0.broker.flushIntervalMilliseconds)ms" }) {
            value, settings throws(Expectation) in
            settings.broker.flushIntervalMilliseconds = try positiveMilliseconds(value)
        },
    ]

    private static let logging: [Setting] = [
        Setting("log.level", flag: "--log-level", show: { $0.logLevel.rawValue }) {
            value, settings throws(Expectation) in
            settings.logLevel = try Quantities.word(word(value))
        },
        Setting("log.format", flag: "--log-format", show: { $0.logFormat.rawValue }) {
            value, settings throws(Expectation) in
            settings.logFormat = try Quantities.word(word(value))
        },
    ]

    static func word(_ value: SettingValue) throws(Expectation) -> String {
        guard case .text(let word) = value else { throw Expectation("one value and not a list") }
        return word
    }

    private static func integer<Value: FixedWidthInteger>(
        _ value: SettingValue, _ range: ClosedRange<Value>
    ) throws(Expectation) -> Value {
        try Quantities.integer(word(value), in: range)
    }

    private static func bytes(
        _ value: SettingValue, _ range: ClosedRange<Int>
    ) throws(Expectation) -> Int {
        let count = try Quantities.bytes(word(value))
        guard range.contains(count) else {
            throw Expectation("a number of bytes from \(range.lowerBound) to \(range.upperBound)")
        }
        return count
    }

    private static func milliseconds(_ value: SettingValue) throws(Expectation) -> Int64 {
        try Quantities.milliseconds(word(value))
    }

    private static func positiveMilliseconds(_ value: SettingValue) throws(Expectation) -> Int64 {
        let time = try milliseconds(value)
        guard time > 0 else { throw Expectation("a duration above zero, for example 30s") }
        return time
    }

    private static func seconds(_ value: SettingValue) throws(Expectation) -> Int {
        let time = try milliseconds(value)
        guard time >= 1_000 else { throw Expectation("a duration of at least 1s") }
        return Int(time / 1_000)
    }

    private static func addresses(_ value: SettingValue) throws(Expectation) -> [NamedAddress] {
        var result: [NamedAddress] = []
        for word in value.words { result.append(try NamedAddress(word)) }
        guard !result.isEmpty else {
            throw Expectation("at least one HOST:PORT, for example 127.0.0.1:9092")
        }
        return result
    }
}

/// What a topic may be called and how large it may be, checked before any broker is asked.
enum TopicRules {
    /// A bound of ours: one request that made more would hold every client's metadata hostage.
    static let maximumPartitions: Int32 = 100_000
    /// No mesh keeps more copies than it can have brokers on one machine room.
    static let maximumReplicas: Int16 = 32
    /// Kafka's bound: the name becomes a directory name with a partition number behind it.
    static let maximumNameBytes = 249
}
