import Model
import NIOCore
import Testing

@testable import Paxos

/// Schedules of roster changes that random ones hardly find.
@Suite struct HandoverTests {
    /// Acceptors whose disks write at once, by their node ids.
    private struct Acceptors {
        var all: [Acceptor]

        init(_ rules: RegisterRules) {
            all = (1...5).map {
                Acceptor(
                    cluster: "c", node: NodeID(Int32($0)),
                    store: StoreID(high: UInt64($0), low: 1), rules: rules)
            }
            for node in 1...5 {
                feed(node, .loaded([]))
                if node <= 3 { feed(node, .adopt(.three)) }
            }
        }

        @discardableResult
        private mutating func feed(_ node: Int, _ input: Acceptor.Input) -> PaxosReply.Body? {
            var effects: [Acceptor.Effect] = []
            all[node - 1].handle(input, into: &effects)
            for case .persist(let serial, _) in effects {
                all[node - 1].handle(.persisted(serial: serial), into: &effects)
            }
            for case .reply(_, _, let reply) in effects { return reply.body }
            return nil
        }

        @discardableResult
        mutating func ask(
            _ node: Int, _ body: PaxosRequest.Body, _ generation: UInt64
        ) -> PaxosReply.Body? {
            let request = PaxosRequest(
                generation: RosterGeneration(generation), store: all[node - 1].store, body: body)
            return feed(node, .request(from: NodeID(9), requestID: 1, request))
        }
    }

    /// Voters 1, 2, 3 give way to 3, 4, 5. A value is accepted by 3 alone, at a ballot that 1 and 2
    /// had promised; then they are gone. Whether two of the three new voters would choose another
    /// value at a lower ballot, which the third's would override.
    private func isUndercut(_ rules: RegisterRules) -> Bool {
        var acceptors = Acceptors(rules)
        let joint = Roster.brought
        let high = Ballot.of(20)
        let stale = [Proposal(key: "k", value: Envelope.bytes("stale"))]
        for node in 1...3 { acceptors.ask(node, .prepare(high, ["k"]), 1) }
        for node in 1...2 { acceptors.ask(node, .adopt(joint), 1) }
        #expect(acceptors.ask(1, .accept(high, stale), 1) == .refused(.staleRoster(joint)))
        #expect(acceptors.ask(3, .accept(high, stale), 1) == .accepted(high, [.accepted]))
        guard
            case .scanned(let floor, 0, let entries)? = acceptors.ask(
                1, .scan(after: "", limit: 9), 2)
        else { return false }
        #expect(acceptors.ask(2, .scan(after: "", limit: 9), 2) != nil)
        for node in 4...5 {
            acceptors.ask(node, .adopt(joint), 2)
            #expect(acceptors.ask(node, .install(floor: floor, entries), 2) == .installed)
        }
        let settled = joint.settled(floor: floor)
        for node in 3...5 { acceptors.ask(node, .adopt(settled), 3) }
        let low = Ballot.of(5)
        let taken = [4, 5].allSatisfy { node in
            acceptors.ask(node, .prepare(low, ["k"]), 3)
            let fresh = [Proposal(key: "k", value: Envelope.bytes("fresh"))]
            return acceptors.ask(node, .accept(low, fresh), 3) == .accepted(low, [.accepted])
        }
        // Whoever prepares at 3 and 4 sees the stale value at the higher ballot.
        return taken && acceptors.all[2].state(of: "k").acceptedBallot == high
    }

    @Test("A promise goes to the new voters as well as a value")
    func promisesAreRepaired() {
        var rules = RegisterRules()
        #expect(!isUndercut(rules))
        rules.promisesRepaired = false
        #expect(isUndercut(rules))
    }

    /// Voter 1 is left out while it holds a value; the register is deleted, removed below the
    /// floor, and 1 comes back. Whether the value is seen again.
    private func isResurrected(_ rules: RegisterRules) -> Bool {
        var acceptors = Acceptors(rules)
        let value = [Proposal(key: "k", value: Envelope.bytes("deleted"))]
        for node in 1...3 { acceptors.ask(node, .accept(.of(3), value), 1) }
        let out = Roster.three.joint(to: [.of(2), .of(3), .of(4)]).settled(floor: .of(7))
        for node in 2...3 {
            acceptors.ask(node, .adopt(out), 3)
            let stone = [Proposal(key: "k", value: Envelope.bytes(nil))]
            acceptors.ask(node, .accept(.of(8), stone), 3)
            acceptors.ask(node, .raiseFloor(.of(8)), 3)
            let gone = acceptors.ask(node, .remove([Tombstone(key: "k", ballot: .of(8))]), 3)
            #expect(gone == .removed([true]))
        }
        let back = out.joint(to: [.of(1), .of(2), .of(3)])
        for node in 1...3 { acceptors.ask(node, .adopt(back), 4) }
        return acceptors.all[0].state(of: "k").value != nil
    }

    @Test("A store that was left out and comes back forgets what was removed meanwhile")
    func rejoinersForget() {
        var rules = RegisterRules()
        #expect(!isResurrected(rules))
        rules.rejoinersForget = false
        #expect(isResurrected(rules))
    }
}
