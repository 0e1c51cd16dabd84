import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage
import Testing

/// What producers are told, and when.
@Suite struct ShardProduceTests {
    private let one = ShardBench.partition(0)
    private let two = ShardBench.partition(1)
    private let sync = ["flush": "sync"]

    @Test func whatIsProducedIsFetched() throws {
        var bench = ShardBench()
        bench.handle(.open(ShardBench.order(one)))
        #expect(bench.effects.opened.isEmpty, "nothing is open before the disk says so")
        bench.runJobs()
        let opened = bench.take().opened
        #expect(opened.count == 1 && opened[0].partition == one && opened[0].failure == nil)
        bench.produce(1, [(one, bench.batch(["a", "b"]))])
        bench.produce(2, [(one, bench.batch(["c"]))], .leader)
        let produced = bench.take().produced
        #expect(produced.map(\.token) == [1, 2])
        #expect(produced.map { $0.results.map(\.base) } == [[Offset(0)], [Offset(2)]])
        #expect(produced.allSatisfy { $0.results[0].error == nil })
        bench.fetch(3, [bench.part(one, from: 2)])
        let fetched = bench.take().fetched
        #expect(fetched.map(\.token) == [3])
        #expect(try fetched[0].results[0].records.values() == ["c"])
        #expect(fetched[0].results[0].highWatermark == Offset(3))
        #expect(fetched[0].results[0].logStart == .zero)
    }

    @Test func syncAnswersNobodyBeforeTheDeviceDoes() throws {
        var bench = ShardBench()
        bench.open(one, sync)
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.fetch(2, [bench.part(one)])
        let before = bench.take()
        #expect(before.produced.isEmpty)
        #expect(before.fetched[0].results[0].highWatermark == .zero)
        #expect(before.fetched[0].results[0].records.byteCount == 0, "a power cut could take it")
        #expect(bench.jobs.count == 1)
        bench.produce(3, [(one, bench.batch(["b"]))])
        #expect(bench.jobs.count == 1, "one flush at a time")
        bench.runJob()
        #expect(bench.take().produced.map(\.token) == [1])
        #expect(bench.jobs.count == 1, "the next flush serves who came later")
        bench.runJob()
        #expect(bench.take().produced.map(\.token) == [3])
        bench.fetch(4, [bench.part(one)])
        #expect(try bench.take().fetched[0].results[0].records.values() == ["a", "b"])
    }

    @Test func aRetryIsNotAnsweredBeforeItsOriginal() {
        var bench = ShardBench()
        bench.open(one, sync)
        let batch = bench.batch(["a"], producer: 9, sequence: 0)
        bench.produce(1, [(one, batch)])
        bench.produce(2, [(one, bench.batch(["b"], producer: 9, sequence: 1))])
        bench.produce(3, [(one, batch)])
        #expect(bench.take().produced.isEmpty)
        bench.runJob()
        let first = bench.take().produced
        #expect(first.map(\.token) == [1, 3])
        #expect(first.allSatisfy { $0.results[0].base == .zero && $0.results[0].error == nil })
        bench.runJob()
        #expect(bench.take().produced.map(\.token) == [2])
        bench.produce(4, [(one, batch)])
        #expect(bench.take().produced.map(\.token) == [4], "it is safe by now")
    }

    @Test func aSlowFlushIsNotWaitedForLongerThanTheProducerWould() {
        var bench = ShardBench()
        bench.open(one, sync)
        bench.produce(1, [(one, bench.batch(["a"]))], timeout: 200)
        #expect(bench.take().wakes == [bench.deadline(200)])
        bench.advance(milliseconds: 200)
        bench.handle(.wake)
        let produced = bench.take().produced
        #expect(produced.map(\.token) == [1])
        #expect(produced[0].results[0].error == .timedOut)
        bench.runJobs()
        #expect(bench.take().produced.isEmpty, "a request is answered once")
    }

    @Test func aDeadlineSurvivesThatAPartitionIsGone() {
        var bench = ShardBench()
        bench.open(one, sync)
        bench.open(two, sync)
        bench.produce(
            1, [(one, bench.batch(["a"])), (two, bench.batch(["b"]))], timeout: 100)
        bench.handle(.close(one, delete: true))
        #expect(bench.take().produced.isEmpty, "the other part still waits")
        bench.advance(milliseconds: 100)
        bench.handle(.wake)
        let produced = bench.take().produced
        #expect(produced.map(\.token) == [1])
        #expect(produced[0].results.map(\.error) == [.notLeader, .timedOut])
    }

    @Test func onePartOfARequestMayFailAlone() {
        var bench = ShardBench()
        bench.open(one)
        bench.handle(.open(ShardBench.order(two)))
        bench.effects = []
        var torn = bench.batch(["x"])
        torn.setInteger(UInt8(0xFF), at: torn.writerIndex - 1)
        bench.produce(
            1,
            [
                (one, bench.batch(["a"])), (two, bench.batch(["b"])),
                (ShardBench.partition(5), bench.batch(["c"])), (one, torn),
            ])
        let produced = bench.take().produced
        #expect(
            produced[0].results.map(\.error) == [
                nil, .loading, .unknownTopicOrPartition, .corruptMessage,
            ])
        #expect(produced[0].results[0].base == .zero)
    }

    @Test func sequencesAreChecked() {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a"], producer: 9, sequence: 0))])
        bench.produce(2, [(one, bench.batch(["c"], producer: 9, sequence: 2))])
        #expect(bench.take().produced.map { $0.results[0].error } == [nil, .outOfOrderSequence])
    }

    @Test func configurationTakesEffect() {
        var bench = ShardBench()
        bench.open(one)
        let wide = TopicConfiguration(
            overrides: ["max.message.bytes": "100", "flush": "sync"], broker: [:])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.handle(.configure(one, wide))
        #expect(bench.jobs.count == 1, "what is there is synced from now on")
        bench.produce(2, [(one, bench.batch([String(repeating: "x", count: 200)]))])
        bench.produce(3, [(one, bench.batch(["b"]))])
        let before = bench.take().produced
        #expect(before.map(\.token) == [1, 2])
        #expect(before[1].results[0].error == .messageTooLarge)
        bench.runJobs()
        #expect(bench.take().produced.map(\.token) == [3])
    }
}

/// Disks that fail: writes stop, reads go on.
@Suite struct ShardDiskFailureTests {
    private let one = ShardBench.partition(0)

    private func expectReadable(_ bench: inout ShardBench, _ values: [String]) throws {
        bench.fetch(99, [bench.part(one)])
        let result = try #require(bench.take().fetched.last?.results.first)
        #expect(result.error == nil)
        #expect(try result.records.values() == values)
    }

    @Test func aFullDiskFailsTheWriteOnly() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.disk.setCapacity(0)
        bench.produce(2, [(one, bench.batch(["b"]))])
        let effects = bench.take()
        #expect(effects.produced.map { $0.results[0].error } == [nil, .storage])
        guard case .writeFailed(one, "the disk is full")? = effects.notices.last else {
            Issue.record("no notice: \(effects.notices)")
            return
        }
        try expectReadable(&bench, ["a"])
        bench.disk.setCapacity(.max)
        bench.produce(3, [(one, bench.batch(["c"]))])
        let again = bench.take()
        #expect(again.produced[0].results[0].base == Offset(1), "there is room again")
        guard case .writesAgain(one)? = again.notices.last else {
            Issue.record("nobody is told: \(again.notices)")
            return
        }
        try expectReadable(&bench, ["a", "c"])
    }

    @Test func aFailedSyncRefusesWritesUntilTheLogIsOpenedAnew() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.runJobs()
        bench.disk.failNextSynchronization()
        bench.produce(2, [(one, bench.batch(["b"]))])
        bench.produce(3, [(one, bench.batch(["c"]))])
        bench.runJobs()
        var effects = bench.take()
        #expect(effects.produced.map { $0.results[0].error } == [nil, .storage, .storage])
        guard case .syncFailed(one, _)? = effects.notices.last else {
            Issue.record("no notice: \(effects.notices)")
            return
        }
        bench.produce(4, [(one, bench.batch(["d"]))])
        #expect(bench.take().produced[0].results[0].error == .storage)
        try expectReadable(&bench, ["a"])
        bench.handle(
            .configure(one, TopicConfiguration(overrides: ["flush": "sync"], broker: [:])))
        bench.handle(.maintain)
        bench.handle(.flushInterval)
        #expect(bench.jobs.isEmpty, "a log that takes no writes is not synced")
        try expectReadable(&bench, ["a"])
        bench.handle(.stop)
        bench.runJobs()
        effects = bench.take()
        #expect(effects.stopped.count == 1)
    }

    @Test func aWriteThatCannotBeUndoneEndsWritesOnly() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.produce(2, [(one, bench.batch(["b"]))])
        bench.disk.cutPower(afterOperations: 0)
        bench.produce(3, [(one, bench.batch(["c"]))])
        #expect(bench.take().produced.map { $0.results[0].error } == [.storage])
        bench.runJobs()
        let produced = bench.take().produced
        #expect(produced.map(\.token).sorted() == [1, 2])
        #expect(produced.allSatisfy { $0.results[0].error == .storage })
    }
}
