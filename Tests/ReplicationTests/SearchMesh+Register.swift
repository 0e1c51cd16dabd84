import Model
import Replication

/// The register of the partition as a single-register CASPaxos, and the leases at its voters.
extension SearchMesh {
    mutating func proposeElection(_ broker: Int) {
        let known = brokers[broker].known
        let own = brokers[broker].node
        let eligible = known.eligible(among: members(broker, passingOver: []), rules: plan.rules)
        // Those whose turn came and went by are passed over.
        let passed = eligible.prefix { $0.node != own }.map(\.node)
        let members = members(broker, passingOver: passed)
        let answers = brokers.indices.filter { $0 == broker || isReachable($0, from: broker) }
            .map { node in
                let log = brokers[node].log
                return StoreAnswer(
                    id: brokers[node].id, lastEpoch: log.lastEpoch, end: log.end)
            }
        let (id, minInSync, rules) = (brokers[broker].id, plan.minInSync, plan.rules)
        propose(broker, .elect) { state in
            state.elect(
                id, expecting: known.partitionEpoch, members: members, answers: answers,
                minInSync: minInSync, rules: rules)
        }
    }

    mutating func proposeInSync(_ broker: Int, _ ids: [ReplicaID], _ serial: UInt64) {
        guard let state = brokers[broker].leading.state else { return }
        let (own, minInSync, rules) = (brokers[broker].node, plan.minInSync, plan.rules)
        propose(broker, .alterInSync(serial)) { current in
            current.alterInSync(
                to: ids, by: own, leaderEpoch: state.leaderEpoch,
                expecting: state.partitionEpoch, minInSync: minInSync, rules: rules)
        }
    }

    /// A controlled move: the leader stops serving first, if it has begun.
    mutating func transfer() {
        let serving = brokers.indices.first { brokers[$0].serves(at: now, plan.rules) }
        let bound = brokers.indices.first {
            brokers[$0].isUp && brokers[$0].leads && instant($0) < brokers[$0].servesFrom
        }
        guard let broker = plan.givesUnserved ? bound : serving,
            let state = brokers[broker].leading.state,
            let successor = state.inSync.map(\.node).first(where: { $0 != brokers[broker].node })
        else { return }
        let own = brokers[broker].node
        let leaves = plan.leaves
        let minInSync = plan.minInSync
        let isUnbound = instant(broker) >= brokers[broker].servesFrom
        let consent = isUnbound ? Consent.served : .stopped
        drive(broker, .resign)
        brokers[broker].isTakingOver = true
        propose(broker, .transfer) { current in
            current.transfer(
                to: successor, from: own, leaderEpoch: state.leaderEpoch,
                expecting: state.partitionEpoch, consent: consent, leaving: leaves,
                minInSync: minInSync)
        }
    }

    mutating func proposeConfirmation(_ broker: Int, _ serial: UInt64?) {
        // The same value at a new ballot: what others have begun is settled by it.
        propose(broker, .confirm(serial)) { .success($0) }
    }

    private mutating func propose(
        _ broker: Int, _ purpose: SearchProposal.Purpose,
        _ change: @escaping (PartitionState) -> PartitionState.Outcome
    ) {
        proposals.append(
            SearchProposal(
                broker: broker, life: brokers[broker].life,
                generation: brokers[broker].holder.generation, purpose: purpose, change: change))
        schedule.add(.prepare(proposals.count - 1), at: now + 1 + Int64(random(10)))
    }

    func isCut(_ broker: Int, _ voter: Int) -> Bool {
        voters[voter].downUntil > now || voters[voter].cutUntil[broker] > now
    }

    /// A majority promises; the value of the highest ballot among it is changed.
    mutating func prepare(_ index: Int) {
        let broker = proposals[index].broker
        guard brokers[broker].life == proposals[index].life else { return }
        let quorum = voters.indices.filter { !isCut(broker, $0) && !chance(plan.loss) }
        guard quorum.count > voters.count / 2 else { return decide(index, after: 50) }
        nextBallot += 1
        proposals[index].ballot = nextBallot
        for voter in quorum { voters[voter].promised = nextBallot }
        let newest = quorum.max { voters[$0].acceptedBallot < voters[$1].acceptedBallot }
        let base = voters[newest ?? 0].accepted
        let isSettled = quorum.allSatisfy {
            voters[$0].acceptedBallot == voters[newest ?? 0].acceptedBallot
        }
        if case .success(let next) = proposals[index].change(base) {
            proposals[index].value = next
        } else if isSettled {
            proposals[index].isOwn = false
            return decide(index, after: 5)
        } else {
            proposals[index].isOwn = false
            proposals[index].value = base
        }
        // A change that deposes its own proposer is completed as its consent: it stops first.
        if base.deposed?.node == brokers[broker].node, brokers[broker].leads {
            drive(broker, .resign)
        }
        proposals[index].wasSent = true
        for voter in voters.indices where !chance(plan.loss) {
            let delay = isHealed ? random(8) : (chance(15) ? random(900) : random(8))
            schedule.add(.accept(index, voter: voter), at: now + 1 + Int64(delay))
        }
        decide(index, after: isHealed ? 20 : (chance(15) ? 1_000 : 25))
    }

    private mutating func decide(_ index: Int, after milliseconds: Int) {
        let isLost = !isHealed && chance(plan.loss)
        schedule.add(.outcome(index, isLost: isLost), at: now + Int64(milliseconds))
    }

    mutating func accept(_ index: Int, at voter: Int) {
        let proposal = proposals[index]
        guard let value = proposal.value, !isCut(proposal.broker, voter),
            proposal.ballot >= voters[voter].promised
        else { return }
        let local = voters[voter].clock.instant(now)
        let isOwnConsent = value.deposed?.node == brokers[proposal.broker].node
        let held = isOwnConsent ? 0 : voters[voter].book.heldMilliseconds(value, now: local)
        guard held == 0 else {
            proposals[index].held = max(proposals[index].held, held)
            return
        }
        voters[voter].promised = proposal.ballot
        voters[voter].acceptedBallot = proposal.ballot
        voters[voter].accepted = value
        if let deposed = value.deposed, !value.consented {
            voters[voter].book.noteDeposition(of: deposed)
        }
        proposals[index].accepts += 1
        guard proposals[index].accepts == voters.count / 2 + 1 else { return }
        proposals[index].isChosen = true
        // A ballot may turn out to be chosen after a higher one, which goes on from its value.
        guard proposal.ballot > registerBallot else { return }
        guard value.partitionEpoch >= register.partitionEpoch else {
            return fail("the register went back")
        }
        registerBallot = proposal.ballot
        note(4, Int64(value.partitionEpoch.rawValue), Int64(value.leader?.rawValue ?? -1))
        register = value
    }

    mutating func outcome(_ index: Int, isLost: Bool) {
        let proposal = proposals[index]
        let broker = proposal.broker
        let isOwn = proposal.isChosen && proposal.isOwn && !isLost
        if isOwn, let value = proposal.value {
            let isNew = value.partitionEpoch >= brokers[broker].known.partitionEpoch
            if isNew { found(broker, value, proposal) }
            learn(broker, value)
        }
        switch proposal.purpose {
        case .elect:
            if !isOwn {
                campaign(
                    broker,
                    proposal.held > 0 ? .held(milliseconds: proposal.held) : .failed)
            } else {
                brokers[broker].campaign = nil
            }
        case .alterInSync(let serial):
            let isUnknown = proposal.wasSent && proposal.isOwn || isLost
            if !isOwn {
                drive(broker, isUnknown ? .proposalUnknown(serial) : .proposalFailed(serial))
            }
        case .transfer: brokers[broker].isTakingOver = false
        case .confirm(let serial):
            if serial == nil { brokers[broker].isTakingOver = false }
            guard let serial else { return }
            hold(broker, isOwn ? .confirmed(serial) : .confirmationFailed(serial))
        }
    }

    /// The outcome of its own change or question, which nothing newer has overtaken.
    private mutating func found(
        _ broker: Int, _ value: PartitionState, _ proposal: SearchProposal
    ) {
        let isElection = proposal.purpose == .elect
        var isConfirmation = false
        if case .confirm = proposal.purpose { isConfirmation = true }
        guard isElection || isConfirmation else { return }
        let first = brokers[broker].firstRead
        if first == nil, isConfirmation { brokers[broker].firstRead = value.leaderEpoch }
        let mayLead =
            isElection || brokers[broker].leads
            || first.map { value.names(brokers[broker].id, after: $0) } ?? false
        guard mayLead else { return }
        takeOver(broker, value, generation: proposal.generation)
    }

    mutating func hold(_ broker: Int, _ input: LeaseHolder.Input) {
        var effects: [LeaseHolder.Effect] = []
        let local = instant(broker)
        brokers[broker].holder.handle(input, now: local, into: &effects)
        for effect in effects {
            switch effect {
            case .renew(let node, let serial):
                guard isHealed || !chance(plan.loss) else { continue }
                let event = Event.renewal(
                    broker, life: brokers[broker].life, voter: Int(node.rawValue),
                    serial: serial)
                schedule.add(event, at: now + leaseDelay())
            case .confirm(let serial): proposeConfirmation(broker, serial)
            case .wake(let at): wakeLater(broker, at, .holder)
            case .held, .lapsed, .release: continue
            }
        }
    }

    private mutating func leaseDelay() -> Int64 {
        1 + Int64(!isHealed && chance(plan.slowLeases) ? random(1_200) : random(6))
    }

    mutating func renew(_ broker: Int, _ life: Int, at voter: Int, _ serial: UInt64) {
        guard brokers[broker].life == life, !isCut(broker, voter) else { return }
        let answer = voters[voter].book.renew(
            brokers[broker].id, boot: brokers[broker].boot,
            now: voters[voter].clock.instant(now))
        guard isHealed || !chance(plan.loss) else { return }
        schedule.add(
            .leaseAnswer(broker, life: life, voter: voter, serial: serial, answer),
            at: now + leaseDelay())
    }

    mutating func hold(_ broker: Int, _ answer: LeaseAnswer, from voter: Int, _ serial: UInt64) {
        let node = NodeID(Int32(voter))
        switch answer {
        case .granted(let mark): hold(broker, .granted(node, serial: serial, mark))
        case .outdated, .full: hold(broker, .refused(node))
        }
    }
}
