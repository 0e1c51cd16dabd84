import Model
import NIOCore

/// From one step of a sweep to the next: each needs the answers of all voters.
extension Sweeper {
    mutating func begin(_ step: Step, now: Instant, into effects: inout [Effect]) {
        guard let roster else { return }
        self.step = step
        resendAt = now.advanced(byMilliseconds: configuration.resendMilliseconds)
        asked = roster.voters.map { voter in
            nextRequest &+= 1  // wraps: it starts anywhere
            return (voter, nextRequest)
        }
        ask(into: &effects)
    }

    private mutating func ask(into effects: inout [Effect]) {
        guard let roster, let body else { return }
        for (voter, requestID) in asked {
            let request = PaxosRequest(
                generation: roster.generation, store: voter.store, body: body)
            effects.append(.send(to: voter.node, requestID: requestID, request))
        }
    }

    private var body: PaxosRequest.Body? {
        switch step {
        case .idle, .reserve: nil
        case .prepare: .prepare(ballot, registers.map(\.key))
        case .accept:
            .accept(
                ballot,
                registers.compactMap { register in
                    register.value.map { Proposal(key: register.key, value: $0) }
                })
        case .raise: .raiseFloor(ballot)
        case .remove: .remove(registers.map { Tombstone(key: $0.key, ballot: ballot) })
        }
    }

    /// A promise is given once: what is lost on the way must be asked for with a higher ballot. All
    /// else may be asked for again.
    mutating func resend(now: Instant, into effects: inout [Effect]) {
        guard let resendAt, resendAt <= now, let endsAt else { return }
        guard now < endsAt else {
            report.silent = asked.map(\.voter.id)
            return finish(into: &effects)
        }
        guard step != .prepare else { return restart(above: ballot, into: &effects) }
        self.resendAt = now.advanced(byMilliseconds: configuration.resendMilliseconds)
        ask(into: &effects)
    }

    private mutating func restart(above ballot: Ballot, into effects: inout [Effect]) {
        registers = registers.map { Register(key: $0.key) }
        step = .reserve
        effects.append(.reserve(above: ballot))
    }

    mutating func receive(
        _ reply: PaxosReply, from: NodeID, requestID: UInt64, now: Instant,
        into effects: inout [Effect]
    ) {
        guard let index = asked.firstIndex(where: { $0.requestID == requestID }),
            asked[index].voter.node == from, reply.store == asked[index].voter.store
        else { return }
        switch (step, reply.body) {
        case (_, .refused(.staleRoster)):
            report.isInterrupted = true
            return finish(into: &effects)
        case (.prepare, .prepared(ballot, _, let answers)):
            count(answers)
        case (.accept, .accepted(ballot, let answers)):
            count(answers)
        case (.raise, .floorRaised(let floor)) where floor >= ballot: break
        case (.remove, .removed(let gone)):
            count(gone)
        // Too busy, or away when the roster was told: it is asked again.
        default: return
        }
        asked.remove(at: index)
        if asked.isEmpty { advance(now: now, into: &effects) }
    }

    /// A register of which a voter says no is left for another time; its place stays until the
    /// step is over, because answers are in the order of the request.
    private mutating func count(_ answers: [PrepareAnswer]) {
        for (index, register) in registers.enumerated() {
            switch answers.indices.contains(index) ? answers[index] : nil {
            case .promised(let accepted, let value?), .overtaken(let accepted, let value):
                guard accepted > register.highest else { continue }
                registers[index].highest = accepted
                registers[index].value = value
            case .promised: continue
            case .conflict, nil: contest(register.key)
            }
        }
    }

    private mutating func count(_ answers: [AcceptAnswer]) {
        for (index, register) in registers.enumerated()
        where !answers.indices.contains(index) || answers[index] != .accepted {
            contest(register.key)
        }
    }

    private mutating func count(_ gone: [Bool]) {
        for (index, register) in registers.enumerated()
        where !gone.indices.contains(index) || !gone[index] {
            contest(register.key)
        }
    }

    private mutating func contest(_ key: String) {
        if !report.contested.contains(key) { report.contested.append(key) }
    }

    /// Every voter has answered.
    private mutating func advance(now: Instant, into effects: inout [Effect]) {
        let contested = report.contested
        registers.removeAll { contested.contains($0.key) }
        switch step {
        case .idle, .reserve: return
        case .prepare: sort(now: now, into: &effects)
        case .accept: begin(.raise, now: now, into: &effects)
        case .raise:
            report.floor = ballot
            // What never held a value went with the promises below the floor.
            report.removed = neverHeld
            guard !registers.isEmpty else { return finish(into: &effects) }
            begin(.remove, now: now, into: &effects)
        case .remove:
            report.removed = (report.removed + registers.map(\.key)).sorted()
            finish(into: &effects)
        }
    }

    /// Tombstones go on, what holds a value stays, and what never held one has to be refused only.
    private mutating func sort(now: Instant, into effects: inout [Effect]) {
        var stones: [Register] = []
        for register in registers {
            if let bytes = register.value {
                // Bytes that can't be read are somebody's value.
                if let envelope = try? Envelope(decoding: bytes), envelope.value == nil {
                    stones.append(register)
                } else {
                    report.alive.append(register.key)
                }
            } else {
                neverHeld.append(register.key)
            }
        }
        registers = stones
        if !stones.isEmpty {
            begin(.accept, now: now, into: &effects)
        } else if !neverHeld.isEmpty {
            begin(.raise, now: now, into: &effects)
        } else {
            finish(into: &effects)
        }
    }
}
