import Model
import Node

/// Lease exclusion: of two brokers that would serve one partition at one moment, one has no lease.
extension MeshWorld {
    /// A shard has answered a client, which it does for what it leads: nobody else would have
    /// answered for the same partition now. Asked of the machines, and not of what they say: an
    /// answer that comes late proves nothing about when it was given.
    func checkReigns(of life: BrokerLife, _ loop: Int, at site: BrokerSite) {
        for (partition, epoch) in life.shards[loop].reigns(at: clock.instant) {
            for other in sites where other.index != site.index {
                guard let shards = other.life?.shards,
                    let theirs = shards[life.shardIndex(of: partition)].reign(
                        over: partition, at: clock.instant)
                else { continue }
                fail(
                    "partition \(partition.index.rawValue) of \(partition.topic): "
                        + "\(site.node.rawValue) serves under epoch \(epoch.rawValue) while "
                        + "\(other.node.rawValue) may under \(theirs.rawValue)")
            }
        }
    }
}
