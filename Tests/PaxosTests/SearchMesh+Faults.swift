import Model
import NIOCore

@testable import Paxos

/// Operations, crashes and the change of the roster.
extension SearchMesh {
    /// A new operation of a client.
    mutating func begin(_ index: Int) {
        if chance(plan.reads) { return startRead(index, isLast: false) }
        let number = changes.count
        let id = OperationID(
            node: clients[index].proposer.node, boot: BootEpoch(1), sequence: UInt64(number))
        let isDelete = chance(plan.deletes)
        let isConditional = chance(plan.conditional)
        let parity = random(2)
        let change = RegisterChange(key: Self.key, operation: id) { current, _ in
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
        history.operations.append(Operation(kind: kind, start: now))
        start(index, operation: history.operations.count - 1, .propose(token: 0, [change]))
    }

    mutating func startRead(_ index: Int, isLast: Bool) {
        history.operations.append(Operation(kind: .read, start: now))
        let operation = history.operations.count - 1
        if isLast { retries[operation] = -1 }
        start(index, operation: operation, .read(token: 0, [Self.key]))
    }

    private mutating func start(_ index: Int, operation: Int, _ input: Proposer.Input) {
        nextToken += 1
        clients[index].tokens[nextToken] = operation
        switch input {
        case .propose(_, let changes):
            feed(client: index, .propose(token: nextToken, changes))
        case .read(_, let keys): feed(client: index, .read(token: nextToken, keys))
        default: break
        }
    }

    mutating func end(_ index: Int, _ token: UInt64, _ outcome: Outcome) {
        guard let operation = clients[index].tokens.removeValue(forKey: token) else { return }
        switch outcome {
        case .chosen(let value):
            chosen += 1
            finish(operation, value)
            if retries[operation] == -1 { isLive = true }
            if plan.collects, value.value == nil, collector == nil, value.ballot > .zero {
                schedule.add(.collect, at: now + Int64(random(10)))
            }
        case .notChosen(.abandoned(_, let current)):
            let start = history.operations[operation].start
            history.operations[operation] = Operation(kind: .read, start: start)
            finish(operation, current)
        case .notChosen:
            // It never takes effect: it could only explain what must not be seen.
            let start = history.operations[operation].start
            history.operations[operation] = Operation(kind: .read, start: start)
            if retries[operation] == -1 { startRead(index, isLast: true) }
        case .unknown(let since):
            retry(index, operation, since)
        case .held: break
        }
    }

    /// An append whose value is another's already is known to have happened, and that value was
    /// seen later.
    private mutating func finish(_ operation: Int, _ value: ChosenValue) {
        let seen = value.value.map { Array($0.readableBytesView) }
        history.operations[operation].end = now
        let isOwn: Bool
        switch history.operations[operation].kind {
        case .append(let id): isOwn = seen?.last == id
        case .delete: isOwn = seen == nil
        case .read: isOwn = true
        }
        if isOwn {
            history.operations[operation].seen = .some(seen)
        } else {
            var read = Operation(kind: .read, start: history.operations[operation].start)
            read.end = now
            read.seen = .some(seen)
            history.operations.append(read)
        }
    }

    /// Half of the unknown changes are asked for again, with the same operation id.
    private mutating func retry(_ index: Int, _ operation: Int, _ since: Ballot) {
        guard retries[operation, default: 0] < 2, chance(50) else { return }
        let number: Int
        switch history.operations[operation].kind {
        case .append(let id): number = Int(id)
        default: return
        }
        retries[operation, default: 0] += 1
        let old = changes[number]
        let change = RegisterChange(
            key: old.key, operation: old.operation, retrying: since, function: old.function)
        start(index, operation: operation, .propose(token: 0, [change]))
    }

    mutating func crash(_ slot: Int, wipe: Bool) {
        guard !isHealed, slots[slot].acceptor != nil else { return }
        slots[slot].acceptor = nil
        slots[slot].life += 1
        // The write that was under way may have reached the disk or not.
        if chance(30) { slots[slot].disk += slots[slot].unwritten }
        slots[slot].unwritten = []
        if wipe {
            slots[slot].disk = []
            slots[slot].store = Self.store(slot, 1)
        }
        schedule.add(.restart(slot: slot), at: now + 1 + Int64(random(60)))
    }

    mutating func restart(_ slot: Int) {
        guard slots[slot].acceptor == nil else { return }
        slots[slot].acceptor = Acceptor(
            cluster: "c", node: NodeID(Int32(slot)), store: slots[slot].store, rules: plan.rules)
        feed(slot, .loaded(slots[slot].disk))
        if slot < plan.voters { feed(slot, .adopt(roster)) }
    }

    mutating func reboot(_ index: Int) {
        guard !isHealed else { return }
        let life = clients[index].life + 1
        clients[index] = client(index, life: life)
    }

    mutating func heal() {
        isHealed = true
        for slot in slots.indices where slots[slot].life > 0 || slot < plan.voters {
            restart(slot)
        }
    }

    /// Half of a roster change, by hand: two of three old voters refuse the old generation, then
    /// what they hold is copied to a majority of the new set.
    mutating func seal() {
        for slot in 0...1 { feed(slot, .adopt(nextRoster)) }
        schedule.add(.copy, at: now + 5)
    }

    mutating func copy() {
        guard slots[3].acceptor == nil else { return }
        let isSealed = (0...1).allSatisfy { slot in
            slots[slot].acceptor != nil && slots[slot].disk.contains(.roster(nextRoster))
        }
        guard isSealed else { return seal() }
        let states = (0...1).compactMap { slots[$0].acceptor?.state(of: Self.key) }
        let best = states.max { $0.acceptedBallot < $1.acceptedBallot } ?? RegisterState()
        let seen = states.map(\.maxSeen).max() ?? .zero
        for slot in 3...4 {
            slots[slot].disk = [
                .identity(cluster: "c", store: slots[slot].store), .roster(nextRoster),
            ]
            if let value = best.value {
                slots[slot].disk.append(.accept(key: Self.key, best.acceptedBallot, value))
            }
            slots[slot].disk.append(.promise(key: Self.key, seen))
            restart(slot)
        }
    }
}
