import Model
import NIOCore
import OrderedCollections

/// What answers mean for the registers of a round.
extension Proposer {
    mutating func receive(
        _ reply: PaxosReply, from: NodeID, requestID: UInt64, now: Instant,
        into effects: inout [Effect]
    ) {
        guard let request = requests[requestID], request.voter.node == from,
            let roster, let voter = roster.voter(request.voter)
        else { return }
        requests[requestID] = nil
        if case .adopted = reply.body { return }
        if case .refused(.staleRoster(let newer)) = reply.body, newer.cluster == roster.cluster,
            newer.generation > roster.generation
        {
            adopt(newer)
            effects.append(.rosterLearned(newer))
            return
        }
        guard var round = rounds.removeValue(forKey: request.round) else { return }
        if case .refused(.rosterNeeded) = reply.body, !round.taught.contains(voter.id) {
            round.taught.append(voter.id)
            teach(voter, roster, &round, request.round, into: &effects)
        } else if rules.storeChecked, reply.store != voter.store {
            round.refuse(voter.id)
        } else {
            count(reply.body, from: voter.id, in: &round)
        }
        settle(round, request.round, now: now, into: &effects)
    }

    /// Tells an acceptor the roster that it lacks, and asks it again.
    private mutating func teach(
        _ voter: Voter, _ roster: Roster, _ round: inout Round, _ id: UInt64,
        into effects: inout [Effect]
    ) {
        guard let body = round.body() else { return round.refuse(voter.id) }
        for body in [.adopt(roster), body] as [PaxosRequest.Body] {
            let request = PaxosRequest(
                generation: roster.generation, store: voter.store, body: body)
            let requestID = requestID(round: id, voter: voter.id)
            round.requestIDs.append(requestID)
            effects.append(.send(to: voter.node, requestID: requestID, request))
        }
    }

    /// An answer to another ballot is an answer to somebody else, and says nothing here.
    private mutating func count(
        _ body: PaxosReply.Body, from voter: VoterID, in round: inout Round
    ) {
        let members = round.members.indices
        switch (round.phase, body) {
        case (.prepare, .prepared(let ballot, let floor, let answers))
        where ballot == round.ballot:
            for index in members {
                round.members[index]?.raise(floor)
                count(answers.indices.contains(index) ? answers[index] : nil, voter, index, &round)
            }
        case (.accept, .accepted(let ballot, let answers)) where ballot == round.ballot:
            for index in members {
                count(answers.indices.contains(index) ? answers[index] : nil, voter, index, &round)
            }
        case (.read, .values(let states)):
            for index in members {
                guard states.indices.contains(index) else {
                    round.members[index]?.against.append(voter)
                    continue
                }
                let state = states[index]
                observe(state.maxSeen)
                round.members[index]?.promise(state.maxSeen)
                round.members[index]?
                    .show(state.acceptedBallot, state.value, by: voter, rules: rules)
            }
        case (_, .refused(.full)):
            round.refuseFull(voter)
        default:
            round.refuse(voter)
        }
    }

    private mutating func count(
        _ answer: PrepareAnswer?, _ voter: VoterID, _ index: Int, _ round: inout Round
    ) {
        switch answer {
        case .promised(let ballot, let value):
            round.members[index]?.show(ballot, value, by: voter, rules: rules)
        case .overtaken(let ballot, let value):
            round.members[index]?
                .show(ballot, value, by: voter, agrees: false, rules: rules)
        case .conflict(let conflict): lose(to: conflict, voter, index, &round)
        case nil: round.members[index]?.against.append(voter)
        }
    }

    private mutating func count(
        _ answer: AcceptAnswer?, _ voter: VoterID, _ index: Int, _ round: inout Round
    ) {
        switch answer {
        case .accepted: round.members[index]?.inFavour.append(voter)
        case .held(let milliseconds):
            round.members[index]?.against.append(voter)
            round.members[index]?.holds.append((voter, milliseconds))
        case .conflict(let conflict): lose(to: conflict, voter, index, &round)
        case nil: round.members[index]?.against.append(voter)
        }
    }

    /// The next ballot will be above the one in the way. One's own ballot in the way is a message
    /// that came twice.
    private mutating func lose(
        to conflict: Conflict, _ voter: VoterID, _ index: Int, _ round: inout Round
    ) {
        observe(conflict.maxSeen)
        observe(conflict.floor)
        guard let key = round.members[index]?.errand.key else { return }
        round.members[index]?.against.append(voter)
        guard conflict.maxSeen != round.ballot, round.members[index]?.isDuelled == false else {
            return
        }
        round.members[index]?.isDuelled = true
        statistics.duels += 1
        let count = duels[key]?.count ?? 0
        guard count > 0 || duels.count < Limits.duelsRememberedMaximum else { return }
        duels[key] = DuelCount(key: key, count: count + 1, lastRival: conflict.rival)
    }

    /// Takes the registers that are decided out of the round, and keeps the rest.
    mutating func settle(
        _ round: Round, _ id: UInt64, now: Instant, into effects: inout [Effect]
    ) {
        var round = round
        var accepts: [Member] = []
        var isOpen = false
        for index in round.members.indices {
            guard let member = round.members[index] else { continue }
            if isDecided(member, round.phase) {
                round.members[index] = nil
                decide(member, round, &accepts, now: now, into: &effects)
            } else if isLost(member) {
                round.members[index] = nil
                if lacksRoom(member) {
                    finish(member.errand, withoutRoom(member, round), into: &effects)
                } else {
                    retry(member, now: now, into: &effects)
                }
            } else {
                isOpen = true
            }
        }
        if isOpen {
            rounds[id] = round
        } else {
            for requestID in round.requestIDs { requests[requestID] = nil }
        }
        begin(.accept, round.ballot, accepts, now: now, into: &effects)
    }

    private func isDecided(_ member: Member, _ phase: Round.Phase) -> Bool {
        if phase == .accept, !rules.chosenNeedsQuorum { return !member.inFavour.isEmpty }
        if phase == .accept, !rules.jointInBothPhases, let voters = roster?.voters {
            return Roster.isMajority(member.inFavour, of: voters)
        }
        return isQuorum(member.inFavour)
    }

    func isQuorum(_ voters: [VoterID]) -> Bool {
        roster?.isQuorum(voters, rules: rules) ?? false
    }

    /// Whether those that have not answered cannot make a quorum any more.
    private func isLost(_ member: Member) -> Bool {
        guard let roster else { return true }
        guard !member.against.isEmpty else { return false }
        let left = roster.everyone.map(\.id).filter { !member.against.contains($0) }
        return !isQuorum(left)
    }

    /// Whether those that have room cannot make a quorum: another try would end like this one.
    private func lacksRoom(_ member: Member) -> Bool {
        guard let roster, !member.full.isEmpty else { return false }
        let left = roster.everyone.map(\.id).filter { !member.full.contains($0) }
        return !isQuorum(left)
    }

    /// Nothing was chosen where every voter said that it wrote nothing, and no earlier round of
    /// the change may have left something.
    private func withoutRoom(_ member: Member, _ round: Round) -> Outcome {
        let first = member.errand.firstAccept
        guard let first else { return .notChosen(.full) }
        let isFirst = round.phase == .accept && first == round.ballot
        let allSaidSo = roster?.everyone.allSatisfy { member.full.contains($0.id) } ?? false
        return isFirst && allSaidSo ? .notChosen(.full) : .unknown(since: first)
    }

    private mutating func decide(
        _ member: Member, _ round: Round, _ accepts: inout [Member], now: Instant,
        into effects: inout [Effect]
    ) {
        switch round.phase {
        case .read:
            let agrees = isQuorum(member.agreeing)
            guard agrees && member.promised <= member.highest || !rules.readsAgree else {
                var unsettled = member
                unsettled.errand.disagreements += 1
                return retry(unsettled, now: now, into: &effects)
            }
            statistics.readsAtOnce += 1
            look(member, into: &effects)
        case .prepare:
            propose(member, round, &accepts, into: &effects)
        case .accept:
            report(member, round.ballot, member.proposal, into: &effects)
        }
    }

    /// A read is answered. A change that let others go first ends where they left it nothing to do,
    /// and competes for the register otherwise.
    private mutating func look(_ member: Member, into effects: inout [Effect]) {
        var next = member
        if let change = member.errand.change, let envelope = envelope(member.value),
            !envelope.operations.contains(change.operation)
        {
            guard case .abandon(let reason) = change.function(envelope.value, member.highest)
            else {
                next.errand.attempts += 1
                return ready.append(next.errand)
            }
            next.settlement = .abandoned(reason)
        }
        report(next, member.highest, member.value, into: &effects)
    }

    /// A quorum has promised: the change is made on the value that may be chosen already.
    private mutating func propose(
        _ prepared: Member, _ round: Round, _ accepts: inout [Member],
        into effects: inout [Effect]
    ) {
        var next = Member(errand: prepared.errand)
        let isChosen = isQuorum(prepared.agreeing)
        guard let envelope = envelope(prepared.value) else {
            return finish(prepared.errand, .notChosen(.damaged), into: &effects)
        }
        // What an earlier try of this change left may be chosen yet, unless a higher ballot is.
        var mayEnd =
            isChosen && (prepared.errand.firstAccept == nil || !rules.ambiguitySettled)
        next.proposal = prepared.value ?? envelope.encoded()
        if let change = prepared.errand.change {
            if rules.operationsRemembered, envelope.operations.contains(change.operation) {
                mayEnd = isChosen
                next.errand.firstAccept = prepared.errand.firstAccept ?? .zero
            } else if rules.historyChecked, prepared.mayHaveForgotten(envelope) {
                return finish(prepared.errand, expired(prepared.errand), into: &effects)
            } else {
                switch change.function(envelope.value, prepared.highest) {
                case .write(let value)
                where value?.readableBytes ?? 0 <= ChosenValue.valueBytesMaximum:
                    mayEnd = false
                    next.errand.firstAccept = prepared.errand.firstAccept ?? round.ballot
                    next.proposal =
                        envelope.following(value: value, operation: change.operation).encoded()
                case .write: next.settlement = .tooLarge
                case .abandon(let reason): next.settlement = .abandoned(reason)
                }
            }
        } else {
            statistics.readsByRound += 1
        }
        if mayEnd {
            report(next, prepared.highest, prepared.value, into: &effects)
        } else {
            accepts.append(next)
        }
    }

    private func envelope(_ bytes: ByteBuffer?) -> Envelope? {
        guard let bytes else { return Envelope(value: nil) }
        return try? Envelope(decoding: bytes)
    }

    /// `bytes` are chosen at `ballot`: says what that means for the errand.
    private mutating func report(
        _ member: Member, _ ballot: Ballot, _ bytes: ByteBuffer?, into effects: inout [Effect]
    ) {
        guard let envelope = envelope(bytes) else {
            return finish(member.errand, .notChosen(.damaged), into: &effects)
        }
        let chosen = ChosenValue(
            key: member.errand.key, ballot: ballot, value: envelope.value)
        switch member.settlement {
        case .chosen: finish(member.errand, .chosen(chosen), into: &effects)
        case .abandoned(let reason):
            let outcome = Outcome.notChosen(.abandoned(reason, current: chosen))
            finish(member.errand, outcome, into: &effects)
        case .tooLarge: finish(member.errand, .notChosen(.tooLarge), into: &effects)
        }
    }
}
