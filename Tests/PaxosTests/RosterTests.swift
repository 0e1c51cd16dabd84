import Model
import NIOCore
import Testing

@testable import Paxos

/// Who counts, and what an acceptor makes of a roster (section 8).
@Suite struct RosterTests {
    private let a = Envelope.bytes("a")
    private let b = Envelope.bytes("b")

    @Test("Section 8: a quorum of a joint roster is a majority of both")
    func quorums() {
        func isQuorum(_ roster: Roster, _ nodes: [Int32]) -> Bool {
            roster.isQuorum(nodes.map { Voter.of($0).id })
        }
        #expect(isQuorum(.one, [1]))
        #expect(!isQuorum(.one, [2]))
        #expect(isQuorum(.three, [1, 3]))
        #expect(!isQuorum(.three, [1]))
        #expect(!isQuorum(.joint, [1, 2, 3]))
        #expect(isQuorum(.joint, [1, 3, 4]))
        #expect(!isQuorum(.joint, [3, 4, 5]))
        #expect(Roster.joint.everyone.map(\.node.rawValue) == [1, 2, 3, 4, 5])
    }

    @Test("Section 7: a node with a new disk is another voter, also beside its old one")
    func replacements() {
        let wiped = Voter(node: NodeID(1), store: StoreID(high: 1, low: 2), key: Voter.of(1).key)
        let joint = Roster.three.joint(to: [wiped, .of(2), .of(3)])
        #expect(joint.everyone.map(\.id) == [1, 2, 3].map { Voter.of($0).id } + [wiped.id])
        #expect(joint.voter(wiped.id)?.since == joint.generation)
        #expect(joint.voter(Voter.of(2).id)?.since == RosterGeneration.none)
        #expect(!joint.isQuorum([wiped.id, Voter.of(2).id]), "one of the old three")
        #expect(joint.isQuorum([Voter.of(2).id, Voter.of(3).id]))
        let settled = joint.settled(floor: .of(5))
        #expect(settled.isQuorum([wiped.id, Voter.of(2).id]))
        #expect(!settled.isQuorum([Voter.of(1).id, Voter.of(2).id]))
        #expect(settled.floor == .of(5))
    }

    @Test("Only what may follow a roster follows it")
    func successors() {
        let joint = Roster.brought
        let settled = joint.settled(floor: .zero)
        let back = joint.joint(to: joint.voters)
        #expect(joint.follows(.three))
        #expect(settled.follows(joint))
        #expect(back.follows(joint))
        #expect(back.settled(floor: .zero).follows(back))
        #expect(settled.follows(.three), "a change that was missed")
        #expect(!joint.follows(joint))
        #expect(!joint.follows(settled))
        #expect(!settled.joint(to: [.of(1)]).follows(back), "the same generation")
        let invented = Roster(
            generation: RosterGeneration(2), voters: [.of(9)], cluster: "c")
        #expect(!invented.follows(.three))
    }

    @Test("Section 7: a fresh store answers nothing but the change that brings it in")
    func freshStores() {
        var bench = Bench(roster: nil)
        for body: PaxosRequest.Body in [
            .read(["k"]), .prepare(.of(1), ["k"]), .scan(after: "", limit: 1),
            .install(floor: .zero, []), .raiseFloor(.of(1)),
        ] {
            #expect(bench.answer(body, generation: 0) == .refused(.rosterNeeded))
            #expect(bench.answer(body, generation: 9) == .refused(.rosterNeeded))
        }
        let others = Roster(
            generation: RosterGeneration(2), voters: [.of(3)], next: [.of(2)], cluster: "c")
        for roster in [Roster.one, .three, others, .joint] {
            #expect(bench.answer(.adopt(roster)) == .adopted(.none), "it counts on promises")
        }
        bench.feed(.adopt(others))
        #expect(bench.acceptor.roster == nil)
        let joint = Roster(
            generation: RosterGeneration(2), voters: [.of(3)], cluster: "c"
        ).joint(to: [.of(1)])
        #expect(bench.answer(.adopt(joint)) == .adopted(RosterGeneration(3)))
        let floor = PaxosRequest.Body.install(floor: .of(4), [])
        #expect(bench.answer(floor, generation: 3) == .installed)
        #expect(bench.acceptor.floor == .of(4))
        #expect(
            bench.answer(.raiseFloor(.of(9)), generation: 3) == .refused(.staleRoster(joint)),
            "no sweeping during a change")
    }

    @Test("A store that was left out and comes back forgets what it held")
    func rejoiners() {
        var bench = Bench(roster: .three)
        _ = bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]))
        let out = Roster.three.joint(to: [.of(2), .of(3), .of(4)]).settled(floor: .zero)
        let back = out.joint(to: [.of(1), .of(2), .of(3)])
        var missed = bench
        #expect(bench.answer(.adopt(out)) == .adopted(RosterGeneration(3)))
        #expect(bench.acceptor.registerCount == 1)
        #expect(bench.answer(.adopt(back)) == .adopted(RosterGeneration(4)))
        #expect(bench.acceptor.registerCount == 0)
        bench.restart()
        #expect(bench.acceptor.registerCount == 0)
        let settled = back.settled(floor: .zero)
        #expect(missed.answer(.adopt(settled)) == .adopted(RosterGeneration(5)))
        #expect(missed.acceptor.registerCount == 0, "also where it missed all of it")
        _ = bench.answer(.accept(.of(3), [Proposal(key: "k", value: a)]), generation: 4)
        _ = bench.answer(.adopt(settled))
        #expect(bench.acceptor.registerCount == 1, "and not what it was given since")
    }

    @Test("Section 8: a scan is in order, and covers what comes meanwhile")
    func scans() {
        var bench = Bench(roster: .three)
        func keys(_ after: String, _ limit: Int) -> [String] {
            guard
                case .scanned(_, let remaining, let entries)? = bench.answer(
                    .scan(after: after, limit: limit))
            else { return [] }
            return entries.map(\.key) + ["\(remaining)"]
        }
        func write(_ key: String) {
            _ = bench.answer(.accept(.of(1), [Proposal(key: key, value: a)]))
        }
        for key in ["d", "b", "f"] { write(key) }
        #expect(keys("", 2) == ["b", "d", "1"])
        for key in ["a", "c", "e", "e", "g"] { write(key) }
        #expect(keys("b", 3) == ["c", "d", "e", "2"])
        #expect(keys("e", 9) == ["f", "g", "0"])
        _ = bench.answer(.accept(.of(5), [Proposal(key: "d", value: Envelope.bytes(nil))]))
        _ = bench.answer(.raiseFloor(.of(5)))
        #expect(
            bench.answer(.remove([Tombstone(key: "d", ballot: .of(5))])) == .removed([true]))
        #expect(keys("b", 3) == ["c", "e", "f", "1"])
        _ = bench.answer(.prepare(.of(8), ["d"]))
        #expect(keys("b", 3) == ["c", "d", "e", "2"])
        #expect(keys("g", 3) == ["0"])
    }

    @Test("Section 8: an installed state raises and never lowers")
    func installs() {
        var bench = Bench(roster: nil)
        let joint = Roster(
            generation: RosterGeneration(2), voters: [.of(3)], cluster: "c"
        ).joint(to: [.of(1)])
        _ = bench.answer(.adopt(joint))
        _ = bench.answer(.accept(.of(6), [Proposal(key: "k", value: b)]), generation: 3)
        func install(_ maxSeen: UInt64, _ accepted: UInt64) -> RegisterState {
            let state = RegisterState(
                maxSeen: .of(maxSeen), acceptedBallot: .of(accepted), value: a)
            let body = PaxosRequest.Body.install(
                floor: .zero, [RegisterEntry(key: "k", state: state)])
            #expect(bench.answer(body, generation: 3) == .installed)
            return bench.acceptor.state(of: "k")
        }
        #expect(
            install(5, 4) == RegisterState(maxSeen: .of(6), acceptedBallot: .of(6), value: b))
        #expect(
            install(9, 4) == RegisterState(maxSeen: .of(9), acceptedBallot: .of(6), value: b))
        #expect(
            install(8, 8) == RegisterState(maxSeen: .of(9), acceptedBallot: .of(8), value: a))
        bench.restart()
        #expect(
            bench.acceptor.state(of: "k")
                == RegisterState(maxSeen: .of(9), acceptedBallot: .of(8), value: a))
        #expect(
            bench.answer(.install(floor: .zero, []), generation: 2) == .refused(.staleRoster(joint))
        )
    }

    @Test("What a repair gives in spite of a promise does not count as chosen")
    func givenValues() {
        var bench = Bench(roster: nil)
        let joint = Roster(
            generation: RosterGeneration(2), voters: [.of(3)], cluster: "c"
        ).joint(to: [.of(1)])
        _ = bench.answer(.adopt(joint))
        _ = bench.answer(.prepare(.of(5), ["k"]), generation: 3)
        let state = RegisterState(maxSeen: .of(4), acceptedBallot: .of(4), value: a)
        _ = bench.answer(
            .install(floor: .zero, [RegisterEntry(key: "k", state: state)]), generation: 3)
        #expect(
            bench.answer(.prepare(.of(7), ["k"]), generation: 3)
                == .prepared(
                    .of(7), floor: .zero, [.overtaken(acceptedBallot: .of(4), value: a)]))
        _ = bench.answer(.accept(.of(7), [Proposal(key: "k", value: a)]), generation: 3)
        #expect(
            bench.answer(.prepare(.of(8), ["k"]), generation: 3)
                == .prepared(
                    .of(8), floor: .zero, [.promised(acceptedBallot: .of(7), value: a)]))
    }
}
