import Model
import NIOCore

/// The rules of section 4, one request at a time.
extension Acceptor {
    mutating func serve(
        _ request: PaxosRequest, from: NodeID, requestID: UInt64, _ holding: Hold,
        into effects: inout [Effect]
    ) {
        func reply(_ body: PaxosReply.Body) -> Reply {
            let reply = PaxosReply(generation: generation, store: store, body: body)
            return Reply(to: from, requestID: requestID, reply: reply)
        }
        if let refusal = refusal(of: request) {
            statistics.refused += 1
            return send(reply(.refused(refusal)), into: &effects)
        }
        switch request.body {
        case .prepare(let ballot, let keys):
            let answers = prepare(ballot, keys)
            answer(reply(.prepared(ballot, floor: floor, answers)), into: &effects)
        case .accept(let ballot, let proposals):
            let answers = proposals.map { accept(ballot, $0, holding) }
            answer(reply(.accepted(ballot, answers)), into: &effects)
        case .read(let keys):
            let values = reply(.values(read(keys)))
            if rules.readsWaitForPersist {
                answer(values, into: &effects)
            } else {
                send(values, into: &effects)
            }
        case .adopt(let roster):
            if mayAdopt(roster) { adopt(roster) }
            answer(reply(.adopted(generation)), into: &effects)
        case .raiseFloor(let ballot):
            raise(ballot)
            answer(reply(.floorRaised(floor)), into: &effects)
        case .remove(let tombstones):
            answer(reply(.removed(tombstones.map { remove($0) })), into: &effects)
        case .scan(let after, let limit):
            answer(reply(scan(after: after, limit: limit)), into: &effects)
        case .install(let floor, let entries):
            install(floor, entries)
            answer(reply(.installed), into: &effects)
        }
    }

    /// A refused request changes nothing, so its answer waits for nothing.
    private func refusal(of request: PaxosRequest) -> Refusal? {
        if rules.storeChecked, request.store != store { return .wrongStore }
        if case .adopt = request.body { return nil }
        guard let roster else { return .rosterNeeded }
        if case .scan = request.body, !rules.oldVotersSealed { return nil }
        if rules.generationChecked {
            if request.generation < roster.generation { return .staleRoster(roster) }
            if request.generation > generation { return .rosterNeeded }
        }
        if !isInTurn(request.body, roster) { return .staleRoster(roster) }
        let isFull =
            gathering.replies.count >= Limits.gatheredRequestsMaximum
            || gathering.bytes >= Limits.gatheredBytesMaximum
        return isFull ? .overloaded : nil
    }

    /// Answers as many registers as one message holds; the others are left as they were.
    private mutating func prepare(_ ballot: Ballot, _ keys: [String]) -> [PrepareAnswer] {
        var answers: [PrepareAnswer] = []
        answers.reserveCapacity(keys.count)
        var bytes = 0
        for key in keys {
            let state = registers[key] ?? RegisterState()
            let size = state.value?.readableBytes ?? 0
            guard answers.isEmpty || bytes + size <= Limits.messageValueBytes else { break }
            bytes += size
            guard ballot > state.maxSeen, !rules.floorChecked || ballot > floor else {
                answers.append(.conflict(conflict(state)))
                continue
            }
            record(.promise(key: key, ballot), bytes: key.utf8.count)
            if let value = state.value, state.maxSeen > state.acceptedBallot, mayHaveBeenGiven {
                answers.append(.overtaken(acceptedBallot: state.acceptedBallot, value: value))
            } else {
                answers.append(
                    .promised(acceptedBallot: state.acceptedBallot, value: state.value))
            }
        }
        return answers
    }

    /// Before the first roster change all values were accepted, which needs no promise to be
    /// higher.
    private var mayHaveBeenGiven: Bool {
        rules.givenIsNotChosen && generation > RosterGeneration(1)
    }

    private mutating func accept(
        _ ballot: Ballot, _ proposal: Proposal, _ holding: Hold
    ) -> AcceptAnswer {
        let state = registers[proposal.key] ?? RegisterState()
        guard ballot >= state.maxSeen, !rules.floorChecked || ballot > floor else {
            return .conflict(conflict(state))
        }
        let question = LeaseQuestion(
            key: proposal.key, ballot: ballot, proposed: proposal.value, held: state.value)
        // What was accepted already is only said again.
        let wait = state.acceptedBallot == ballot || !rules.holdsHeeded ? 0 : holding(question)
        guard wait <= 0 else {
            statistics.held += 1
            return .held(milliseconds: min(wait, Limits.holdMillisecondsMaximum))
        }
        // A copy: a slice would keep the whole message alive as long as its smallest register.
        let value = ByteBuffer(buffer: proposal.value)
        let bytes = proposal.key.utf8.count + value.readableBytes
        record(.accept(key: proposal.key, ballot, value), bytes: bytes)
        return .accepted
    }

    private mutating func conflict(_ state: RegisterState) -> Conflict {
        statistics.conflicts += 1
        return Conflict(maxSeen: state.maxSeen, floor: floor)
    }

    private func read(_ keys: [String]) -> [RegisterState] {
        var states: [RegisterState] = []
        states.reserveCapacity(keys.count)
        var bytes = 0
        for key in keys {
            let state = registers[key] ?? RegisterState()
            bytes += state.value?.readableBytes ?? 0
            guard states.isEmpty || bytes <= Limits.messageValueBytes else { break }
            states.append(state)
        }
        return states
    }

    /// The floor promises for every register what a promise at or below it did: a register that
    /// never held a value needs no other.
    mutating func raise(_ ballot: Ballot) {
        guard ballot > floor else { return }
        record(.floor(ballot), bytes: 0)
        let before = lookedUp
        lookedUp = []
        for key in before {
            guard let state = registers[key], state.value == nil else { continue }
            if state.maxSeen <= ballot {
                record(.remove(key: key), bytes: key.utf8.count)
            } else {
                lookedUp.append(key)
            }
        }
    }

    /// Section 9, step (d): only the tombstone itself, only below the floor, and only while no
    /// promise above it is outstanding; the promise would be forgotten with the register.
    private mutating func remove(_ tombstone: Tombstone) -> Bool {
        guard let state = registers[tombstone.key] else { return true }
        guard state.acceptedBallot == tombstone.ballot,
            !rules.removalChecksPromise || state.maxSeen <= tombstone.ballot,
            !rules.floorChecked || tombstone.ballot <= floor,
            let value = state.value, let envelope = try? Envelope(decoding: value),
            envelope.value == nil
        else { return false }
        record(.remove(key: tombstone.key), bytes: tombstone.key.utf8.count)
        return true
    }
}
