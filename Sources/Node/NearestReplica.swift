public import Model
public import Replication

extension PartitionState {
    /// Where a consumer in `rack` reads best: at the leader if it is in that rack, else at the
    /// first of `readable` that is, else at the leader (KIP-392); nil where nobody leads.
    ///
    /// The first in the order of placement, so that whoever asks hears the same; placements rotate,
    /// which spreads the consumers.
    ///
    /// - Parameter readable: copies that a consumer may read from, all in sync.
    public func nearestReplica(
        to rack: String, among readable: [NodeID], racks: (NodeID) -> String?
    ) -> NodeID? {
        guard let leader, !rack.isEmpty, racks(leader) != rack else { return leader }
        return readable.first { $0 != leader && racks($0) == rack } ?? leader
    }
}

extension ClusterView {
    /// The copies of a partition that answer the fetches of consumers: those in sync, because they
    /// hold all that is committed and learn of it within milliseconds.
    public func readableReplicas(of state: PartitionState) -> [NodeID] {
        guard state.leader != nil else { return [] }
        return state.inSync.map(\.node).filter { !doubted.contains($0) }
    }

    /// The replica that a consumer in `rack` shall go to instead of this broker; nil to stay.
    public func preferredReplica(of state: PartitionState, for rack: String) -> NodeID? {
        guard !rack.isEmpty, state.inSync.count > 1 else { return nil }
        let nearest = state.nearestReplica(
            to: rack, among: readableReplicas(of: state),
            racks: { [self] in broker($0)?.rack })
        return nearest == controller ? nil : nearest
    }
}
