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
    /// The copies of a partition that answer the fetches of consumers.
    ///
    /// The leader's alone as long as `place` sends everybody to the leader: a consumer that is sent
    /// to a follower and back again would never read anything. With a place for followers this is
    /// the in-sync set.
    public func readableReplicas(of state: PartitionState) -> [NodeID] {
        state.leader.map { [$0] } ?? []
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
