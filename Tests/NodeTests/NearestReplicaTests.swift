import Model
import Replication
import Testing

@testable import Node

/// Where a consumer reads best (KIP-392).
@Suite struct NearestReplicaTests {
    private static let racks: [NodeID: String] = [
        NodeID(1): "a", NodeID(2): "b", NodeID(3): "b", NodeID(4): "c",
    ]

    /// Broker 4 lags behind.
    private static let state: PartitionState = {
        let all = PartitionState.initial(
            placement: (1...5).map { copy($0) }, epoch: LeaderEpoch(3))
        let altered = all.alterInSync(
            to: [1, 2, 3, 5].map { copy($0) }, by: NodeID(1), leaderEpoch: LeaderEpoch(3),
            expecting: .initial, minInSync: 2)
        guard case .success(let state) = altered else { preconditionFailure("a legal change") }
        return state
    }()

    @Test(arguments: [
        ("a", 1), ("b", 2), ("", 1),
        // Nobody in sync is there: one replica lags behind, one has no rack.
        ("c", 1), ("nowhere", 1),
    ])
    func nearest(rack: String, node: Int32) {
        let found = Self.state.nearestReplica(
            to: rack, among: Self.state.inSync.map(\.node), racks: { Self.racks[$0] })
        #expect(found == NodeID(node))
    }

    @Test func theLeaderGoesBeforeOthersOfItsRack() {
        let found = Self.state.nearestReplica(
            to: "b", among: Self.state.inSync.map(\.node), racks: { _ in "b" })
        #expect(found == NodeID(1))
    }

    @Test func withoutOtherCopiesItIsTheLeader() {
        #expect(
            Self.state.nearestReplica(to: "b", among: [], racks: { Self.racks[$0] })
                == NodeID(1))
    }

    private func view(doubted: Set<NodeID> = []) -> ClusterView {
        ClusterView(
            clusterID: "c",
            brokers: Self.racks.sorted { $0.key < $1.key }
                .map { BrokerEntry(id: $0.key, rack: $0.value, endpoints: []) },
            controller: NodeID(1),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: 1, autoCreateTopics: false, configuration: [:]),
            sharing: TopicTable(), doubted: doubted)
    }

    @Test func theLeaderSendsAConsumerToTheReplicaOfItsRack() {
        let view = view()
        #expect(view.readableReplicas(of: Self.state) == [1, 2, 3, 5].map { NodeID($0) })
        #expect(view.preferredReplica(of: Self.state, for: "b") == NodeID(2))
        for rack in ["", "a", "c"] {
            #expect(view.preferredReplica(of: Self.state, for: rack) == nil)
        }
    }

    @Test func nobodyIsSentToOneThatIsDoubted() {
        let view = view(doubted: [NodeID(2)])
        #expect(view.preferredReplica(of: Self.state, for: "b") == NodeID(3))
    }
}
