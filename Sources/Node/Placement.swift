import Model

/// Chooses the brokers that hold each partition of a topic: leaders and backups spread over all
/// brokers, and over racks as far as there are racks.
///
/// Brokers stand in a ring in which neighbours are of different racks and those that lead least
/// come first. Partition i is led by broker i of the ring; its backups follow in the ring, from a
/// place that moves on with each turn, so that the partitions of a broker that dies are led by all
/// the others and not by one. (Kafka's assignment, with a start by load and not by chance.)
/// Invariant: replicas of one partition are distinct, and of distinct racks while there are racks
/// left. Pure; costs the count of racks and replicas for each partition.
struct Placement {
    /// A broker that may hold partitions.
    struct Site: Hashable {
        let node: NodeID
        /// Empty where it has none: each such broker counts as a rack of its own.
        let rack: String
        /// How many partitions it leads, or holds where nobody leads.
        let load: Int
    }

    private let ring: [Site]
    private let racks: Int

    /// - Parameter sites: in any order; the result depends on the set alone.
    init(_ sites: [Site]) {
        precondition(!sites.isEmpty, "partitions need a broker")
        ring = Self.interleaved(sites)
        racks = Self.rackCount(sites)
    }

    /// Placement order, the preferred leader first, for `count` partitions from `first` on.
    func partitions(first: Int, count: Int, replicas: Int) -> [[NodeID]] {
        precondition((1...ring.count).contains(replicas), "a broker holds one copy at most")
        return (first..<first + count).map { replicaSet($0, replicas) }
    }

    private func replicaSet(_ partition: Int, _ replicas: Int) -> [NodeID] {
        let size = ring.count
        let leader = partition % size
        var chosen = [leader]
        guard replicas > 1 else { return [ring[leader].node] }
        // 1...size-1: how far behind the leader the first backup is looked for.
        let shift = (partition / size) % (size - 1)
        for isStrict in [true, false] {
            for step in 0..<size - 1 where chosen.count < replicas {
                let candidate = (leader + 1 + (shift + step) % (size - 1)) % size
                guard !chosen.contains(candidate) else { continue }
                if isStrict, chosen.count < racks, sharesRack(candidate, chosen) { continue }
                chosen.append(candidate)
            }
        }
        return chosen.map { ring[$0].node }
    }

    private func sharesRack(_ candidate: Int, _ chosen: [Int]) -> Bool {
        let rack = ring[candidate].rack
        return !rack.isEmpty && chosen.contains { ring[$0].rack == rack }
    }

    private static func rackCount(_ sites: [Site]) -> Int {
        Set(sites.map(\.rack).filter { !$0.isEmpty }).count + sites.count { $0.rack.isEmpty }
    }

    /// One of each rack in turn, the least loaded rack and broker first.
    private static func interleaved(_ sites: [Site]) -> [Site] {
        let sorted = sites.sorted { ($0.load, $0.node) < ($1.load, $1.node) }
        var groups: [[Site]] = []
        var places: [String: Int] = [:]
        for site in sorted {
            if !site.rack.isEmpty, let place = places[site.rack] {
                groups[place].append(site)
            } else {
                if !site.rack.isEmpty { places[site.rack] = groups.count }
                groups.append([site])
            }
        }
        var ring: [Site] = []
        for turn in 0..<(groups.map(\.count).max() ?? 0) {
            for group in groups where turn < group.count { ring.append(group[turn]) }
        }
        return ring
    }
}
