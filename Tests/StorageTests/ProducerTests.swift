import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Idempotent producers")
struct ProducerTests {
    private func send(
        _ log: inout PartitionLog, _ fixture: LogFixture, epoch: Int16 = 0, sequence: Int32,
        records: Int = 1
    ) throws -> AppendOutcome {
        let values = (0..<records).map { "s\(sequence)-\($0)" }
        return try log.append(
            fixture.batch(values, producer: 9, epoch: epoch, sequence: sequence),
            now: fixture.now)
    }

    @Test("Any of the last five batches is recognised, with its first offset")
    func window() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        for index in 0..<7 as Range<Int32> {
            _ = try send(&log, fixture, sequence: index * 2, records: 2)
        }
        for index in 2..<7 as Range<Int32> {
            let outcome = try send(&log, fixture, sequence: index * 2, records: 2)
            guard case .duplicate(let first) = outcome else {
                Issue.record("\(index) is no duplicate")
                continue
            }
            #expect(first.baseOffset == Offset(Int64(index) * 2))
            #expect(first.lastOffset == Offset(Int64(index) * 2 + 1))
        }
        #expect(throws: AppendError.duplicateTooOld) {
            _ = try send(&log, fixture, sequence: 2, records: 2)
        }
        #expect(throws: AppendError.outOfOrderSequence(expected: 14, actual: 16)) {
            _ = try send(&log, fixture, sequence: 16)
        }
        #expect(throws: AppendError.outOfOrderSequence(expected: 14, actual: 12)) {
            _ = try send(&log, fixture, sequence: 12, records: 3)
        }
        #expect(log.endOffset == Offset(14))
    }

    @Test("While the first batch was refused by the disk, the second is not taken for the first")
    func pipelinedBehindAFullDisk() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        _ = try log.append(fixture.batch(["other"]), now: fixture.now)
        fixture.disk.setCapacity(1)
        #expect(throws: AppendError.storage(.noSpace)) {
            _ = try send(&log, fixture, sequence: 0, records: 3)
        }
        fixture.disk.setCapacity(.max)
        #expect(throws: AppendError.outOfOrderSequence(expected: 0, actual: 3)) {
            _ = try send(&log, fixture, sequence: 3)
        }
        _ = try send(&log, fixture, sequence: 0, records: 3)
        _ = try send(&log, fixture, sequence: 3)
        #expect(log.endOffset == Offset(5))
    }

    @Test("A new epoch begins at zero and fences the old one")
    func epochs() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        _ = try send(&log, fixture, sequence: 5)  // unknown producers begin anywhere (KIP-360)
        #expect(throws: AppendError.outOfOrderSequence(expected: 0, actual: 6)) {
            _ = try send(&log, fixture, epoch: 1, sequence: 6)
        }
        _ = try send(&log, fixture, epoch: 1, sequence: 0)
        #expect(throws: AppendError.invalidProducerEpoch(current: ProducerEpoch(1))) {
            _ = try send(&log, fixture, epoch: 0, sequence: 6)
        }
    }

    @Test("Sequences go on at zero after the largest")
    func wrap() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        _ = try send(&log, fixture, sequence: .max - 1, records: 2)
        _ = try send(&log, fixture, sequence: 0)
        #expect(log.endOffset == Offset(3))
    }

    @Test("The window survives a crash and a clean stop")
    func restarts() throws {
        for isClean in [true, false] {
            let fixture = LogFixture()
            var (log, _) = try fixture.open()
            for sequence in 0..<3 as Range<Int32> {
                _ = try send(&log, fixture, sequence: sequence)
            }
            if isClean { try log.close() } else { try log.flush() }
            var (reopened, report) = try fixture.open(clean: isClean)
            #expect(isClean == (report.scannedBytes == 0))
            guard case .duplicate(let first) = try send(&reopened, fixture, sequence: 1) else {
                Issue.record("forgotten")
                return
            }
            #expect(first.baseOffset == Offset(1))
            #expect(reopened.activeProducers.map(\.id) == [ProducerID(9)])
        }
    }

    @Test("Whoever writes nothing for long is forgotten")
    func expiry() throws {
        var fixture = LogFixture()
        fixture.configuration.producerExpirationMilliseconds = 1000
        var (log, _) = try fixture.open()
        _ = try send(&log, fixture, sequence: 0)
        fixture.advance(milliseconds: 999)
        _ = log.applyRetention(now: fixture.now, upTo: log.endOffset)
        #expect(log.activeProducers.count == 1)
        fixture.advance(milliseconds: 2)
        _ = log.applyRetention(now: fixture.now, upTo: log.endOffset)
        #expect(log.activeProducers.isEmpty)
    }

    @Test("Several batches in one request of an idempotent producer are refused")
    func severalBatches() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        var bytes = fixture.batch(["a"], producer: 1, epoch: 0, sequence: 0)
        bytes.writeImmutableBuffer(fixture.batch(["b"], producer: 1, epoch: 0, sequence: 1))
        #expect(throws: AppendError.invalidRecord(.severalBatches)) {
            try log.append(bytes, now: fixture.now)
        }
        var plain = fixture.batch(["a", "b"])
        plain.writeImmutableBuffer(fixture.batch(["c"]))
        try log.append(plain, now: fixture.now)
        #expect(try log.values() == ["a", "b", "c"])
    }
}
