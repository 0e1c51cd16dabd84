import Model
import Replication
import Testing

@testable import Node

/// Partitions to which nothing happens: they cost no tick, and lose nothing by that.
@Suite struct ShardRestTests {
    private let id = ShardPair.id

    /// Ticks of both shards, and what they say to each other.
    private func pass(_ milliseconds: Int64, _ pair: inout ShardPair, delivers: Bool = true) {
        for _ in 0..<milliseconds / Shard.tickMilliseconds {
            pair.advance(milliseconds: Shard.tickMilliseconds)
            pair.follower.handle(.tick)
            if delivers { pair.deliver() }
            pair.leader.handle(.tick)
        }
    }

    private func wishes(_ pair: ShardPair) -> [[NodeID]] {
        pair.leader.effects.compactMap {
            if case .proposeInSync(let wish) = $0 { wish.inSync.map(\.node) } else { nil }
        }
    }

    @Test func onlyWhatIsAtWorkIsTicked() {
        var pair = ShardPair()
        pair.settle()
        pass(300, &pair)
        #expect(pair.leader.shard.roused == [])
        pair.produce(1, "a")
        #expect(pair.leader.shard.roused.count == 1)
        pass(300, &pair, delivers: false)
        #expect(pair.leader.shard.roused.count == 1, "its follower is behind")
        pair.settle()
        pass(300, &pair)
        #expect(pair.leader.shard.roused == [])
        #expect(wishes(pair).isEmpty)
    }

    @Test func aFollowerThatIsLostAfterLongHasItsTimeToComeBack() {
        var pair = ShardPair()
        pair.settle()
        pass(10_000, &pair)
        pair.leader.handle(.linkLost(ShardPair.followerID))
        for _ in 0..<4 {
            pair.advance(milliseconds: Shard.tickMilliseconds)
            pair.leader.handle(.tick)
        }
        #expect(wishes(pair).isEmpty)
        for _ in 0..<3 {
            pair.advance(milliseconds: Shard.tickMilliseconds)
            pair.leader.handle(.tick)
        }
        #expect(wishes(pair) == [[ShardPair.leaderID]])
    }

    @Test func aFollowerFallsBehindFromTheNextRecordOn() {
        var pair = ShardPair()
        pair.settle()
        pass(10_000, &pair)
        pair.produce(1, "a")
        func wait(_ ticks: Int) {
            for _ in 0..<ticks {
                pair.advance(milliseconds: Shard.tickMilliseconds)
                pair.leader.handle(.replication(from: ShardPair.followerID, .present))
                pair.leader.handle(.tick)
            }
        }
        wait(9)
        #expect(wishes(pair).isEmpty)
        wait(3)
        #expect(wishes(pair) == [[ShardPair.leaderID]])
    }

    @Test func leadersAreToldOfThisBrokerForAsLongAsItCopiesFromThem() {
        var pair = ShardPair()
        pair.settle()
        func isToldOf() -> Bool {
            pair.follower.advance(milliseconds: ReplicationLimits.presenceMilliseconds)
            pair.follower.handle(.tick)
            return pair.follower.takeSent(to: ShardPair.leaderID).contains(.present)
        }
        #expect(isToldOf())
        pair.follower.handle(.linkLost(ShardPair.leaderID))
        _ = pair.follower.takeSent(to: ShardPair.leaderID)
        #expect(!isToldOf(), "it attaches anew")
        pair.settle()
        pair.leader.handle(.linkLost(ShardPair.followerID))
        pair.follower.handle(.linkLost(ShardPair.leaderID))
        pair.settle()
        #expect(isToldOf())
        pair.follower.handle(.close(id, delete: false))
        #expect(!isToldOf())
    }
}
