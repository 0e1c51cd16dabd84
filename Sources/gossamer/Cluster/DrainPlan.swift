import Broker

/// Where the copies of a broker go that shall hold none.
///
/// Another broker takes its place in each partition's placement: the one that holds least, of a
/// rack that the other copies are not in as long as there is one; so leaders stay spread, and no
/// partition has fewer copies at any moment. Pure; the same picture gives the same plan.
struct DrainPlan: Equatable {
    /// One partition, and who shall hold it.
    struct Move: Equatable {
        let partition: PartitionReport
        let replicas: [Int32]
    }

    let node: Int32
    let moves: [Move]
    /// Partitions whose copy nobody else can take: all others hold one already.
    let stuck: [PartitionReport]

    init(of node: Int32, in picture: ClusterPicture) {
        self.node = node
        let sites = picture.members.filter {
            $0.state == "alive" && $0.nodeId != node && $0.roles?.contains("broker") != false
        }
        var held: [Int32: Int] = [:]
        for row in picture.partitions {
            for replica in row.replicas { held[replica, default: 0] += 1 }
        }
        var moves: [Move] = []
        var stuck: [PartitionReport] = []
        for row in picture.partitions where row.replicas.contains(node) {
            let others = row.replicas.filter { $0 != node && !row.removing.contains($0) }
            let racks = Set(others.compactMap { picture.member($0)?.rack })
            let free = sites.filter { !row.replicas.contains($0.nodeId) }
            let heir = free.min { left, right in
                let order = [left, right].map { site in
                    (
                        site.rack.map { racks.contains($0) ? 1 : 0 } ?? 0,
                        held[site.nodeId] ?? 0, site.nodeId
                    )
                }
                return order[0] < order[1]
            }
            guard let heir else {
                stuck.append(row)
                continue
            }
            held[heir.nodeId, default: 0] += 1
            let kept = row.replicas.filter { !row.removing.contains($0) || $0 == node }
            moves.append(
                Move(partition: row, replicas: kept.map { $0 == node ? heir.nodeId : $0 }))
        }
        self.moves = moves
        self.stuck = stuck
    }

    /// Which of its partitions have a copy on the broker yet; what was made there since does not
    /// count.
    func left(in partitions: [PartitionReport]) -> [PartitionReport] {
        let planned = Set(moves.map { Self.name(of: $0.partition) })
        return partitions.filter {
            $0.replicas.contains(node) && planned.contains(Self.name(of: $0))
        }
    }

    /// Whether moves are still under way: something is left that was not refused. Told by names: a
    /// partition whose move was refused may have left all the same, and is none of those that are.
    static func isMoving(
        _ left: [PartitionReport], refused: [ClusterDrain.Answer.Refusal]
    ) -> Bool {
        let refused = Set(refused.map { "\($0.topic)/\($0.partition)" })
        return left.contains { !refused.contains(name(of: $0)) }
    }

    private static func name(of partition: PartitionReport) -> String {
        "\(partition.topic)/\(partition.partition)"
    }
}
