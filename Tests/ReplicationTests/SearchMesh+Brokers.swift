import Model
import Replication

/// What a shell does for the machines of a broker.
extension SearchMesh {
    func instant(_ broker: Int) -> Instant { brokers[broker].clock.instant(now) }

    /// A new process opens its log, and knows of its partition what it recorded.
    mutating func start(_ broker: Int) {
        let id = brokers[broker].id
        brokers[broker].following = FollowerMachine(
            id: id, boot: brokers[broker].boot, epoch: .unknown, syncRequired: plan.sync,
            rules: plan.rules)
        brokers[broker].promise = CampaignPromise(startedAt: instant(broker))
        hold(broker, .voters(LeaseVoters(voters: (0..<3).map { NodeID(Int32($0)) })))
        follow(broker, brokers[broker].known)
    }

    /// A log that was led, or was just opened, is followed from where it is now.
    private mutating func openFollower(_ broker: Int) {
        let log = brokers[broker].log
        let position = FollowerPosition(
            end: log.end, synced: Offset(Int64(log.synced)), lastEpoch: log.lastEpoch,
            highWatermark: min(log.end, brokers[broker].leading.highWatermark))
        follower(broker, .opened(position))
    }

    /// Gossip brings what was chosen, the machines look around.
    mutating func tick(_ broker: Int) {
        drive(broker, .tick(instant(broker)))
        pump(broker)
        if chance(isHealed ? 50 : plan.gossip) { learn(broker, register) }
        suspect(broker)
        let known = brokers[broker].known
        if known.leader == brokers[broker].node, brokers[broker].leads { recognise(broker) }
        if isHealed, isConverged { hasConverged = true }
    }

    /// Asks everybody who could be elected not to campaign.
    private mutating func recognise(_ broker: Int) {
        guard let epoch = brokers[broker].leading.leadership?.epoch, chance(50) else { return }
        brokers[broker].recogniseSerial += 1
        let serial = brokers[broker].recogniseSerial
        brokers[broker].recognisedAt[serial] = instant(broker)
        for peer in brokers.indices where peer != broker {
            send(.recognise(serial, epoch), from: broker, to: peer)
        }
    }

    /// Opens a campaign when the leader does not answer, lost something, or is this broker in an
    /// earlier life; drops it when that is no longer so.
    private mutating func suspect(_ broker: Int) {
        let known = brokers[broker].known
        let isWell =
            known.leader.map { leader in
                let node = Int(leader.rawValue)
                guard known.inSync.contains(brokers[node].id) else { return false }
                if node == broker { return brokers[node].leads || brokers[node].isTakingOver }
                return isReachable(node, from: broker)
            } ?? false
        guard !isWell else {
            brokers[broker].suspectSince = nil
            brokers[broker].campaign = nil
            return
        }
        let since = brokers[broker].suspectSince ?? now
        brokers[broker].suspectSince = since
        guard brokers[broker].campaign == nil, now - since >= 200 else { return }
        let members = members(broker, passingOver: [])
        let eligible = known.eligible(among: members)
        let rank =
            eligible.firstIndex { $0.node == brokers[broker].node }
            ?? known.replicas.firstIndex(of: brokers[broker].node) ?? 0
        var campaign = Campaign(
            against: known.leader, known.leaderEpoch, rank: rank, jitter: Int64(random(25)),
            now: instant(broker))
        var effects: [Campaign.Effect] = []
        campaign.open(into: &effects)
        brokers[broker].campaign = campaign
        carryOut(broker, effects)
    }

    func isReachable(_ node: Int, from broker: Int) -> Bool {
        brokers[node].isUp && brokers[node].pausedUntil <= now + 200 && isLinked[broker][node]
    }

    func members(_ broker: Int, passingOver passed: [NodeID]) -> [ElectionMember] {
        brokers.indices.map { node in
            let isAlive =
                node == broker
                || isReachable(node, from: broker) && !passed.contains(brokers[node].node)
            return ElectionMember(id: brokers[node].id, isAlive: isAlive)
        }
    }

    mutating func campaign(_ broker: Int, _ input: Campaign.Input) {
        guard brokers[broker].campaign != nil else { return }
        var effects: [Campaign.Effect] = []
        let local = instant(broker)
        brokers[broker].campaign?.handle(input, now: local, into: &effects)
        carryOut(broker, effects)
    }

    private mutating func carryOut(_ broker: Int, _ effects: [Campaign.Effect]) {
        for effect in effects {
            switch effect {
            case .ended: brokers[broker].campaign = nil
            case .wake(let at): wakeLater(broker, at, .campaign)
            case .propose:
                let left = brokers[broker].promise.remainingMilliseconds(now: instant(broker))
                if left > 0, plan.rules.campaignPromiseRespected,
                    brokers[broker].known.leader != brokers[broker].node
                {
                    campaign(broker, .held(milliseconds: left))
                } else {
                    proposeElection(broker)
                }
            }
        }
    }

    func wakeTime(_ broker: Int, _ at: Instant) -> Int64 {
        max(now, brokers[broker].clock.time(of: at))
    }

    mutating func wakeLater(_ broker: Int, _ at: Instant, _ timer: Timer) {
        let event = Event.machineWake(broker, life: brokers[broker].life, timer)
        schedule.add(event, at: wakeTime(broker, at))
    }

    mutating func wake(_ broker: Int, _ timer: Timer) {
        switch timer {
        case .follower: follower(broker, .wake)
        case .holder: hold(broker, .wake)
        case .campaign: campaign(broker, .wake)
        }
    }

    /// A chosen state, from gossip or as the outcome of a change.
    mutating func learn(_ broker: Int, _ state: PartitionState) {
        guard state.partitionEpoch > brokers[broker].known.partitionEpoch else { return }
        if now - brokers[broker].formerAt >= plan.forgetMilliseconds {
            brokers[broker].former = brokers[broker].known
            brokers[broker].formerAt = now
        }
        brokers[broker].known = state
        if state.consented {
            brokers[broker].promise.release(LeaderEpoch(state.leaderEpoch.rawValue - 1))
        }
        drive(broker, .stateChanged(state))
        requireComplete(broker)
        campaign(broker, .decided(state.leader, state.leaderEpoch))
        follow(broker, state)
        pump(broker)
    }

    private mutating func follow(_ broker: Int, _ state: PartitionState) {
        guard let leader = state.leader, leader != brokers[broker].node else {
            // Elected, it seems: by itself, or by consent, which has to be looked at first.
            guard let first = brokers[broker].firstRead else { return }
            let mayLead = state.names(brokers[broker].id, after: first)
            if mayLead, !brokers[broker].leads, !brokers[broker].isTakingOver {
                brokers[broker].isTakingOver = true
                proposeConfirmation(broker, nil)
            }
            return
        }
        if brokers[broker].following.leader == nil { openFollower(broker) }
        follower(broker, .follow(leader, state.leaderEpoch, isUnclean: state.isUnclean))
        if isLinked[broker][Int(leader.rawValue)] { follower(broker, .linkUp(leader)) }
    }

    /// It was found, in this generation of the lease, that this broker leads.
    mutating func takeOver(_ broker: Int, _ state: PartitionState, generation: UInt64) {
        guard state.leader == brokers[broker].node else { return }
        brokers[broker].ledGeneration = generation
        guard state.leaderEpoch > brokers[broker].ledEpoch else { return }
        brokers[broker].ledEpoch = state.leaderEpoch
        brokers[broker].firstRead = max(brokers[broker].firstRead ?? .unknown, state.leaderEpoch)
        let left = brokers[broker].promise.remainingMilliseconds(
            serving: state, now: instant(broker), rules: plan.rules)
        brokers[broker].servesFrom = instant(broker).advanced(byMilliseconds: left)
        checkLeader(broker, state)
        let log = brokers[broker].log
        let position = brokers[broker].following.position
        follower(broker, .stop)
        brokers[broker].streams = [:]
        brokers[broker].complete = CompleteSetLease(rules: plan.rules)
        brokers[broker].watermarkOfEpoch = nil
        let synced = Offset(Int64(log.synced))
        drive(
            broker,
            .leadReplicas(
                state, self: brokers[broker].id,
                log: LogPosition(
                    end: log.end, synced: synced, highWatermark: position.highWatermark),
                minInSync: plan.minInSync))
        requireComplete(broker)
        // From now on the ticks of this epoch count.
        drive(broker, .tick(instant(broker)))
    }

    private mutating func requireComplete(_ broker: Int) {
        guard brokers[broker].leads, let state = brokers[broker].leading.state else { return }
        let proposed = brokers[broker].leading.proposal?.inSync ?? []
        brokers[broker].complete.require(
            state, proposed: proposed, by: brokers[broker].node)
    }

    mutating func linkChanged(_ broker: Int, _ peer: Int, isUp: Bool) {
        let node = brokers[peer].node
        // A link that takes the place of another one ends that first.
        brokers[broker].streams[peer] = nil
        drive(broker, .followerLost(node))
        follower(broker, .linkDown(node))
        if isUp { follower(broker, .linkUp(node)) }
    }

    mutating func drive(_ broker: Int, _ input: PartitionMachine.Input) {
        var effects: [PartitionMachine.Effect] = []
        brokers[broker].leading.handle(input, into: &effects)
        for effect in effects {
            switch effect {
            case .acknowledge(let token):
                acknowledged += 1
                let isCommitted = committed.contains { $0.value == Int(token) }
                if !isCommitted { fail("\(token) was acknowledged and is not committed") }
            case .refuse: continue
            case .highWatermark(let mark): commit(broker, upTo: mark)
            case .sync: beginSync(broker, leader: true)
            case .proposeInSync(let ids, let serial):
                requireComplete(broker)
                proposeInSync(broker, ids, serial)
            }
        }
    }

    mutating func beginSync(_ broker: Int, leader: Bool) {
        let event = Event.synced(
            broker, life: brokers[broker].life, upTo: brokers[broker].log.records.count,
            leader: leader)
        schedule.add(event, at: now + 2 + Int64(random(chance(10) ? 150 : 12)))
    }

    mutating func synced(_ broker: Int, upTo end: Int, leader: Bool) {
        let held = min(end, brokers[broker].log.records.count)
        brokers[broker].log.synced = max(brokers[broker].log.synced, held)
        let offset = Offset(Int64(held))
        if leader {
            drive(broker, .synced(upTo: offset))
            pump(broker)
        } else {
            follower(broker, .synced(upTo: offset))
        }
    }
}
