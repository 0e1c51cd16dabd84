import Model
import NIOCore
import OrderedCollections

/// How errands become rounds, and what ends a round without an answer.
extension Proposer {
    /// Starts whatever is ready, as far as the voters are not busy with what was asked before; what
    /// comes together travels together.
    mutating func dispatch(now: Instant, into effects: inout [Effect]) {
        while let first = ready.first {
            if now >= first.deadline {
                ready.removeFirst()
                finish(first, expired(first), into: &effects)
                continue
            }
            guard !reach.isResting else { return park() }
            let room = Limits.roundsMaximum - rounds.count
            guard room > 0 else { return }
            let count = min(ready.count, room * Limits.registersPerMessage)
            var batch = Array(ready.prefix(count))
            ready.removeFirst(count)
            batch.sort { $0.key < $1.key }
            var reads: [Member] = []
            var changes: [Member] = []
            for errand in batch {
                if now >= errand.deadline {
                    finish(errand, expired(errand), into: &effects)
                } else if roster == nil {
                    rest(errand, now: now)
                } else if errand.mayRead {
                    reads.append(Member(errand: errand))
                } else {
                    changes.append(Member(errand: errand))
                }
            }
            begin(.read, .zero, reads, now: now, into: &effects)
            prepare(changes, now: now, into: &effects)
        }
    }

    private mutating func prepare(
        _ members: [Member], now: Instant, into effects: inout [Effect]
    ) {
        guard !members.isEmpty else { return }
        guard counter < Limits.counterMaximum else {
            for member in members {
                finish(member.errand, expired(member.errand), into: &effects)
            }
            return
        }
        counter += 1
        let boot = rules.bootInBallot ? boot : BootEpoch(0)
        let ballot = Ballot(counter: counter, proposer: node, boot: boot)
        statistics.rounds += UInt64(members.count { $0.errand.change != nil })
        begin(.prepare, ballot, members, now: now, into: &effects)
    }

    /// Splits by the bounds of one message: the count, and in an accept the bytes.
    mutating func begin(
        _ phase: Round.Phase, _ ballot: Ballot, _ members: [Member], now: Instant,
        into effects: inout [Effect]
    ) {
        var start = 0
        while start < members.count {
            var end = start
            var bytes = 0
            while end < members.count, end - start < Limits.registersPerMessage {
                bytes += members[end].proposal.readableBytes
                guard end == start || bytes <= Limits.messageValueBytes else { break }
                end += 1
            }
            let deadline = now.advanced(byMilliseconds: configuration.roundTimeoutMilliseconds)
            let part = members[start..<end].map { Optional($0) }
            let round = Round(phase: phase, ballot: ballot, deadline: deadline, members: part)
            send(round, into: &effects)
            start = end
        }
    }

    private mutating func send(_ new: Round, into effects: inout [Effect]) {
        guard let roster, let body = new.body() else { return }
        var round = new
        let id = nextRound
        nextRound += 1
        for voter in roster.everyone {
            let request = PaxosRequest(
                generation: roster.generation, store: voter.store, body: body)
            let requestID = requestID(round: id, voter: voter.id)
            round.requestIDs.append(requestID)
            effects.append(.send(to: voter.node, requestID: requestID, request))
        }
        rounds[id] = round
    }

    mutating func requestID(round: UInt64, voter: VoterID) -> UInt64 {
        let id = nextRequest
        nextRequest &+= 1  // wraps: it starts anywhere
        requests[id] = Request(round: round, voter: voter)
        return id
    }

    /// What an errand without a further try has to report.
    func expired(_ errand: Errand) -> Outcome {
        errand.firstAccept.map { .unknown(since: $0) } ?? .notChosen(.exhausted)
    }

    /// Another try, after a pause unless a first look only showed that the ballot was too low. What
    /// leases are in the way of waits for their end, or is answered.
    mutating func retry(
        _ member: Member, now: Instant, isLate: Bool = false, into effects: inout [Effect]
    ) {
        var errand = member.errand
        if let wait = shortestHold(member, isLate: isLate) {
            statistics.holds += 1
            guard errand.change?.waitsForLease ?? true else {
                let since = rules.heldMayBeAccepted ? errand.firstAccept : nil
                return finish(errand, .held(milliseconds: wait, since: since), into: &effects)
            }
            return rest(errand, now: now, wait + stagger)
        }
        errand.attempts += 1
        if !isInReach {
            park(errand)
            reach.rest(now: now, configuration, using: &generator)
        } else if member.isDuelled, errand.attempts == 1 {
            ready.append(errand)
        } else {
            rest(errand, now: now)
        }
    }

    /// When leases alone were in the way, how long it is until so many of them are over that there
    /// may be a quorum. Voters that have not answered may yet, unless they are away or the round
    /// was too late.
    private func shortestHold(_ member: Member, isLate: Bool) -> Int64? {
        guard !member.holds.isEmpty, let everyone = roster?.everyone.map(\.id) else { return nil }
        var able = everyone.filter { id in
            guard !member.holds.contains(where: { $0.voter == id }), !member.away.contains(id)
            else { return false }
            return !isLate || member.inFavour.contains(id) || member.against.contains(id)
        }
        guard !isQuorum(able) else { return nil }
        for hold in member.holds.sorted(by: { $0.milliseconds < $1.milliseconds }) {
            able.append(hold.voter)
            if isQuorum(able) { return hold.milliseconds }
        }
        return nil
    }

    /// The pause doubles with every try, is drawn from its upper half, and is longer for voters
    /// further back in the roster.
    private mutating func rest(_ errand: Errand, now: Instant) {
        let doubled = configuration.backoffMilliseconds << min(Int64(errand.attempts), 10)
        let ceiling = max(2, min(doubled, configuration.backoffMillisecondsMaximum))
        let pause = Int64.random(in: ceiling / 2...ceiling, using: &generator)
        rest(errand, now: now, pause + stagger)
    }

    /// Pauses end on a grid: those that end close to each other go on together, in one message and
    /// one fsync of each voter.
    mutating func rest(_ errand: Errand, now: Instant, _ milliseconds: Int64) {
        let grid = Int64(configuration.restGridMilliseconds) * 1_000_000
        let end = now.advanced(byMilliseconds: milliseconds).nanoseconds
        let until = min(Instant(nanoseconds: (end + grid - 1) / grid * grid), errand.deadline)
        resting.insert(errand, at: until)
    }

    private var stagger: Int64 { configuration.staggerMilliseconds * Int64(rank) }

    private var rank: Int {
        guard let everyone = roster?.everyone else { return 0 }
        return everyone.firstIndex { $0.node == node }
            ?? everyone.count + Int(node.rawValue.magnitude % 8)
    }

    /// Ends the pauses and the rounds whose time has come.
    mutating func expire(now: Instant, into effects: inout [Effect]) {
        ready.append(contentsOf: resting.take(until: now))
        tryAgain(now: now, into: &effects)
        let late = rounds.keys.filter { rounds[$0].map { $0.deadline <= now } ?? false }
        for id in late {
            for requestID in rounds[id]?.requestIDs ?? [] {
                if let voter = requests[requestID]?.voter { reach.missed(voter.node) }
            }
            guard let round = close(id) else { continue }
            for case let member? in round.members {
                statistics.timeouts += 1
                retry(member, now: now, isLate: true, into: &effects)
            }
        }
    }

    /// Forgets a round and what was asked in it.
    mutating func close(_ id: UInt64) -> Round? {
        guard let round = rounds.removeValue(forKey: id) else { return nil }
        for requestID in round.requestIDs { requests[requestID] = nil }
        return round
    }

    /// Requests that nobody will answer count against their rounds.
    mutating func lose(_ node: NodeID, now: Instant, into effects: inout [Effect]) {
        if roster?.everyone.contains(where: { $0.node == node }) ?? false { reach.missed(node) }
        for id in Array(rounds.keys) {
            guard var round = rounds[id] else { continue }
            let lost = round.requestIDs.filter { requests[$0]?.voter.node == node }
            guard !lost.isEmpty else { continue }
            for requestID in lost {
                if let voter = requests.removeValue(forKey: requestID)?.voter {
                    round.miss(voter)
                }
            }
            rounds[id] = nil
            settle(round, id, now: now, into: &effects)
        }
    }
}
