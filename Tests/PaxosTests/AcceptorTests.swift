import Model
import NIOCore
import Testing

@testable import Paxos

/// The rules of the reference, one transcript each.
@Suite struct AcceptorTests {
    private let a = Envelope.bytes("a")
    private let b = Envelope.bytes("b")

    private func conflict(_ maxSeen: Ballot, floor: Ballot = .zero) -> Conflict {
        Conflict(maxSeen: maxSeen, floor: floor)
    }

    @Test("Section 4: prepare(b) needs b > maxSeen")
    func prepareNeedsMore() {
        var bench = Bench()
        let promised = PrepareAnswer.promised(acceptedBallot: .zero, value: nil)
        #expect(
            bench.answer(.prepare(.of(2), ["k"])) == .prepared(.of(2), floor: .zero, [promised]))
        for ballot in [Ballot.of(1), .of(2)] {
            #expect(
                bench.answer(.prepare(ballot, ["k"]))
                    == .prepared(ballot, floor: .zero, [.conflict(conflict(.of(2)))]))
        }
        #expect(
            bench.answer(.prepare(.of(2, 10), ["k"]))
                == .prepared(.of(2, 10), floor: .zero, [promised]))
    }

    @Test("Section 4: accept(b, v) needs b >= maxSeen, and raises it")
    func acceptRaises() {
        var bench = Bench()
        #expect(bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)])) != nil)
        #expect(
            bench.acceptor.state(of: "k")
                == RegisterState(maxSeen: .of(3), acceptedBallot: .of(3), value: a))
        #expect(
            bench.answer(.accept(.of(2), [Proposal(key: "k", value: b)]))
                == .accepted(.of(2), [.conflict(conflict(.of(3)))]))
        #expect(
            bench.answer(.prepare(.of(3), ["k"]))
                == .prepared(.of(3), floor: .zero, [.conflict(conflict(.of(3)))]))
        #expect(
            bench.answer(.prepare(.of(4), ["k"]))
                == .prepared(
                    .of(4), floor: .zero, [.promised(acceptedBallot: .of(3), value: a)]))
        #expect(
            bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]))
                == .accepted(.of(3), [.conflict(conflict(.of(4)))]))
        #expect(
            bench.answer(.accept(.of(4), [Proposal(key: "k", value: b)]))
                == .accepted(.of(4), [.accepted]))
    }

    @Test("Section 4: the conflict names the rival")
    func conflictsNameTheRival() {
        #expect(conflict(.of(5, 3)).rival == NodeID(3))
        #expect(conflict(.of(5, 3), floor: .of(6, 4)).rival == NodeID(4))
    }

    @Test("A batch that does not fit is taken back with all that stands on it")
    func noRoom() {
        var bench = Bench()
        _ = bench.answer(.accept(.of(1), [Proposal(key: "held", value: a)]))
        let before = bench.acceptor.state(of: "held")
        bench.effects = []
        bench.ask(.accept(.of(2), [Proposal(key: "held", value: b)]))
        bench.ask(.prepare(.of(3), ["held", "new"]))
        bench.ask(.read(["held"]))
        bench.refuse()
        #expect(bench.replies == [.refused(.full), .refused(.full), .refused(.full)])
        #expect(bench.acceptor.state(of: "held") == before)
        #expect(bench.acceptor.state(of: "new") == RegisterState())
        #expect(
            bench.answer(.read(["held"]))
                == .values([before]), "it goes on from what the disk has")
        #expect(
            bench.answer(.accept(.of(2), [Proposal(key: "held", value: b)]))
                == .accepted(.of(2), [.accepted]))
        var blank = Acceptor(cluster: "c", node: NodeID(1), store: Bench.store)
        var effects: [Acceptor.Effect] = []
        blank.handle(.loaded([]), into: &effects)
        blank.handle(.persistRefused(serial: 1), into: &effects)
        #expect(blank.phase == .halted(.persistFailed), "nothing may precede the identity")
    }

    @Test("Section 6: no reply before its fsync; what comes meanwhile shares the next one")
    func groupCommit() {
        var bench = Bench()
        bench.effects = []
        bench.ask(.prepare(.of(1), ["a"]))
        bench.ask(.prepare(.of(2), ["b", "c"]))
        bench.ask(.accept(.of(1), [Proposal(key: "a", value: a)]))
        bench.ask(.read(["a"]))
        #expect(
            bench.effects == [.persist(serial: 3, [.promise(key: "a", .of(1))])])
        bench.effects = []
        bench.sync()
        #expect(bench.replies.count == 1)
        #expect(
            bench.effects.last
                == .persist(
                    serial: 4,
                    [
                        .promise(key: "b", .of(2)), .promise(key: "c", .of(2)),
                        .accept(key: "a", .of(1), a),
                    ]))
        bench.effects = []
        bench.sync()
        #expect(bench.replies.count == 3)
        #expect(
            bench.replies.last
                == .values([RegisterState(maxSeen: .of(1), acceptedBallot: .of(1), value: a)]))
        #expect(bench.acceptor.statistics.batches == 4)
        #expect(bench.acceptor.statistics.records == 6)
    }

    @Test("Section 6: a failed fsync is the end")
    func failedSyncHalts() {
        var bench = Bench()
        bench.ask(.prepare(.of(1), ["a"]))
        bench.ask(.prepare(.of(1), ["b"]))
        bench.effects = []
        bench.feed(.persistFailed(serial: 3))
        #expect(bench.effects == [.halted(.persistFailed)])
        #expect(bench.acceptor.phase == .halted(.persistFailed))
        bench.effects = []
        bench.ask(.read(["a"]))
        bench.feed(.persisted(serial: 3))
        bench.feed(.persistFailed(serial: 3))
        #expect(bench.effects.isEmpty)
    }

    @Test("A power cut takes back what was not answered, and nothing else")
    func restarts() {
        var bench = Bench()
        _ = bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]))
        bench.ask(.prepare(.of(5), ["k"]))
        bench.restart()
        #expect(
            bench.acceptor.state(of: "k")
                == RegisterState(maxSeen: .of(3), acceptedBallot: .of(3), value: a))
        #expect(bench.acceptor.generation == RosterGeneration(1))
        let log = bench.acceptor.compactedLog()
        var again = Acceptor(cluster: "c", node: NodeID(1), store: Bench.store)
        var effects: [Acceptor.Effect] = []
        again.handle(.loaded(log), into: &effects)
        #expect(again.compactedLog() == log)
        #expect(effects.isEmpty)
    }

    @Test("Section 7: a log of another store, or none of ours, is not served")
    func foreignLogs() {
        let other = StoreID(high: 2, low: 2)
        var effects: [Acceptor.Effect] = []
        var acceptor = Acceptor(cluster: "c", node: NodeID(1), store: Bench.store)
        acceptor.handle(.loaded([.identity(cluster: "c", store: other)]), into: &effects)
        #expect(effects == [.halted(.foreignLog(cluster: "c", store: other))])
        acceptor = Acceptor(cluster: "c", node: NodeID(1), store: Bench.store)
        effects = []
        acceptor.handle(.loaded([.floor(.of(1))]), into: &effects)
        #expect(effects == [.halted(.damagedLog)])
    }

    @Test("Section 7: a request for another store is refused")
    func otherStores() {
        var bench = Bench()
        let other = StoreID(high: 1, low: 2)
        #expect(bench.answer(.prepare(.of(1), ["k"]), store: other) == .refused(.wrongStore))
        #expect(bench.acceptor.registerCount == 0)
    }

    @Test("Section 8: a lower generation is refused with the newer roster, a higher one teaches")
    func generations() {
        var bench = Bench(roster: .three)
        #expect(bench.answer(.prepare(.of(1), ["k"]), generation: 2) == .refused(.rosterNeeded))
        #expect(
            bench.answer(.adopt(.joint), generation: 2) == .adopted(RosterGeneration(2)))
        #expect(
            bench.answer(.prepare(.of(9), ["k"])) == .refused(.staleRoster(.joint)))
        #expect(bench.answer(.adopt(.one)) == .adopted(RosterGeneration(2)))
        let foreign = Roster(
            generation: RosterGeneration(9), voters: [.of(1)], cluster: "another")
        #expect(bench.answer(.adopt(foreign)) == .adopted(RosterGeneration(2)))
        bench.restart()
        #expect(bench.acceptor.roster == .joint)
        #expect(bench.acceptor.floor == .of(7), "a new voter inherits the floor")
    }

    @Test("Section 9: removal of a tombstone below the floor, and the floor for ever")
    func removal() {
        var bench = Bench()
        let stone = Tombstone(key: "k", ballot: .of(4))
        _ = bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]))
        _ = bench.answer(.accept(.of(4), [Proposal(key: "k", value: Envelope.bytes(nil))]))
        #expect(bench.answer(.remove([stone])) == .removed([false]), "the floor is below")
        #expect(bench.answer(.raiseFloor(.of(4))) == .floorRaised(.of(4)))
        _ = bench.answer(.prepare(.of(6), ["k"]))
        #expect(bench.answer(.remove([stone])) == .removed([false]), "a promise is outstanding")
        _ = bench.answer(.accept(.of(6), [Proposal(key: "k", value: Envelope.bytes(nil))]))
        #expect(bench.answer(.remove([stone])) == .removed([false]), "another tombstone")
        _ = bench.answer(.raiseFloor(.of(6)))
        let later = Tombstone(key: "k", ballot: .of(6))
        #expect(bench.answer(.remove([later])) == .removed([true]))
        #expect(bench.answer(.remove([later])) == .removed([true]), "it is gone already")
        bench.restart()
        #expect(bench.acceptor.registerCount == 0)
        #expect(
            bench.answer(.accept(.of(6), [Proposal(key: "k", value: a)]))
                == .accepted(.of(6), [.conflict(conflict(.zero, floor: .of(6)))]))
        #expect(
            bench.answer(.prepare(.of(5), ["k"]))
                == .prepared(.of(5), floor: .of(6), [.conflict(conflict(.zero, floor: .of(6)))]))
    }

    @Test("Only tombstones are removed")
    func valuesStay() {
        var bench = Bench()
        _ = bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]))
        _ = bench.answer(.raiseFloor(.of(3)))
        let answer = bench.answer(.remove([Tombstone(key: "k", ballot: .of(3))]))
        #expect(answer == .removed([false]))
    }

    @Test("What waits for a slow disk is bounded, and what is refused changed nothing")
    func overload() {
        var bench = Bench()
        for counter in 1...UInt64(Limits.gatheredRequestsMaximum) + 1 {
            bench.ask(.prepare(.of(counter), ["k"]))
        }
        bench.effects = []
        bench.ask(.prepare(.of(1), ["another"]))
        #expect(bench.replies == [.refused(.overloaded)])
        #expect(bench.acceptor.registerCount == 1)
    }

    @Test("Values that do not fit one message are left for the next")
    func largeValues() {
        var bench = Bench()
        let large = Envelope(
            value: ByteBuffer(repeating: 7, count: ChosenValue.valueBytesMaximum)
        ).encoded()
        for key in ["a", "b", "c"] {
            _ = bench.answer(.accept(.of(1), [Proposal(key: key, value: large)]))
        }
        guard case .prepared(_, _, let answers)? = bench.answer(.prepare(.of(2), ["a", "b", "c"]))
        else { return #expect(Bool(false)) }
        #expect(answers.count == 2)
        #expect(bench.acceptor.state(of: "c").maxSeen == .of(1))
        guard case .values(let states)? = bench.answer(.read(["a", "b", "c"])) else {
            return #expect(Bool(false))
        }
        #expect(states.count == 2)
    }

    @Test func snapshotsAreInOrder() {
        var bench = Bench()
        let operation = OperationID.of(1)
        for key in ["b", "c", "a"] {
            let value = Envelope.bytes(key, [operation])
            _ = bench.answer(.accept(.of(1), [Proposal(key: key, value: value)]))
        }
        let page = bench.acceptor.registers(after: "a", limit: 1)
        #expect(page.map(\.key) == ["b"])
        #expect(page.first?.value == ByteBuffer(string: "b"))
        #expect(page.first?.operations == [operation])
    }
}
