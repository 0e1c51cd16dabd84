import Model
import NIOCore
import OrderedCollections
import Testing

@testable import Paxos

private func changes(_ count: Int) -> [RegisterChange] {
    (0..<count).map { append("a", UInt64($0 + 1), key: "partition/\(10_000 + $0)") }
}

extension Script {
    /// Nobody takes what was sent; as often as something is sent at once.
    fileprivate mutating func refuseConnections(by nodes: [Int32]) -> Int {
        var count = sent.count
        var said = effects
        for node in nodes {
            feed(.unreachable(NodeID(node)))
            count += sent.count
            said += effects
        }
        effects = said
        return count
    }

    /// Time goes by, with a wake every so often; messages sent meanwhile.
    fileprivate mutating func pass(
        milliseconds: Int64, step: Int64 = 4, refusing nodes: [Int32]
    ) -> Int {
        let end = now + milliseconds
        var count = 0
        while now < end {
            wake(after: step)
            count += sent.isEmpty ? 0 : refuseConnections(by: nodes)
        }
        return count
    }
}

/// Voters that can't be reached, and voters that are busy.
@Suite struct ReachTests {
    @Test("Where the voters are down, a thousand registers ask them a few times, not each")
    func backsOff() {
        var script = Script()
        script.feed(.propose(token: 1, changes(1_000)))
        let first = script.refuseConnections(by: [1, 2, 3])
        #expect(first == 3 * 4)
        // Ten pauses grow to three seconds; each try is one message to each voter.
        let sent = script.pass(milliseconds: 9_000, refusing: [1, 2, 3])
        #expect(sent > 0 && sent <= 3 * 16, "\(sent) messages")
        #expect(script.outcomes == nil)
        _ = script.pass(milliseconds: 1_500, refusing: [1, 2, 3])
        #expect(script.proposer.underWay == 0)
    }

    @Test("A sign of life ends the pause at once, for everything that waits")
    func signOfLife() {
        var script = Script()
        script.feed(.propose(token: 1, changes(1_000)))
        _ = script.refuseConnections(by: [1, 2, 3])
        _ = script.pass(milliseconds: 6_000, refusing: [1, 2, 3])
        script.feed(.reachable(NodeID(2)))
        #expect(script.sent.isEmpty, "one of three decides nothing")
        script.feed(.reachable(NodeID(1)))
        let keys = script.sent.filter { $0.node == NodeID(2) }.map { sent in
            guard case .prepare(_, let keys) = sent.request.body else { return 0 }
            return keys.count
        }
        #expect(keys.reduce(0, +) == 1_000)
    }

    @Test("Where one of three voters is down nobody waits for it")
    func quorumInReach() {
        var script = Script()
        script.feed(.unreachable(NodeID(3)))
        script.feed(.propose(token: 1, [append("a", 1)]))
        let accepts = script.promise()
        #expect(accepts.count == 3)
        // A rival is in the way of another change: it is tried again at the pace of duels.
        script.feed(.propose(token: 2, [append("b", 2, key: "l")]))
        #expect(script.sent.count == 3)
        script.feed(.unreachable(NodeID(3)))
        script.feed(.unreachable(NodeID(2)))
        #expect(script.sent.isEmpty)
        script.feed(.reachable(NodeID(2)))
        #expect(script.sent.count == 3)
    }

    @Test("Voters that say nothing are left alone too, and a late word brings them back")
    func silence() {
        var script = Script()
        script.feed(.propose(token: 1, changes(1_000)))
        let asked = script.sent
        // Every round is given up after half a second without a word.
        var sent = 0
        for _ in 0..<(9_000 / 4) {
            script.wake(after: 4)
            sent += script.sent.count
        }
        #expect(sent <= 3 * 12, "\(sent) messages")
        script.reply(asked, 1, .refused(.overloaded))
        script.reply(asked, 2, .refused(.overloaded))
        #expect(script.sent.count >= 3 * 3)
    }

    @Test("Ten thousand registers are asked for some at a time, and all of them in the end")
    func window() {
        var script = Script()
        script.feed(.propose(token: 1, changes(5_000)))
        #expect(script.sent.count == 3 * Limits.roundsMaximum)
        var waiting = script.sent
        var asked = 0
        var most = 0
        while !waiting.isEmpty {
            most = max(most, script.proposer.rounds.count)
            let request = waiting.removeFirst()
            let body: PaxosReply.Body
            switch request.request.body {
            case .prepare(let ballot, let keys):
                if request.node == NodeID(1) { asked += keys.count }
                body = .prepared(
                    ballot, floor: .zero,
                    keys.map { _ in .promised(acceptedBallot: .zero, value: nil) })
            case .accept(let ballot, let proposals):
                body = .accepted(ballot, proposals.map { _ in .accepted })
            default: continue
            }
            let node = request.node.rawValue
            script.reply([request], node, body)
            waiting += script.sent
            if let outcomes = script.outcomes {
                #expect(outcomes.count == 5_000)
                #expect(outcomes.allSatisfy { if case .chosen = $0 { true } else { false } })
            }
        }
        #expect(asked == 5_000 && script.proposer.underWay == 0)
        #expect(most <= Limits.roundsMaximum)
    }
}
