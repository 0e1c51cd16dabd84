public import Model
public import Storage

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

    /// Removes the files of topics whose deletion was decided before a crash came, or that a
    /// running process had still open; on the table's evidence only, which goes once the device
    /// has the removal. What can't be removed now is tried again at the next start.
    ///
    /// For a broker that starts; gives the directories of all topics that have ended.
    public static func erase(by table: TableFile, on disk: any Disk) -> Set<String> {
        var done: [TableFile.Change] = []
        var ended: Set<String> = []
        for (key, entry) in table.entries {
            guard let directory = directory(of: key) else { continue }
            ended.insert(directory)
            do throws(DiskError) {
                if disk.exists(directory) { try removeTopic(directory, on: disk) }
                done.append(
                    TableFile.Change(key: key, version: entry.version + 1, value: nil))
            } catch { continue }
        }
        guard !done.isEmpty else { return ended }
        do throws(DiskError) {
            // A name that a crash brings back must find its evidence there.
            if disk.exists("logs") { try disk.synchronizeDirectory("logs", .partitionDirectory) }
        } catch { return ended }
        try? table.put(done)
        return ended
    }

    private static func removeTopic(_ topic: String, on disk: any Disk) throws(DiskError) {
        for partition in try disk.list(topic) {
            for file in try disk.list("\(topic)/\(partition)") {
                try disk.remove("\(topic)/\(partition)/\(file)")
            }
            try disk.remove("\(topic)/\(partition)")
        }
        try disk.remove(topic)
    }

    /// Whether a value of the table is a topic of which this broker has said that it serves it no
    /// more: the crash came between that and the table's last words, and it must not begin again.
    public static func isEnded(_ value: ChosenValue, in ended: Set<String>) -> Bool {
        guard !ended.isEmpty, value.key.hasPrefix("topic/"),
            let record = value.value.flatMap({ try? TopicRecord(decoding: $0) })
        else { return false }
        return ended.contains(PartitionOrder.topicDirectory(of: record.id))
    }
}
