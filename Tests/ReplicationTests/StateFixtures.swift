import Model
import Replication

/// Short ways to name replicas, epochs and changes in tests.
enum Fixture {
    static func id(_ node: Int32, _ logEpoch: UInt64 = 1, admission: UInt32 = 1) -> ReplicaID {
        ReplicaID(
            node: NodeID(node), admission: AdmissionNumber(admission),
            logEpoch: BootEpoch(logEpoch))
    }

    static func member(_ id: ReplicaID, alive: Bool = true) -> ElectionMember {
        ElectionMember(id: id, isAlive: alive)
    }

    static func state(_ nodes: [Int32] = [1, 2, 3]) -> PartitionState {
        .initial(placement: nodes.map { id($0) })
    }

    static func time(_ milliseconds: Int64) -> Instant {
        Instant(nanoseconds: 1_000_000_000).advanced(byMilliseconds: milliseconds)
    }
}

extension PartitionState {
    /// The leader of this state sets the in-sync set.
    func altered(to ids: [ReplicaID], minInSync: Int = 2) -> PartitionState {
        let outcome = alterInSync(
            to: ids, by: leader ?? NodeID(-1), leaderEpoch: leaderEpoch, expecting: partitionEpoch,
            minInSync: minInSync)
        guard case .success(let next) = outcome else { return self }
        return next
    }

    func elected(_ id: ReplicaID, _ members: [ElectionMember], minInSync: Int = 2) -> Outcome {
        elect(id, expecting: partitionEpoch, members: members, minInSync: minInSync)
    }
}
