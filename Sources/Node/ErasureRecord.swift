import Model

/// `erase/<topic id>` in the table: the files of a deleted topic may be removed.
///
/// Written in the same change that removes the topic, so that after a crash the files go on this
/// evidence only, never because a topic is merely missing from the table.
public enum ErasureRecord {
    private static let prefix = "erase/"

    static func key(_ topic: TopicID) -> String {
        prefix + PartitionOrder.topicDirectory(of: topic).dropFirst("logs/".count)
    }

    /// The directory that `key` allows to be removed; nil for any other key.
    public static func directory(of key: String) -> String? {
        guard key.hasPrefix(prefix) else { return nil }
        let name = key.dropFirst(prefix.count)
        guard name.utf8.count == 32, name.allSatisfy(\.isHexDigit) else { return nil }
        return "logs/\(name)"
    }
}
