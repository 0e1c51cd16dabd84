import Model
import Replication
import Testing

@testable import Node

/// Consumers that read from a follower (KIP-392).
@Suite struct FollowerFetchTests {
    private let id = ShardPair.id

    /// Two records that are committed, and one that the follower does not know to be.
    private func pair() -> ShardPair {
        var pair = ShardPair()
        for (token, value) in ["a", "b"].enumerated() { pair.produce(UInt64(token), value) }
        pair.settle()
        pair.advance(milliseconds: 10)
        pair.leader.handle(.wake)
        pair.settle()
        pair.produce(9, "c")
        pair.settle()
        pair.follower.effects = []
        return pair
    }

    private func part(
        _ pair: ShardPair, from offset: Int64, epoch: Int32 = -1, readsFollowers: Bool = true
    ) -> FetchWork.Part {
        FetchWork.Part(
            partition: id, offset: Offset(offset), currentLeaderEpoch: LeaderEpoch(epoch),
            lastFetchedEpoch: .unknown, maxBytes: 1 << 20, readsFollowers: readsFollowers)
    }

    private func error(
        _ pair: ShardPair, from offset: Int64, epoch: Int32 = -1, readsFollowers: Bool = true
    ) -> PartitionError? {
        var pair = pair
        pair.follower.fetch(
            1, [part(pair, from: offset, epoch: epoch, readsFollowers: readsFollowers)])
        return pair.follower.effects.fetched.last?.results[0].error
    }

    @Test func theyGetWhatItKnowsToBeCommitted() throws {
        var pair = pair()
        pair.follower.fetch(1, [part(pair, from: 0, epoch: 0)])
        let result = try #require(pair.follower.take().fetched.last?.results[0])
        #expect(result.error == nil && result.highWatermark == Offset(2))
        #expect(try result.records.values() == ["a", "b"])
    }

    @Test func theyWaitForMore() throws {
        var pair = pair()
        pair.follower.fetch(1, [part(pair, from: 2)], wait: 500)
        #expect(pair.follower.effects.fetched.isEmpty)
        pair.advance(milliseconds: 10)
        pair.leader.handle(.wake)
        pair.settle()
        let results = pair.follower.take().fetched.last?.results
        #expect(try results?[0].records.values() == ["c"])
    }

    @Test func whatIsNotKnownToBeCommittedIsNotOutOfRange() {
        let pair = pair()
        #expect(pair.follower.end(id) == Offset(3))
        #expect(error(pair, from: 3) == .offsetNotAvailable)
        #expect(error(pair, from: 4) == .notLeader, "only the leader knows where it ends")
    }

    @Test func clientsOfAnotherEpochAndOlderOnesAreSentAway() {
        let pair = pair()
        #expect(error(pair, from: 0, epoch: 1) == .unknownLeaderEpoch)
        #expect(error(pair, from: 0, readsFollowers: false) == .notLeader)
    }

    @Test func whoLostItsLeaderServesNobody() throws {
        var pair = pair()
        let state = try pair.state.transfer(
            to: nil, from: NodeID(1), leaderEpoch: LeaderEpoch(0), expecting: .initial
        ).get()
        pair.follower.handle(.assume(id, .waits(state, as: copy(2))))
        #expect(error(pair, from: 0) == .notLeader)
    }
}
