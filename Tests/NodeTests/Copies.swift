import Model
import Replication

@testable import Node

/// A copy from before replicas had identities, or one whose identity does not matter.
func copy(_ node: Int32) -> ReplicaID {
    ReplicaID(node: NodeID(node), admission: AdmissionNumber(0), logEpoch: BootEpoch(0))
}

extension PartitionOrder {
    /// The epoch of the leadership that it orders, where it orders one.
    var epoch: LeaderEpoch? {
        switch role {
        case .alone(let leadership): leadership.epoch
        case .leads(let state, _, _): state.leaderEpoch
        case .follows, .waits: nil
        }
    }
}
