import Model
import Replication

/// What goes wrong, within what is tolerated.
extension SearchMesh {
    mutating func strike(_ kind: Fault) {
        let broker = random(plan.replicas)
        note(3, Int64(broker))
        switch kind {
        case .pause:
            guard brokers[broker].isUp else { return }
            brokers[broker].pausedUntil = max(brokers[broker].pausedUntil, now + duration())
        case .linkBreak:
            let other = random(plan.replicas)
            guard other != broker else { return }
            disconnect(broker, other)
            schedule.add(.reconnect(broker, other), at: now + duration())
        case .stall:
            let other = random(plan.replicas)
            lastArrival[broker][other] = max(lastArrival[broker][other], now + duration())
        case .clean: crash(broker, isClean: true)
        case .unclean: if mayLose(broker, wiping: false) { crash(broker, isClean: false) }
        case .wipe:
            guard mayLose(broker, wiping: true) else { return }
            crash(broker, isClean: false)
            wipe(broker)
        case .power:
            guard plan.sync, impaired.allSatisfy({ !isWiped($0) }) else { return }
            for broker in brokers.indices { crash(broker, isClean: false) }
        case .voter:
            let voter = random(voters.count)
            let until = now + duration() / 2
            voters[voter].downUntil = until
            voters[voter].life = BootEpoch(voters[voter].life.rawValue + 1)
            voters[voter].book = LeaseBook(
                life: voters[voter].life, startedAt: voters[voter].clock.instant(until),
                rules: plan.rules)
        case .voterCut: voters[random(voters.count)].cutUntil[broker] = now + duration()
        case .give: transfer()
        }
    }

    private mutating func duration() -> Int64 { 20 + Int64(random(plan.faultMilliseconds)) }

    /// Replicas whose copy is not one that the in-sync set names.
    private var impaired: [Int] {
        brokers.indices.filter { !register.inSync.contains(brokers[$0].id) && isLossy($0) }
    }

    private func isWiped(_ broker: Int) -> Bool {
        !register.electable.contains {
            $0.node == brokers[broker].node && $0.admission == brokers[broker].id.admission
        } && brokers[broker].id.admission > AdmissionNumber(1)
    }

    /// It has lost something since it was in sync.
    private func isLossy(_ broker: Int) -> Bool {
        let id = brokers[broker].id
        return (id.logEpoch > BootEpoch(1) || id.admission > AdmissionNumber(1))
            && !register.lastEligible.contains(brokers[broker].id)
    }

    /// With `flush: sync` an unclean start loses nothing that counts, unless a disk is gone.
    private func mayLose(_ broker: Int, wiping: Bool) -> Bool {
        let lost = impaired
        if plan.sync, !wiping, lost.allSatisfy({ !isWiped($0) }) { return true }
        return Set(lost + [broker]).count <= plan.tolerated
    }

    mutating func disconnect(_ one: Int, _ other: Int) {
        for (from, to) in [(one, other), (other, one)] {
            guard isLinked[from][to] else { continue }
            isLinked[from][to] = false
            links[from][to] += 1
            lastArrival[from][to] = now
            schedule.add(
                .linkState(from, peer: to, isUp: false, link: links[from][to]),
                at: now + Int64(random(30)))
        }
    }

    mutating func connect(_ one: Int, _ other: Int) {
        guard one != other, brokers[one].isUp, brokers[other].isUp, !isLinked[one][other] else {
            return
        }
        for (from, to) in [(one, other), (other, one)] {
            isLinked[from][to] = true
            links[from][to] += 1
            lastArrival[from][to] = now
        }
        // Both ends know of a link before anything comes over it.
        for (from, to) in [(one, other), (other, one)] {
            schedule.add(
                .linkState(from, peer: to, isUp: true, link: links[from][to]), at: now + 1)
        }
    }

    private mutating func crash(_ broker: Int, isClean: Bool) {
        guard brokers[broker].isUp else { return }
        brokers[broker].isUp = false
        brokers[broker].pausedUntil = 0
        schedule.add(.resume(broker), at: now)
        brokers[broker].life += 1
        for peer in brokers.indices where peer != broker { disconnect(broker, peer) }
        var fresh = newBroker(brokers[broker].id, clock: brokers[broker].clock)
        fresh.isUp = false
        fresh.life = brokers[broker].life
        fresh.boot = BootEpoch(brokers[broker].boot.rawValue + 1)
        fresh.known = isClean ? brokers[broker].known : brokers[broker].former
        fresh.log = brokers[broker].log
        if isClean {
            fresh.log.synced = fresh.log.records.count
        } else {
            let torn = fresh.log.records.count - fresh.log.synced
            fresh.log.truncate(to: fresh.log.synced + random(torn + 1))
            // What a process that crashes left in the page cache may not be on the device.
            fresh.id = ReplicaID(
                node: fresh.node, admission: fresh.id.admission, logEpoch: fresh.boot)
        }
        brokers[broker] = fresh
        let delay = isHealed ? 10 : duration() / (chance(50) ? 4 : 1)
        schedule.add(.restart(broker), at: now + delay)
    }

    private mutating func wipe(_ broker: Int) {
        guard !brokers[broker].isUp else { return }
        brokers[broker].log = SearchLog()
        let id = brokers[broker].id
        brokers[broker].id = ReplicaID(
            node: id.node, admission: AdmissionNumber(id.admission.rawValue + 1),
            logEpoch: id.logEpoch)
    }

    mutating func restarted(_ broker: Int) {
        guard !brokers[broker].isUp else { return }
        brokers[broker].isUp = true
        start(broker)
        for peer in brokers.indices where peer != broker { connect(broker, peer) }
    }

    mutating func heal() {
        isHealed = true
        for broker in brokers.indices {
            restarted(broker)
        }
        for one in brokers.indices {
            for other in brokers.indices where other != one { connect(one, other) }
        }
        for voter in voters.indices {
            voters[voter].downUntil = 0
            for broker in brokers.indices { voters[voter].cutUntil[broker] = 0 }
        }
    }
}
