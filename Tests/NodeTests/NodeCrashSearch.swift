import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage

/// Several lives of one broker on one disk under load, with a crash or a stop between them, and
/// what has to be there in the end.
///
/// Every crash takes what was not synced. Topics are `flush: sync` by the broker's default, so
/// whatever a client was told has to be there afterwards. Some lives have a sync that fails, or a
/// disk that is full for a while.
struct NodeCrashSearch {
    private static let lives = 4
    private static let stepsPerLife = 700
    /// More than any run needs to answer everything that was asked.
    private static let stepsToFinish = 20_000

    let disk: SimulatedDisk
    private var random: SeededGenerator
    private var now = Now(
        instant: Instant(nanoseconds: 1_000_000_000),
        wall: Timestamp(milliseconds: 1_700_000_000_000))
    private var producers: [NodeProducer]
    private var consumers: [NodeConsumer]
    private var administrator = NodeAdministrator()
    private var ids: Set<ProducerID> = []
    private var lastToken: UInt64 = 0
    /// A sync failed in one of the lives, which may leave a hole in a log: it is read, not written.
    private var hadFailedSync = false

    init(seed: UInt64) {
        disk = SimulatedDisk(seed: seed)
        random = SeededGenerator(seed: seed)
        producers = (0..<4).map { NodeProducer(name: $0, partition: Int32($0) % 2) }
        consumers = (0..<3).map { NodeConsumer(group: "group-\($0)") }
    }

    var acknowledgedCount: Int { producers.reduce(0) { $0 + Int($1.acknowledgedCount) } }

    /// What was lost, doubled or mixed up; nil where nothing was.
    mutating func run() -> String? {
        for _ in 1..<Self.lives {
            let endsInOrder = random.next(upperBound: 5 as UInt64) == 0
            if !endsInOrder {
                disk.cutPower(afterOperations: 20 + Int(random.next(upperBound: 500 as UInt64)))
            }
            if let broken = live(endsInOrder: endsInOrder) { return broken }
            disconnect()
            disk.restart()
        }
        var started = try? NodeProcess(disk: disk, now: now, seed: random.next())
        if started == nil, hadFailedSync {
            // The sync that was to fail in the life before waited until here. Once is enough.
            disk.restart()
            started = try? NodeProcess(disk: disk, now: now, seed: random.next())
        }
        guard var process = started else { return "the last start failed" }
        return finish(&process) ?? verify(&process)
    }

    private mutating func disconnect() {
        for index in producers.indices { producers[index].disconnect() }
        for index in consumers.indices { consumers[index].disconnect() }
        administrator.disconnect()
    }

    /// One life under load, until the power goes or it is stopped.
    private mutating func live(endsInOrder: Bool) -> String? {
        guard var process = try? NodeProcess(disk: disk, now: now, seed: random.next()) else {
            // A sync that was to fail may have waited until here.
            return disk.isPowerOff || hadFailedSync ? nil : "the start failed"
        }
        if let broken = begin(&process) { return broken }
        let fault = Fault(using: &random, steps: Self.stepsPerLife)
        var steps = 0
        while !disk.isPowerOff, steps < Self.stepsPerLife {
            steps += 1
            fault?.apply(to: disk, at: steps)
            if case .failedSync = fault { hadFailedSync = true }
            if let broken = turn(&process, continues: true) { return broken }
        }
        disk.setCapacity(.max)
        guard endsInOrder, !disk.isPowerOff else { return nil }
        process.stop()
        steps = 0
        while process.stoppedClean == nil {
            steps += 1
            guard steps < Self.stepsToFinish else { return "the stop does not end" }
            tick(&process)
            _ = process.step()
            if let broken = hear(&process) { return broken }
        }
        if process.stoppedClean == true {
            process.markClean()
        } else if fault == nil {
            return "the stop was not clean"
        }
        return nil
    }

    /// What happens to the disk of a life beside its end.
    private enum Fault {
        case failedSync(at: Int)
        case full(Range<Int>)

        /// Every other life has none.
        init?(using random: inout SeededGenerator, steps: Int) {
            let start = Int(random.next(upperBound: UInt64(steps)))
            switch random.next(upperBound: 4 as UInt64) {
            case 0: self = .failedSync(at: start)
            case 1: self = .full(start..<start + 50)
            default: return nil
            }
        }

        func apply(to disk: SimulatedDisk, at step: Int) {
            switch self {
            case .failedSync(let moment):
                if step == moment { disk.failNextSynchronization() }
            case .full(let steps):
                if step == steps.lowerBound { disk.setCapacity(0) }
                if step == steps.upperBound { disk.setCapacity(.max) }
            }
        }
    }

    /// Up to where clients may come; compares topics with what has to be there.
    private mutating func begin(_ process: inout NodeProcess) -> String? {
        var steps = 0
        while process.failures == nil {
            if disk.isPowerOff { return nil }
            steps += 1
            guard steps < Self.stepsToFinish, process.step() else { return "the start hangs" }
        }
        if disk.isPowerOff { return nil }
        if let failures = process.failures, !failures.isEmpty { return "not opened: \(failures)" }
        guard let view = process.view else { return "a broker without a view" }
        return administrator.check(view)
    }

    private mutating func tick(_ process: inout NodeProcess) {
        guard random.next(upperBound: 4 as UInt64) == 0 else { return }
        let milliseconds = Int64(random.next(upperBound: 40 as UInt64))
        now = Now(
            instant: now.instant.advanced(byMilliseconds: milliseconds),
            wall: Timestamp(milliseconds: now.wall.milliseconds + milliseconds))
        process.now = now
    }

    /// One thing that a client or the broker does.
    private mutating func turn(_ process: inout NodeProcess, continues: Bool) -> String? {
        tick(&process)
        lastToken += 1
        switch random.next(upperBound: 24 as UInt64) {
        case 0...3:
            let index = Int(random.next(upperBound: UInt64(producers.count)))
            producers[index].act(
                &process, token: lastToken, continues: continues, random: &random)
        case 4...5:
            let index = Int(random.next(upperBound: UInt64(consumers.count)))
            consumers[index].act(&process, token: lastToken, continues: continues)
        case 6 where continues:
            administrator.act(&process, token: lastToken, random: &random)
        case 7 where random.next(upperBound: 16 as UInt64) == 0:
            process.maintain()
        default:
            _ = process.step()
        }
        return hear(&process)
    }

    private mutating func hear(_ process: inout NodeProcess) -> String? {
        let answers = process.answers
        process.answers = []
        for answer in answers {
            for index in producers.indices {
                if let broken = producers[index].hear(answer, ids: &ids) { return broken }
            }
            for index in consumers.indices {
                if let broken = consumers[index].hear(answer) { return broken }
            }
            if let broken = administrator.hear(answer, process.view) { return broken }
        }
        return nil
    }

    /// Nothing new, but everything that was begun comes to its end.
    private mutating func finish(_ process: inout NodeProcess) -> String? {
        if let broken = begin(&process) { return broken }
        for _ in 0..<Self.stepsToFinish {
            let isDone = hadFailedSync && process.foundDamage || producers.allSatisfy(\.isDone)
            if isDone, consumers.allSatisfy(\.isChecked) { return nil }
            if let broken = turn(&process, continues: false) { return broken }
        }
        return "clients do not get on: done \(producers.map(\.isDone)), "
            + "errors \(producers.map(\.lastError)), "
            + "checked \(consumers.map(\.isChecked)), notices \(process.notices)"
    }

    /// Reads both partitions from the start and compares them with what was acknowledged.
    private mutating func verify(_ process: inout NodeProcess) -> String? {
        guard let entry = process.view?.topic(named: NodeProducer.topic) else {
            return producers.allSatisfy { $0.produced == 0 } ? nil : "the topic is gone"
        }
        for index in 0..<NodeProducer.partitions {
            let (records, failure) = read(entry.partition(index), &process)
            if let failure { return failure }
            for (place, record) in records.enumerated() where record.offset.rawValue != place {
                return "offset \(record.offset.rawValue) at place \(place) of partition \(index)"
            }
            let values = records.map { $0.value.map { String(buffer: $0) } ?? "null" }
            for producer in producers where producer.partition == index {
                let mayBeCut = hadFailedSync && process.foundDamage
                if let broken = compare(producer, values, mayBeCut: mayBeCut) { return broken }
            }
        }
        return nil
    }

    private func compare(
        _ producer: NodeProducer, _ values: [String], mayBeCut: Bool
    ) -> String? {
        let prefix = "\(producer.name):"
        let own = values.filter { $0.hasPrefix(prefix) }
        let count =
            mayBeCut
            ? min(producer.produced, max(Int32(own.count), producer.acknowledgedCount))
            : producer.produced
        let wanted = (0..<count).map { "\(prefix)\($0)" }
        guard own == wanted else {
            return "producer \(producer.name) sent \(wanted.count) records, in the log are \(own)"
        }
        for (number, offset) in producer.acknowledged.sorted(by: { $0.key < $1.key })
        where values.indices.contains(Int(offset)) == false
            || values[Int(offset)] != "\(prefix)\(number)"
        {
            return "record \(prefix)\(number) is not at offset \(offset), as was said"
        }
        return nil
    }

    private mutating func read(
        _ partition: TopicPartition, _ process: inout NodeProcess
    ) -> (records: [Record], failure: String?) {
        var records: [Record] = []
        while true {
            lastToken += 1
            let part = FetchWork.Part(
                partition: partition, offset: Offset(Int64(records.count)),
                currentLeaderEpoch: .unknown, lastFetchedEpoch: .unknown, maxBytes: 4_096)
            process.post(
                .fetch(
                    FetchWork(
                        token: lastToken, minBytes: 0, maxBytes: 4_096,
                        deadline: process.now.instant, parts: [part])), to: partition)
            var found: FetchResult?
            while found == nil {
                guard process.step() else { return (records, "a fetch is not answered") }
                for case .fetched(let token, let results) in process.answers
                where token == lastToken { found = results[0] }
                process.answers = []
            }
            guard let found, found.error == nil, let more = try? found.records.records() else {
                return (records, "partition can't be read: \(String(describing: found?.error))")
            }
            let new = more.filter { $0.offset.rawValue >= Int64(records.count) }
            if new.isEmpty { return (records, nil) }
            records += new
        }
    }
}
