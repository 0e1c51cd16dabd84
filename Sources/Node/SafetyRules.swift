package import Coordination
package import Gossip
package import Paxos
package import Replication
package import Storage

/// Every rule of a broker that a search may switch off, in one value: all are on.
///
/// Reaches each machine of the composition from `Mesh`, `Control` and `Shard`, which make them.
/// Only this package can name it: nothing that a shipped program reads switches a rule off.
package struct SafetyRules: Hashable, Sendable {
    package var registers = RegisterRules()
    package var replication = ReplicationRules()
    package var gossip = GossipRules()
    package var groups = GroupRules()
    package var storage = StorageRules()
    package var node = NodeRules()

    package init() {}
}
