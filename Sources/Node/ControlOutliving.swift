import Model
import Replication

/// Who may serve a topic still whose deletion is decided: who is asked, and who is outlived because
/// nobody can be asked.
extension Control {
    /// The brokers that may serve the topic still: those that are there, because any of them may
    /// hold what this one has not heard of, and those that held it.
    func missing(in stop: TopicStop) -> [NodeID] {
        let there = holders.map(\.entry.id)
        let nodes = Set(there).union(stop.entry.brokers).subtracting(stop.confirmed)
        return nodes.filter { !forgotten.contains($0) }.sorted()
    }

    /// Whether a partition's leader and all who could refuse it a promise are out of reach
    /// together: no lapse at the voters ends what they serve.
    func mayServeAlone(_ stop: TopicStop, without missing: [NodeID], now: Now) -> Bool {
        stop.entry.partitions.contains { state in
            let nodes = state.electable.map(\.node).filter { !forgotten.contains($0) }
            return !nodes.isEmpty && nodes.allSatisfy { missing.contains($0) }
                && !nodes.allSatisfy { isGone($0, now: now) }
        }
    }

    /// Whether a broker was let in since under the id of that copy's: who had it can't be asked.
    private func isSuperseded(_ copy: ReplicaID) -> Bool {
        copies[copy.node].map { $0.admission > copy.admission } ?? false
    }

    /// What those brokers hold of a topic, by the registers and by what they are now; and what was
    /// held by brokers before them under the ids of any.
    func copies(of entry: TopicEntry, at nodes: [NodeID]) -> [ReplicaID] {
        var found: Set<ReplicaID> = []
        for state in entry.partitions {
            found.formUnion(
                state.electable.filter { nodes.contains($0.node) || isSuperseded($0) })
            let bare = state.replicas.filter { nodes.contains($0) }
            found.formUnion(bare.compactMap { copies[$0] })
        }
        return found.sorted()
    }
}
