import KafkaProtocol
import Model
import Node
import Replication

/// The leaders that one answer names, each with the address where the client reaches it (KIP-951).
///
/// With them a client that asked the wrong broker goes on at the right one, without a Metadata
/// request in between. A leader without an address is not named: then Metadata is what helps.
struct LeaderHints {
    /// The first versions of the two answers that carry hints.
    static let firstProduceVersion: Int16 = 10
    static let firstFetchVersion: Int16 = 16

    /// One for each leader named, in the order of naming.
    private(set) var endpoints: [NodeEndpoint] = []

    mutating func name(
        _ state: PartitionState, from view: ClusterView, listener: String
    ) -> CurrentLeader {
        guard let broker = view.leader(of: state),
            let endpoint = broker.endpoint(for: listener)
        else { return CurrentLeader() }
        let id = broker.id.rawValue
        if !endpoints.contains(where: { $0.nodeID == id }) {
            endpoints.append(
                NodeEndpoint(
                    nodeID: id, host: endpoint.host, port: endpoint.port, rack: broker.rack))
        }
        return CurrentLeader(leaderID: id, leaderEpoch: state.leaderEpoch.rawValue)
    }
}
