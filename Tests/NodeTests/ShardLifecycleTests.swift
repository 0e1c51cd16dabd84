import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage
import Testing

/// Opening, closing, stopping and starting again.
@Suite struct ShardLifecycleTests {
    private let one = ShardBench.partition(0)
    private let two = ShardBench.partition(1)

    private func values(_ bench: inout ShardBench, _ id: TopicPartition) throws -> [String] {
        bench.fetch(99, [bench.part(id)])
        return try #require(bench.take().fetched.last?.results.first).records.values()
    }

    @Test func aStopFlushesAndClosesEverything() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.open(two, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.produce(2, [(two, bench.batch(["b"]))])
        bench.fetch(3, [bench.part(one, from: 1)], wait: 5_000)
        bench.effects = []
        bench.handle(.stop)
        let told = bench.take()
        #expect(told.fetched.map(\.token) == [3], "nobody is left waiting")
        #expect(told.produced.map(\.token) == [2])
        #expect(told.produced[0].results[0].error == .notLeader)
        #expect(told.stopped.isEmpty)
        bench.handle(.stop)
        bench.runJobs()
        #expect(bench.take().stopped == [true])
        bench.disk.restart()
        var next = ShardBench(disk: bench.disk)
        next.open(one, epoch: 4)
        next.open(two, ["flush": "sync"], epoch: 4)
        #expect(try values(&next, one) == ["a"])
        #expect(try values(&next, two) == ["b"])
    }

    @Test func aLeaderTellsWhereItIs() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a", "b"]))])
        bench.effects = []
        bench.ask(2, [(one, .copies), (two, .copies)])
        let answers = try #require(bench.take().answered.first?.answers)
        guard case .copies(let copies) = answers[0], case .failed(let error) = answers[1] else {
            Issue.record("\(answers)")
            return
        }
        #expect(copies.epoch == LeaderEpoch(3) && copies.end == Offset(2))
        #expect(copies.highWatermark == Offset(2) && copies.start == Offset(0))
        #expect(copies.isServing && copies.followers.isEmpty)
        #expect(error == .unknownTopicOrPartition)
    }

    @Test func aLogIsClosedOnlyOnceNothingWorksOnIt() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.produce(2, [(one, bench.batch(["b"]))])
        bench.ask(3, [(one, .delete(before: 0))])
        bench.handle(.stop)
        #expect(bench.jobs.count == 1, "the flush that is under way, and no closing beside it")
        bench.effects = []
        bench.runJobs()
        #expect(bench.take().stopped == [true])
        bench.disk.restart()
        var next = ShardBench(disk: bench.disk)
        next.open(one, ["flush": "sync"], epoch: 4)
        #expect(try values(&next, one) == ["a", "b"])
    }

    @Test func anEmptyShardStopsAtOnce() {
        var bench = ShardBench()
        bench.handle(.stop)
        #expect(bench.take().stopped == [true])
        bench.handle(.open(ShardBench.order(one)))
        #expect(bench.jobs.isEmpty, "nothing is opened any more")
    }

    @Test func aStopIsNotCleanWhereALogCannotBeClosed() {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.disk.failNextSynchronization()
        bench.handle(.stop)
        bench.runJobs()
        #expect(bench.take().stopped == [false])
    }

    @Test func aStopIsNotCleanWhereALogTakesNoWrites() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.disk.failNextSynchronization()
        bench.runJobs()
        bench.handle(.stop)
        bench.runJobs()
        #expect(bench.take().stopped == [false], "the next start has to look what is there")
    }

    @Test func aStopWaitsForWhatIsBeingOpened() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.handle(.stop)
        bench.runJobs()
        var next = ShardBench(disk: bench.disk)
        next.handle(.open(ShardBench.order(one)))
        next.handle(.stop)
        #expect(next.take().stopped.isEmpty)
        next.runJobs()
        #expect(next.take().stopped == [true])
    }

    /// Simulated meshes found it, by seeds 100, 1000038 and 3000031 of loops that stall: a topic was
    /// deleted while a stop waited for a flush, and the process never ended.
    @Test func aStopWaitsForNothingThatIsClosedMeanwhile() {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.handle(.stop)
        #expect(bench.take().stopped.isEmpty)
        bench.handle(.close(one, delete: true))
        bench.runJobs()
        #expect(bench.take().stopped.count == 1)
    }

    @Test func aLogThatCannotBeOpenedFailsAloneAndStopsNothing() {
        var bench = ShardBench()
        bench.open(two)
        bench.disk.setFailing(reads: true, writes: true)
        bench.disk.cutPower(afterOperations: 0)
        bench.handle(.open(ShardBench.order(one)))
        bench.runJobs()
        let opened = bench.take().opened
        #expect(opened.count == 1 && opened[0].failure != nil)
        bench.disk.restart()
        bench.disk.setFailing(reads: false, writes: false)
        bench.fetch(1, [bench.part(one)], wait: 500)
        bench.produce(2, [(one, bench.batch(["a"]))])
        let effects = bench.take()
        #expect(effects.fetched.first?.results.first?.error == .storage)
        #expect(effects.produced.first?.results.first?.error == .storage)
        bench.handle(.stop)
        bench.runJobs()
        #expect(bench.take().stopped.count == 1)
    }

    @Test func aDeletedPartitionLeavesNoFiles() throws {
        var bench = ShardBench()
        bench.open(one)
        bench.produce(1, [(one, bench.batch(["a"]))])
        let directory = PartitionOrder.directory(of: one)
        #expect(try !bench.disk.list(directory).isEmpty)
        bench.handle(.close(one, delete: true))
        bench.runJobs()
        #expect(!bench.disk.exists(directory))
        bench.handle(.close(one, delete: true))
        bench.handle(.close(one, delete: true))
        #expect(bench.jobs.count == 1, "files that may lie there still are looked for once")
        bench.runJobs()
        #expect(!bench.disk.exists(directory))
    }

    @Test func aPartitionDeletedWhileItIsOpenedLeavesNoFiles() {
        var bench = ShardBench()
        bench.handle(.open(ShardBench.order(one)))
        bench.handle(.close(one, delete: true))
        bench.runJobs()
        #expect(!bench.disk.exists(PartitionOrder.directory(of: one)))
    }

    @Test func aFlushThatEndsAfterItsPartitionIsGoneChangesNothing() {
        var bench = ShardBench()
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a"]))])
        bench.handle(.close(one, delete: true))
        #expect(bench.take().produced.first?.results.first?.error == .notLeader)
        bench.runJobs()
        #expect(bench.take().isEmpty)
    }

    @Test func intervalLogsAreSyncedAtTheirInterval() throws {
        var bench = ShardBench()
        bench.open(one, ["flush": "interval"])
        bench.open(two)
        bench.produce(1, [(one, bench.batch(["a"])), (two, bench.batch(["b"]))])
        #expect(bench.take().produced.map(\.token) == [1], "nobody waits for the interval")
        #expect(bench.jobs.isEmpty)
        bench.handle(.flushInterval)
        #expect(bench.jobs.count == 1)
        bench.runJobs()
        bench.handle(.flushInterval)
        #expect(bench.jobs.isEmpty, "there is nothing new")
        bench.disk.restart()
        var next = ShardBench(disk: bench.disk)
        next.open(one, clean: false)
        #expect(try values(&next, one) == ["a"])
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func whatWasSyncedIsServedAgainAsSoonAsTheLogIsOpen(seed: UInt64) throws {
        var bench = ShardBench(seed: seed)
        bench.open(one, ["flush": "sync"])
        bench.produce(1, [(one, bench.batch(["a", "b"]))])
        bench.runJobs()
        bench.produce(2, [(one, bench.batch(["lost?"]))])
        bench.disk.restart()
        var next = ShardBench(disk: bench.disk)
        next.handle(.open(ShardBench.order(one, ["flush": "sync"], epoch: 4, clean: false)))
        while next.effects.opened.isEmpty { next.runJob() }
        next.effects = []
        next.ask(1, [(one, .offset(at: -1, currentLeaderEpoch: .unknown))])
        guard case .offset(let latest, _, _)? = next.take().answered.first?.answers.first else {
            Issue.record("no answer")
            return
        }
        #expect(latest >= Offset(2), "a consumer never sees the end go back")
        #expect(try values(&next, one).prefix(2) == ["a", "b"])
    }

    @Test func aDamagedLogIsServedUpToTheDamageAndNotWritten() throws {
        for overrides in [[:], ["flush": "sync"]] {
            var bench = ShardBench()
            bench.open(one, overrides)
            for value in ["a", "b", "c"] { bench.produce(1, [(one, bench.batch([value]))]) }
            bench.runJobs()
            let size = bench.batch(["a"]).readableBytes
            let path = PartitionOrder.directory(of: one) + "/00000000000000000000.log"
            bench.disk.flipBit(of: path, byte: size + 65, bit: 0)
            var next = ShardBench(disk: bench.disk)
            next.handle(.open(ShardBench.order(one, overrides, clean: false)))
            next.runJobs()
            guard case .recovered(_, let report)? = next.take().notices.first else {
                Issue.record("the damage was not noticed")
                return
            }
            #expect(report.corruption?.readableEnd == Offset(1))
            #expect(try values(&next, one) == ["a"])
            next.produce(1, [(one, next.batch(["d"]))])
            #expect(next.take().produced.first?.results.first?.error == .storage)
        }
    }
}

/// Offsets, times, epochs, and records that are to be deleted.
@Suite struct ShardQuestionTests {
    private let one = ShardBench.partition(0)

    private func bench(_ overrides: [String: String] = [:]) -> ShardBench {
        var bench = ShardBench()
        bench.open(one, overrides)
        for value in ["a", "b", "c"] {
            bench.produce(1, [(one, bench.batch([value]))])
            bench.advance(milliseconds: 10)
        }
        bench.runJobs()
        bench.effects = []
        return bench
    }

    private func offset(_ bench: inout ShardBench, at time: Int64) -> Int64? {
        bench.ask(1, [(one, .offset(at: time, currentLeaderEpoch: .unknown))])
        guard case .offset(let offset, _, _)? = bench.take().answered.first?.answers.first else {
            return nil
        }
        return offset.rawValue
    }

    private func error(_ answer: PartitionAnswer?) -> PartitionError? {
        if case .failed(let error)? = answer { error } else { nil }
    }

    @Test func offsetsByTime() {
        var bench = bench()
        let began = bench.now.wall.milliseconds - 30
        #expect(offset(&bench, at: -1) == 3)
        #expect(offset(&bench, at: -2) == 0)
        #expect(offset(&bench, at: -3) == 2)
        #expect(offset(&bench, at: -4) == 0)
        #expect(offset(&bench, at: -5) == -1)
        #expect(offset(&bench, at: -6) == -1)
        #expect(offset(&bench, at: began + 1) == 1)
        #expect(offset(&bench, at: began + 10) == 1)
        #expect(offset(&bench, at: began + 30) == -1)
    }

    @Test func epochsAndFences() {
        var bench = bench()
        bench.ask(
            1,
            [
                (one, .end(of: LeaderEpoch(3), currentLeaderEpoch: .unknown)),
                (one, .end(of: LeaderEpoch(2), currentLeaderEpoch: .unknown)),
                (one, .offset(at: -1, currentLeaderEpoch: LeaderEpoch(2))),
                (one, .offset(at: -1, currentLeaderEpoch: LeaderEpoch(9))),
                (ShardBench.partition(8), .size),
                (one, .size),
            ])
        let answers = bench.take().answered[0].answers
        guard case .end(LeaderEpoch(3), Offset(3)) = answers[0], case .size(let bytes) = answers[5]
        else {
            Issue.record("unexpected: \(answers)")
            return
        }
        #expect(error(answers[2]) == .fencedLeaderEpoch)
        #expect(error(answers[3]) == .unknownLeaderEpoch)
        #expect(error(answers[4]) == .unknownTopicOrPartition)
        #expect(bytes > 0)
    }

    @Test func deletedRecordsAreReportedOnceTheyAreGoneForGood() throws {
        var bench = bench()
        bench.ask(
            5,
            [
                (one, .delete(before: 2)), (one, .delete(before: 4)), (one, .delete(before: -2)),
                (one, .delete(before: 1)), (one, .delete(before: -1)),
            ])
        #expect(bench.effects.answered.isEmpty)
        #expect(bench.jobs.count == 1)
        bench.runJob()
        #expect(bench.effects.answered.isEmpty, "the last one is a deletion of its own")
        bench.runJobs()
        let answers = bench.take().answered[0].answers
        guard case .deleted(Offset(2)) = answers[0], case .deleted(Offset(2)) = answers[3],
            case .deleted(Offset(3)) = answers[4]
        else {
            Issue.record("unexpected: \(answers)")
            return
        }
        #expect(error(answers[1]) == .offsetOutOfRange)
        #expect(error(answers[2]) == .offsetOutOfRange)
        bench.fetch(6, [bench.part(one, from: 1)])
        let result = bench.take().fetched[0].results[0]
        #expect(result.error == .offsetOutOfRange)
        #expect(result.logStart == Offset(3))
    }

    @Test func aDeletionThatFailsSaysSo() {
        var bench = bench()
        bench.ask(5, [(one, .delete(before: 2))])
        bench.disk.failNextSynchronization()
        bench.runJobs()
        #expect(error(bench.take().answered.first?.answers.first) == .storage)
    }

    @Test func deletionsAreForTopicsThatDelete() {
        var bench = bench(["cleanup.policy": "delete"])
        bench.handle(
            .configure(
                one, TopicConfiguration(overrides: ["cleanup.policy": "compact"], broker: [:])))
        bench.ask(5, [(one, .delete(before: 2))])
        #expect(error(bench.take().answered.first?.answers.first) == .policyViolation)
    }

    @Test func deletionsThatWaitAreAnsweredWhenTheirPartitionGoes() {
        var bench = bench()
        bench.ask(5, [(one, .delete(before: 1))])
        bench.ask(6, [(one, .delete(before: 2))])
        bench.handle(.close(one, delete: true))
        #expect(error(bench.take().answered.first?.answers.first) == .notLeader)
        bench.runJobs()
        #expect(bench.take().answered.map(\.token) == [5])
    }

    @Test func retentionDropsOldSegments() {
        var bench = bench(["segment.bytes": "1024", "retention.ms": "1000"])
        for _ in 0..<40 { bench.produce(1, [(one, bench.batch(["0123456789"]))]) }
        bench.runJobs()
        bench.advance(milliseconds: 5_000)
        bench.handle(.maintain)
        bench.runJobs()
        #expect(offset(&bench, at: -2) == 43)
        #expect(offset(&bench, at: -1) == 43)
    }
}
