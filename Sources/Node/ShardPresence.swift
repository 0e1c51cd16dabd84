import Model
import OrderedCollections
import Replication

/// Whether the brokers that follow are there, and what tells the leaders that this one is.
///
/// Said for a broker and not for each partition: an idle partition costs no message.
extension Shard {
    /// Looks after the followers of everything that is led, and tells leaders that this broker is
    /// there.
    mutating func tick(now: Now, into effects: inout [Effect]) {
        refillCatchUp()
        let silent = silentFollowers(now: now.instant)
        for slot in partitions.occupied where partitions.leadsOthers(slot) {
            for (node, since) in silent {
                drive(slot, .followerSilent(node, since: since), into: &effects)
            }
            drive(slot, .tick(now.instant), into: &effects)
            if !partitions[slot].trimsWaiting.isEmpty { settleTrims(slot, into: &effects) }
        }
        tellPresence(now: now.instant, into: &effects)
        askForPromises(now: now.instant, into: &effects)
    }

    /// A broker that has said once that it is there is expected to say so again.
    mutating func hear(presence message: ReplicationMessage, of node: NodeID) {
        if case .present = message {
            heard[node] = clock
        } else if heard[node] != nil {
            heard[node] = clock
        }
    }

    /// Those that should have been heard of, and since when they were not. After a stall of this
    /// broker nobody is blamed: what they said waits to be read.
    private mutating func silentFollowers(now: Instant) -> [(node: NodeID, since: Instant)] {
        let stall = 3 * Self.tickMilliseconds
        let hasStalled = lastTick.map { now.milliseconds(since: $0) >= stall } ?? true
        lastTick = now
        if hasStalled {
            for node in heard.keys { heard[node] = now }
            return []
        }
        return heard.compactMap { node, last in
            let isSilent =
                now.milliseconds(since: last) >= ReplicationLimits.silenceMilliseconds
            return isSilent ? (node, last) : nil
        }
    }

    private mutating func tellPresence(now: Instant, into effects: inout [Effect]) {
        guard now >= presenceDue, stopping == nil else { return }
        presenceDue = now.advanced(byMilliseconds: ReplicationLimits.presenceMilliseconds)
        var leaders: OrderedSet<NodeID> = []
        for slot in partitions.occupied {
            guard partitions[slot].follower?.isFollowing == true,
                let leader = partitions[slot].follower?.leader
            else { continue }
            leaders.append(leader)
        }
        for leader in leaders { effects.append(.send(leader, .present)) }
    }
}
