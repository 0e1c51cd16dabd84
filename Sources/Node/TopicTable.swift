internal import HashTreeCollections
import Model
import Replication

/// All topics, by name and by id: a value whose copies share what they have in common.
///
/// The control machine changes its copy and hands others out with every view, so a change costs a
/// path in two trees and, where a topic comes or goes, one copy of the list of names; nothing is
/// built anew. Trees are looked into and never iterated: their order differs between processes.
struct TopicTable: Sendable {
    private var entries: TreeDictionary<String, TopicEntry> = [:]
    private var names: TreeDictionary<TopicID, String> = [:]
    /// All names in ascending order.
    private(set) var sortedNames: [String] = []
    /// Partitions of all topics.
    private(set) var partitionCount = 0
    /// How many partitions each broker leads.
    private var leads: [NodeID: Int] = [:]

    init() {}

    /// Of several with one name the last counts.
    init(_ topics: [TopicEntry]) {
        for topic in topics { set(topic) }
    }

    subscript(name: String) -> TopicEntry? { entries[name] }

    func name(of id: TopicID) -> String? { names[id] }

    func leads(of node: NodeID) -> Int { leads[node] ?? 0 }

    /// Puts a topic in the place of the one with its name.
    mutating func set(_ topic: TopicEntry) {
        if let old = entries.updateValue(topic, forKey: topic.name) {
            if old.id != topic.id {
                names[old.id] = nil
                names[topic.id] = topic.name
            }
            // Mostly it is its configuration that changed, or an epoch.
            guard !topic.hasSameLeaders(as: old) else { return }
            count(old, -1)
        } else {
            sortedNames.insert(topic.name, at: place(of: topic.name))
            names[topic.id] = topic.name
        }
        count(topic, 1)
    }

    /// Puts other states in the places of a topic's partitions; the topic as it is then. Costs the
    /// pieces that they lie in and not the whole topic: after a broker's death they come by the
    /// thousand, a few at a time.
    mutating func update(
        _ name: String, _ states: [(index: Int, state: PartitionState)]
    ) -> TopicEntry? {
        guard var entry = entries[name] else { return nil }
        for (index, state) in states {
            if let leader = entry.partitions[index].leader { leads[leader, default: 0] -= 1 }
            if let leader = state.leader { leads[leader, default: 0] += 1 }
            entry.partitions[index] = state
        }
        entries[name] = entry
        return entry
    }

    /// Takes a topic out; the one that was there.
    @discardableResult
    mutating func remove(_ name: String) -> TopicEntry? {
        guard let old = entries.removeValue(forKey: name) else { return nil }
        if names[old.id] == name { names[old.id] = nil }
        sortedNames.remove(at: place(of: name))
        count(old, -1)
        return old
    }

    private mutating func count(_ topic: TopicEntry, _ sign: Int) {
        partitionCount += sign * topic.partitions.count
        for state in topic.partitions {
            if let leader = state.leader { leads[leader, default: 0] += sign }
        }
    }

    /// Where a name is, or would be.
    private func place(of name: String) -> Int {
        var low = 0
        var high = sortedNames.count
        while low < high {
            let middle = (low + high) / 2
            if sortedNames[middle] < name { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
