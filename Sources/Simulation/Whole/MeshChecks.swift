import Model
import Node
import Replication

/// What has to hold at any moment, as far as it is seen from outside of the brokers.
struct MeshChecks {
    private struct Reign: Hashable {
        let partition: TopicPartition
        let epoch: LeaderEpoch
    }

    private struct Share: Hashable {
        let group: String
        let generation: Int32
        let partition: Int
    }

    /// Who owns each partition of a group in each generation; looked up only.
    private var owners: [Share: String] = [:]
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
                "partition \(partition.index.rawValue): broker \(other.rawValue) and "
                    + "\(site.name) lead under epoch \(state.leaderEpoch.rawValue)",
                breaks: .oneLeader, about: MeshSubject(partition: partition))
        }
        world.counts.elections += 1
        let inSync = state.inSync.map { "\($0.node.rawValue)" }.joined(separator: ", ")
        world.tell(
            UInt64(site.index) << 8 | 22, .leader,
            "\(site.name) leads under epoch \(state.leaderEpoch.rawValue), in sync \(inSync)",
            about: partition)
    }

    /// A member of a group was told what it owns.
    mutating func noteOwned(
        _ partitions: [Int], by member: String, _ generation: Int32, of group: String,
        in world: MeshWorld
    ) {
        for partition in partitions {
            let share = Share(group: group, generation: generation, partition: partition)
            guard let other = owners.updateValue(member, forKey: share), other != member else {
                continue
            }
            return world.fail(
                "\(group), generation \(generation): partition \(partition) is \(other)'s and "
                    + "\(member)'s",
                breaks: .oneOwner, about: MeshSubject(group: group))
        }
    }

    /// A consumer was given a record.
    mutating func noteSeen(
        _ value: String, at offset: Int64, of partition: TopicPartition, in world: MeshWorld
    ) {
        if let before = seen[partition]?[offset], before != value {
            return world.fail(
                "partition \(partition.index.rawValue) gave \(before) at offset \(offset), and now "
                    + "\(value)",
                breaks: .seenStays,
                about: MeshSubject(partition: partition, offset: offset, value: before))
        }
        world.tellRecord(partition.index.rawValue, [value]) {
            "a consumer is given \(value) at \(offset)"
        }
        seen[partition, default: [:]][offset] = value
    }
}
