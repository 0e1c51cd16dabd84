import Model
import Replication
import Testing

@testable import Node

/// Where a consumer reads best (KIP-392).
@Suite struct NearestReplicaTests {
    private static let racks: [NodeID: String] = [
        NodeID(1): "a", NodeID(2): "b", NodeID(3): "b", NodeID(4): "c",
    ]

    private static let leadership = Leadership(
        leader: NodeID(1), epoch: LeaderEpoch(3), replicas: [1, 2, 3, 4, 5].map { NodeID($0) },
        inSyncReplicas: [1, 2, 3, 5].map { NodeID($0) })

    @Test(arguments: [
        ("a", 1), ("b", 2), ("", 1),
        // Nobody in sync is there: one replica lags behind, one has no rack.
        ("c", 1), ("nowhere", 1),
    ])
    func nearest(rack: String, node: Int32) {
        let found = Self.leadership.nearestReplica(
            to: rack, among: Self.leadership.inSyncReplicas, racks: { Self.racks[$0] })
        #expect(found == NodeID(node))
    }

    @Test func theLeaderGoesBeforeOthersOfItsRack() {
        let found = Self.leadership.nearestReplica(
            to: "b", among: Self.leadership.inSyncReplicas, racks: { _ in "b" })
        #expect(found == NodeID(1))
    }

    @Test func withoutOtherCopiesItIsTheLeader() {
        #expect(
            Self.leadership.nearestReplica(to: "b", among: [], racks: { Self.racks[$0] })
                == NodeID(1))
    }

    /// As long as followers answer no fetch, nobody is sent to one.
    @Test func nobodyIsSentWhereNobodyAnswers() {
        let view = ClusterView(
            clusterID: "c",
            brokers: Self.racks.sorted { $0.key < $1.key }
                .map { BrokerEntry(id: $0.key, rack: $0.value, endpoints: []) },
            controller: NodeID(1),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: 1, autoCreateTopics: false, configuration: [:]),
            topics: [])
        #expect(view.readableReplicas(of: Self.leadership) == [NodeID(1)])
        for rack in ["", "a", "b"] {
            #expect(view.preferredReplica(of: Self.leadership, for: rack) == nil)
        }
    }
}
