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
        if !silent.isEmpty {
            for slot in partitions.occupied where partitions.leadsOthers(slot) {
                for (node, since) in silent {
                    drive(slot, .followerSilent(node, since: since), into: &effects)
                }
            }
        }
        tickRoused(now: now.instant, into: &effects)
        tellPresence(now: now.instant, into: &effects)
        askForPromises(now: now.instant, into: &effects)
    }

    /// Something happens to a partition: it is ticked until it is at rest. Its machine hears what
    /// time it is before it hears what happened, as if it had been ticked all along.
    mutating func rouse(_ slot: Int, into effects: inout [Effect]) {
        guard !partitions.isRoused(slot) else { return }
        partitions.setRoused(slot, true)
        roused.append(slot)
        guard partitions.leadsOthers(slot) else { return }
        run(slot, .tick(clock), into: &effects)
    }

    /// Costs what is at work and not what there is: an idle partition costs nothing.
    private mutating func tickRoused(now: Instant, into effects: inout [Effect]) {
        var list: [Int] = []
        swap(&list, &roused)
        // A place may be in it twice, where another partition took it meanwhile.
        for slot in list where partitions.isOccupied(slot) { partitions.setRoused(slot, false) }
        for slot in list where partitions.isOccupied(slot) && !partitions.isRoused(slot) {
            guard partitions.leadsOthers(slot) else { continue }
            partitions.setRoused(slot, true)
            run(slot, .tick(now), into: &effects)
            if partitions.hasTrims(slot) { settleTrims(slot, into: &effects) }
            if partitions.isAtRest(slot), !partitions.hasTrims(slot) {
                partitions.setRoused(slot, false)
            } else {
                roused.append(slot)
            }
        }
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
        for (leader, count) in followed where count > 0 {
            effects.append(.send(leader, .present))
        }
    }

    /// Keeps count of what is copied from each broker, by what a follower has become.
    mutating func noteFollowing(_ slot: Int) {
        let leader = partitions.following(slot)
        if leader.now != leader.counted { countFollowing(slot, of: leader.now) }
    }

    mutating func countFollowing(_ slot: Int, of leader: NodeID?) {
        if let former = partitions.following(slot).counted { followed[former, default: 0] -= 1 }
        if let leader { followed[leader, default: 0] += 1 }
        partitions[slot].countedFor = leader
    }
}
