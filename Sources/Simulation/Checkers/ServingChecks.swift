import Model
import Node

/// Whether leaders keep to their leases and never take back what they said is committed.
///
/// Fed with what every broker believes at one moment. A broker that is paused believes what it
/// would act on if it went on at that moment.
struct ServingChecks {
    private struct Reign: Hashable {
        let partition: TopicPartition
        let epoch: LeaderEpoch
    }

    private var watermarks: [Reign: Offset] = [:]
    private(set) var audits = 0

    /// What is wrong, with the partition that it is about.
    struct Complaint: Hashable {
        let promise: MeshPromise
        let partition: TopicPartition
        let text: String
    }

    mutating func note(_ beliefs: [(node: NodeID, serving: [Shard.Serving])]) -> Complaint? {
        audits += 1
        var served: [TopicPartition: (node: NodeID, epoch: LeaderEpoch)] = [:]
        for (node, serving) in beliefs {
            for belief in serving {
                let reign = Reign(partition: belief.partition, epoch: belief.epoch)
                let name = "partition \(belief.partition.index.rawValue)"
                // What a leader without a lease believes nobody hears.
                guard belief.isAllowed else { continue }
                let watermark = belief.highWatermark
                if let watermark, let before = watermarks[reign], before > watermark {
                    return Complaint(
                        promise: .watermarkRises, partition: belief.partition,
                        text:
                            "\(name), epoch \(belief.epoch.rawValue): broker \(node.rawValue) says "
                            + "\(watermark.rawValue) is the high watermark, and said "
                            + "\(before.rawValue) before")
                }
                watermarks[reign] = watermark ?? watermarks[reign]
                if let other = served[belief.partition] {
                    return Complaint(
                        promise: .oneServes, partition: belief.partition,
                        text: "\(name): broker \(other.node.rawValue) under epoch "
                            + "\(other.epoch.rawValue) and broker \(node.rawValue) under epoch "
                            + "\(belief.epoch.rawValue) both believe that they may serve")
                }
                served[belief.partition] = (node, belief.epoch)
            }
        }
        return nil
    }
}

/// What no broker may hold more of, whatever its clients and peers do.
struct HeldBounds {
    /// A connection has at most 64 requests under way, and a client of the simulation asks a few at
    /// a time: hundreds would be a leak.
    static let requests = 2_000
    /// Deadlines of answered requests stay until they surface, two seconds of them.
    static let deadlines = 50_000
    /// What waits for the threads of the tables.
    static let writes = 10_000

    static func objection(_ holdings: [(what: String, count: Int)]) -> String? {
        for (what, count) in holdings {
            let bound = what == "deadlines" ? deadlines : what == "writes" ? writes : requests
            if count > bound { return "\(count) \(what), more than \(bound)" }
        }
        return nil
    }
}
