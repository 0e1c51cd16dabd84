import Model
import OrderedCollections
import Replication

/// Partitions all of whose copies lost something at once: whose log is the longest is asked for.
extension Control {
    // MARK: All lost at once

    /// How long a store that was asked may take before it is asked again: it may be starting.
    private static let inquireMilliseconds: Int64 = 500

    /// Nobody holds everything for sure: once all electable members have said what their recorded
    /// stores hold, the longest log leads (design, section 5).
    mutating func reviewLost(
        _ partition: TopicPartition, _ state: PartitionState, now: Instant
    ) {
        guard state.electable.contains(where: { $0.node == identity.broker.id }) else { return }
        let answers = inquiries[partition] ?? []
        inquiries[partition] = answers
        // Those of whom an older state, or an older life of theirs, wanted no answer too.
        let isMissing = state.electable.contains { member in
            !answers.contains { $0.id == copies[member.node] }
        }
        if isMissing, inquireAt == nil { inquireAt = now }
        guard isWinner(partition, state) else { return }
        openCampaign(partition, state, rank: 0, now: now)
    }

    /// Whether the answers that there are make this broker the one to be elected.
    private func isWinner(_ partition: TopicPartition, _ state: PartitionState) -> Bool {
        let outcome = state.elect(
            ownReplica, expecting: state.partitionEpoch, members: electionMembers(state),
            answers: inquiries[partition] ?? [], minInSync: 1)
        if case .success = outcome { return true }
        return false
    }

    /// Asks everybody whose store has not answered yet, for all partitions at once.
    mutating func inquire(now: Now, into effects: inout [Effect]) {
        guard let due = inquireAt, due <= now.instant else { return }
        inquireAt = nil
        var wanted: OrderedDictionary<NodeID, [TopicPartition]> = [:]
        for (partition, answers) in inquiries {
            guard
                let state = topics.name(of: partition.topic).flatMap({ topics[$0] })?
                    .state(partition.index.rawValue)
            else { continue }
            for member in state.electable
            where !answers.contains(where: { $0.id == copies[member.node] }) {
                wanted[member.node, default: []].append(partition)
            }
        }
        guard !wanted.isEmpty else { return }
        inquireAt = now.instant.advanced(byMilliseconds: Self.inquireMilliseconds)
        for (node, partitions) in wanted {
            let step = ReplicationLimits.entriesPerMessage
            for start in stride(from: 0, to: partitions.count, by: step) {
                let end = min(partitions.count, start + step)
                effects.append(.inquire(node, Array(partitions[start..<end])))
            }
        }
    }

    /// An answer counts for the copy that the broker is now, and until it is another.
    mutating func hear(
        _ holdings: [Holding], of copy: ReplicaID, now: Now, into effects: inout [Effect]
    ) {
        guard copies[copy.node] == copy else { return }
        for holding in holdings {
            let partition = holding.partition
            let answer = StoreAnswer(id: copy, lastEpoch: holding.lastEpoch, end: holding.end)
            hearUnclean(answer, of: partition, now: now, into: &effects)
            guard inquiries[partition] != nil,
                let entry = topics.name(of: partition.topic).flatMap({ topics[$0] }),
                let state = entry.state(partition.index.rawValue)
            else { continue }
            inquiries[partition]?.removeAll { $0.id.node == copy.node }
            inquiries[partition]?.append(answer)
            reviewLeader(partition, state, now: now.instant)
        }
    }
}
