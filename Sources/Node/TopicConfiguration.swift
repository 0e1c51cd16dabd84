/// The durability class of a topic: when an append counts as safe on this broker.
public enum Durability: String, Hashable, Sendable, CaseIterable {
    case async
    case interval
    case sync
}

/// A topic's configuration: what was set on it over what the broker sets over the standard.
///
/// Values are checked when they enter (`refusal(of:)`), so the typed readers here never fail. It
/// is read when a log is opened or reconfigured, not per record.
public struct TopicConfiguration: Hashable, Sendable {
    /// Where a value came from, as DescribeConfigs numbers it.
    public enum Source: Int8, Sendable {
        case topic = 1
        case broker = 4
        case standard = 5
    }

    /// What was set on the topic itself.
    public private(set) var overrides: [String: String]
    /// What the broker sets for every topic.
    private let broker: [String: String]
    /// Copies of each partition: `min.insync.replicas` is a majority of them where nobody says.
    private let replicas: Int
    /// How many copies a record needs before `acks=all` is told of it; found once, because each
    /// decision about a partition asks for it.
    public private(set) var minInSync = 1
    /// `flush` where the topic says it; else what Kafka's two older names amount to.
    public private(set) var durability = Durability.async

    public init(overrides: [String: String], broker: [String: String], replicas: Int = 1) {
        self.overrides = overrides
        self.broker = broker
        self.replicas = replicas
        // Not checked yet, perhaps: then it is refused before anybody asks.
        minInSync = Int(text(Self.minInSyncName)) ?? 1
        durability = foundDurability
    }

    /// The same topic with other overrides.
    public func overriding(with overrides: [String: String]) -> TopicConfiguration {
        TopicConfiguration(overrides: overrides, broker: broker, replicas: replicas)
    }

    /// The value in force for `key` and where it came from.
    public func value(of key: TopicConfigurationKey) -> (value: String, source: Source) {
        if let own = overrides[key.name] { return (own, .topic) }
        if let broad = broker[key.name] { return (broad, .broker) }
        if key.name == Self.minInSyncName { return ("\(replicas / 2 + 1)", .standard) }
        return (key.standard, .standard)
    }

    private static let minInSyncName = "min.insync.replicas"

    func text(_ name: String) -> String {
        guard let key = TopicConfigurationKey.named(name) else {
            preconditionFailure("no topic configuration is called \(name)")
        }
        return value(of: key).value
    }

    /// A whole number that was checked when it was set.
    public func integer(_ name: String) -> Int64 {
        guard let number = Int64(text(name)) else {
            preconditionFailure("\(name) was stored unchecked: \(text(name))")
        }
        return number
    }

    public func fraction(_ name: String) -> Double { Double(text(name)) ?? 0.5 }

    public var isCompacted: Bool { policies.contains("compact") }
    public var isDeleted: Bool { policies.contains("delete") }

    private var policies: [Substring] {
        text("cleanup.policy").split(separator: ",").map(\.trimmed)
    }

    public var stampsAtAppend: Bool { text("message.timestamp.type") == "LogAppendTime" }

    private var foundDurability: Durability {
        if let own = overrides["flush"].flatMap(Durability.init) { return own }
        if Int64(text("flush.messages")) == 1 { return .sync }
        if let pause = Int64(text("flush.ms")), pause < Int64.max { return .interval }
        return Durability(rawValue: text("flush")) ?? .async
    }

    /// Every broker holds every topic's overrides in memory, and the voters in their records.
    private static let valueBytesMaximum = 1_024

    /// What is wrong with a set of overrides, in words; nil where all are known and legal.
    public static func refusal(of overrides: [String: String]) -> String? {
        for name in overrides.keys.sorted() {
            guard let key = TopicConfigurationKey.named(name) else {
                return "\(name): no topic configuration has this name"
            }
            guard let value = overrides[name] else { continue }
            if let reason = key.refusal(of: value) { return reason }
            guard value.utf8.count <= valueBytesMaximum else {
                return "\(name): \(value.utf8.count) bytes: expected at most \(valueBytesMaximum)"
            }
        }
        return nil
    }
}
