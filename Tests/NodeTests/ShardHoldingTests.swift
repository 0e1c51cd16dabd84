import Model
import NIOCore
import Replication
import Storage
import Testing

@testable import Node

/// What clients hear while a partition is between two leaders.
@Suite struct ShardHoldingTests {
    private let one = ShardBench.partition(0)
    private let own = copy(1)
    private let other = copy(2)

    private var mine: PartitionState { .initial(placement: [own, other], epoch: LeaderEpoch(5)) }

    private func theirs() throws -> PartitionState {
        try mine.transfer(
            to: NodeID(2), from: NodeID(1), leaderEpoch: LeaderEpoch(5), expecting: .initial
        ).get()
    }

    /// A leader with a lease and a follower that never acknowledges.
    private func leading() -> ShardBench {
        var bench = ShardBench()
        bench.open(one)
        bench.handle(.lease(until: bench.deadline(10_000)))
        bench.handle(.assume(one, .leads(mine, as: own, minInSync: 1)))
        bench.effects = []
        return bench
    }

    @Test func aRequestUnderWayIsAnsweredOnceTheNextLeaderIsKnown() throws {
        var bench = leading()
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.produce(2, [(one, bench.batch(["b"]))])
        bench.fetch(3, [bench.part(one)], wait: 500)
        #expect(bench.effects.produced.isEmpty && bench.effects.fetched.isEmpty)
        bench.handle(.assume(one, .follows(try theirs(), as: own)))
        let effects = bench.take()
        #expect(effects.produced.map(\.token) == [1, 2])
        #expect(effects.produced.allSatisfy { $0.results[0].error == .notLeader })
        #expect(effects.fetched.map(\.results[0].error) == [.notLeader])
    }

    @Test func whoeverComesTooEarlyToANewLeaderIsServedInOrder() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.handle(.lease(until: bench.deadline(10_000)))
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.effects = []
        for token: UInt64 in 1...3 {
            bench.produce(token, [(one, bench.batch(["\(token)"]))], .leader)
        }
        #expect(bench.effects.produced.isEmpty)
        bench.handle(.assume(one, .leads(mine, as: own, minInSync: 1)))
        let produced = bench.take().produced
        #expect(produced.map(\.results[0].error) == [nil, nil, nil])
        #expect(produced.map(\.results[0].base) == [Offset(0), Offset(1), Offset(2)])
    }

    @Test func nobodyIsHeldForLong() {
        var bench = leading()
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.produce(1, [(one, bench.batch(["a"]))])
        #expect(bench.effects.produced.isEmpty)
        bench.advance(milliseconds: 300)
        bench.handle(.wake)
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader])
        bench.handle(.assume(one, .leads(mine, as: own, minInSync: 1)))
        #expect(bench.take().produced.isEmpty, "answered once")
    }

    /// At OUT_OF_ORDER_SEQUENCE a producer sends what was written and not acknowledged again under
    /// another epoch, where nothing knows it for a duplicate.
    @Test func whatIsPipelinedBehindARefusedBatchIsRefusedAlike() {
        var bench = leading()
        let batches = (0..<3).map { bench.batch(["\($0)"], producer: 9, sequence: Int32($0)) }
        bench.produce(1, [(one, batches[0])])
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.produce(2, [(one, batches[1])])
        bench.advance(milliseconds: 200)
        bench.produce(3, [(one, batches[2])])
        bench.advance(milliseconds: 100)
        bench.handle(.wake)
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader, .notLeader])
        let next = PartitionState.initial(placement: [own], epoch: LeaderEpoch(6))
        bench.handle(.lease(until: bench.deadline(10_000)))
        bench.handle(.assume(one, .leads(next, as: own, minInSync: 1)))
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader])
        for (token, batch) in batches.enumerated() {
            bench.produce(UInt64(4 + token), [(one, batch)])
        }
        let produced = bench.take().produced
        #expect(produced.map(\.results[0].error) == [nil, nil, nil])
        #expect(produced.map(\.results[0].base) == [Offset(0), Offset(1), Offset(2)])
        // A gap that no refusal explains is the producer's own.
        bench.advance(milliseconds: 30_000)
        bench.handle(.lease(until: bench.deadline(10_000)))
        bench.produce(9, [(one, bench.batch(["x"], producer: 9, sequence: 7))])
        #expect(bench.take().produced.map(\.results[0].error) == [.outOfOrderSequence])
    }

    /// There an unknown producer may begin anywhere: its batches may all have been removed.
    @Test func inALogThatLostItsBeginningToo() {
        var bench = leading()
        for value in 0..<3 { bench.produce(1, [(one, bench.batch(["\(value)"]))], .leader) }
        let alone = PartitionState.initial(placement: [own], epoch: LeaderEpoch(6))
        bench.handle(.assume(one, .leads(alone, as: own, minInSync: 1)))
        bench.ask(2, [(one, .delete(before: 2))])
        bench.runJobs()
        #expect(bench.log(one)?.startOffset == Offset(2))
        // Long after the leadership began.
        bench.advance(milliseconds: 600_000)
        bench.handle(.maintain)
        bench.handle(.lease(until: bench.deadline(10_000)))
        let batches = (0..<3).map { bench.batch(["\($0)"], producer: 9, sequence: Int32($0)) }
        bench.handle(.assume(one, .waits(alone, as: own)))
        bench.effects = []
        bench.produce(3, [(one, batches[0])])
        bench.advance(milliseconds: 300)
        bench.handle(.wake)
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader])
        let next = PartitionState.initial(placement: [own], epoch: LeaderEpoch(7))
        bench.handle(.lease(until: bench.deadline(10_000)))
        bench.handle(.assume(one, .leads(next, as: own, minInSync: 1)))
        bench.produce(4, [(one, batches[1])])
        bench.produce(5, [(one, batches[2])])
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader, .notLeader])
        for batch in batches { bench.produce(6, [(one, batch)]) }
        #expect(bench.take().produced.map(\.results[0].error) == [nil, nil, nil])
        // One that nobody refused goes on where it was, once the log is not new any more.
        bench.advance(milliseconds: Shard.lateStartMilliseconds)
        bench.handle(.maintain)
        bench.produce(7, [(one, bench.batch(["x"], producer: 8, sequence: 7))])
        #expect(bench.take().produced.map(\.results[0].error) == [nil])
    }

    /// Metadata names a leader before its shard has the partition.
    @Test func whatIsPipelinedBehindABatchThatCameTooEarlyIsNoStart() {
        var bench = ShardBench()
        let batches = (0..<2).map { bench.batch(["\($0)"], producer: 9, sequence: Int32($0)) }
        bench.produce(1, [(one, batches[0])])
        #expect(bench.take().produced.map(\.results[0].error) == [.unknownTopicOrPartition])
        bench.open(one)
        bench.produce(2, [(one, batches[1])])
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader])
        for batch in batches { bench.produce(3, [(one, batch)]) }
        #expect(bench.take().produced.map(\.results[0].error) == [nil, nil])
    }

    /// The batch before it came to a loop that had not heard of the topic, and no shard saw it
    /// (seed 71031 of whole meshes).
    @Test func inANewLogEveryProducerBeginsAtZero() {
        var bench = ShardBench()
        bench.open(one)
        let batches = (0..<2).map { bench.batch(["\($0)"], producer: 9, sequence: Int32($0)) }
        bench.produce(1, [(one, batches[1])])
        #expect(bench.take().produced.map(\.results[0].error) == [.notLeader], "it comes again")
        for batch in batches { bench.produce(2, [(one, batch)]) }
        #expect(bench.take().produced.map(\.results[0].error) == [nil, nil])
        // A gap behind what the log knows is the producer's own.
        bench.produce(3, [(one, bench.batch(["x"], producer: 9, sequence: 7))])
        #expect(bench.take().produced.map(\.results[0].error) == [.outOfOrderSequence])
        bench.advance(milliseconds: RefusedBatches.retryMilliseconds)
        bench.produce(4, [(one, bench.batch(["x"], producer: 8, sequence: 7))])
        #expect(bench.take().produced.map(\.results[0].error) == [.outOfOrderSequence])
    }

    /// It may have restarted and not know where what is committed ends: a client that reads to the
    /// end would take its word for it.
    @Test func whoReadsIsNotToldAnEndThatNobodyKnows() {
        var bench = ShardBench()
        bench.open(one)
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.fetch(1, [bench.part(one)], wait: 0)
        bench.fetch(2, [bench.part(one)], wait: 200)
        bench.advance(milliseconds: 200)
        bench.handle(.wake)
        let fetched = bench.take().fetched
        #expect(fetched.map(\.token) == [1, 2])
        #expect(fetched.map(\.results[0].error) == [.notLeader, .notLeader])
    }

    /// Its log may hold more that was committed than it knows of: KIP-207's rule, for fetches too.
    @Test func aNewLeaderTellsNoEndBeforeItHasCommittedInItsEpoch() throws {
        var bench = leading()
        bench.produce(1, [(one, bench.batch(["a"]))], .leader)
        bench.handle(.assume(one, .follows(try theirs(), as: own)))
        let again = PartitionState.initial(placement: [own, other], epoch: LeaderEpoch(7))
        bench.handle(.assume(one, .leads(again, as: own, minInSync: 1)))
        bench.effects = []
        bench.fetch(2, [bench.part(one)], wait: 0)
        bench.fetch(3, [bench.part(one)], wait: 200)
        #expect(bench.take().fetched.map(\.results[0].error) == [.offsetNotAvailable])
        // The other one has lost its place: this log is all there is.
        bench.handle(
            .assume(
                one,
                .leads(.initial(placement: [own], epoch: LeaderEpoch(8)), as: own, minInSync: 1)))
        let fetched = bench.take().fetched
        #expect(fetched.map(\.token) == [3])
        #expect(fetched.map(\.results[0].error) == [nil])
        #expect(fetched.map(\.results[0].highWatermark) == [Offset(1)])
    }

    @Test func itStoodDownOnceForEachLeadership() {
        var bench = leading()
        bench.handle(.assume(one, .waits(mine, as: own)))
        bench.handle(.assume(one, .waits(mine, as: own)))
        let said = bench.take().compactMap { effect -> LeaderEpoch? in
            if case .stoodDown(one, let epoch) = effect { epoch } else { nil }
        }
        #expect(said == [LeaderEpoch(5)])
    }
}
