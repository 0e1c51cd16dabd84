import Model
import Node
import Paxos

/// What goes wrong, and how it is mended.
///
/// Anything that loses no data may happen at any time, in any number: safety depends on none of it.
/// What loses data is kept to what the mesh promises to survive: one at a time, while it is whole;
/// power losses of topics that are synced before they are acknowledged are none of these.
extension MeshWorld {
    func nextFault() {
        guard now < faultsEnd, violation == nil else { return }
        faultPlan.due = now.advanced(byMilliseconds: draw(20...options.faultPauseMilliseconds))
        let drawn = options.faults[Int(draw(0...Int64(options.faults.count - 1)))]
        guard let kind = awaitQuiet(for: drawn) else { return }
        let fault = MeshFault(
            kind: kind, victim: victim(of: kind), at: now,
            milliseconds: draw(10...[300, 2_000, 6_000][Int(draw(0...2))]))
        happen(fault, dice: draw(0...Int64(UInt32.max)))
    }

    /// What costs a disk waits until the mesh is whole, and the others wait with it: among many
    /// faults it would hardly ever be.
    private func awaitQuiet(for drawn: MeshFault.Kind) -> MeshFault.Kind? {
        if let awaited {
            let isLate = now.milliseconds(since: awaited.since) > Self.quietMilliseconds
            guard isQuiet || isLate else { return nil }
            self.awaited = nil
            return isLate ? drawn : awaited.kind
        }
        guard Self.losingFaults.contains(drawn), !isQuiet, chance(0.3) else { return drawn }
        awaited = (drawn, now)
        return nil
    }

    /// How long faults wait for a mesh to be whole.
    private static let quietMilliseconds: Int64 = 8_000
    /// What ends processes, or may, or has fewer brokers vote.
    private static let endingFaults: Set<MeshFault.Kind> = [
        .kill, .powerLoss, .tornPower, .allKilled, .allPowerLost, .fullDisk, .voterRemoved,
    ]
    private static let losingFaults = diskFaults.union([.wipe, .brokerLeaves])

    func mayHappen(_ fault: MeshFault) -> Bool {
        let site = sites[fault.victim]
        // Until its copies are made again nobody else may lose what it had, or be in doubt of it.
        if isDiskLost, Self.endingFaults.contains(fault.kind) { return false }
        switch fault.kind {
        case .kill, .stop: return site.life != nil
        case .powerLoss, .tornPower: return site.life != nil && (options.isSynced || isQuiet)
        case .wipe, .misreads, .damagedLog, .damagedTable, .restoredDisk:
            return site.life != nil && isQuiet
        case .pause, .suspend: return site.life != nil && !site.isPaused
        case .allKilled, .cut, .oneWayCut, .datagramHole, .slowDisk, .lossyNetwork, .reordering,
            .slowLink, .clockDrift, .clockJump:
            return true
        case .reassignment, .leaderElection, .voterAdded, .voterRemoved, .voterChangeUndone:
            return true
        case .topicGrowth: return canGrow
        case .brokerJoins, .brokerLeaves: return mayChange(fault.kind, site)
        case .rollingRestart: return rollingSince == nil
        case .fullDisk: return options.isSynced && site.life != nil
        case .stalledLoop: return site.life != nil && site.stalledLoop == nil
        case .allPowerLost: return options.isSynced
        }
    }

    /// What was lost with a disk is there again. Looked at by the clock and not when a fault comes:
    /// a run whose faults are given has only those that happened.
    func noteDisksWhole() {
        guard isDiskLost, isSettled, !sites.contains(where: \.losesPower),
            !activeFaults.contains(where: { Self.diskFaults.contains($0.kind) })
        else { return }
        isDiskLost = false
    }

    /// How long after the last upset what brokers say of the mesh is true: those that just started
    /// all say what they knew when they ended, and a lease may have to lapse.
    private static let settlingMilliseconds: Int64 = 2_500

    private var isSettled: Bool {
        now.milliseconds(since: lastUpset) >= Self.settlingMilliseconds && isWhole
    }

    /// Nothing is wrong: the mesh can take what loses a disk.
    var isQuiet: Bool {
        activeFaults.isEmpty && isSettled
            && members.allSatisfy { site in
                site.life?.plane.mesh.proposer.roster.map { roster in
                    roster.next == nil && roster.voters.count >= 3
                        && roster.voters.allSatisfy { voter in
                            members.contains { $0.store == voter.store }
                        }
                } == true
            }
    }

    func begin(_ fault: MeshFault) {
        let site = sites[fault.victim]
        let end = fault.at.advanced(byMilliseconds: fault.milliseconds)
        tell(
            UInt64(fault.victim) << 8 | 19, .fault,
            "\(fault.kind.rawValue) of \(site.name) for \(fault.milliseconds) ms")
        counts.faults += 1
        lastUpset = now
        counts.kinds[fault.kind.rawValue, default: 0] += 1
        activeFaults.append(fault)
        timeline.schedule(.endFault(fault), at: end)
        if [.powerLoss, .tornPower].contains(fault.kind), !options.isSynced { isDiskLost = true }
        switch fault.kind {
        case .kill: take(down: site, until: end) { self.kill(site, withMachine: false) }
        case .powerLoss:
            take(down: site, until: end) {
                self.kill(site, withMachine: true)
                site.disk.restart()
            }
        case .tornPower:
            site.mayRunAt = end
            site.losesPower = true
            site.disk.cutPower(afterOperations: Int(draw(1...60)))
        case .stop:
            site.mayRunAt = end
            stopInOrder(site)
        case .pause: site.isPaused = true
        case .cut:
            for other in sites where other.index != site.index {
                cut(.all, from: site.index, to: other.index)
                cut(.all, from: other.index, to: site.index)
            }
        case .oneWayCut:
            for other in sites where other.index != site.index && chance(0.7) {
                cut(.all, from: other.index, to: site.index)
            }
        case .datagramHole:
            for other in sites where other.index != site.index {
                cut(.datagrams, from: other.index, to: site.index)
            }
        case .slowDisk: site.slowness = draw(5...200)
        case .fullDisk: site.disk.setCapacity(0)
        case .wipe:
            isDiskLost = true
            take(down: site, until: end) {
                self.kill(site, withMachine: true)
                self.note(site.disk.traceHash)
                site.wipe(seed: self.random.next())
            }
        case .allKilled:
            for site in sites {
                take(down: site, until: end) { self.kill(site, withMachine: false) }
            }
        case .allPowerLost:
            for site in sites {
                take(down: site, until: end) {
                    self.kill(site, withMachine: true)
                    site.disk.restart()
                }
            }
        case .stalledLoop: site.stalledLoop = BrokerLife.loops - 1
        case .misreads, .damagedLog, .damagedTable, .restoredDisk: disturb(disk: fault)
        case .brokerJoins, .brokerLeaves: change(membership: fault)
        case .lossyNetwork: network.faults.datagramLoss = 0.4
        case .rollingRestart, .reassignment, .leaderElection, .voterAdded, .voterRemoved,
            .voterChangeUndone, .topicGrowth:
            operate(fault)
        case .reordering, .slowLink: disturb(network: fault)
        case .clockDrift, .clockJump, .suspend: disturb(clock: fault)
        }
    }

    private func take(down site: BrokerSite, until end: Instant, _ how: () -> Void) {
        guard site.life != nil else { return }
        site.mayRunAt = end
        how()
        startLater(site)
    }

    func end(_ fault: MeshFault) {
        guard let place = activeFaults.firstIndex(of: fault) else { return }
        activeFaults.remove(at: place)
        lastUpset = now
        let site = sites[fault.victim]
        tell(
            UInt64(fault.victim) << 8 | 20, .mended, "\(fault.kind.rawValue) of \(site.name)")
        switch fault.kind {
        case .kill, .powerLoss, .stop, .wipe, .allKilled, .tornPower, .allPowerLost: break
        case .stalledLoop: resumeLoop(of: site)
        case .clockDrift, .clockJump, .rollingRestart, .reassignment, .leaderElection,
            .voterAdded, .voterRemoved, .voterChangeUndone, .topicGrowth, .brokerJoins,
            .brokerLeaves:
            break
        case .misreads, .damagedLog, .damagedTable, .restoredDisk: settle(disk: fault)
        case .pause, .suspend: resume(site)
        case .reordering, .slowLink: settle(network: fault)
        case .cut, .oneWayCut, .datagramHole: mendCuts()
        case .slowDisk: site.slowness = 1
        case .fullDisk: site.disk.setCapacity(.max)
        case .lossyNetwork: network.faults.datagramLoss = options.network.datagramLoss
        }
    }

    private func resume(_ site: BrokerSite) {
        guard site.isPaused else { return }
        site.isPaused = false
        site.sleep = nil
        let backlog = site.backlog
        site.backlog = []
        for event in backlog { timeline.schedule(event, at: now) }
    }

    /// Cuts that no fault is left to hold.
    private func mendCuts() {
        let held = Set(
            activeFaults.filter {
                [.cut, .oneWayCut, .datagramHole].contains($0.kind)
            }.map(\.victim))
        for from in sites.indices {
            for to in sites.indices where from != to && !held.contains(from) && !held.contains(to) {
                if network.isCut(.datagrams, from: from, to: to)
                    || network.isCut(.streams, from: from, to: to)
                {
                    mend(from: from, to: to)
                }
            }
        }
    }

    /// Everything is mended and everybody runs.
    func heal() {
        tell(21, .mended, "everything: no more faults from here on")
        for fault in activeFaults { end(fault) }
        network.faults = .lan
        for site in sites {
            resume(site)
            resumeLoop(of: site)
            site.slowness = 1
            site.disk.setCapacity(.max)
            site.mayRunAt = now
            if site.life == nil, site.isExpected {
                timeline.schedule(.start(site: site.index), at: now)
            }
        }
        isHealed = true
    }
}
