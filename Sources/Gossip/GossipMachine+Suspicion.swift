internal import Model
internal import NIOCore
internal import OrderedCollections

/// Where a statement about a member came from.
enum Source {
    case rumour(NodeID)
    /// An exchange of states: older news, told by somebody who may have been away.
    case exchange(NodeID)
    case own

    var peer: NodeID? {
        switch self {
        case .rumour(let peer), .exchange(let peer): peer
        case .own: nil
        }
    }
}

/// Accusing, confirming, refuting, declaring dead (SWIM 4.2, Lifeguard IV.B).
extension GossipMachine {
    mutating func suspectOnOwnEvidence(_ subject: NodeID) {
        guard let member = members[subject], member.status.isPresent else { return }
        if member.status == .alive, rules.capsSuspicions, !takeSuspicionToken() {
            counters.suspicionsWithheld += 1
            note(.suspicionWithheld(subject))
            return
        }
        let accusation = Accusation(
            kind: .suspect, subject: subject, life: member.life, accuser: node, signer: signer)
        accuse(accusation, from: .own)
    }

    private mutating func takeSuspicionToken() -> Bool {
        let seconds = Double(now.milliseconds(since: suspicionTokensAt)) / 1_000
        suspicionTokens = min(
            Double(GossipLimits.suspicionBurst),
            suspicionTokens + seconds * Double(GossipLimits.suspicionsPerSecond))
        suspicionTokensAt = now
        guard suspicionTokens >= 1 else { return false }
        suspicionTokens -= 1
        return true
    }

    /// Hears an accusation, whoever makes it: stale and forged ones have no effect.
    mutating func accuse(_ accusation: Accusation, from source: Source) {
        let subject = accusation.subject
        if subject == node {
            hearAccusationOfSelf(accusation, from: source)
            return
        }
        // Most of what is heard is known already: no member is copied for it.
        guard let life = members[subject]?.life, accusation.life.boot == life.boot,
            accusation.life >= life, let status = members[subject]?.status
        else { return }
        if accusation.accuser == subject, rules.ignoresSelfAccusation {
            counters.selfAccusations += 1
            return
        }
        guard isNews(accusation, life, status) else { return }
        guard isAuthentic(accusation, from: source) else { return }
        if accusation.life > life { advance(subject, to: accusation.life) }
        switch accusation.kind {
        case .suspect: suspect(accusation)
        case .dead:
            if case .exchange = source, rules.remoteDeadIsSuspect {
                // In this member's name, as memberlist does: "dead" must not travel on as a rumour.
                suspect(
                    Accusation(
                        kind: .suspect, subject: subject, life: accusation.life, accuser: node,
                        signer: signer))
            } else if case .rumour = source, status.isPresent, contradicts(accusation) {
                doubt(accusation)
            } else {
                die(subject, accusation)
            }
        case .forcedOut:
            if status == .dead {
                forcedOut(subject, accusation)
            } else {
                suspect(accusation)
            }
        }
    }

    /// Whether it could change anything: checked before its signature is.
    private func isNews(
        _ accusation: Accusation, _ life: MemberLife, _ status: MemberStatus
    ) -> Bool {
        switch status {
        case .unheard, .alive: true
        case .suspect:
            accusation.life > life || accusation.kind != .suspect || !rules.countsAccusersOnce
                || members[accusation.subject]?.isAccused(by: accusation.accuser) != true
        case .dead: accusation.life > life || accusation.kind == .forcedOut
        case .left: false
        }
    }

    private mutating func isAuthentic(_ accusation: Accusation, from source: Source) -> Bool {
        guard let peer = source.peer else { return true }
        guard takeAccusationToken(accusation.accuser) else {
            counters.accusationsOverLimit += 1
            return false
        }
        guard rules.checksSignatures else { return true }
        let key =
            accusation.accuser == node
            ? ownAdmission?.key : members[accusation.accuser]?.admission.key
        guard let key else { return false }
        if accusation.isSigned(by: key, signer) { return true }
        counters.forged += 1
        note(.forged(from: peer, about: accusation.subject))
        return false
    }

    private mutating func takeAccusationToken(_ accuser: NodeID) -> Bool {
        guard rules.capsSuspicions, let at = members[accuser]?.accusationTokensAt,
            let left = members[accuser]?.accusationTokens
        else { return true }
        let seconds = Double(now.milliseconds(since: at)) / 1_000
        let tokens = min(
            Double(GossipLimits.accusationBurst),
            left + seconds * Double(GossipLimits.accusationsPerSecond))
        members[accuser]?.accusationTokensAt = now
        members[accuser]?.accusationTokens = max(0, tokens - 1)
        return tokens >= 1
    }

    private mutating func suspect(_ accusation: Accusation) {
        let subject = accusation.subject
        guard let member = members[subject] else { return }
        switch member.status {
        case .alive: beginSuspicion(accusation)
        case .suspect: confirm(accusation, member)
        case .unheard, .dead, .left: return
        }
    }

    /// Whether what this member knows itself speaks against another's verdict: it has heard of no
    /// suspicion, or of one that is too young for the suspect to have answered, or it has heard
    /// from the suspect since. Whoever was cut off, and did not notice early enough, would else
    /// have the whole mesh take its healthy members for dead; when it comes back, one datagram has
    /// both its suspicion and its verdict.
    private func contradicts(_ verdict: Accusation) -> Bool {
        guard rules.doubtsDeaths, let member = members[verdict.subject] else { return false }
        guard let suspicion = member.suspicion,
            now.milliseconds(since: suspicion.start) >= Int64(suspicion.minimum / 2)
        else { return true }
        return member.lastHeard.map { $0 > suspicion.start } ?? false
    }

    /// The one that is said to be dead is asked, is told of what it is accused, and has the
    /// shortest suspicion to answer. The verdict is not passed on: at the end this member says its
    /// own.
    private mutating func doubt(_ verdict: Accusation) {
        guard members[verdict.subject]?.status == .alive else { return }
        counters.deathsDoubted += 1
        beginSuspicion(verdict)
        ask(verdict.subject)
    }

    private mutating func beginSuspicion(_ accusation: Accusation) {
        let subject = accusation.subject
        let isVerdict = accusation.kind == .dead
        let count = presentCount + 1
        let minimum = profile.suspicionMinimum(members: count)
        let wanted =
            rules.dynamicSuspicion && !isVerdict ? profile.confirmations(members: count) : 0
        var suspicion = Suspicion(
            life: accusation.life, start: now, accusations: [accusation], wanted: wanted,
            minimum: minimum, maximum: minimum * profile.suspicionMaximumMultiplier, deadline: now)
        suspicion.deadline = suspicion.deadline(confirmations: 0)
        members[subject]?.suspicion = suspicion
        timers.set(.suspicion(subject), at: suspicion.deadline)
        counters.suspicions += 1
        if !isVerdict { pass(on: accusation) }
        note(
            .suspected(
                subject, accusation.life, by: accusation.accuser, deadline: suspicion.deadline))
        setStatus(subject, .suspect)
        weighIsolation()
    }

    /// Each accuser counts once; the first `wanted` confirmations shorten and are passed on.
    private mutating func confirm(_ accusation: Accusation, _ member: Member) {
        guard var suspicion = member.suspicion, suspicion.confirmed < suspicion.wanted,
            !rules.countsAccusersOnce
                || !suspicion.accusations.contains(where: { $0.accuser == accusation.accuser })
        else { return }
        suspicion.confirmed += 1
        suspicion.accusations.append(accusation)
        suspicion.deadline = suspicion.deadline(confirmations: suspicion.confirmed)
        members[accusation.subject]?.suspicion = suspicion
        timers.set(.suspicion(accusation.subject), at: max(now, suspicion.deadline))
        pass(on: accusation, isConfirmation: true)
        note(
            .confirmed(
                accusation.subject, by: accusation.accuser, count: suspicion.confirmed,
                of: suspicion.wanted, deadline: suspicion.deadline))
        announce(accusation.subject)
    }

    mutating func suspicionEnded(_ subject: NodeID) {
        guard let suspicion = members[subject]?.suspicion, suspicion.deadline <= now,
            let life = members[subject]?.life
        else { return }
        weighIsolation()
        // This member may have found out just now that it is not cut off any more.
        guard members[subject]?.suspicion?.deadline == suspicion.deadline else { return }
        let late = now.milliseconds(since: suspicion.deadline)
        let wasPaused = rules.distrustsLateTimers && late > profile.probeTimeoutMilliseconds
        if isIsolated || wasPaused {
            let wait = now.advanced(byMilliseconds: Int64(suspicion.minimum))
            members[subject]?.suspicion?.deadline = wait
            timers.set(.suspicion(subject), at: wait)
            return
        }
        let verdict = Accusation(
            kind: .dead, subject: subject, life: life, accuser: node, signer: signer)
        die(subject, verdict)
    }

    private mutating func die(_ subject: NodeID, _ verdict: Accusation) {
        guard let member = members[subject], member.status != .dead, member.status != .left else {
            return
        }
        let accusers = member.accusations.map(\.accuser)
        stopAccusing(subject)
        members[subject]?.evidence =
            [verdict] + member.accusations.prefix(GossipLimits.evidencePerMember - 1)
        counters.deaths += 1
        pass(on: verdict)
        note(.declaredDead(subject, member.life, by: verdict.accuser, accusers: accusers))
        setStatus(subject, .dead)
        scheduleDeadContact()
    }

    mutating func forceOut(_ subject: NodeID) {
        guard let member = members[subject], member.status == .dead || member.status == .suspect
        else { return }
        let verdict = Accusation(
            kind: .forcedOut, subject: subject, life: member.life, accuser: node, signer: signer)
        forcedOut(subject, verdict)
    }

    private mutating func forcedOut(_ subject: NodeID, _ verdict: Accusation) {
        stopAccusing(subject)
        members[subject]?.evidence = [verdict]
        pass(on: verdict)
        note(.departed(subject, forcedBy: verdict.accuser))
        setStatus(subject, .left)
    }

    /// A confirmation is passed on a quarter as often as news, and after it: whoever misses one
    /// only waits longer. With all transmissions, confirmations cost two gossip packets of five
    /// while members are slow; with a quarter they reach 19 members of 20.
    private mutating func pass(on accusation: Accusation, isConfirmation: Bool = false) {
        let key = RumourKey.accusation(subject: accusation.subject, accuser: accusation.accuser)
        let limit = transmissionLimit
        let left = isConfirmation && rules.sparesConfirmations ? max(1, limit / 4) : limit
        memberRumours.insert(key, Part.accusation(accusation).encoded(), spent: limit - left)
        rumourAdded()
    }

    /// Ends a suspicion, and what is said about it.
    mutating func stopAccusing(_ subject: NodeID) {
        guard let member = members[subject] else { return }
        for accusation in member.accusations {
            memberRumours.remove(.accusation(subject: subject, accuser: accusation.accuser))
        }
        members[subject]?.suspicion = nil
        members[subject]?.evidence = []
    }

    // MARK: About this member

    private mutating func hearAccusationOfSelf(_ accusation: Accusation, from source: Source) {
        let life = accusation.life
        guard life.boot == record.life.boot || !rules.ordersBoots, leftAt == nil else { return }
        guard accusation.accuser != node, rules.refutation else { return }
        if life < record.life {
            // Refuted already: whoever asks has not heard of it, and is told with the answer.
            return
        }
        guard isAuthentic(accusation, from: source) else { return }
        refute(past: life.incarnation, by: accusation.accuser)
        changeHealth(by: 1)
    }

    /// Jumps past the accusation rather than one further, so that one answer is enough.
    mutating func refute(past incarnation: Incarnation, by accuser: NodeID?) {
        let highest = max(incarnation, record.life.incarnation).rawValue
        renewRecord(incarnation: Incarnation(highest &+ 1), isLeaving: leftAt != nil)
        counters.refutations += 1
        note(.refutedOwn(record.life, by: accuser))
    }

    // MARK: Isolation

    /// consul#5567: a member that sees a third of the mesh gone and hears no majority of voters is
    /// the sick one. Off until the shell has reported voters once.
    mutating func weighIsolation() {
        guard rules.selfIsolation, let lastMajority else { return }
        let gone = suspectCount + deadCount
        let total = presentCount + deadCount
        let silence = now.milliseconds(since: lastMajority)
        let isSick = 3 * gone > total && silence > GossipLimits.leaseMilliseconds
        if !isSick, 3 * gone > total {
            let at = lastMajority.advanced(byMilliseconds: GossipLimits.leaseMilliseconds + 1)
            timers.set(.isolation, at: max(now.advanced(byMilliseconds: 1), at))
        }
        guard isSick != isIsolated else { return }
        isIsolated = isSick
        if isSick { changeHealth(by: 2) } else { restartSuspicions() }
        note(.isolated(isSick))
        out.append(.selfIsolated(isSick))
    }

    /// Somebody is heard again. What this member suspected meanwhile says nothing of the others:
    /// each suspect is asked, told of what it is accused, and has all of a fresh suspicion,
    /// because its answers and its links come back one after the other. Nobody else is told of what
    /// was not told yet.
    private mutating func restartSuspicions() {
        guard rules.restartsSuspicions else { return }
        let suspects = members.values.filter { $0.status == .suspect }.map(\.node)
        for (place, subject) in suspects.enumerated() {
            guard let old = members[subject]?.suspicion else { continue }
            memberRumours.remove(.accusation(subject: subject, accuser: node))
            var next = Suspicion(
                life: old.life, start: now, accusations: Array(old.accusations.prefix(1)),
                wanted: old.wanted, minimum: old.minimum, maximum: old.maximum, deadline: now)
            next.deadline = next.deadline(confirmations: 0)
            members[subject]?.suspicion = next
            timers.set(.suspicion(subject), at: next.deadline)
            announce(subject)
            if place < GossipLimits.suspectsAskedAtOnce { ask(subject) }
        }
    }

    /// A ping beside those of the rounds, with the accusation in it, by both ways: nothing is
    /// concluded from its silence. No link is opened where one may be well: it would take the place
    /// of that one, and all that is copied over it begin anew.
    private mutating func ask(_ subject: NodeID) {
        guard let member = members[subject] else { return }
        guard member.keyedBoot == member.life.boot else { return connect(subject) }
        let id = generator.next()
        sendDatagram(pack(.ping(id), lead: buddyParts(about: subject)), to: subject)
        if rules.linkFallback {
            let bytes = pack(.ping(id), lead: buddyParts(about: subject))
            sendMessage(LinkMessage.wrap(bytes), to: subject)
        }
    }
}
