import Model
import NIOCore

@testable import Paxos

/// Operations of clients and of the operator, and crashes.
extension VoterMesh {
    mutating func begin(_ index: Int) {
        let key = random(plan.keys)
        if chance(plan.reads) { return startRead(index, key, isLast: false) }
        let number = changes.count
        let id = OperationID(
            node: brokers[index].proposer.node, boot: BootEpoch(1), sequence: UInt64(number))
        let isDelete = chance(plan.deletes)
        let isConditional = chance(plan.conditional)
        let parity = random(2)
        let rank = chance(20) ? random(3) : 0
        let change = RegisterChange(
            key: Self.key(key), operation: id, rank: rank, waitsForLease: chance(50)
        ) { current, _ in
            if isDelete { return .write(nil) }
            var list = current ?? ByteBuffer()
            guard !isConditional || list.readableBytes % 2 == parity else {
                return .abandon(AbandonReason(7))
            }
            list.writeInteger(UInt8(number))
            return .write(list)
        }
        changes.append(change)
        let kind = isDelete ? Operation.Kind.delete : .append(UInt8(number))
        histories[key].operations.append(Operation(kind: kind, start: now))
        let owner = Owner.operation(
            key: key, index: histories[key].operations.count - 1, isLast: false)
        start(index, owner, .propose(token: 0, [change]))
    }

    mutating func startRead(_ index: Int, _ key: Int, isLast: Bool) {
        histories[key].operations.append(Operation(kind: .read, start: now))
        let owner = Owner.operation(
            key: key, index: histories[key].operations.count - 1, isLast: isLast)
        start(index, owner, .read(token: 0, [Self.key(key)]))
    }

    mutating func start(_ index: Int, _ owner: Owner, _ input: Proposer.Input) {
        nextToken += 1
        brokers[index].tokens[nextToken] = owner
        switch input {
        case .propose(_, let changes): feed(index, .propose(token: nextToken, changes))
        case .read(_, let keys): feed(index, .read(token: nextToken, keys))
        default: break
        }
    }

    mutating func end(_ index: Int, _ token: UInt64, _ outcome: Outcome) {
        guard let owner = brokers[index].tokens.removeValue(forKey: token) else { return }
        switch owner {
        case .driver(let token): feed(driver: index, .decided(token: token, outcome))
        case .operation(let key, let number, let isLast):
            end(index, key, number, isLast, outcome)
        }
    }

    private mutating func end(
        _ index: Int, _ key: Int, _ number: Int, _ isLast: Bool, _ outcome: Outcome
    ) {
        switch outcome {
        case .chosen(let value):
            chosen += 1
            conclude(key, number, value)
            if isLast { lastReadsOpen -= 1 }
        case .notChosen(let reason):
            // It never takes effect: it could only explain what must not be seen.
            let start = histories[key].operations[number].start
            histories[key].operations[number] = Operation(kind: .read, start: start)
            if case .abandoned(_, let current) = reason { conclude(key, number, current) }
            if isLast { startRead(index, key, isLast: true) }
        case .unknown(let since): retry(index, key, number, since)
        case .held(_, let since):
            if let since { return retry(index, key, number, since) }
            let start = histories[key].operations[number].start
            histories[key].operations[number] = Operation(kind: .read, start: start)
        }
    }

    /// An append whose value is another's already is known to have happened, and that value was
    /// seen later.
    private mutating func conclude(_ key: Int, _ number: Int, _ value: ChosenValue) {
        let seen = value.value.map { Array($0.readableBytesView) }
        histories[key].operations[number].end = now
        let isOwn: Bool
        switch histories[key].operations[number].kind {
        case .append(let id): isOwn = seen?.last == id
        case .delete: isOwn = seen == nil
        case .read: isOwn = true
        }
        if isOwn {
            histories[key].operations[number].seen = .some(seen)
        } else {
            var read = Operation(kind: .read, start: histories[key].operations[number].start)
            read.end = now
            read.seen = .some(seen)
            histories[key].operations.append(read)
        }
    }

    /// Half of the unknown changes are asked for again, with the same operation id.
    private mutating func retry(_ index: Int, _ key: Int, _ number: Int, _ since: Ballot) {
        guard case .append(let id) = histories[key].operations[number].kind,
            retries[id, default: 0] < 2, chance(50)
        else { return }
        retries[id, default: 0] += 1
        let change = changes[Int(id)].again(since: since)
        let event = Event.retry(broker: index, change, key: key, index: number)
        schedule.add(event, at: now + Int64(random(chance(50) ? 1 : 400)))
    }
}

/// Rosters.
extension VoterMesh {
    /// A chosen roster reaches its broker at once, and some others by and by.
    mutating func spread(_ roster: Roster, from index: Int) {
        if roster.generation > newest.generation { newest = roster }
        feed(index, .rosterChanged(roster))
        feed(sweeper: index, .rosterChanged(roster))
        for other in brokers.indices where other != index && chance(plan.gossip) {
            schedule.add(.gossip(roster, toBroker: other), at: now + 1 + Int64(random(100)))
        }
        for slot in slots.indices where chance(plan.gossip) {
            schedule.add(.gossipToSlot(roster, slot: slot), at: now + 1 + Int64(random(100)))
        }
    }

    /// The first roster is with its voters and in its register, as a mesh's founder leaves it.
    mutating func found() {
        let ballot = Ballot(counter: 1, proposer: NodeID(100), boot: BootEpoch(0))
        let envelope = Envelope(value: first.encoded()).encoded()
        for slot in plan.voters {
            slots[slot].disk = [
                .identity(cluster: "c", store: Self.voter(slot, 0).store), .roster(first),
                .accept(key: Roster.key, ballot, envelope),
            ]
        }
    }

    /// The operator, who is patient but not careful: has some broker begin the next change, or
    /// finish or take back what is under way; now and then while another is at it.
    mutating func operate() {
        schedule.add(.operate, at: now + 30 + Int64(random(40)))
        guard wanted < plan.changes.count else { return }
        let isBusy = brokers.contains { !$0.driver.isIdle }
        let index = random(plan.proposers)
        guard brokers[index].driver.isIdle, !isBusy || chance(10) else { return }
        let roster = brokers[index].proposer.roster ?? first
        if roster.next != nil {
            let isTakenBack = !isHealed && chance(plan.rollBacks)
            return feed(driver: index, .start(isTakenBack ? .rollBack : .finish))
        }
        guard plan.wipes == 0 || isHealed || chance(30) else { return }
        let goal = RosterDriver.Goal.change(to: target, from: roster.generation)
        feed(driver: index, .start(goal))
    }

    /// The set that is wanted, with the stores that its disks have now.
    var target: [Voter] {
        plan.changes[wanted].map { Self.voter($0, slots[$0].format) }
    }

    mutating func finish(_ outcome: RosterOutcome) {
        precondition(outcome != .damaged && outcome != .impossible, "the register is sound")
        guard case .settled(let roster) = outcome else { return }
        finished += 1
        guard wanted < plan.changes.count else { return }
        if Roster.areSame(roster.voters, target.sorted { $0.node < $1.node }) { wanted += 1 }
    }
}

/// Sweeping.
extension VoterMesh {
    mutating func feed(sweeper index: Int, _ input: Sweeper.Input) {
        var effects: [Sweeper.Effect] = []
        let instant = Instant(nanoseconds: now * 1_000_000)
        brokers[index].sweeper.handle(input, now: instant, into: &effects)
        for effect in effects {
            switch effect {
            case .reserve(let ballot):
                let ballot = brokers[index].proposer.reserveBallot(above: ballot)
                feed(sweeper: index, .reserved(ballot))
            case .send(let to, let requestID, let request):
                send(index, to, requestID, request)
            case .wake(let at): wake(index, at, .sweeper)
            case .finished(let report): removed += report.removed.count
            }
        }
    }

    mutating func sweep() {
        schedule.add(.sweep, at: now + 20 + Int64(random(60)))
        guard !plan.sweepsByTime else { return sweepByTime() }
        let index = random(plan.proposers)
        guard brokers[index].sweeper.isIdle, let roster = brokers[index].proposer.roster else {
            return
        }
        let keys = (0..<plan.keys).map { Self.key($0) }
        feed(sweeper: index, .sweep(keys, roster))
    }

    /// What Cassandra's first way of removing did: every voter for itself.
    private mutating func sweepByTime() {
        let slot = random(plan.slots)
        guard let acceptor = slots[slot].acceptor else { return }
        for key in 0..<plan.keys {
            let ballot = acceptor.state(of: Self.key(key)).acceptedBallot
            let request = PaxosRequest(
                generation: acceptor.generation, store: acceptor.store,
                body: .remove([Tombstone(key: Self.key(key), ballot: ballot)]))
            feed(slot, .request(from: NodeID(100), requestID: 0, request))
        }
    }
}

/// Crashes.
extension VoterMesh {
    mutating func crash(_ slot: Int) {
        guard !isHealed, slots[slot].acceptor != nil else { return }
        slots[slot].acceptor = nil
        slots[slot].life += 1
        // The write that was under way may have reached the disk or not.
        if chance(30) { slots[slot].disk += slots[slot].unwritten }
        slots[slot].unwritten = []
        schedule.add(.restart(slot: slot), at: now + 1 + Int64(random(60)))
    }

    /// A voter's disk, where the others are a majority of whatever may be in force: the newest
    /// roster is a settled one of three or more, and no other voter of it was wiped.
    mutating func wipe() {
        guard !isHealed, newest.next == nil, newest.voters.count >= 3,
            newest.voters.allSatisfy({ isStored($0) })
        else { return }
        let slot = Int(newest.voters[random(newest.voters.count)].node.rawValue)
        crash(slot)
        slots[slot].disk = []
        slots[slot].format += 1
    }

    private func isStored(_ voter: Voter) -> Bool {
        slots[Int(voter.node.rawValue)].format == voter.store.low
    }

    mutating func restart(_ slot: Int) {
        guard slots[slot].acceptor == nil else { return }
        let store = Self.voter(slot, slots[slot].format).store
        slots[slot].acceptor = Acceptor(
            cluster: "c", node: NodeID(Int32(slot)), store: store, rules: plan.rules)
        feed(slot, .loaded(slots[slot].disk))
    }

    mutating func reboot(_ index: Int) {
        guard !isHealed else { return }
        let life = brokers[index].life + 1
        let known = brokers[index].proposer.roster ?? first
        brokers[index] = broker(index, life: life, roster: chance(50) ? first : known)
    }

    mutating func heal() {
        isHealed = true
        for slot in slots.indices { restart(slot) }
    }
}
