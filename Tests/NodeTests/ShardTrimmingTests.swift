import Model
import Replication
import Simulation
import Storage
import Testing

@testable import Node

/// DeleteRecords: answered once every copy in sync has durably dropped what was to go.
@Suite struct ShardTrimmingTests {
    private let id = ShardPair.id

    /// Three records on both copies, and the first two to be deleted: the leader has done so, and
    /// its follower has been told.
    private func pair(timeout: Int64 = 1_000) -> ShardPair {
        var pair = ShardPair()
        for token in 0..<3 { pair.produce(UInt64(token), "value \(token)") }
        pair.settle()
        pair.leader.effects = []
        pair.leader.ask(7, [(id, .delete(before: 2, timeoutMilliseconds: timeout))])
        pair.leader.runJobs()
        pair.leader.advance(milliseconds: 5)
        pair.leader.handle(.wake)
        pair.deliver()
        return pair
    }

    private func answer(_ pair: ShardPair) -> PartitionAnswer? {
        pair.leader.effects.answered.first { $0.token == 7 }?.answers.first
    }

    private func low(_ pair: ShardPair) -> Offset? {
        if case .deleted(let low)? = answer(pair) { low } else { nil }
    }

    @Test func itIsAnsweredOnceTheFollowerHasDurablyDoneTheSame() {
        var pair = pair()
        #expect(pair.leader.log(id)?.durableStart == Offset(2))
        #expect(answer(pair) == nil, "the follower has only heard of it")
        #expect(pair.follower.jobs.count == 1)
        pair.follower.runJobs()
        #expect(pair.follower.log(id)?.durableStart == Offset(2))
        #expect(answer(pair) == nil, "the leader does not know")
        pair.deliver()
        #expect(low(pair) == Offset(2))
    }

    /// The leader is gone in the moment of the answer, and the follower's power with it.
    @Test func whoeverLeadsNextServesNothingOfIt() throws {
        var pair = pair()
        pair.settle()
        #expect(low(pair) == Offset(2))
        let disk = pair.follower.disk
        disk.restart()
        var next = ShardBench(disk: disk)
        next.handle(.lease(until: Instant(nanoseconds: .max)))
        next.open(id, as: .waits(pair.state, as: copy(2)), clean: false)
        #expect(next.log(id)?.startOffset == Offset(2))
    }

    @Test func aFollowerThatIsSilentMakesItTimeOut() {
        var pair = pair(timeout: 200)
        // Five have passed.
        pair.leader.advance(milliseconds: 194)
        pair.leader.handle(.wake)
        #expect(answer(pair) == nil)
        pair.leader.advance(milliseconds: 1)
        pair.leader.handle(.wake)
        guard case .failed(.timedOut)? = answer(pair) else {
            Issue.record("\(String(describing: answer(pair)))")
            return
        }
        // It was done all the same, and a second request finds it so.
        pair.leader.effects = []
        pair.settle()
        pair.leader.ask(7, [(id, .delete(before: 2))])
        #expect(low(pair) == Offset(2))
    }

    @Test func aFollowerThatLeavesTheInSyncSetIsNotWaitedFor() throws {
        var pair = pair()
        let shrunk = try pair.state.alterInSync(
            to: [copy(1)], by: NodeID(1), leaderEpoch: pair.state.leaderEpoch,
            expecting: pair.state.partitionEpoch, minInSync: 1
        ).get()
        pair.leader.handle(.assume(id, .leads(shrunk, as: copy(1), minInSync: 1)))
        #expect(low(pair) == Offset(2))
    }

    /// Not at once, where it would fail again, but with the next maintenance.
    @Test func aFollowerWhoseDiskFailedTriesAgain() {
        var pair = pair()
        pair.follower.disk.failNextSynchronization()
        pair.follower.runJobs()
        #expect(pair.follower.log(id)?.durableStart == .zero)
        #expect(pair.follower.jobs.isEmpty)
        pair.follower.handle(.maintain)
        pair.settle()
        #expect(pair.follower.log(id)?.durableStart == Offset(2))
        #expect(low(pair) == Offset(2))
        pair.follower.handle(.maintain)
        #expect(pair.follower.jobs.isEmpty, "it is done")
    }

    /// What was said on a link that broke is said again in the next session.
    @Test func anAnswerThatWasLostIsGivenAgain() {
        var pair = pair()
        pair.follower.runJobs()
        pair.follower.endTurn()
        #expect(!pair.follower.takeSent(to: ShardPair.leaderID).isEmpty)
        for side in [true, false] {
            let other = side ? ShardPair.followerID : ShardPair.leaderID
            if side {
                pair.leader.handle(.linkLost(other))
            } else {
                pair.follower.handle(.linkLost(other))
            }
        }
        pair.settle()
        #expect(low(pair) == Offset(2))
    }

    @Test func whoeverLeadsNoMoreSaysSo() {
        var pair = pair()
        pair.leader.handle(.assume(id, .waits(pair.state, as: copy(1))))
        guard case .failed(.notLeader)? = answer(pair) else {
            Issue.record("\(String(describing: answer(pair)))")
            return
        }
    }
}
