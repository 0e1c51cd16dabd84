import Compression
import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Retention, deletion, time, epochs, truncation, compaction")
struct RetentionTests {
    private func run(_ task: DeletionTask?, _ log: inout PartitionLog) throws {
        let task = try #require(task)
        try task.run()
        log.completeDeletion(task)
    }

    @Test("Retention by size lets whole segments go, oldest first")
    func bySize() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 300
        fixture.configuration.retentionBytes = 700
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        for index in 0..<30 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        #expect(log.applyRetention(now: fixture.now, upTo: .zero) == nil)
        try run(log.applyRetention(now: fixture.now, upTo: log.endOffset), &log)
        #expect(log.sizeInBytes >= 700 && log.sizeInBytes < 1000)
        let start = Int(log.startOffset.rawValue)
        #expect(try log.values() == (start..<30).map { "v\($0)" })
        try log.flush()
        fixture.disk.restart()
        var (reopened, _) = try fixture.open()
        #expect(reopened.startOffset == Offset(Int64(start)))
        #expect(try reopened.values() == (start..<30).map { "v\($0)" })
    }

    @Test("Retention by time takes the last segment too, and offsets go on")
    func byTime() throws {
        var fixture = LogFixture()
        fixture.configuration.retentionMilliseconds = 1000
        var (log, _) = try fixture.open()
        try log.append(fixture.batch(["old"]), now: fixture.now)
        try log.flush()
        fixture.advance(milliseconds: 1001)
        try run(log.applyRetention(now: fixture.now, upTo: log.endOffset), &log)
        #expect(log.startOffset == Offset(1) && log.endOffset == Offset(1))
        fixture.disk.restart()
        var (reopened, _) = try fixture.open()
        #expect(reopened.endOffset == Offset(1))
        let outcome = try reopened.append(fixture.batch(["new"]), now: fixture.now)
        guard case .appended(let appended) = outcome else { return }
        #expect(appended.baseOffset == Offset(1))
    }

    @Test("DeleteRecords moves the start, durably, also inside a segment")
    func deleteRecords() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        for index in 0..<10 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        try log.flush()
        #expect(log.deleteRecords(before: Offset(11)) == nil)
        try run(log.deleteRecords(before: Offset(4)), &log)
        #expect(try log.values().first == "v4")
        #expect(throws: ReadError.outOfRange(start: Offset(4), end: Offset(10))) {
            _ = try log.read(
                from: Offset(3), below: log.endOffset, maxBytes: 1, atLeastOne: true)
        }
        fixture.disk.restart()
        var (reopened, _) = try fixture.open()
        #expect(reopened.startOffset == Offset(4))
        #expect(try reopened.values().first == "v4")
    }

    @Test("Times find the first record at or after them, in every codec", arguments: Codec.allCases)
    func timestamps(codec: Codec) throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 900
        fixture.configuration.indexIntervalBytes = 1
        var (log, _) = try fixture.open()
        let start = fixture.now.wall.milliseconds
        for batch in 0..<30 as Range<Int64> {
            var builder = RecordBatchBuilder()
            for record in 0..<4 as Range<Int64> {
                builder.append(
                    key: nil, value: ByteBuffer(string: "x"),
                    timestamp: Timestamp(milliseconds: start + batch * 40 + record * 10))
            }
            try log.append(try builder.finish(codec: codec), now: fixture.now)
        }
        try log.flush()
        for probe in stride(from: -5, to: 1195, by: 7) as StrideTo<Int64> {
            let found = try log.firstOffset(
                atOrAfter: Timestamp(milliseconds: start + probe), below: log.endOffset)
            let expected = probe <= 0 ? 0 : (probe + 9) / 10
            if expected >= 120 {
                #expect(found == nil)
            } else {
                #expect(found?.offset == Offset(expected))
                #expect(found?.timestamp.milliseconds == start + expected * 10)
            }
        }
        #expect(try log.maxTimestamp(below: log.endOffset)?.offset == Offset(119))
    }

    @Test("Log-append time dates the records and keeps the checksum right")
    func logAppendTime() throws {
        var fixture = LogFixture()
        fixture.configuration.timestampType = .logAppend
        var (log, _) = try fixture.open()
        let outcome = try log.append(fixture.batch(["a"], timestamp: 5), now: fixture.now)
        guard case .appended(let appended) = outcome else { return }
        #expect(appended.logAppendTime == fixture.now.wall)
        #expect(try log.records().first?.timestamp == fixture.now.wall)
        try log.flush()
        let (reopened, report) = try fixture.open()
        #expect(report.truncatedBytes == 0 && reopened.endOffset == Offset(1))
    }

    @Test("Limits of size and time refuse the batch and leave the log as it was")
    func limits() throws {
        var fixture = LogFixture()
        fixture.configuration.maxMessageBytes = 100
        var (log, _) = try fixture.open()
        let large = fixture.batch([String(repeating: "x", count: 100)])
        #expect(
            throws: AppendError.recordTooLarge(bytes: large.readableBytes, limit: 100)
        ) { try log.append(large, now: fixture.now) }
        let future = fixture.now.wall.milliseconds + 3_600_001
        #expect(throws: AppendError.invalidTimestamp) {
            try log.append(fixture.batch(["x"], timestamp: future), now: fixture.now)
        }
        #expect(throws: AppendError.invalidRecord(.empty)) {
            try log.append(ByteBuffer(), now: fixture.now)
        }
        #expect(log.endOffset == .zero)
    }

    @Test("Epochs are assigned, answered, survive a restart and are cut with the log")
    func leaderEpochs() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        for epoch in [2, 2, 5, 7] as [Int32] {
            _ = try log.append(
                fixture.batch(["e\(epoch)"]), leaderEpoch: LeaderEpoch(epoch), origin: .client,
                now: fixture.now)
        }
        try log.flush()
        fixture.disk.restart()
        (log, _) = try fixture.open()
        #expect(log.latestEpoch == LeaderEpoch(7))
        #expect(log.endOffset(for: LeaderEpoch(2))?.endOffset == Offset(2))
        #expect(log.endOffset(for: LeaderEpoch(6))?.epoch == LeaderEpoch(5))
        #expect(log.endOffset(for: LeaderEpoch(6))?.endOffset == Offset(3))
        #expect(log.endOffset(for: LeaderEpoch(1)) == nil)
        _ = try log.truncate(to: Offset(3), now: fixture.now)
        #expect(log.latestEpoch == LeaderEpoch(5) && log.endOffset == Offset(3))
        #expect(try log.values() == ["e2", "e2", "e5"])
    }

    @Test("A replica's batches keep their offsets and epochs")
    func replica() throws {
        let leader = LogFixture()
        var (source, _) = try leader.open()
        for index in 0..<5 {
            _ = try source.append(
                leader.batch(["v\(index)"]), leaderEpoch: LeaderEpoch(3), origin: .client,
                now: leader.now)
        }
        let follower = LogFixture(seed: 2)
        var (copy, _) = try follower.open()
        guard
            case .memory(let bytes) = try source.read(
                from: .zero, below: source.endOffset, maxBytes: 1 << 20, atLeastOne: true)
        else { return }
        _ = try copy.append(
            bytes, leaderEpoch: LeaderEpoch(9), origin: .replica, now: follower.now)
        #expect(try copy.values() == (0..<5).map { "v\($0)" })
        #expect(copy.latestEpoch == LeaderEpoch(3))
        #expect(
            throws: AppendError.invalidRecord(.offsetGap(expected: Offset(5), actual: .zero))
        ) {
            _ = try copy.append(
                bytes, leaderEpoch: LeaderEpoch(9), origin: .replica, now: follower.now)
        }
    }

    @Test("An epoch that wrote nothing is not that of older records which are copied later")
    func epochWithoutRecords() throws {
        let leader = LogFixture()
        var (source, _) = try leader.open(tail: TailCache(budgetBytes: 0))
        for index in 0..<3 {
            _ = try source.append(
                leader.batch(["v\(index)"]), leaderEpoch: LeaderEpoch(2), origin: .client,
                now: leader.now)
        }
        let follower = LogFixture(seed: 2)
        var (copy, _) = try follower.open()
        for offset in 0..<3 as Range<Int64> {
            guard
                case .file(let slice) = try source.read(
                    from: Offset(offset), below: source.endOffset, maxBytes: 1, atLeastOne: true)
            else { return }
            // It leads for a moment, behind the first record.
            if offset == 1 { copy.assign(epoch: LeaderEpoch(3)) }
            _ = try copy.append(
                try slice.read(), leaderEpoch: LeaderEpoch(4), origin: .replica,
                now: follower.now)
        }
        #expect(copy.lastRecordEpoch == LeaderEpoch(2))
        #expect(copy.endOffset(for: LeaderEpoch(2))?.endOffset == Offset(3))
        #expect(copy.epochs == source.epochs)
    }

    @Test("A replica of a compacted log has gaps, which are no damage when it is compacted no more")
    func sparseReplica() throws {
        let leader = LogFixture()
        var (source, _) = try leader.open(tail: TailCache(budgetBytes: 0))
        for index in 0..<5 { try source.append(leader.batch(["v\(index)"]), now: leader.now) }
        var follower = LogFixture(seed: 2)
        follower.configuration.cleanupPolicy = .compact
        var (copy, _) = try follower.open()
        for offset in [0, 3, 4] as [Int64] {
            guard
                case .file(let slice) = try source.read(
                    from: Offset(offset), below: source.endOffset, maxBytes: 1, atLeastOne: true)
            else { return }
            _ = try copy.append(
                try slice.read(), leaderEpoch: .unknown, origin: .replica, now: follower.now)
        }
        try copy.flush()
        follower.disk.restart()
        follower.configuration.cleanupPolicy = .delete
        let (opened, report) = try follower.open()
        copy = opened
        #expect(report.corruption == nil)
        #expect(try copy.values() == ["v0", "v3", "v4"])
        try copy.append(follower.batch(["v5"]), now: follower.now)
    }

    // MARK: Compaction

    @Test("The last value of each key stays, in every codec", arguments: Codec.allCases)
    func compaction(codec: Codec) throws {
        var random = SeededGenerator(seed: UInt64(codec.rawValue))
        var fixture = LogFixture()
        fixture.configuration.cleanupPolicy = .compact
        fixture.configuration.segmentBytes = 2000
        fixture.configuration.minCleanableDirtyRatio = 0
        fixture.configuration.deleteRetentionMilliseconds = 1000
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        for round in 0..<4 {
            for batch in 0..<40 {
                var builder = RecordBatchBuilder()
                for record in 0..<Int.random(in: 1...4, using: &random) {
                    let key = "key-\(Int.random(in: 0..<12, using: &random))"
                    let isTombstone = Int.random(in: 0..<6, using: &random) == 0
                    builder.append(
                        key: ByteBuffer(string: key),
                        value: isTombstone
                            ? nil : ByteBuffer(string: "\(round)-\(batch)-\(record)"),
                        timestamp: fixture.now.wall)
                }
                try log.append(try builder.finish(codec: codec), now: fixture.now)
            }
            log.roll()
            try log.flush()
            let before = try log.lastValues()
            let size = log.sizeInBytes
            let end = log.endOffset
            fixture.advance(milliseconds: 600)
            let begun = log.beginCompaction(now: fixture.now, upTo: end)
            let task = try #require(begun)
            #expect(try log.lastValues() == before)
            let result = try task.run()
            // Names have changed; the log still reads the files that it holds.
            #expect(try log.lastValues() == before)
            log.completeCompaction(task, result)
            #expect(try log.lastValues() == before)
            #expect(result.stopped == nil)
            #expect(log.sizeInBytes < size && log.endOffset == end)
            fixture.disk.restart()
            (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
            #expect(try log.lastValues() == before)
            #expect(log.endOffset == end)
        }
    }

    @Test("Tombstones stay for delete.retention.ms after they were first seen, then go")
    func tombstones() throws {
        var fixture = LogFixture()
        fixture.configuration.cleanupPolicy = .compact
        fixture.configuration.minCleanableDirtyRatio = 0
        fixture.configuration.deleteRetentionMilliseconds = 1000
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        var builder = RecordBatchBuilder()
        builder.append(
            key: ByteBuffer(string: "a"), value: nil, timestamp: fixture.now.wall)
        try log.append(builder.finish(), now: fixture.now)
        let written = fixture.now.wall
        func compact() throws {
            try log.append(fixture.batch(["filler"], keys: ["b"]), now: fixture.now)
            log.roll()
            try log.flush()
            let begun = log.beginCompaction(now: fixture.now, upTo: log.endOffset)
            let task = try #require(begun)
            log.completeCompaction(task, try task.run())
        }
        try compact()
        #expect(try log.records().contains { $0.value == nil && $0.timestamp == written })
        fixture.advance(milliseconds: 900)
        try compact()
        #expect(try log.records().contains { $0.value == nil && $0.timestamp == written })
        fixture.advance(milliseconds: 200)
        try compact()
        #expect(try !log.records().contains { $0.value == nil })
    }

    @Test("A compacted topic takes no record without a key, compressed or not")
    func missingKeys() throws {
        var fixture = LogFixture()
        fixture.configuration.cleanupPolicy = .compact
        var (log, _) = try fixture.open()
        for codec in Codec.allCases {
            var builder = RecordBatchBuilder()
            builder.append(
                key: nil, value: ByteBuffer(string: "x"), timestamp: fixture.now.wall)
            #expect(throws: AppendError.invalidRecord(.missingKey)) {
                try log.append(try builder.finish(codec: codec), now: fixture.now)
            }
        }
    }

    @Test("A producer is still recognised after its last batch was compacted away")
    func compactedProducer() throws {
        var fixture = LogFixture()
        fixture.configuration.cleanupPolicy = .compact
        fixture.configuration.minCleanableDirtyRatio = 0
        var (log, _) = try fixture.open()
        try log.append(
            fixture.batch(["1"], keys: ["k"], producer: 4, epoch: 0, sequence: 0),
            now: fixture.now)
        try log.append(fixture.batch(["2"], keys: ["k"]), now: fixture.now)
        log.roll()
        try log.flush()
        let begun = log.beginCompaction(now: fixture.now, upTo: log.endOffset)
        let task = try #require(begun)
        log.completeCompaction(task, try task.run())
        for name in try fixture.disk.list("p0") where name.hasSuffix(".snapshot") {
            try fixture.disk.remove("p0/" + name)
        }
        var (reopened, _) = try fixture.open()
        let outcome = try reopened.append(
            fixture.batch(["1"], keys: ["k"], producer: 4, epoch: 0, sequence: 0),
            now: fixture.now)
        guard case .duplicate(let first) = outcome else {
            Issue.record("forgotten")
            return
        }
        #expect(first.baseOffset == .zero)
    }
}
