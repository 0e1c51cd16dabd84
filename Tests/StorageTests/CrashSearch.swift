import Model
import NIOCore
import Simulation
import Storage

/// What a crash broke; the text says what was acknowledged and what was found.
struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Random appends, flushes, rolls, deletions and truncations on a disk that loses power at random
/// operations, with everything that was acknowledged checked after each restart.
///
/// Producers are idempotent and send again what was not acknowledged, as real ones do.
struct LogCrashSearch {
    private struct Producer {
        var nextSequence: Int32 = 0
        /// Sent and not acknowledged: sequence and value.
        var open: [(sequence: Int32, value: String)] = []
    }

    private var random: SeededGenerator
    private let disk: SimulatedDisk
    private var fixture: LogFixture
    private var producers: [Producer]
    /// Acknowledged values by offset; what a truncation may have removed is taken out.
    private var acknowledged: [Int64: String] = [:]
    private var startOffsets: ClosedRange<Int64> = 0...0
    private var counter = 0
    private var isTruncating = false
    private let truncates: Bool
    private let restarts: Bool

    init(seed: UInt64, skipping point: SyncPoint?) {
        random = SeededGenerator(seed: seed)
        disk = SimulatedDisk(seed: seed ^ 0xD15C)
        disk.skipSynchronization(of: point)
        fixture = LogFixture(disk: disk)
        fixture.configuration.segmentBytes = Int64.random(in: 200...1500, using: &random)
        fixture.configuration.indexIntervalBytes = Int64.random(in: 1...600, using: &random)
        producers = Array(repeating: Producer(), count: Int.random(in: 1...3, using: &random))
        truncates = Bool.random(using: &random)
        restarts = truncates && Bool.random(using: &random)
    }

    /// Runs all rounds; throws the first violation.
    mutating func run(rounds: Int = 6) throws -> UInt64 {
        for _ in 0..<rounds {
            // A crash may also hit the opening itself.
            disk.cutPower(afterOperations: Int.random(in: 1...80, using: &random))
            do {
                try round()
            } catch let violation as Violation {
                throw violation
            } catch {
                guard disk.isPowerOff else { throw Violation("failed under power: \(error)") }
            }
            disk.restart()
            try check()
        }
        return disk.traceHash
    }

    private mutating func check() throws {
        let before = disk.operationCount
        var (log, report) = try fixture.open()
        if let corruption = report.corruption { throw Violation("corrupt: \(corruption)") }
        try verify(&log)
        // The check must not repair: leave the next opening a different budget only.
        precondition(disk.operationCount > before)
    }

    private mutating func verify(_ log: inout PartitionLog) throws {
        guard startOffsets.contains(log.startOffset.rawValue) else {
            throw Violation("start \(log.startOffset.rawValue), expected \(startOffsets)")
        }
        let found: [Record]
        do {
            found = try log.records()
        } catch {
            if disk.isPowerOff { throw error }
            throw Violation("unreadable: \(error)")
        }
        var values: [Int64: String] = [:]
        var seen: Set<String> = []
        var expected = log.startOffset
        for record in found {
            guard record.offset == expected else {
                throw Violation("offset \(record.offset.rawValue), expected \(expected.rawValue)")
            }
            expected = expected.advanced(by: 1)
            let value = String(buffer: record.value ?? ByteBuffer())
            guard seen.insert(value).inserted else { throw Violation("\(value) twice") }
            values[record.offset.rawValue] = value
        }
        for (offset, value) in acknowledged.sorted(by: { $0.key < $1.key })
        where offset >= log.startOffset.rawValue {
            guard values[offset] == value else {
                throw Violation("lost \(value) at \(offset), found \(values[offset] ?? "nothing")")
            }
        }
    }

    private mutating func round() throws {
        var (log, report) = try fixture.open()
        if let corruption = report.corruption { throw Violation("corrupt: \(corruption)") }
        if isTruncating { restartProducers(log) }
        try resend(&log)
        for _ in 0..<30 {
            fixture.advance(milliseconds: 1)
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<11: try produce(&log)
            case 11..<15: try flush(&log)
            case 15: log.roll()
            case 16: try delete(&log)
            case 17 where truncates: try truncate(&log)
            case 18 where restarts: try restart(&log)
            case 18:
                try log.close()
                acknowledgeAll(&log)
                (log, report) = try fixture.open(clean: true)
                if let corruption = report.corruption {
                    throw Violation("corrupt: \(corruption)")
                }
            default: try verify(&log)
            }
        }
    }

    private mutating func produce(_ log: inout PartitionLog) throws {
        let index = Int.random(in: 0..<producers.count, using: &random)
        guard producers[index].open.count < 5 else { return try flush(&log) }
        counter += 1
        let padding = String(
            repeating: "x", count: Int.random(in: 0...200, using: &random))
        let value = "p\(index)-\(counter)-\(padding)"
        let sequence = producers[index].nextSequence
        producers[index].nextSequence += 1
        producers[index].open.append((sequence, value))
        try send(&log, producer: index, sequence, value)
    }

    private func send(
        _ log: inout PartitionLog, producer: Int, _ sequence: Int32, _ value: String
    ) throws {
        try log.append(
            fixture.batch([value], producer: Int64(producer), epoch: 0, sequence: sequence),
            now: fixture.now)
    }

    private mutating func resend(_ log: inout PartitionLog) throws {
        for index in producers.indices {
            for (sequence, value) in producers[index].open {
                try send(&log, producer: index, sequence, value)
            }
        }
        try flush(&log)
    }

    private mutating func flush(_ log: inout PartitionLog) throws {
        try log.flush()
        acknowledgeAll(&log)
    }

    /// Everything in the log is durable now: what is read becomes what must stay.
    private mutating func acknowledgeAll(_ log: inout PartitionLog) {
        for index in producers.indices { producers[index].open = [] }
        guard let records = try? log.records() else { return }
        for record in records {
            acknowledged[record.offset.rawValue] = String(buffer: record.value ?? ByteBuffer())
        }
    }

    private mutating func delete(_ log: inout PartitionLog) throws {
        let offset = Int64.random(
            in: log.startOffset.rawValue...log.endOffset.rawValue, using: &random)
        try flush(&log)
        guard let task = log.deleteRecords(before: Offset(offset)) else { return }
        startOffsets = startOffsets.lowerBound...offset
        try task.run()
        log.completeDeletion(task)
        startOffsets = offset...offset
    }

    private mutating func truncate(_ log: inout PartitionLog) throws {
        try flush(&log)
        let offset = Int64.random(
            in: log.startOffset.rawValue...log.endOffset.rawValue, using: &random)
        acknowledged = acknowledged.filter { $0.key < offset }
        isTruncating = true
        _ = try log.truncate(to: Offset(offset), now: fixture.now)
        guard log.refusal == nil else { throw Violation("refused: \(log.refusal!)") }
        restartProducers(log)
    }

    /// As a replica that starts over where its leader begins.
    private mutating func restart(_ log: inout PartitionLog) throws {
        try flush(&log)
        let end = log.endOffset.rawValue
        let offset = Int64.random(in: max(0, end - 20)...(end + 50), using: &random)
        // A crash in the middle leaves the old start or the new one, and any part of what was
        // there: only what is appended afterwards has to stay.
        acknowledged = [:]
        isTruncating = true
        startOffsets = min(startOffsets.lowerBound, offset)...max(startOffsets.upperBound, offset)
        _ = try log.restart(at: Offset(offset), now: fixture.now)
        guard log.refusal == nil else { throw Violation("refused: \(log.refusal!)") }
        guard log.startOffset == Offset(offset), log.endOffset == Offset(offset) else {
            throw Violation("\(log.startOffset.rawValue) to \(log.endOffset.rawValue)")
        }
        startOffsets = offset...offset
        restartProducers(log)
    }

    /// Producers of what was cut begin anew, as after a change of leader.
    private mutating func restartProducers(_ log: PartitionLog) {
        isTruncating = false
        for index in producers.indices {
            let known = log.activeProducers.first { $0.id.rawValue == Int64(index) }
            producers[index].nextSequence = (known?.entry.batches.last?.lastSequence ?? -1) + 1
            producers[index].open = []
        }
    }
}

/// The same for a compacted log: after each crash the map of last values must be what it was.
struct CompactionCrashSearch {
    private var random: SeededGenerator
    private let disk: SimulatedDisk
    private var fixture: LogFixture
    private var expected: [String: String] = [:]
    private var endOffset: Int64 = 0

    init(seed: UInt64, skipping point: SyncPoint?) {
        random = SeededGenerator(seed: seed)
        disk = SimulatedDisk(seed: seed ^ 0xC1EA)
        disk.skipSynchronization(of: point)
        fixture = LogFixture(disk: disk)
        fixture.configuration.cleanupPolicy = .compact
        fixture.configuration.segmentBytes = Int64.random(in: 300...3000, using: &random)
        fixture.configuration.minCleanableDirtyRatio = 0
        fixture.configuration.deleteRetentionMilliseconds = 20
    }

    mutating func run(rounds: Int = 6) throws {
        for _ in 0..<rounds {
            disk.cutPower(afterOperations: Int.random(in: 1...120, using: &random))
            do {
                try round()
            } catch let violation as Violation {
                throw violation
            } catch {
                guard disk.isPowerOff else { throw Violation("failed under power: \(error)") }
            }
            disk.restart()
            var (log, report) = try fixture.open()
            if let corruption = report.corruption { throw Violation("corrupt: \(corruption)") }
            try verify(&log, isExact: false)
            // What was appended and not acknowledged may have stayed; from here on it counts.
            try log.flush()
            expected = try log.lastValues()
            endOffset = log.endOffset.rawValue
        }
    }

    /// `expected` holds what is acknowledged; a key that was written since may have moved on.
    private mutating func verify(_ log: inout PartitionLog, isExact: Bool) throws {
        guard log.endOffset.rawValue >= endOffset else {
            throw Violation("end \(log.endOffset.rawValue) below \(endOffset)")
        }
        let found: [String: String]
        do {
            found = try log.lastValues(below: Offset(isExact ? .max : endOffset))
        } catch {
            if disk.isPowerOff { throw error }
            throw Violation("unreadable: \(error)")
        }
        for (key, value) in expected.sorted(by: { $0.key < $1.key }) {
            guard let now = found[key] else {
                // A later record of the key may have replaced it.
                if !isExact, try log.lastValues()[key] != nil { continue }
                throw Violation("key \(key) lost")
            }
            guard now == value else { throw Violation("key \(key) is \(now), not \(value)") }
        }
    }

    private mutating func round() throws {
        var (log, report) = try fixture.open()
        if let corruption = report.corruption { throw Violation("corrupt: \(corruption)") }
        for step in 0..<40 {
            fixture.advance(milliseconds: 5)
            let keys = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                "k\(Int.random(in: 0..<8, using: &random))"
            }
            let values = keys.indices.map { "v\(step)-\($0)-\(random.next() % 1000)" }
            try log.append(fixture.batch(values, keys: keys), now: fixture.now)
            guard step % 5 == 4 else { continue }
            if Bool.random(using: &random) { log.roll() }
            try log.flush()
            expected = try log.lastValues()
            endOffset = log.endOffset.rawValue
            guard let task = log.beginCompaction(now: fixture.now, upTo: log.endOffset)
            else { continue }
            let result = try task.run()
            log.completeCompaction(task, result)
            try verify(&log, isExact: true)
        }
    }
}

extension PartitionLog {
    /// The last value of each key, as a reader of a compacted topic sees it.
    mutating func lastValues(below limit: Offset = Offset(.max)) throws -> [String: String] {
        var values: [String: String] = [:]
        for record in try records() where record.offset < limit {
            guard let key = record.key.map({ String(buffer: $0) }) else { continue }
            values[key] = record.value.map { String(buffer: $0) }
        }
        return values
    }
}
