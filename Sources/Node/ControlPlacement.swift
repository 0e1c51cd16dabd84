import Model
import Replication

/// Where new partitions go.
extension Control {
    /// The brokers that partitions are placed on.
    var holders: [BrokerMember] { members.filter(\.holdsPartitions) }

    /// How many copies are meant; -1 asks for the default.
    func replicas(of asked: Int16) -> Int {
        let wanted = copies(of: asked)
        return wanted == -1 ? min(TopicRecord.copiesByDefault, copiesMaximum) : Int(wanted)
    }

    /// What a topic's record says of it: -1 where neither the client nor this broker says how many.
    func copies(of asked: Int16) -> Int16 {
        asked == -1 ? defaults.replicas : asked
    }

    /// How many copies a partition can have now: no more than its register names.
    var copiesMaximum: Int {
        guard replicaConfiguration.placement == .masterBackup, !holders.isEmpty else {
            return min(holders.count, ReplicationLimits.replicasMaximum)
        }
        return BrokerPairs(sites([:])).copies
    }

    /// Why partitions can't have so many copies.
    func copiesRefusal(_ asked: Int) -> String {
        guard replicaConfiguration.placement == .masterBackup else {
            return "\(asked) replicas asked for: there are \(holders.count) brokers that hold "
                + "data, each holds one copy of a partition at most, and a partition has at most "
                + "\(ReplicationLimits.replicasMaximum)"
        }
        let brokers = holders.map { "\($0.entry.id.rawValue)" }.joined(separator: ", ")
        return
            "\(asked) replicas asked for: with `placement: masterBackup` a partition has one, or "
            + "two on one pair (brokers 1 and 2, 3 and 4, and so on), and the pair has to be "
            + "there; brokers that hold data: \(brokers)"
    }

    /// The brokers that may hold partitions; `counted` has what is not in the table yet.
    private func sites(_ counted: [NodeID: Int]) -> [Placement.Site] {
        holders.map { member in
            Placement.Site(
                node: member.entry.id, rack: member.entry.rack ?? "",
                load: counted[member.entry.id, default: topics.leads(of: member.entry.id)])
        }
    }

    /// Places partitions on the brokers that are there, those that lead least first. `loads` keeps
    /// what the partitions of one request add.
    func place(
        first: Int, count: Int, replicas: Int, _ loads: inout [NodeID: Int]?
    ) -> [[ReplicaID]] {
        var counted = loads ?? [:]
        let sites = sites(counted)
        let copies = min(max(1, replicas), copiesMaximum)
        let sets: [[NodeID]]
        switch replicaConfiguration.placement {
        case .spread:
            sets = Placement(sites).partitions(first: first, count: count, replicas: copies)
        case .masterBackup:
            sets = BrokerPairs(sites).partitions(first: first, count: count, replicas: copies)
        }
        for set in sets { counted[set[0], default: topics.leads(of: set[0])] += 1 }
        loads = counted
        return identify(sets)
    }

    /// An explicit placement, checked before.
    func identify(_ assignments: [[Int32]]) -> [[ReplicaID]] {
        identify(assignments.map { $0.map { NodeID($0) } })
    }

    private func identify(_ sets: [[NodeID]]) -> [[ReplicaID]] {
        var known: [NodeID: ReplicaID] = [:]
        for member in holders { known[member.entry.id] = member.replica }
        return sets.map { set in set.compactMap { known[$0] } }
    }

    /// What is wrong with an explicit placement: each partition needs brokers that are there, as
    /// many as the others, none of them twice.
    func placementRefusal(of assignments: [[Int32]]) -> String? {
        guard let first = assignments.first else { return nil }
        let known = Set(holders.map(\.entry.id.rawValue))
        let isSound = assignments.allSatisfy { set in
            !set.isEmpty && set.count == first.count && Set(set).count == set.count
                && set.count <= ReplicationLimits.replicasMaximum && set.allSatisfy(known.contains)
        }
        guard !isSound else { return nil }
        let brokers = known.sorted().map(String.init).joined(separator: ", ")
        return "each partition is placed on brokers that hold data (\(brokers)), as many as the "
            + "others, none of them twice"
    }
}
