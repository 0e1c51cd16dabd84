internal import Model
internal import NIOCore
internal import OrderedCollections

/// One probe of this member's own round.
struct Probe {
    let target: NodeID
    let id: UInt64
    let sentAt: Instant
    let timeoutMilliseconds: Int64
    /// Whether it went by datagram; without keys a handshake is the probe.
    let isDatagram: Bool
    var helpers: [NodeID] = []
    var refusals: [NodeID] = []
    var timedOut = false
    var answeredDirectly = false
    var answeredByHelper = false
    var answeredOverLink = false
    /// The link that it went over is gone: nothing more is to be waited for.
    var linkFailed = false

    var isAnswered: Bool { answeredDirectly || answeredByHelper || answeredOverLink }
}

/// A probe for somebody else.
struct Relay {
    let origin: NodeID
    let originID: UInt64
    let target: NodeID
}

/// The failure detector: SWIM section 3.1 with round robin (4.3) and Lifeguard's probes (IV.A).
extension GossipMachine {
    /// Lifeguard IV.A: ProbeInterval = base * (LHM + 1), and the timeout likewise. memberlist
    /// scales the interval only; the paper scales both.
    func scaled(_ milliseconds: Int64) -> Int64 {
        rules.healthScaling ? milliseconds * Int64(health + 1) : milliseconds
    }

    mutating func nextProbe() {
        let late = probeDue.map { now.milliseconds(since: $0) } ?? 0
        probeDue = nil
        if rules.distrustsLateTimers, late > profile.probeTimeoutMilliseconds {
            forgiveLateness()
        }
        concludeOvertime()
        concludeProbe()
        guard leftAt == nil else { return }
        let at = now.advanced(byMilliseconds: scaled(profile.probeIntervalMilliseconds))
        probeDue = at
        timers.set(.probe, at: at)
        guard let target = probeRound.next(using: &generator), let member = members[target] else {
            return
        }
        let timeout = scaled(profile.probeTimeoutMilliseconds)
        let isKeyed = member.keyedBoot == member.life.boot
        let probe = Probe(
            target: target, id: generator.next(), sentAt: now, timeoutMilliseconds: timeout,
            isDatagram: isKeyed)
        self.probe = probe
        counters.probes += 1
        if isKeyed {
            sendDatagram(pack(.ping(probe.id), lead: buddyParts(about: target)), to: target)
        } else {
            connect(target)
        }
        timers.set(.probeTimeout(probe.id), at: now.advanced(byMilliseconds: timeout))
    }

    /// Lifeguard IV.C, and for the dead too: whoever is accused hears of it first.
    func buddyParts(about target: NodeID) -> [ByteBuffer] {
        guard rules.buddy, let member = members[target] else { return [] }
        return member.accusations.prefix(2).map { Part.accusation($0).encoded() }
    }

    mutating func probeTimedOut(_ id: UInt64) {
        guard var probe, probe.id == id, !probe.isAnswered else { return }
        probe.timedOut = true
        note(
            .probeUnanswered(
                probe.target, timeoutMilliseconds: probe.timeoutMilliseconds, health: health))
        if rules.indirectProbes {
            let target = probe.target
            let helpers = probeRound.sample(profile.indirectProbes, using: &generator) {
                $0 != target && members[$0].map { $0.keyedBoot == $0.life.boot } == true
            }
            for helper in helpers {
                let bytes = pack(.pingRequest(id, target: target), lead: [])
                sendDatagram(bytes, to: helper)
            }
            probe.helpers = helpers
            if !helpers.isEmpty { note(.helpersAsked(target, helpers)) }
        }
        if rules.linkFallback {
            note(.linkProbed(probe.target))
            let bytes = pack(.ping(id), lead: buddyParts(about: probe.target))
            sendMessage(LinkMessage.wrap(bytes), to: probe.target)
        }
        self.probe = probe
    }

    /// After a pause (SIGSTOP, a hypervisor, a full disk) the answers to this member's probe and
    /// the refutations of whom it suspects wait behind the timer that fired. Beyond Lifeguard,
    /// which can only infer a pause from missed answers; here the timer itself tells.
    private mutating func forgiveLateness() {
        counters.latePeriods += 1
        changeHealth(by: 1)
        if probe?.isAnswered == false { probe = nil }
        overtime = nil
    }

    /// At the end of the period: alive by whatever way it answered, given more time, or suspected.
    private mutating func concludeProbe() {
        guard let probe else { return }
        self.probe = nil
        guard members[probe.target]?.status.isPresent == true else { return }
        if probe.isAnswered {
            if probe.isDatagram { noteDatagrams(of: probe) }
            noteLoss(probe)
            changeHealth(by: -1)
        } else if mayAnswerLater(probe) {
            extend(probe)
        } else {
            concludeFailure(of: probe)
        }
    }

    private mutating func noteLoss(_ probe: Probe) {
        guard probe.isDatagram else { return }
        helpedProbes = helpedProbes << 1 | (probe.answeredDirectly ? 0 : 1)
    }

    /// On a network that loses datagrams the probe over TCP is the one that counts, and TCP repeats
    /// a lost segment only after 200 ms: later than a short period ends. Without this a mesh of
    /// 1,000 at 25 % loss suspects 150 of its healthy members a second. Nothing waits longer where
    /// the last probes were answered directly, nor for a link that is gone: a crash is found as
    /// soon as before.
    private func mayAnswerLater(_ probe: Probe) -> Bool {
        rules.lossPatience && rules.linkFallback && probe.timedOut && !probe.linkFailed
            && helpedProbes.nonzeroBitCount >= GossipLimits.helpedProbesOnALossyNetwork
            && members[probe.target]?.status == .alive
    }

    private mutating func extend(_ probe: Probe) {
        overtime = probe
        counters.probesExtended += 1
        if probe.isDatagram {
            sendDatagram(pack(.ping(probe.id), lead: []), to: probe.target)
        }
    }

    /// A probe that was given another period, at the end of that.
    private mutating func concludeOvertime() {
        guard let probe = overtime else { return }
        overtime = nil
        guard members[probe.target]?.status.isPresent == true else { return }
        if probe.isAnswered {
            if probe.isDatagram { noteDatagrams(of: probe) }
            noteLoss(probe)
        } else {
            concludeFailure(of: probe)
        }
    }

    private mutating func concludeFailure(of probe: Probe) {
        let silent = probe.helpers.count - probe.refusals.count
        note(.probeFailed(probe.target, refused: probe.refusals.count, silent: silent))
        // As in memberlist: where every helper said "no" in time, this member is well.
        if !rules.nacks || probe.helpers.isEmpty {
            changeHealth(by: 1)
        } else if silent > 0 {
            changeHealth(by: silent)
        }
        suspectOnOwnEvidence(probe.target)
    }

    /// TCP hides broken UDP: the member stays alive, and everybody can see why it is slow.
    private mutating func noteDatagrams(of probe: Probe) {
        guard var silent = members[probe.target]?.silentDatagrams else { return }
        if probe.answeredDirectly {
            silent = 0
        } else if probe.answeredOverLink {
            silent += 1
        } else {
            return
        }
        members[probe.target]?.silentDatagrams = silent
        let isBlocked = silent >= GossipLimits.silentDatagramsUntilBlocked
        guard isBlocked != members[probe.target]?.isDatagramBlocked else { return }
        members[probe.target]?.isDatagramBlocked = isBlocked
        note(.datagramsBlocked(probe.target, isBlocked))
        announce(probe.target)
    }

    mutating func changeHealth(by delta: Int) {
        let next = min(8, max(0, health + delta))
        guard next != health else { return }
        health = next
        note(.healthChanged(next))
    }

    // MARK: Answers

    mutating func acknowledged(_ id: UInt64, from: NodeID, overLink: Bool) {
        if heardFarewell(id, from: from) { return }
        if let relay = relays[id], relay.target == from {
            relays.removeValue(forKey: id)
            sendDatagram(pack(.ack(relay.originID), lead: []), to: relay.origin)
            return
        }
        if let current = probe, current.id == id {
            probe = answered(current, by: from, overLink: overLink)
        } else if let current = overtime, current.id == id {
            overtime = answered(current, by: from, overLink: overLink)
        } else {
            counters.lateAnswers += 1
        }
    }

    private mutating func answered(_ probe: Probe, by from: NodeID, overLink: Bool) -> Probe {
        var probe = probe
        if from != probe.target {
            guard probe.helpers.contains(from) else { return probe }
            probe.answeredByHelper = true
            note(.helperAnswered(helper: from, target: probe.target, .reached))
        } else if overLink {
            probe.answeredOverLink = true
            note(.linkAnswered(from))
        } else {
            // A ping that was repeated says nothing of the time it took.
            if probe.id != overtime?.id {
                let microseconds = (now.nanoseconds - probe.sentAt.nanoseconds) / 1_000
                members[from]?.roundTrips.add(microseconds)
            }
            probe.answeredDirectly = true
        }
        return probe
    }

    mutating func refused(_ id: UInt64, from: NodeID) {
        guard var probe, probe.id == id, probe.helpers.contains(from),
            !probe.refusals.contains(from)
        else { return }
        probe.refusals.append(from)
        self.probe = probe
        note(.helperAnswered(helper: from, target: probe.target, .unreached))
    }

    // MARK: Probing for others

    mutating func probe(_ target: NodeID, for origin: NodeID, id: UInt64) {
        guard let member = members[target], target != node else { return }
        if relays.count >= GossipLimits.relays { relays.removeFirst() }
        let own = generator.next()
        relays[own] = Relay(origin: origin, originID: id, target: target)
        counters.relayedProbes += 1
        if member.keyedBoot == member.life.boot {
            sendDatagram(pack(.ping(own), lead: buddyParts(about: target)), to: target)
        } else {
            connect(target)
        }
        let timeout = profile.probeTimeoutMilliseconds
        if rules.nacks {
            // Before the asker's period ends: 0.8 of the timeout, as swift-cluster-membership.
            timers.set(.relayNack(own), at: now.advanced(byMilliseconds: timeout * 4 / 5))
        }
        timers.set(
            .relayEnd(own),
            at: now.advanced(byMilliseconds: profile.probeIntervalMilliseconds * 9))
    }

    mutating func refuse(relay id: UInt64) {
        guard let relay = relays[id] else { return }
        sendDatagram(pack(.nack(relay.originID), lead: []), to: relay.origin)
    }
}
