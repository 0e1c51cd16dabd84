import Model

/// Where the partitions of new topics go.
public enum PlacementPolicy: String, Sendable, CaseIterable {
    /// Over all brokers and racks: each leads some partitions and backs up others.
    case spread
    /// RocketMQ's: brokers in pairs of a master and its backup, and both copies of a partition on
    /// one pair.
    case masterBackup
}

/// Brokers in pairs, each of a master and the backup that holds the same partitions.
///
/// Brokers 1 and 2 are a pair, 3 and 4, and so on; the one with the odd id is the master. The ids
/// alone say so: a pair is the same whoever is away, and every broker that makes a topic comes to
/// the same. Invariant: two copies of a partition are on one pair, the master's first, so that the
/// master leads whenever it is there. Pure; costs a look at each broker.
struct BrokerPairs {
    /// The most copies of a partition.
    static let copiesMaximum = 2

    /// Pairs both of whose brokers are there, the master first; those that lead least come first.
    private let whole: [[NodeID]]
    /// Masters that are there, in the same order; all brokers where there is no master.
    private let masters: [NodeID]

    /// - Parameter sites: in any order; the result depends on the set alone.
    init(_ sites: [Placement.Site]) {
        precondition(!sites.isEmpty, "partitions need a broker")
        let sorted = sites.sorted { ($0.load, $0.node) < ($1.load, $1.node) }.map(\.node)
        let present = Set(sorted)
        let odd = sorted.filter(Self.isMaster)
        masters = odd.isEmpty ? sorted : odd
        whole = odd.compactMap { master in
            Self.partner(of: master).flatMap { present.contains($0) ? [master, $0] : nil }
        }
    }

    static func isMaster(_ node: NodeID) -> Bool { node.rawValue % 2 == 1 }

    /// The other of the pair; nil for broker 0, which is in none, and at the end of the ids.
    static func partner(of node: NodeID) -> NodeID? {
        let id = node.rawValue
        guard id > 0, id < .max || !isMaster(node) else { return nil }
        return NodeID(isMaster(node) ? id + 1 : id - 1)
    }

    /// How many copies each partition can have now.
    var copies: Int { whole.isEmpty ? 1 : Self.copiesMaximum }

    /// Placement order, the master first, for `count` partitions from `first` on.
    func partitions(first: Int, count: Int, replicas: Int) -> [[NodeID]] {
        precondition((1...copies).contains(replicas), "a pair holds two copies")
        let sets = replicas == 1 ? masters.map { [$0] } : whole
        return (first..<first + count).map { sets[$0 % sets.count] }
    }
}
