import Broker

/// A mesh as one broker knows it: its members, who votes, and every partition.
///
/// Verdicts are made of it here and not in the broker, so that they can be told apart and tested
/// without one.
struct ClusterPicture {
    /// Whose picture it is.
    var nodeId: Int32
    var clusterId: String
    var members: [MemberReport]
    var roster: RosterReport
    var partitions: [PartitionReport]

    /// How a partition is, as far as its clients are concerned; the worst that holds.
    enum Condition: String, Codable {
        case inSync
        /// A copy is missing from the in-sync set.
        case underReplicated
        /// `acks=all` is refused.
        case belowMinInSync
        /// Nobody leads it.
        case offline
    }

    func member(_ node: Int32) -> MemberReport? { members.first { $0.nodeId == node } }

    func isThere(_ node: Int32) -> Bool { member(node)?.state == "alive" }

    func condition(of partition: PartitionReport) -> Condition {
        guard let leader = partition.leader, isPresent(leader), partition.live.contains(leader)
        else { return .offline }
        if partition.live.count < partition.minInSync { return .belowMinInSync }
        let copies = partition.replicas.filter { !partition.adding.contains($0) }
        return partition.live.count < copies.count ? .underReplicated : .inSync
    }

    /// A suspect may still serve: only the dead don't.
    private func isPresent(_ node: Int32) -> Bool {
        member(node).map { $0.state == "alive" || $0.state == "suspect" } ?? false
    }

    /// How many partitions are in each condition.
    var tally: [Condition: Int] {
        var counts: [Condition: Int] = [:]
        for partition in partitions { counts[condition(of: partition), default: 0] += 1 }
        return counts
    }

    // MARK: Voters

    /// Every set of voters that has to agree: the voters, and the next ones while a change runs.
    private var voterSets: [[Int32]] {
        [roster.voters.map(\.nodeId)] + (roster.next.map { [$0.map(\.nodeId)] } ?? [])
    }

    /// Whether the voters that are there decide without some of them.
    func hasQuorum(without nodes: Set<Int32> = []) -> Bool {
        voterSets.allSatisfy { voters in
            voters.count { isThere($0) && !nodes.contains($0) } * 2 > voters.count
        }
    }

    /// How many voters more may fail before nothing is decided; -1 where nothing is already.
    var margin: Int {
        voterSets.map { voters in
            voters.count(where: isThere) - (voters.count / 2 + 1)
        }.min().map { max($0, -1) } ?? -1
    }

    func votes(_ node: Int32) -> Bool { voterSets.contains { $0.contains(node) } }
}

/// Names of partitions as they stand in a sentence: the first few, and how many there are more.
enum PartitionList {
    private static let shown = 5

    static func text(_ partitions: [PartitionReport]) -> String {
        let names = partitions.prefix(shown).map { "\($0.topic)/\($0.partition)" }
        let rest = partitions.count - names.count
        return names.joined(separator: ", ") + (rest > 0 ? ", and \(rest) more" : "")
    }
}

extension AdminOptions {
    /// All partitions, however many pages they take.
    func askPartitions() async throws -> [PartitionReport] {
        var partitions: [PartitionReport] = []
        var question = InspectionQuestion(.partitions)
        while true {
            let answer = try await askOne(question)
            partitions += answer.partitions ?? []
            // Every page ends behind its first partition, so this ends.
            guard let topic = answer.nextTopic, let index = answer.nextPartition,
                answer.partitions?.isEmpty == false
            else { return partitions }
            question.key = topic
            question.after = UInt64(index)
        }
    }

    /// The mesh as the broker that answers knows it.
    func askPicture() async throws -> ClusterPicture {
        let members = try await askOne(InspectionQuestion(.members))
        let roster = try await askOne(InspectionQuestion(.roster))
        guard let known = roster.roster else {
            throw CommandFailure(
                "broker \(roster.nodeId) knows no such question: it is of an older version")
        }
        return ClusterPicture(
            nodeId: members.nodeId, clusterId: members.clusterId, members: members.members ?? [],
            roster: known, partitions: try await askPartitions())
    }
}
