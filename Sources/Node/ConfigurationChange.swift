/// What somebody wants to change of a topic's overrides, as Kafka's alter requests say it.
///
/// Applied to the overrides that the register holds when it is decided, never to a copy that may
/// be older: two brokers that change the same topic at once both have their way (KIP-339).
public struct ConfigurationChange: Hashable, Sendable {
    /// One step, in the order of the request.
    public enum Edit: Hashable, Sendable {
        case set(name: String, value: String)
        case delete(name: String)
        /// Words of a list are added behind those that are there, once each.
        case append(name: String, words: String)
        case subtract(name: String, words: String)
    }

    /// Why an alteration makes no sense; nothing was changed.
    public struct Refusal: Error, Hashable, Sendable {
        public let message: String

        public init(message: String) { self.message = message }
    }

    /// Whether what is not named is forgotten (AlterConfigs) or kept (IncrementalAlterConfigs).
    public let replacesAll: Bool
    public let edits: [Edit]

    public init(replacesAll: Bool, edits: [Edit]) {
        self.replacesAll = replacesAll
        self.edits = edits
    }

    /// Exactly these overrides, whatever there were.
    public static func replacing(with overrides: [String: String]) -> ConfigurationChange {
        ConfigurationChange(
            replacesAll: true,
            edits: overrides.keys.sorted().map { .set(name: $0, value: overrides[$0] ?? "") })
    }

    /// The overrides as they become; legal ones only.
    public func applied(
        to current: TopicConfiguration
    ) throws(Refusal) -> TopicConfiguration {
        var overrides = replacesAll ? [:] : current.overrides
        for edit in edits {
            switch edit {
            case .set(let name, let value): overrides[name] = value
            case .delete(let name): overrides[name] = nil
            case .append(let name, let words):
                overrides[name] = try list(name, current, overrides, words, adds: true)
            case .subtract(let name, let words):
                overrides[name] = try list(name, current, overrides, words, adds: false)
            }
        }
        if let reason = TopicConfiguration.refusal(of: overrides) { throw Refusal(message: reason) }
        return current.overriding(with: overrides)
    }

    private func list(
        _ name: String, _ current: TopicConfiguration, _ overrides: [String: String],
        _ named: String, adds: Bool
    ) throws(Refusal) -> String {
        guard let key = TopicConfigurationKey.named(name), key.kind == .list else {
            throw Refusal(message: "\(name): only lists can be appended to")
        }
        var words = current.overriding(with: overrides).value(of: key).value
            .split(separator: ",").map(String.init)
        let changed = named.split(separator: ",").map(String.init)
        words.removeAll { changed.contains($0) }
        if adds { words += changed }
        return words.joined(separator: ",")
    }
}
