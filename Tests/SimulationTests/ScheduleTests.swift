import Model
import Storage
import Testing

@testable import Simulation

/// Runs that are made again from what they were made of.
@Suite struct ScheduleTests {
    /// A small mesh with few and short faults.
    static func small(_ seed: UInt64, faults: [ScheduledFault]? = nil) -> MeshSchedule {
        var options = MeshOptions(seed: seed)
        options.brokers = 3
        options.lateBrokers = 0
        options.partitions = 1
        options.isSynced = true
        options.faultsMilliseconds = 1_000
        options.network = .lan
        options.faults = [.kill, .pause, .oneWayCut, .slowDisk, .powerLoss]
        return MeshSchedule(seed: seed, options: options, faults: faults ?? [])
    }

    static func fault(_ kind: MeshFault.Kind, _ victim: Int, at: Int64) -> ScheduledFault {
        ScheduledFault(kind: kind, victim: victim, at: at, milliseconds: 200, dice: 7)
    }

    @Test func whatARunDrewGivesTheSameRun() {
        var options = Self.small(4).options
        options.faultPauseMilliseconds = 200
        let drawn = MeshWorld(seed: 4, options: options).run()
        #expect(drawn.schedule.faults.count > 2)
        let again = MeshWorld(seed: 4, schedule: drawn.schedule).run()
        #expect(again.hash == drawn.hash)
        #expect(again.schedule == drawn.schedule)
        #expect(again.counts == drawn.counts)
    }

    @Test func aFaultLessIsAnotherRunWithTheOthers() {
        let faults = [
            Self.fault(.kill, 0, at: 300), Self.fault(.oneWayCut, 1, at: 500),
            Self.fault(.slowDisk, 2, at: 700),
        ]
        let all = MeshWorld(seed: 5, schedule: Self.small(5, faults: faults)).run()
        #expect(all.failure == nil)
        #expect(all.schedule.faults == faults)
        let fewer = MeshWorld(seed: 5, schedule: Self.small(5, faults: Array(faults[1...]))).run()
        #expect(fewer.schedule.faults == Array(faults[1...]))
        #expect(fewer.hash != all.hash)
    }

    @Test func whatMakesNoSenseIsToldInWords() {
        var schedule = Self.small(1, faults: [Self.fault(.kill, 0, at: 5)])
        #expect(schedule.objection == nil)
        schedule.options.brokers = 2
        #expect(schedule.objection == "options.brokers is 2; expected 3 to 16")
        schedule.options.brokers = 3
        schedule.faults[0].victim = 3
        #expect(schedule.objection == "faults[0]: victim is 3; expected 0 to 2")
        schedule.faults = [Self.fault(.kill, 0, at: 5), Self.fault(.kill, 0, at: 4)]
        #expect(
            schedule.objection == "faults[1]: at 4 comes after 5; expected them in order")
        schedule.faults = []
        schedule.options.network.datagramLoss = 2
        #expect(schedule.objection == "options.network: expected parts from 0 to 1")
    }
}

/// What is done with a run that broke a promise.
@Suite struct FailureTests {
    /// Disks that lie: what they say is synced is lost with the power.
    static func lying(_ schedule: MeshSchedule) -> MeshWorld {
        let world = MeshWorld(seed: schedule.seed, schedule: schedule)
        for site in world.sites { site.disk.skipSynchronization(of: .segmentData) }
        return world
    }

    /// All machines lose their power at once, after harmless faults.
    static let blackout =
        [
            ScheduleTests.fault(.slowDisk, 1, at: 100), ScheduleTests.fault(.pause, 2, at: 200),
        ] + (0..<3).map { ScheduleTests.fault(.powerLoss, $0, at: 600) }

    @Test func aLostRecordIsExplainedOnOnePage() throws {
        // Groups' offsets are lost as well: the first run in which a record is missed first.
        let verdict = try #require(
            (3..<13).lazy.map { Self.lying(ScheduleTests.small($0, faults: Self.blackout)).run() }
                .first { verdict in
                    [.recordKept, .seenStays, .offsetsDense].contains(verdict.failure?.promise)
                })
        let failure = try #require(verdict.failure)
        let page = MeshExplanation(of: verdict, make: Self.lying)
        #expect(page.isSame)
        let lines = page.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 70)
        #expect(lines.allSatisfy { $0.count <= 100 })
        #expect(page.text.contains(failure.promise.sentence))
        #expect(page.text.contains("powerLoss of broker 1 for 200 ms"))
        #expect(page.text.contains("leads under epoch"))
    }

    /// A run that breaks a promise where two of its faults are in it, with one seed of three.
    private static func verdict(on schedule: MeshSchedule) -> MeshVerdict {
        let isBroken =
            schedule.seed % 3 == 0
            && schedule.faults.contains { $0.kind == .powerLoss && $0.victim == 0 }
            && schedule.faults.contains { $0.kind == .pause && $0.victim == 1 }
        let failure = MeshFailure(
            promise: .recordKept, reason: "", subject: MeshSubject(), at: Instant(nanoseconds: 0))
        return MeshVerdict(
            seed: schedule.seed, failure: isBroken ? failure : nil, counts: MeshCounts(),
            hash: schedule.seed, milliseconds: 0, schedule: schedule)
    }

    @Test func theScheduleIsShrunkToWhatMatters() {
        var schedule = ScheduleTests.small(3)
        schedule.options.brokers = 7
        schedule.options.partitions = 4
        schedule.options.faultsMilliseconds = 30_000
        schedule.faults = (0..<60).map {
            ScheduleTests.fault(
                MeshFault.Kind.allCases[$0 % MeshFault.Kind.allCases.count], $0 % 7,
                at: Int64($0) * 400)
        }
        schedule.faults[11] = ScheduleTests.fault(.powerLoss, 0, at: 4_400)
        schedule.faults[40] = ScheduleTests.fault(.pause, 1, at: 16_000)
        var reports = 0
        var minimizer = MeshMinimizer(
            Self.verdict(on: schedule), promise: .recordKept, runsMaximum: 1_000,
            run: Self.verdict(on:), report: { _ in reports += 1 })
        minimizer.minimize()
        let best = minimizer.best.schedule
        #expect(best.faults.map(\.kind) == [.powerLoss, .pause])
        #expect(best.faults.map(\.milliseconds) == [12, 12])
        #expect(best.options.brokers == 3)
        #expect(best.options.partitions == 1)
        #expect(best.options.faultsMilliseconds < 30_000)
        #expect(reports > 0)
    }

    @Test func shrinkingEndsInTime() {
        var schedule = ScheduleTests.small(3)
        schedule.faults = (0..<60).map { ScheduleTests.fault(.kill, $0 % 3, at: Int64($0)) }
        schedule.faults[7] = ScheduleTests.fault(.powerLoss, 0, at: 7)
        schedule.faults[8] = ScheduleTests.fault(.pause, 1, at: 8)
        var minimizer = MeshMinimizer(
            Self.verdict(on: schedule), promise: .recordKept, runsMaximum: 9,
            run: Self.verdict(on:))
        minimizer.minimize()
        #expect(minimizer.runs == 9)
        #expect(minimizer.best.failure?.promise == .recordKept)
    }

    @Test func aPageKeepsWhatMattersAndFits() {
        var lines: [MeshStory.Line] = []
        for number in 0..<200 {
            let at = Instant(nanoseconds: Int64(number) * 1_000_000)
            let kind: MeshStory.Kind = number % 20 == 0 ? .record : [.process, .fault][number % 2]
            lines.append(MeshStory.Line(at: at, kind: kind, text: "\(number)", last: at))
        }
        let kept = MeshExplanation.fit(lines)
        #expect(kept.count == 36)
        #expect(kept.count { $0.kind == .record } == 10)
        #expect(kept.count { $0.kind == .process } == 0)
        #expect(kept.last?.text == "199")
    }

    @Test func linesAreBrokenBetweenWords() {
        let text = String(repeating: " ", count: 20) + "one two three four five six"
        let lines = MeshExplanation.wrap(text, 34)
        #expect(lines.map { $0.drop { $0 == " " } } == ["one two three", "four five six"])
    }
}
