import Model
import Node
import Replication

/// What has to hold at any moment, as far as it is seen from outside of the brokers.
struct MeshChecks {
    private struct Reign: Hashable {
        let partition: TopicPartition
        let epoch: LeaderEpoch
    }

    /// Who leads each partition under each epoch: nobody else ever does.
    private var leaders: [Reign: NodeID] = [:]
    /// The value that consumers saw at each offset; it is there for ever.
    private(set) var seen: [TopicPartition: [Int64: String]] = [:]

    /// A broker's control machine gave its shard a role.
    mutating func noteRole(
        _ role: PartitionRole, of partition: TopicPartition, at site: BrokerSite,
        in world: MeshWorld
    ) {
        guard case .leads(let state, _, _) = role else { return }
        let reign = Reign(partition: partition, epoch: state.leaderEpoch)
        if let other = leaders.updateValue(site.node, forKey: reign) {
            guard other != site.node else { return }
            return world.fail(
                "\(partition): \(other) and \(site.node) lead under epoch \(state.leaderEpoch)")
        }
        world.counts.elections += 1
        world.note(
            UInt64(site.index) << 8 | 22,
            "\(site.node) leads \(partition.index) under epoch \(state.leaderEpoch.rawValue)"
                + ", in sync \(state.inSync.map(\.node.rawValue))")
    }

    /// A consumer was given a record.
    mutating func noteSeen(
        _ value: String, at offset: Int64, of partition: TopicPartition, in world: MeshWorld
    ) {
        if let before = seen[partition]?[offset], before != value {
            return world.fail(
                "partition \(partition.index.rawValue) gave \(before) at offset \(offset), and now "
                    + "\(value)")
        }
        seen[partition, default: [:]][offset] = value
    }
}
