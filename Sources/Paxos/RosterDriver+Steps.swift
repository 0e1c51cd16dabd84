import Model
import NIOCore

/// From one step of a roster change to the next.
extension RosterDriver {
    mutating func read(now: Instant, into effects: inout [Effect]) {
        token &+= 1  // wraps: only equality counts
        asked = []
        step = .none
        roster = nil
        resendAt = nil
        enter(.reading, into: &effects)
        effects.append(.read(token: token, key: Roster.key))
    }

    /// The proposer answered: what the register holds decides what is to be done.
    mutating func decided(_ outcome: Outcome, now: Instant, into effects: inout [Effect]) {
        switch outcome {
        case .chosen(let value), .notChosen(.abandoned(_, let value)):
            guard let bytes = value.value, let current = try? Roster(decoding: bytes) else {
                return finish(.damaged, into: &effects)
            }
            pursue(current, now: now, into: &effects)
        case .notChosen(.damaged):
            finish(.damaged, into: &effects)
        // Read anew: a change by comparison may be asked for twice, and a register that many
        // changes went through could never tell what became of the first.
        case .notChosen, .unknown, .held:
            step = .none
            waitForAnswers(now)
        }
    }

    private mutating func pursue(
        _ current: Roster, now: Instant, into effects: inout [Effect]
    ) {
        guard let goal else { return }
        roster = current
        switch (goal, current.next) {
        case (.change(let target, _), let next?):
            let isWanted = Roster.areSame(next, target.sorted { $0.node < $1.node })
            guard isWanted else { return finish(.superseded(current), into: &effects) }
            seal(current, now: now, into: &effects)
        case (.change(let target, let from), nil):
            if Roster.areSame(current.voters, target.sorted { $0.node < $1.node }) {
                deliver(current, now: now, into: &effects)
            } else if current.generation == from {
                probe(current, now: now, into: &effects)
            } else {
                finish(.superseded(current), into: &effects)
            }
        case (.rollBack, let next?) where !Roster.areSame(next, current.voters):
            propose(current.joint(to: current.voters), after: current, .joining, into: &effects)
        case (.finish, .some), (.rollBack, .some):
            seal(current, now: now, into: &effects)
        case (.finish, nil), (.rollBack, nil):
            deliver(current, now: now, into: &effects)
        }
    }

    /// Asks the voters to be for a sign of life, which only their very stores can give.
    private mutating func probe(
        _ current: Roster, now: Instant, into effects: inout [Effect]
    ) {
        guard case .change(let target, _)? = goal else { return }
        probeEnds = now.advanced(byMilliseconds: configuration.probeMilliseconds)
        begin(.probe, target, now: now, into: &effects)
    }

    /// By comparison with the roster that was read: whoever came first is not undone.
    private mutating func propose(
        _ next: Roster, after current: Roster, _ phase: RosterProgress.Phase,
        into effects: inout [Effect]
    ) {
        token &+= 1  // wraps: only equality counts
        nextOperation &+= 1  // wraps: it starts anywhere
        asked = []
        step = .none
        resendAt = nil
        let operation = OperationID(node: node, boot: boot, sequence: nextOperation)
        let change = RegisterChange(key: Roster.key, operation: operation) { bytes, _ in
            guard let bytes, (try? Roster(decoding: bytes)) == current else {
                return .abandon(AbandonReason(0))
            }
            return .write(next.encoded())
        }
        enter(phase, into: &effects)
        effects.append(.propose(token: token, change))
    }

    /// A chosen roster goes to everybody whom it names; its majority of the old voters is waited
    /// for, the others need it to take part in anything.
    private mutating func seal(_ joint: Roster, now: Instant, into effects: inout [Effect]) {
        self.joint = joint
        effects.append(.chosen(joint))
        repair = RosterRepair()
        repair.floor = joint.floor
        progress.repaired = 0
        progress.total = 0
        guard rules.oldVotersSealed else { return scan(now: now, into: &effects) }
        begin(.seal, joint.everyone, now: now, into: &effects)
    }

    private mutating func scan(now: Instant, into effects: inout [Effect]) {
        guard let roster else { return }
        guard rules.registersRepaired else { return settle(into: &effects) }
        repair.pages = []
        begin(.scan, roster.voters, now: now, into: &effects)
    }

    /// Also a page of nothing: the floor goes with it.
    private mutating func install(
        _ next: [Voter], now: Instant, into effects: inout [Effect]
    ) {
        progress.total = progress.repaired + repair.registersLeft
        repair.merge()
        newcomersEnd = now.advanced(byMilliseconds: configuration.newcomerMilliseconds)
        begin(.install, next, now: now, into: &effects)
    }

    private mutating func settle(into effects: inout [Effect]) {
        guard let roster else { return }
        let floor = rules.floorInherited ? repair.floor : .zero
        propose(roster.settled(floor: floor), after: roster, .settling, into: &effects)
    }

    /// Whoever is left out hears of it too, and refuses then; nobody waits for that.
    private mutating func deliver(_ final: Roster, now: Instant, into effects: inout [Effect]) {
        effects.append(.chosen(final))
        let leaving = (joint?.everyone ?? []).filter { final.voter($0.id) == nil }
        begin(.deliver, final.voters + leaving, now: now, into: &effects)
    }

    /// Asks these voters for what the step needs.
    private mutating func begin(
        _ step: Step, _ voters: [Voter], now: Instant, into effects: inout [Effect]
    ) {
        token &+= 1  // wraps: only equality counts
        self.step = step
        asked = voters.map { voter in
            nextRequest &+= 1  // wraps: it starts anywhere
            return Asked(voter: voter, requestID: nextRequest)
        }
        enter(Self.phase(of: step), into: &effects)
        for index in asked.indices { ask(index, into: &effects) }
        waitForAnswers(now)
    }

    private static func phase(of step: Step) -> RosterProgress.Phase {
        switch step {
        case .none: .reading
        case .probe: .probing
        case .seal: .sealing
        case .scan, .install: .repairing
        case .deliver: .delivering
        }
    }

    private mutating func ask(_ index: Int, into effects: inout [Effect]) {
        guard let roster, let body = body(roster) else { return }
        let voter = asked[index].voter
        let request = PaxosRequest(
            generation: roster.generation, store: voter.store, body: body)
        effects.append(.send(to: voter.node, requestID: asked[index].requestID, request))
    }

    private func body(_ roster: Roster) -> PaxosRequest.Body? {
        switch step {
        case .none: nil
        case .probe: .read([Roster.key])
        case .seal, .deliver: .adopt(roster)
        case .scan: .scan(after: repair.after, limit: configuration.registersPerPage)
        case .install:
            .install(floor: rules.floorInherited ? repair.floor : .zero, repair.entries)
        }
    }

    mutating func resend(now: Instant, into effects: inout [Effect]) {
        if step == .probe, let probeEnds, probeEnds <= now {
            return finish(.unreachable, into: &effects)
        }
        if step == .install, let newcomersEnd, newcomersEnd <= now {
            // A majority of the new voters may be there, and one of them would never vote.
            goal = .rollBack
            self.newcomersEnd = nil
            return read(now: now, into: &effects)
        }
        if step == .none {
            read(now: now, into: &effects)
        } else {
            for index in asked.indices where !asked[index].hasAnswered {
                asked[index].isTaught = false
                ask(index, into: &effects)
            }
            waitForAnswers(now)
        }
    }
}

/// What acceptors answer.
extension RosterDriver {
    mutating func receive(
        _ reply: PaxosReply, from: NodeID, requestID: UInt64, now: Instant,
        into effects: inout [Effect]
    ) {
        guard let roster, let index = asked.firstIndex(where: { $0.requestID == requestID }),
            asked[index].voter.node == from, !asked[index].hasAnswered,
            reply.store == asked[index].voter.store || !rules.storeChecked
        else { return }
        if case .refused(.staleRoster(let newer)) = reply.body,
            newer.generation > roster.generation
        {
            return read(now: now, into: &effects)
        }
        switch (step, reply.body) {
        case (.probe, .refused(.rosterNeeded)), (.probe, .values), (.install, .installed): break
        case (.seal, .adopted(let generation)), (.deliver, .adopted(let generation)):
            if generation > roster.generation { return read(now: now, into: &effects) }
            guard generation == roster.generation else {
                return teach(index, roster, into: &effects)
            }
        case (.scan, .scanned(let floor, let remaining, let entries)):
            guard let page = RosterRepair.Page(remaining: remaining, entries: entries) else {
                return
            }
            repair.floor = max(repair.floor, floor)
            repair.pages.append(page)
        case (_, .refused(.rosterNeeded)): return teach(index, roster, into: &effects)
        default: return
        }
        asked[index].hasAnswered = true
        advance(roster, now: now, into: &effects)
    }

    /// An acceptor that was away when the roster was told, or the joint one before it: once for
    /// each time that it is asked.
    private mutating func teach(_ index: Int, _ roster: Roster, into effects: inout [Effect]) {
        guard !asked[index].isTaught else { return }
        asked[index].isTaught = true
        let voter = asked[index].voter
        nextRequest &+= 1  // wraps: it starts anywhere
        let request = PaxosRequest(
            generation: roster.generation, store: voter.store,
            body: .adopt(step == .deliver ? joint ?? roster : roster))
        effects.append(.send(to: voter.node, requestID: nextRequest, request))
        ask(index, into: &effects)
    }

    /// Whether a majority of whoever has to has answered, and what comes then.
    private mutating func advance(
        _ roster: Roster, now: Instant, into effects: inout [Effect]
    ) {
        let answered = asked.filter(\.hasAnswered).map(\.voter.id)
        func isMajority(of voters: [Voter]) -> Bool {
            Roster.isMajority(answered, of: voters, rules: rules)
        }
        /// A majority of them, and everybody among them who did not vote before.
        func areIn(_ next: [Voter]) -> Bool {
            isMajority(of: next)
                && next.allSatisfy { !isNew($0) || hasAnswered($0) }
        }
        func isNew(_ voter: Voter) -> Bool { !roster.voters.contains { $0.id == voter.id } }
        func hasAnswered(_ voter: Voter) -> Bool { answered.contains(voter.id) }
        switch step {
        case .none: return
        case .probe:
            guard case .change(let target, _)? = goal, areIn(target) else { return }
            propose(roster.joint(to: target), after: roster, .joining, into: &effects)
        case .seal:
            if isMajority(of: roster.voters) { scan(now: now, into: &effects) }
        case .scan:
            guard let next = roster.next, isMajority(of: roster.voters) else { return }
            install(next, now: now, into: &effects)
        case .install:
            guard let next = roster.next, areIn(next) else { return }
            newcomersEnd = nil
            progress.repaired += repair.entries.count
            guard let upTo = repair.upTo else { return settle(into: &effects) }
            repair.after = upTo
            scan(now: now, into: &effects)
        case .deliver:
            if isMajority(of: roster.voters) { finish(.settled(roster), into: &effects) }
        }
    }
}
