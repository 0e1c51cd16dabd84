import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage
import Testing

/// What consumers are told, and when.
@Suite struct ShardFetchTests {
    private let one = ShardBench.partition(0)
    private let two = ShardBench.partition(1)

    private func bench(_ values: [String] = []) -> ShardBench {
        var bench = ShardBench()
        bench.open(one)
        bench.open(two)
        for value in values { bench.produce(1, [(one, bench.batch([value]))]) }
        bench.effects = []
        return bench
    }

    @Test func aWaitingConsumerIsServedByAnAppend() throws {
        var bench = bench()
        bench.fetch(1, [bench.part(one), bench.part(two)], wait: 500)
        #expect(bench.effects.fetched.isEmpty)
        #expect(bench.take().wakes == [bench.deadline(500)])
        bench.produce(2, [(two, bench.batch(["x"]))])
        let effects = bench.take()
        #expect(effects.fetched.map(\.token) == [1])
        #expect(try effects.fetched[0].results.map { try $0.records.values() } == [[], ["x"]])
        bench.produce(3, [(one, bench.batch(["y"]))])
        bench.advance(milliseconds: 500)
        bench.handle(.wake)
        #expect(bench.take().fetched.isEmpty, "a fetch is answered once")
    }

    /// Its base offset is outside of its checksum, so no client would notice.
    @Test func aBatchWithAWrongOffsetIsGivenToNobodyAndToldOfOnce() throws {
        var before = bench(["a", "b", "c"])
        before.handle(.stop)
        before.runJobs()
        var bench = ShardBench(disk: before.disk)
        bench.open(one)
        let size = bench.batch(["a"]).readableBytes
        let path = PartitionOrder.directory(of: one) + "/00000000000000000000.log"
        bench.disk.flipBit(of: path, byte: size + 4, bit: 7)
        for token: UInt64 in 1...2 {
            bench.fetch(token, [bench.part(one)])
            let result = try #require(bench.take().fetched.last?.results.first)
            #expect(try result.records.values() == ["a"])
        }
        var notices: [ShardNotice] = []
        for token: UInt64 in 3...5 {
            bench.fetch(token, [bench.part(one, from: 1)])
            let effects = bench.take()
            #expect(effects.fetched.last?.results.first?.error == .corruptMessage)
            notices += effects.notices
        }
        guard notices.count == 1,
            case .unreadable(one, .zero, position: Int64(size))? = notices.first
        else {
            Issue.record("\(notices)")
            return
        }
    }

    @Test func itIsHeldBackUntilThereAreEnoughBytes() throws {
        var bench = bench()
        let size = bench.batch(["x"]).readableBytes
        bench.fetch(1, [bench.part(one), bench.part(two)], minBytes: 3 * size, wait: 500)
        bench.produce(2, [(one, bench.batch(["a"]))])
        bench.produce(3, [(two, bench.batch(["b"]))])
        #expect(bench.effects.fetched.isEmpty)
        bench.produce(4, [(one, bench.batch(["c"]))])
        let fetched = bench.take().fetched
        #expect(try fetched[0].results.map { try $0.records.values() } == [["a", "c"], ["b"]])
    }

    @Test func itIsAnsweredAtItsDeadline() throws {
        var bench = bench(["a"])
        bench.fetch(1, [bench.part(one)], minBytes: 10_000, wait: 500)
        bench.fetch(2, [bench.part(one, from: 1)], minBytes: 10_000, wait: 300)
        #expect(bench.take().wakes == [bench.deadline(500), bench.deadline(300)])
        bench.advance(milliseconds: 300)
        bench.handle(.wake)
        let first = bench.take()
        #expect(first.fetched.map(\.token) == [2])
        #expect(first.wakes == [bench.deadline(200)], "the later deadline is asked for again")
        bench.advance(milliseconds: 200)
        bench.handle(.wake)
        let second = bench.take().fetched
        #expect(second.map(\.token) == [1])
        #expect(try second[0].results[0].records.values() == ["a"])
    }

    @Test func itCanBeSettledOrForgotten() throws {
        var bench = bench(["a"])
        bench.fetch(1, [bench.part(one)], minBytes: 10_000, wait: 500)
        bench.fetch(2, [bench.part(one)], minBytes: 10_000, wait: 500)
        bench.handle(.settle(token: 1))
        #expect(bench.take().fetched.map(\.token) == [1])
        bench.handle(.forget(token: 2))
        bench.handle(.settle(token: 2))
        bench.handle(.settle(token: 77))
        bench.handle(.forget(token: 77))
        bench.produce(3, [(one, bench.batch([String(repeating: "x", count: 20_000)]))])
        bench.advance(milliseconds: 500)
        bench.handle(.wake)
        #expect(bench.take().fetched.isEmpty)
    }

    @Test func theWholeResponseIsBounded() throws {
        var bench = bench(["a", "b", "c"])
        bench.produce(2, [(two, bench.batch(["x"]))])
        bench.effects = []
        let size = bench.batch(["a"]).readableBytes
        bench.fetch(1, [bench.part(one), bench.part(two)], maxBytes: 2 * size)
        bench.fetch(2, [bench.part(one), bench.part(two)], maxBytes: 3 * size + 1)
        bench.fetch(3, [bench.part(one), bench.part(two)], maxBytes: 0)
        bench.fetch(4, [bench.part(one, maxBytes: size), bench.part(two)])
        let values = try bench.take().fetched.map { try $0.results.map { try $0.records.values() } }
        #expect(values[0] == [["a", "b"], []])
        #expect(values[1] == [["a", "b", "c"], []], "half a batch is of no use")
        #expect(values[2] == [["a"], []], "one batch at least, or a consumer never gets on")
        #expect(values[3] == [["a"], ["x"]], "and each partition for itself")
    }

    @Test func errorsAreNotHeldBack() {
        var bench = bench(["a"])
        let opening = ShardBench.partition(2)
        bench.handle(.open(ShardBench.order(opening)))
        let cases: [(FetchWork.Part, PartitionError?)] = [
            (bench.part(ShardBench.partition(9)), .unknownTopicOrPartition),
            (bench.part(opening), .loading),
            (bench.part(one, epoch: 2), .fencedLeaderEpoch),
            (bench.part(one, epoch: 4), .unknownLeaderEpoch),
            (bench.part(one, from: 2), .offsetOutOfRange),
            (bench.part(one, from: -1), .offsetOutOfRange),
        ]
        for (part, error) in cases {
            bench.fetch(1, [part], minBytes: 1_000, wait: 500)
            #expect(bench.take().fetched.first?.results.first?.error == error)
        }
        bench.fetch(2, [bench.part(one, from: 1, epoch: 3)], wait: 500)
        #expect(bench.take().fetched.isEmpty, "the end of the log is a place to wait at")
    }

    @Test func aConsumerFromAnotherHistoryIsToldWhereItsOwnEnds() throws {
        var bench = ShardBench()
        bench.open(one, epoch: 3)
        bench.produce(1, [(one, bench.batch(["a", "b"]))])
        bench.handle(.stop)
        bench.runJobs()
        var next = ShardBench(disk: bench.disk)
        next.open(one, epoch: 5)
        next.produce(1, [(one, next.batch(["c"]))])
        next.effects = []
        next.fetch(2, [next.part(one, from: 2, lastFetched: 3)])
        #expect(try next.take().fetched[0].results[0].records.values() == ["c"])
        next.fetch(3, [next.part(one, from: 3, lastFetched: 4)], wait: 500)
        let diverging = next.take().fetched[0].results[0].diverging
        #expect(diverging?.epoch == LeaderEpoch(3))
        #expect(diverging?.end == Offset(2))
    }

    @Test func whoeverWaitsAtAClosedPartitionIsTold() {
        var bench = bench()
        bench.fetch(1, [bench.part(one), bench.part(two)], wait: 500)
        bench.effects = []
        bench.handle(.close(one, delete: true))
        #expect(bench.take().fetched.map(\.token) == [1])
        bench.fetch(2, [bench.part(one)], wait: 500)
        #expect(
            bench.take().fetched.first?.results.first?.error == .unknownTopicOrPartition)
        bench.produce(3, [(two, bench.batch(["x"]))])
        #expect(bench.take().fetched.isEmpty)
    }

    @Test func syncedRecordsReachAWaitingConsumerWithTheirFlush() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.fetch(1, [bench.part(one)], wait: 500)
        bench.produce(2, [(one, bench.batch(["a"]))])
        #expect(bench.take().fetched.isEmpty)
        bench.runJobs()
        #expect(try bench.take().fetched[0].results[0].records.values() == ["a"])
    }
}
