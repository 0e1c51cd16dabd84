import Gossip
import Model
import NIOCore
import Node
import Replication
import Storage

/// Processes: how they start, turn and end.
extension MeshWorld {
    static let joinRetryMilliseconds: Int64 = 250
    private static let joinPatienceMilliseconds: Int64 = 12_000

    func start(_ site: BrokerSite) {
        guard site.life == nil, site.isExpected else { return }
        guard site.isAdmitted else { return askToJoin(site) }
        site.lives += 1
        do {
            let life = try BrokerLife(
                site: site, cluster: Self.cluster, options: options, rules: rules,
                startedAt: clock(of: site).instant, random: &random)
            site.life = life
            if site.isDamaged { fail("\(site.node) starts with a table that is damaged") }
            life.requestLoops = (0..<BrokerLife.loops).map {
                SimulatedLoop(index: $0, of: site, in: self)
            }
            tell(2, .process, "\(site.name) starts, boot \(life.boot.rawValue)")
            counts.starts += 1
            lastUpset = now
            life.plane.registerEvents = []
            let memory = life.memory()
            for record in memory.acceptorLog { audits.chosen.note(record, of: site.store) }
            post(.plane(.mesh(.start(memory))), to: 0, of: site)
            schedule(.tick(site: site.index, life: site.lives), afterMicroseconds: 100_000)
            schedule(.maintain(site: site.index, life: site.lives), afterMicroseconds: 5_000_000)
        } catch {
            // Its power went while it started, or its disk is full.
            tell(3, .process, "\(site.name) can't start: \(error)")
            if site.disk.isPowerOff { site.disk.restart() }
            site.losesPower = false
            if site.isDamaged { counts.reached["damaged tables refused", default: 0] += 1 }
            schedule(.start(site: site.index), afterMicroseconds: draw(100_000...500_000))
        }
    }

    // MARK: Joining

    private func askToJoin(_ site: BrokerSite) {
        let members = sites.filter { $0.life?.isReady == true && $0.index != site.index }
        guard !members.isEmpty else {
            return schedule(.start(site: site.index), afterMicroseconds: 250_000)
        }
        let member = members[Int(draw(0...Int64(members.count - 1)))]
        guard !isCut(site.index, member.index) else {
            return schedule(.start(site: site.index), afterMicroseconds: 250_000)
        }
        schedule(
            .joinAsked(from: site.index, to: member.index, boot: BootEpoch(1)),
            afterMicroseconds: draw(500...2_000))
        // Whoever hears nothing asks somebody else; each question ends the wait of the one before.
        site.askedAt = now
        schedule(
            .joinAnswered(site: site.index, nil),
            afterMicroseconds: Self.joinPatienceMilliseconds * 1_000)
    }

    func joinAsked(_ from: Int, _ to: Int, _ boot: BootEpoch) {
        guard sites[to].life != nil, !sites[to].isPaused else { return }
        lastToken += 1
        joins[lastToken] = from
        let site = sites[from]
        post(
            .plane(
                .mesh(
                    .join(
                        token: lastToken,
                        JoinClaim(key: site.key, store: site.store, boot: boot, node: site.node)))),
            to: 0, of: sites[to])
    }

    func joinAnswered(_ site: BrokerSite, _ answer: JoinAnswer?) {
        guard site.life == nil, site.isExpected, !site.isAdmitted else { return }
        switch answer {
        case .admitted(let node, let cluster, let values):
            precondition(node == site.node && cluster == Self.cluster, "another broker's answer")
            tell(4, .process, "\(site.name) is admitted")
            do {
                _ = try DataDirectory(
                    disk: site.disk,
                    identity: DirectoryIdentity(
                        clusterID: cluster, nodeID: node, hasJoined: true))
                try BrokerLife.remember(values, on: site.disk)
                site.isAdmitted = true
                start(site)
            } catch {
                fail("\(site.node) could not keep what it was given: \(error)")
            }
        case .refused(let reason, let canRetry):
            tell(5, .process, "\(site.name) is not admitted: \(reason)")
            // One whose disk was lost comes back before it is held for dead: whoever watches over
            // it starts it again.
            schedule(
                .start(site: site.index),
                afterMicroseconds: (canRetry ? 1 : 4) * Self.joinRetryMilliseconds * 1_000)
        case nil:
            guard now.milliseconds(since: site.askedAt) >= Self.joinPatienceMilliseconds else {
                return
            }
            start(site)
        }
    }

    // MARK: Ends

    /// The process is gone. Where the machine goes with it, nobody says so to its peers.
    func kill(_ site: BrokerSite, withMachine: Bool) {
        guard let life = site.life else { return }
        tell(6, .process, "\(site.name) dies\(withMachine ? " with its machine" : "")")
        counts.deaths += 1
        if life.forgotTable || !life.writes.isEmpty { site.forgotTable = true }
        site.life = nil
        site.isPaused = false
        site.sleep = nil
        site.backlog = []
        site.loopBacklog = []
        closeLinks(of: site, silently: withMachine)
        for client in clients.indices {
            schedule(
                .lost(client: client, site: site.index, life: life.serial),
                afterMicroseconds: draw(100...1_000))
        }
    }

    func stopInOrder(_ site: BrokerSite) {
        guard let life = site.life, life.isReady, !life.isStopping else { return }
        life.isStopping = true
        tell(7, .process, "\(site.name) is asked to stop")
        post(.plane(.control(.handOver)), to: 0, of: site)
    }

    func stopped(_ site: BrokerSite, clean: Bool) {
        guard let life = site.life else { return }
        life.stoppedShards += 1
        life.stoppedClean = life.stoppedClean && clean
        guard life.stoppedShards == BrokerLife.loops else { return }
        if life.stoppedClean { life.markClean() }
        tell(8, .process, "\(site.name) stopped, clean \(life.stoppedClean)")
        kill(site, withMachine: false)
        startLater(site)
    }

    /// A process that ended by itself is started again by whoever watches over it.
    func startLater(_ site: BrokerSite) {
        let moment = max(
            site.mayRunAt ?? now, now.advanced(byMilliseconds: draw(20...300)))
        timeline.schedule(.start(site: site.index), at: moment)
    }

    // MARK: Loops

    /// Gives a loop something now.
    func post(_ post: BrokerLife.Post, to loop: Int, of site: BrokerSite) {
        guard site.life != nil else { return }
        schedule(
            .post(site: site.index, life: site.lives, loop: loop, post), afterMicroseconds: 0)
    }

    /// From one loop of a process to another: at once to itself, else a thread later, in order.
    func post(_ what: BrokerLife.Post, to loop: Int, of site: BrokerSite, from: Int) {
        guard let life = site.life else { return }
        guard loop != from else { return life.inboxes[loop].append(what) }
        let pair = (site.index * BrokerLife.loops + from) * BrokerLife.loops + loop
        let arrival = max(
            lastPosts[pair, default: 0] + 1, now.nanoseconds + draw(2...60) * 1_000)
        lastPosts[pair] = arrival
        timeline.schedule(
            .post(site: site.index, life: site.lives, loop: loop, what),
            at: Instant(nanoseconds: arrival))
    }

    /// One turn of a loop: everything in its inbox, then what is to be sent.
    func deliver(_ first: BrokerLife.Post, to loop: Int, of site: BrokerSite) {
        guard let life = site.life else { return }
        life.inboxes[loop].append(first)
        guard !life.isTurning[loop] else { return }
        life.isTurning[loop] = true
        repeat {
            while !life.inboxes[loop].isEmpty, site.life === life {
                switch life.inboxes[loop].removeFirst() {
                case .plane(let input): drive(plane: input, of: life, at: site)
                case .shard(let input): drive(shard: input, loop, of: life, at: site)
                case .request(let connection, let frame):
                    life.requestLoops[loop].take(frame, of: connection)
                case .hungUp(let connection): life.requestLoops[loop].hungUp(connection)
                case .answer(let token, let answer):
                    life.requestLoops[loop].answer(token, answer)
                case .view(let view): life.requestLoops[loop].view = view
                case .later(let number): life.requestLoops[loop].isDue(number)
                }
            }
            guard site.life === life else { return }
            if life.shards[loop].hasToSend { drive(shard: .turnEnded, loop, of: life, at: site) }
        } while !life.inboxes[loop].isEmpty
        life.isTurning[loop] = false
        endIfPowerless(site)
    }

    /// Every disk operation after the power went has failed; nothing that followed is seen.
    func endIfPowerless(_ site: BrokerSite) {
        guard site.life != nil, site.disk.isPowerOff else { return }
        site.losesPower = false
        kill(site, withMachine: true)
        site.disk.restart()
        startLater(site)
    }

    private func drive(plane input: ControlPlane.Input, of life: BrokerLife, at site: BrokerSite) {
        var effects: [ControlPlane.Effect] = []
        life.plane.handle(input, now: clock(of: site), into: &effects)
        noteRegisterEvents(of: life, at: site)
        for effect in effects where site.life === life {
            switch effect {
            case .control(let effect): perform(effect, of: life, at: site)
            case .mesh(let effect): perform(effect, of: life, at: site)
            }
        }
    }

    func drive(shard input: Shard.Input, _ loop: Int, of life: BrokerLife, at site: BrokerSite) {
        var effects: [Shard.Effect] = []
        life.shards[loop].handle(input, now: clock(of: site), into: &effects)
        for effect in effects where site.life === life {
            perform(effect, loop, of: life, at: site)
        }
    }

    // MARK: Timers

    func wakeLater(_ timer: BrokerLife.Timer, _ loop: Int, _ moment: Instant, _ site: BrokerSite) {
        guard let life = site.life else { return }
        let slot = timer.rawValue + loop
        let number = (life.timers[slot]?.number ?? 0) + 1
        life.timers[slot] = (number, moment)
        setTimer(slot, number, moment, site)
    }

    private func setTimer(
        _ slot: Int, _ number: UInt64, _ moment: Instant, _ site: BrokerSite
    ) {
        let at = site.clock.time(when: moment)
        timeline.schedule(
            .timer(site: site.index, life: site.lives, slot, number), at: max(at, now))
    }

    func wake(_ slot: Int, _ number: UInt64, _ site: BrokerSite) {
        guard let timer = site.life?.timers[slot], timer.number == number else { return }
        // Its clock runs slower since it asked: no timer fires before its time.
        guard clock(of: site).instant >= timer.moment else {
            return setTimer(slot, number, timer.moment, site)
        }
        switch slot {
        case BrokerLife.Timer.control.rawValue: deliver(.plane(.control(.wake)), to: 0, of: site)
        case BrokerLife.Timer.mesh.rawValue: deliver(.plane(.mesh(.wake)), to: 0, of: site)
        default: deliver(.shard(.wake), to: slot - BrokerLife.Timer.shard.rawValue, of: site)
        }
    }

    func tick(_ site: BrokerSite) {
        for loop in 0..<BrokerLife.loops where loop != site.stalledLoop {
            deliver(.shard(.tick), to: loop, of: site)
        }
        schedule(.tick(site: site.index, life: site.lives), afterMicroseconds: 100_000)
    }

    func maintain(_ site: BrokerSite) {
        for loop in 0..<BrokerLife.loops where loop != site.stalledLoop {
            deliver(.shard(.maintain), to: loop, of: site)
            deliver(.shard(.flushInterval), to: loop, of: site)
        }
        schedule(.maintain(site: site.index, life: site.lives), afterMicroseconds: 5_000_000)
    }
}
