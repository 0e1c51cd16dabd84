import Model
import OrderedCollections
import Replication
import Storage

/// What a shard's broker is for its partitions: alone, leader, follower, or neither.
extension Shard {
    /// A partition's role has changed; one whose log is not at hand takes it on when it is.
    mutating func assume(
        _ id: TopicPartition, _ role: PartitionRole, now: Now, into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id) else {
            if let order = reopening[id] {
                reopening[id] = PartitionOrder(
                    partition: id, configuration: order.configuration, role: role,
                    cleanStart: order.cleanStart)
            }
            return
        }
        let former = partitions[slot].role
        let wasBetween = isBetweenLeaders(slot)
        partitions[slot].role = role
        if partitions[slot].isOpen, stopping == nil { takeOn(slot, now: now, into: &effects) }
        if wasBetween, !isBetweenLeaders(slot) { releaseHeld(slot, now: now, into: &effects) }
        // What is not open is not served either.
        if case .leads(let state, _, _) = former, case .waits = role {
            effects.append(.stoodDown(id, state.leaderEpoch))
        }
    }

    /// Makes the machines of an open partition be what its role says.
    mutating func takeOn(_ slot: Int, now: Now, into effects: inout [Effect]) {
        // Others count on what is damaged: it must be nobody's leader, nor be elected.
        if partitions[slot].log.isDamaged, partitions[slot].role.isCounted {
            return reportBroken(slot, into: &effects)
        }
        switch partitions[slot].role {
        case .alone(let leadership):
            unfollow(slot)
            dropStreams(slot)
            drive(slot, .lead(leadership, end: end(slot), synced: synced(slot)), into: &effects)
        case .leads(let state, let id, let minInSync):
            lead(slot, state, as: id, minInSync: minInSync, now: now, into: &effects)
        case .follows(let state, let id):
            resign(slot, into: &effects)
            follow(slot, state, as: id, now: now, into: &effects)
        case .waits:
            detach(slot, into: &effects)
            // What was appended in this turn is not lost to followers that go on without it.
            if !partitions[slot].streams.isEmpty { pumpAll(slot, into: &effects) }
            resign(slot, into: &effects)
            unfollow(slot)
        }
    }

    /// Tells the leader that nothing more is copied, so that it does not take this copy in again.
    private mutating func detach(_ slot: Int, into effects: inout [Effect]) {
        guard let follower = partitions[slot].follower, let leader = follower.leader else { return }
        effects.append(
            .send(leader, .detach(partitions[slot].id, follower.leaderEpoch)))
    }

    /// Copies no more; what it knew to be committed stays known.
    private mutating func unfollow(_ slot: Int) {
        partitions[slot].cut = nil
        partitions[slot].watermark = partitions[slot].committed
        dropFollower(slot)
    }

    /// The next machine's sessions come after this one's.
    mutating func dropFollower(_ slot: Int) {
        partitions[slot].sessions = partitions[slot].follower?.sessions ?? partitions[slot].sessions
        partitions[slot].follower = nil
    }

    private func end(_ slot: Int) -> Offset { partitions[slot].log.endOffset }

    /// A damaged log is read up to the damage and not written: it is never synced again.
    private func synced(_ slot: Int) -> Offset {
        let log = partitions[slot].log
        return log.refusal == nil ? min(log.flushedOffset, log.endOffset) : log.endOffset
    }

    private mutating func lead(
        _ slot: Int, _ state: PartitionState, as id: ReplicaID, minInSync: Int, now: Now,
        into effects: inout [Effect]
    ) {
        if partitions[slot].machine.leadership?.epoch == state.leaderEpoch,
            partitions[slot].machine.state != nil
        {
            dropStreams(slot) { !state.replicas.contains($0) }
            drive(slot, .minInSyncChanged(minInSync), into: &effects)
            drive(slot, .stateChanged(state), into: &effects)
            return settleTrims(slot, into: &effects)
        }
        let known = partitions[slot].committed
        unfollow(slot)
        dropStreams(slot)
        dismissDeletions(of: slot, into: &effects)
        partitions[slot].log.assign(epoch: state.leaderEpoch)
        // The leader before may have refused a batch, or lost it.
        if state.leaderEpoch > LeaderEpoch(0) { refuseLateStarts(slot) }
        let position = LogPosition(
            end: end(slot), synced: synced(slot), highWatermark: min(known, end(slot)))
        drive(
            slot, .leadReplicas(state, self: id, log: position, minInSync: minInSync),
            into: &effects)
        drive(slot, .tick(now.instant), into: &effects)
    }

    /// Leads no more, if it did: who waits is sent to the new leader.
    mutating func resign(_ slot: Int, into effects: inout [Effect]) {
        dropStreams(slot)
        guard partitions[slot].machine.leadership != nil else { return }
        partitions[slot].watermark = partitions[slot].committed
        drive(slot, .resign, into: &effects)
        if !isBetweenLeaders(slot) { dismissConsumers(of: slot, into: &effects) }
        dismissDeletions(of: slot, into: &effects)
    }

    private mutating func follow(
        _ slot: Int, _ state: PartitionState, as id: ReplicaID, now: Now,
        into effects: inout [Effect]
    ) {
        guard let leader = state.leader else { return }
        // What is damaged is fetched again: its leader has it.
        if partitions[slot].log.isDamaged {
            return cut(slot, .truncate(to: end(slot)), into: &effects)
        }
        if partitions[slot].follower?.id != id {
            let known = partitions[slot].committed
            dropFollower(slot)
            var machine = FollowerMachine(
                id: id, boot: boot, after: partitions[slot].sessions, epoch: .unknown,
                syncRequired: partitions[slot].configuration.durability == .sync,
                rules: rules.replication)
            var said: [FollowerMachine.Effect] = []
            machine.handle(
                .opened(position(slot, highWatermark: known)),
                now: now.instant, into: &said)
            partitions[slot].follower = machine
        }
        driveFollower(
            slot, .follow(leader, state.leaderEpoch, isUnclean: state.isUnclean), into: &effects)
        // A link is opened by the first message over it, so nobody waits for one.
        driveFollower(slot, .linkUp(leader), into: &effects)
    }

    private func position(_ slot: Int, highWatermark: Offset) -> FollowerPosition {
        let log = partitions[slot].log
        return FollowerPosition(
            logStart: log.startOffset, end: log.endOffset, synced: synced(slot),
            lastEpoch: log.lastRecordEpoch, highWatermark: min(highWatermark, log.endOffset))
    }

    /// The link with a broker is gone: what it was sent, or sent, may be lost in part.
    mutating func linkLost(_ node: NodeID, now: Now, into effects: inout [Effect]) {
        heard[node] = nil
        guard rules.node.streamsBeginAnew else { return }
        for slot in partitions.occupied where partitions[slot].isOpen {
            if partitions[slot].follower?.leader == node {
                driveFollower(slot, .linkDown(node), into: &effects)
                driveFollower(slot, .linkUp(node), into: &effects)
            }
            if partitions[slot].streams.contains(where: { $0.replica.node == node }) {
                dropStreams(slot) { $0 == node }
                drive(slot, .followerLost(node), into: &effects)
            }
        }
    }

    /// What became of a proposal of this partition's leader, where the register does not say it.
    mutating func proposalEnded(
        _ id: TopicPartition, _ serial: UInt64, isUnknown: Bool, into effects: inout [Effect]
    ) {
        guard let slot = partitions.index(of: id), partitions[slot].isOpen else { return }
        drive(
            slot, isUnknown ? .proposalUnknown(serial) : .proposalFailed(serial), into: &effects)
    }
}
