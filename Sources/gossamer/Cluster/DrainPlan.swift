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

    /// How many of its partitions have a copy on the broker yet; what was made there since does not
    /// count.
    func left(in partitions: [PartitionReport]) -> Int {
        let planned = Set(moves.map { "\($0.partition.topic)/\($0.partition.partition)" })
        return partitions.count {
            $0.replicas.contains(node) && planned.contains("\($0.topic)/\($0.partition)")
        }
    }
}
