import Model
import NIOCore
import Testing

@testable import Paxos

/// One transcript for each thing that a proposer does.
@Suite struct ProposerTests {
    @Test("A change costs one round trip to prepare and one to accept")
    func oneChange() {
        var script = Script()
        script.feed(.propose(token: 4, [append("a", 1)]))
        #expect(script.sent.map(\.node.rawValue) == [1, 2, 3])
        let accepts = script.promise()
        let proposal = Proposal(key: "k", value: Envelope.bytes("a", [.of(1)]))
        #expect(
            accepts.map(\.request.body)
                == .init(repeating: .accept(.of(1, 1), [proposal]), count: 3))
        script.reply(accepts, 3, .accepted(.of(1, 1), [.accepted]))
        #expect(script.outcomes == nil)
        script.reply(accepts, 1, .accepted(.of(1, 1), [.accepted]))
        #expect(script.outcomes == [chosen(1, "a")])
        #expect(script.proposer.statistics.roundsPerChosenChange == 1)
        #expect(script.proposer.underWay == 0)
    }

    @Test("Many registers share a message; the bound splits them")
    func batches() {
        var script = Script()
        let changes = (0..<300).map { append("a", UInt64($0), key: "k\(1000 + $0)") }
        script.feed(.propose(token: 1, changes))
        let counts = script.sent.map { sent in
            if case .prepare(_, let keys) = sent.request.body { keys.count } else { 0 }
        }
        #expect(counts == [256, 256, 256, 44, 44, 44])
    }

    @Test("Changes of one register wait for each other")
    func lanes() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1), append("b", 2)]))
        var accepts = script.promise()
        for node in [1, 2] as [Int32] {
            script.reply(accepts, node, .accepted(.of(1, 1), [.accepted]))
        }
        #expect(script.outcomes == nil)
        accepts = script.promise(.of(1, 1), Envelope.bytes("a", [.of(1)]))
        for node in [1, 2] as [Int32] {
            script.reply(accepts, node, .accepted(.of(2, 1), [.accepted]))
        }
        #expect(script.outcomes == [chosen(1, "a"), chosen(2, "ab")])
    }

    @Test("Section 10: a conflict is fast-forwarded past the rival, and counted")
    func duels() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        let prepares = script.sent
        let conflict = PrepareAnswer.conflict(Conflict(maxSeen: .of(40, 7), floor: .zero))
        for node in [2, 3] as [Int32] {
            script.reply(prepares, node, .prepared(.of(1, 1), floor: .zero, [conflict]))
        }
        #expect(script.sent.first?.request.body == .prepare(.of(41, 1), ["k"]))
        #expect(script.proposer.statistics.duels == 1)
        #expect(
            script.proposer.duelCounts == [DuelCount(key: "k", count: 1, lastRival: NodeID(7))])
    }

    @Test("Section 5: a retry that finds its operation id is a no-op")
    func retriesAreNoOps() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        _ = script.promise(.of(9, 2), Envelope.bytes("xay", [.of(1), .of(5)]))
        #expect(
            script.outcomes == [
                .chosen(
                    ChosenValue(key: "k", ballot: .of(9, 2), value: ByteBuffer(string: "xay")))
            ])
    }

    @Test("Section 8: what a roster change gave to a quorum is accepted anew")
    func givenValuesAreAcceptedAnew() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        let prepares = script.sent
        let value = Envelope.bytes("xa", [.of(1)])
        let answer = PrepareAnswer.overtaken(acceptedBallot: .of(9, 2), value: value)
        for node in [1, 2] as [Int32] {
            script.reply(prepares, node, .prepared(.of(1, 1), floor: .zero, [answer]))
        }
        #expect(script.outcomes == nil)
        #expect(
            script.sent.first?.request.body
                == .accept(.of(1, 1), [Proposal(key: "k", value: value)]))
    }

    @Test("Section 5: an accept without an answer is unknown at the deadline, and has its ballot")
    func unknown() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        #expect(script.promise().count == 3)
        script.wake(after: 10_500)
        script.wake(after: 500)
        #expect(script.outcomes == [.unknown(since: .of(1, 1))])
        script.feed(.propose(token: 2, [append("b", 2)]))
        script.wake(after: 10_500)
        script.wake(after: 500)
        #expect(script.outcomes == [.notChosen(.exhausted)], "nothing was sent to be accepted")
    }

    @Test("Section 5: an abandoned change of which an accept is under way is settled first")
    func ambiguityIsSettled() {
        let change = RegisterChange(key: "k", operation: .of(1), retrying: .of(3, 1)) { _, _ in
            .abandon(AbandonReason(7))
        }
        let value = Envelope.bytes("x", [.of(5)])
        var script = Script()
        script.feed(.propose(token: 1, [change]))
        let accepts = script.promise(.of(2, 2), value)
        #expect(script.outcomes == nil)
        #expect(
            accepts.first?.request.body
                == .accept(.of(1, 1), [Proposal(key: "k", value: value)]))
        script.feed(.propose(token: 2, [append("b", 2, key: "l")]))
        for node in [1, 2] as [Int32] {
            script.reply(accepts, node, .accepted(.of(1, 1), [.accepted]))
        }
        let current = ChosenValue(key: "k", ballot: .of(1, 1), value: ByteBuffer(string: "x"))
        #expect(
            script.outcomes == [.notChosen(.abandoned(AbandonReason(7), current: current))])
    }

    @Test("A change that was never sent and is abandoned at a chosen value needs no accept")
    func abandons() {
        let change = RegisterChange(key: "k", operation: .of(1)) { _, _ in
            .abandon(AbandonReason(7))
        }
        var script = Script()
        script.feed(.propose(token: 1, [change]))
        #expect(script.promise(.of(2, 2), Envelope.bytes("x")).isEmpty)
        let current = ChosenValue(key: "k", ballot: .of(2, 2), value: ByteBuffer(string: "x"))
        #expect(
            script.outcomes == [.notChosen(.abandoned(AbandonReason(7), current: current))])
    }

    @Test("A register that may have forgotten the change keeps it unknown")
    func forgottenChanges() {
        let eight = (10..<18 as Range<UInt64>).map { OperationID.of($0) }
        let change = append("a", 1)
        let retry = RegisterChange(
            key: "k", operation: .of(1), retrying: .of(3, 1), function: change.function)
        for (shown, operations, isUnknown) in [
            (Ballot.of(9, 2), eight, true), (.of(9, 2), [.of(10)], false),
            (.of(2, 2), eight, false),
        ] as [(Ballot, [OperationID], Bool)] {
            var script = Script()
            script.feed(.propose(token: 1, [retry]))
            _ = script.promise(shown, Envelope.bytes("x", operations))
            #expect(
                script.outcomes == (isUnknown ? [.unknown(since: .of(3, 1))] : nil))
        }
        var script = Script()
        script.feed(.propose(token: 1, [retry]))
        let prepares = script.sent
        let never = PrepareAnswer.promised(acceptedBallot: .zero, value: nil)
        for node in [1, 2] as [Int32] {
            script.reply(prepares, node, .prepared(.of(1, 1), floor: .of(5, 2), [never]))
        }
        #expect(script.outcomes == [.unknown(since: .of(3, 1))], "the floor passed it")
    }

    @Test("A read that agrees ends at once and promises nothing")
    func reads() {
        var script = Script()
        script.feed(.read(token: 1, ["k", "l"]))
        let reads = script.sent
        #expect(reads.first?.request.body == .read(["k", "l"]))
        let state = RegisterState(
            maxSeen: .of(3), acceptedBallot: .of(3), value: Envelope.bytes("x"))
        script.reply(reads, 1, .values([state, RegisterState()]))
        script.reply(reads, 3, .values([state, RegisterState()]))
        let value = ChosenValue(key: "k", ballot: .of(3), value: ByteBuffer(string: "x"))
        let never = ChosenValue(key: "l", ballot: .zero, value: nil)
        #expect(script.outcomes == [.chosen(value), .chosen(never)])
        #expect(script.proposer.statistics.readsAtOnce == 2)
    }

    @Test("A read that meets a promise looks again, then runs an identity round")
    func readsByRound() {
        var script = Script()
        let bytes = Envelope.bytes("x")
        let state = RegisterState(maxSeen: .of(5), acceptedBallot: .of(3), value: bytes)
        script.feed(.read(token: 1, ["k"]))
        for _ in 0..<2 {
            let reads = script.sent
            #expect(reads.first?.request.body == .read(["k"]))
            script.reply(reads, 1, .values([state]))
            script.reply(reads, 2, .values([state]))
            script.wake(after: 400)
        }
        #expect(script.sent.first?.request.body == .prepare(.of(6, 1), ["k"]))
        let prepares = script.sent
        for (node, ballot) in [(1, .of(3)), (2, .zero)] as [(Int32, Ballot)] {
            let answer = PrepareAnswer.promised(
                acceptedBallot: ballot, value: ballot == .zero ? nil : bytes)
            script.reply(prepares, node, .prepared(.of(6, 1), floor: .zero, [answer]))
        }
        let accepts = script.sent
        #expect(
            accepts.first?.request.body
                == .accept(.of(6, 1), [Proposal(key: "k", value: bytes)]))
        for node in [1, 3] as [Int32] {
            script.reply(accepts, node, .accepted(.of(6, 1), [.accepted]))
        }
        #expect(script.outcomes == [chosen(6, "x")])
    }

    @Test("A look-up that nobody answers asks again and promises nothing")
    func silentReads() {
        var script = Script()
        script.feed(.read(token: 1, ["k"]))
        var asked = 0
        while script.outcomes == nil, script.now < 20_000 {
            for sent in script.sent {
                #expect(sent.request.body == .read(["k"]))
                asked += 1
            }
            script.wake(after: 100)
        }
        #expect(asked > 3 * 3)
        #expect(script.outcomes == [.notChosen(.exhausted)])
        script.feed(.read(token: 2, ["k"]))
        script.feed(.unreachable(NodeID(2)))
        script.feed(.unreachable(NodeID(3)))
        // Nobody could decide: it rests, and then asks again.
        for _ in 0..<100 where script.sent.isEmpty { script.wake(after: 30) }
        #expect(!script.sent.isEmpty)
        #expect(script.sent.allSatisfy { $0.request.body == .read(["k"]) })
    }

    @Test("A voter without room ends a change, for certain where nothing was written")
    func fullVoters() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        let prepares = script.sent
        script.reply(prepares, 1, .refused(.full))
        #expect(script.outcomes == nil, "the two others may have room")
        script.reply(prepares, 2, .refused(.full))
        #expect(script.outcomes == [.notChosen(.full)])

        script.feed(.propose(token: 3, [append("a", 3)]))
        let accepts = script.promise()
        guard case .accept(let ballot, _)? = accepts.first?.request.body else {
            Issue.record("no accept: \(accepts)")
            return
        }
        script.reply(accepts, 3, .accepted(ballot, [.accepted]))
        script.reply(accepts, 1, .refused(.full))
        script.reply(accepts, 2, .refused(.full))
        #expect(script.outcomes == [.unknown(since: ballot)], "one voter has it")

        var alone = Script(.one)
        alone.feed(.propose(token: 1, [append("a", 1)]))
        guard case .prepare(let only, _)? = alone.sent.first?.request.body else { return }
        let never = PrepareAnswer.promised(acceptedBallot: .zero, value: nil)
        alone.reply(alone.sent, 1, .prepared(only, floor: .zero, [never]))
        alone.reply(alone.sent, 1, .refused(.full))
        #expect(alone.outcomes == [.notChosen(.full)])
    }

    @Test("Section 8: a newer roster is taken over and everything under way starts again")
    func newerRosters() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        script.reply(script.sent, 2, .refused(.staleRoster(.joint)))
        #expect(script.effects.contains(.rosterLearned(.joint)))
        #expect(script.sent.map(\.node.rawValue) == [1, 2, 3, 4, 5])
        #expect(script.sent.first?.request.generation == RosterGeneration(2))
        #expect(script.sent.first?.request.body == .prepare(.of(8, 1), ["k"]), "above the floor")
    }

    @Test("An acceptor without the roster is told it, once a round")
    func teaching() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        let prepare = PaxosRequest.Body.prepare(.of(1, 1), ["k"])
        script.reply(script.sent, 2, .refused(.rosterNeeded))
        #expect(script.sent.map(\.request.body) == [.adopt(.three), prepare])
        script.reply(script.sent, 2, .refused(.rosterNeeded))
        #expect(script.sent.isEmpty)
    }

    @Test("Section 7: another store's answer does not count")
    func otherStores() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        let prepares = script.sent
        let never = PrepareAnswer.promised(acceptedBallot: .zero, value: nil)
        let body = PaxosReply.Body.prepared(.of(1, 1), floor: .zero, [never])
        script.reply(prepares, 1, body)
        script.reply(prepares, 2, body, store: StoreID(high: 2, low: 99))
        #expect(script.sent.isEmpty)
        script.reply(prepares, 3, body)
        #expect(script.sent.count == 3)
    }

    @Test("Without a majority within reach a round ends at once")
    func unreachable() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1)]))
        script.feed(.unreachable(NodeID(2)))
        script.feed(.unreachable(NodeID(3)))
        script.wake(after: 30)
        #expect(script.sent.first?.request.body == .prepare(.of(2, 1), ["k"]))
    }

    @Test("What is too long or too much is refused before anything is sent")
    func bounds() {
        var script = Script()
        script.feed(.propose(token: 1, [append("a", 1, key: String(repeating: "k", count: 301))]))
        #expect(script.effects == [.done(token: 1, [.notChosen(.tooLarge)])])
        let many = (0..<70).map { append("a", UInt64($0)) }
        script.feed(.propose(token: 2, many))
        #expect(script.proposer.underWay == 65)
        script.feed(.propose(token: 3, [append("a", 99)]))
        #expect(script.outcomes == [.notChosen(.overloaded)])
        script.feed(.propose(token: 4, []))
        #expect(script.outcomes == [])
    }

    @Test("Without a roster a change waits for one")
    func noRoster() {
        var script = Script(nil)
        script.feed(.propose(token: 1, [append("a", 1)]))
        #expect(script.sent.isEmpty)
        script.feed(.rosterChanged(.one))
        script.wake(after: 30)
        #expect(script.sent.map(\.node.rawValue) == [1])
    }

    @Test("Section 3: a tombstone is a decision, and a value that is too long is none")
    func tombstones() {
        var script = Script()
        let delete = RegisterChange(key: "k", operation: .of(1)) { _, _ in .write(nil) }
        let long = RegisterChange(key: "l", operation: .of(2)) { _, _ in
            .write(ByteBuffer(repeating: 0, count: ChosenValue.valueBytesMaximum + 1))
        }
        script.feed(.propose(token: 1, [delete, long]))
        let accepts = script.promise()
        for node in [1, 2] as [Int32] {
            script.reply(accepts, node, .accepted(.of(1, 1), [.accepted]))
        }
        #expect(script.outcomes == [chosen(1, nil), .notChosen(.tooLarge)])
    }
}
