import Model
import NIOCore
import Testing

@testable import Paxos

/// A sweep with scripted voters (section 9).
@Suite struct SweeperTests {
    private struct Sweep {
        var sweeper = Sweeper(node: NodeID(1), seed: 1)
        var effects: [Sweeper.Effect] = []
        var now: Int64 = 0

        mutating func feed(_ input: Sweeper.Input) {
            effects = []
            sweeper.handle(input, now: Instant(nanoseconds: now * 1_000_000), into: &effects)
        }

        var sent: [(node: NodeID, id: UInt64, request: PaxosRequest)] {
            effects.compactMap { effect in
                guard case .send(let node, let id, let request) = effect else { return nil }
                return (node, id, request)
            }
        }

        var report: SweepReport? {
            for case .finished(let report) in effects { return report }
            return nil
        }

        /// These voters answer what was sent to them; what is sent then.
        mutating func reply(_ body: PaxosReply.Body, _ nodes: [Int32] = [1, 2, 3]) {
            let sent = sent
            for node in nodes {
                guard let request = sent.first(where: { $0.node == NodeID(node) }) else { continue }
                feed(
                    .reply(
                        from: NodeID(node), requestID: request.id,
                        PaxosReply(
                            generation: RosterGeneration(1), store: request.request.store,
                            body: body)))
            }
        }
    }

    private let stone = Envelope.bytes(nil, [.of(1)])

    @Test(
        "All voters: identity, floor, removal; promises without a value need no more than a floor")
    func sweeps() {
        var sweep = Sweep()
        sweep.feed(.sweep(["d", "a", "b", "c"], .three))
        #expect(sweep.effects == [.reserve(above: .zero)])
        sweep.feed(.reserved(.of(9)))
        #expect(sweep.sent.map(\.node.rawValue) == [1, 2, 3])
        #expect(sweep.sent.first?.request.body == .prepare(.of(9), ["a", "b", "c", "d"]))
        let answers: [PrepareAnswer] = [
            .promised(acceptedBallot: .of(3), value: stone),
            .promised(acceptedBallot: .of(2), value: Envelope.bytes("x")),
            .promised(acceptedBallot: .zero, value: nil),
            .conflict(Conflict(maxSeen: .of(20), floor: .zero)),
        ]
        sweep.reply(.prepared(.of(9), floor: .zero, answers))
        #expect(
            sweep.sent.first?.request.body
                == .accept(.of(9), [Proposal(key: "a", value: stone)]))
        sweep.reply(.accepted(.of(9), [.accepted]))
        #expect(sweep.sent.map(\.request.body) == .init(repeating: .raiseFloor(.of(9)), count: 3))
        sweep.reply(.floorRaised(.of(9)))
        #expect(
            sweep.sent.first?.request.body == .remove([Tombstone(key: "a", ballot: .of(9))]))
        sweep.reply(.removed([true]))
        #expect(sweep.report?.removed == ["a", "c"])
        #expect(sweep.report?.alive == ["b"])
        #expect(sweep.report?.contested == ["d"])
        #expect(sweep.report?.silent == [])
        #expect(sweep.sweeper.isIdle)
    }

    @Test("A voter that does not answer is waited for, and then named")
    func silence() {
        var sweep = Sweep()
        sweep.feed(.sweep(["a"], .three))
        sweep.feed(.reserved(.of(9)))
        sweep.reply(
            .prepared(.of(9), floor: .zero, [.promised(acceptedBallot: .of(3), value: stone)]))
        sweep.reply(.accepted(.of(9), [.accepted]), [1, 3])
        #expect(sweep.sent.isEmpty)
        sweep.now = 500
        sweep.feed(.wake)
        #expect(sweep.sent.map(\.node.rawValue) == [2])
        sweep.now = 10_000
        sweep.feed(.wake)
        #expect(sweep.report?.silent == [Voter.of(2).id])
        #expect(sweep.report?.removed == [])
    }

    @Test("A prepare that was lost is asked again with a higher ballot")
    func lostPrepares() {
        var sweep = Sweep()
        sweep.feed(.sweep(["a"], .three))
        sweep.feed(.reserved(.of(9)))
        sweep.now = 500
        sweep.feed(.wake)
        #expect(sweep.effects.first == .reserve(above: .of(9)))
    }

    @Test("Nothing is swept during a roster change")
    func rosterChanges() {
        var sweep = Sweep()
        sweep.feed(.sweep(["a"], .brought))
        #expect(sweep.report?.isInterrupted == true)
        sweep.feed(.sweep(["a"], .three))
        sweep.feed(.reserved(.of(9)))
        sweep.reply(.refused(.staleRoster(.brought)), [2])
        #expect(sweep.report?.isInterrupted == true)
        sweep.feed(.sweep(["a"], .three))
        sweep.feed(.rosterChanged(.three))
        #expect(!sweep.sweeper.isIdle)
        sweep.feed(.rosterChanged(.brought))
        #expect(sweep.report?.isInterrupted == true)
    }

    @Test("An acceptor forgets promises without a value where its floor promises the same")
    func lookUps() {
        var bench = Bench()
        _ = bench.answer(.prepare(.of(4), ["a", "b", "c"]))
        _ = bench.answer(.prepare(.of(8), ["b"]))
        _ = bench.answer(
            .accept(.of(4), [Proposal(key: "c", value: Envelope.bytes("x"))]))
        #expect(bench.acceptor.registerCount == 3)
        #expect(bench.answer(.raiseFloor(.of(5))) == .floorRaised(.of(5)))
        #expect(bench.acceptor.registers(limit: 9).map(\.key) == ["b", "c"])
        bench.restart()
        #expect(bench.acceptor.registers(limit: 9).map(\.key) == ["b", "c"])
        #expect(bench.answer(.raiseFloor(.of(9))) == .floorRaised(.of(9)))
        #expect(bench.acceptor.registers(limit: 9).map(\.key) == ["c"])
        #expect(
            bench.answer(.prepare(.of(9), ["b"]))
                == .prepared(
                    .of(9), floor: .of(9),
                    [.conflict(Conflict(maxSeen: .zero, floor: .of(9)))]))
    }
}
