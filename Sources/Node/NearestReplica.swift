public import Model
public import Replication

extension Leadership {
    /// Where a consumer in `rack` reads best: at the leader if that is there, else at the first of
    /// `replicas` that is, else at the leader (KIP-392).
    ///
    /// The first in the order of placement, so that whoever asks hears the same; placements rotate,
    /// which spreads the consumers.
    ///
    /// - Parameter replicas: copies that a consumer may read from, all in sync.
    public func nearestReplica(
        to rack: String, among replicas: [NodeID], racks: (NodeID) -> String?
    ) -> NodeID {
        guard !rack.isEmpty, racks(leader) != rack else { return leader }
        return replicas.first { $0 != leader && racks($0) == rack } ?? leader
    }
}

extension ClusterView {
    /// The copies of a partition that answer the fetches of consumers.
    ///
    /// The leader's alone as long as `place` sends everybody to the leader: a consumer that is sent
    /// to a follower and back again would never read anything. With a place for followers this is
    /// the in-sync set.
    public func readableReplicas(of leadership: Leadership) -> [NodeID] { [leadership.leader] }

    /// The replica that a consumer in `rack` shall go to instead of this broker; nil to stay.
    public func preferredReplica(of leadership: Leadership, for rack: String) -> NodeID? {
        guard !rack.isEmpty, leadership.inSyncReplicas.count > 1 else { return nil }
        let nearest = leadership.nearestReplica(
            to: rack, among: readableReplicas(of: leadership),
            racks: { [self] in broker($0)?.rack })
        return nearest == controller ? nil : nearest
    }
}
