public import Model
public import Replication

/// What a copy that a register names is to the broker that is asked.
public enum ReplicaStanding: String, Hashable, Sendable {
    /// It is there, and has lost nothing since it was written down.
    case current
    /// Suspected: others may campaign for what it leads.
    case doubted
    /// Its broker is not there.
    case away
    /// Its broker started uncleanly since, or has another disk: it may lack records.
    case restarted
}

/// What an operator may ask about copies.
extension Control {
    public func standing(of recorded: ReplicaID) -> ReplicaStanding {
        guard let member = members.first(where: { $0.entry.id == recorded.node }) else {
            return .away
        }
        guard copies[recorded.node] == recorded else { return .restarted }
        return member.isDoubted ? .doubted : .current
    }

    /// Who may lead a partition now, in the order in which they would propose themselves; empty
    /// where only an operator can elect one.
    public func successors(of state: PartitionState) -> [NodeID] {
        eligible(state).map(\.node)
    }
}
