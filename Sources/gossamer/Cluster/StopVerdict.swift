import Broker

/// Whether a broker can be stopped without anybody's noticing, and why not.
///
/// Safe is: the voters that are left decide, and every partition that it leads or follows keeps
/// `min.insync.replicas` of live copies, so that `acks=all` goes on.
struct StopVerdict: Encodable, Equatable {
    let nodeId: Int32
    let isSafe: Bool
    /// Why it is not; empty where it is.
    let reasons: [String]
    /// The voters that are left would decide nothing.
    let losesQuorum: Bool
    /// Partitions that nobody could lead.
    let wouldBeOffline: Int
    /// Partitions that would refuse `acks=all`.
    let wouldBeBelowMinInSync: Int

    init(of node: Int32, in picture: ClusterPicture) {
        var reasons: [String] = []
        var alone: [PartitionReport] = []
        var last: [PartitionReport] = []
        var below: [PartitionReport] = []
        if picture.isThere(node) {
            for partition in picture.partitions where partition.live.contains(node) {
                let left = partition.live.count - 1
                if partition.replicas == [node] {
                    alone.append(partition)
                } else if left == 0 {
                    last.append(partition)
                } else if left < partition.minInSync {
                    below.append(partition)
                }
            }
            if let reason = Self.voteReason(node, picture) { reasons.append(reason) }
        }
        if !alone.isEmpty {
            reasons.append(
                "\(Counted.text(alone.count, "partition")) would be offline, because there is no "
                    + "other copy: \(PartitionList.text(alone))")
        }
        if !last.isEmpty {
            reasons.append(
                "\(Counted.text(last.count, "partition")) would be offline, because no other copy "
                    + "is there and in sync: \(PartitionList.text(last))")
        }
        if !below.isEmpty {
            reasons.append(
                "\(Counted.text(below.count, "partition")) would refuse acks=all, with fewer live "
                    + "copies than min.insync.replicas: \(PartitionList.text(below))")
        }
        losesQuorum =
            picture.isThere(node) && picture.votes(node)
            && !picture.hasQuorum(without: [node])
        nodeId = node
        isSafe = reasons.isEmpty
        self.reasons = reasons
        wouldBeOffline = alone.count + last.count
        wouldBeBelowMinInSync = below.count
    }

    private static func voteReason(_ node: Int32, _ picture: ClusterPicture) -> String? {
        guard picture.votes(node), !picture.hasQuorum(without: [node]) else { return nil }
        let voters = picture.roster.voters.map(\.nodeId)
        if voters == [node] {
            return "it is the only voter: without it nobody decides who leads, and no topic changes"
        }
        let left = voters.filter { $0 != node && picture.isThere($0) }
        return "it votes: without it \(left.count) of \(voters.count) voters would be there, too "
            + "few to decide who leads"
    }

    /// One word for a table.
    var word: String {
        if isSafe { return "safe" }
        if losesQuorum { return "no: voters" }
        if wouldBeOffline > 0 { return "no: \(wouldBeOffline) offline" }
        return "no: \(wouldBeBelowMinInSync) below min ISR"
    }

    /// The verdict as `safe-to-stop` prints it.
    var text: String {
        guard !isSafe else { return "\(nodeId) is safe to stop" }
        return (["\(nodeId) is not safe to stop:"] + reasons.map { "  \($0)" })
            .joined(separator: "\n")
    }
}
