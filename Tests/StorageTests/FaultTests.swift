import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Faults: full disks, failing devices, flipped bits")
struct FaultTests {
    @Test("A full disk fails the append, leaves the log whole and reads go on")
    func noSpace() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        try log.append(fixture.batch(["one"]), now: fixture.now)
        fixture.disk.setCapacity(fixture.disk.operationCount > 0 ? 110 : 0)
        #expect(throws: AppendError.storage(.noSpace)) {
            try log.append(
                fixture.batch([String(repeating: "x", count: 500)]), now: fixture.now)
        }
        #expect(try log.values() == ["one"])
        fixture.disk.setCapacity(.max)
        try log.append(fixture.batch(["two"]), now: fixture.now)
        try log.flush()
        fixture.disk.restart()
        var (reopened, report) = try fixture.open()
        #expect(report.corruption == nil)
        #expect(try reopened.values() == ["one", "two"])
    }

    @Test("After a failed fsync nothing is written until the log is opened anew")
    func failedSync() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        try log.append(fixture.batch(["one"]), now: fixture.now)
        try log.flush()
        try log.append(fixture.batch(["two"]), now: fixture.now)
        fixture.disk.failNextSynchronization()
        #expect(throws: DiskError.inputOutput) { try log.flush() }
        #expect(log.flushedOffset == Offset(1))
        #expect(throws: AppendError.writesRefused(.flushFailed(.inputOutput))) {
            try log.append(fixture.batch(["three"]), now: fixture.now)
        }
        #expect(log.beginFlush() == nil)
        #expect(try log.values() == ["one", "two"])
        fixture.disk.restart()
        var (reopened, _) = try fixture.open()
        #expect(try reopened.values() == ["one"])
        try reopened.append(fixture.batch(["again"]), now: fixture.now)
    }

    @Test("A failing device fails the read with its error")
    func failingReads() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        try log.append(fixture.batch(["one"]), now: fixture.now)
        fixture.disk.setFailing(reads: true, writes: false)
        #expect(throws: ReadError.storage(.inputOutput)) {
            _ = try log.read(
                from: .zero, below: log.endOffset, maxBytes: 100, atLeastOne: true)
        }
    }

    @Test("A torn tail of any length is cut, and writing goes on behind it")
    func tornTail() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        try log.append(fixture.batch(["one"]), now: fixture.now)
        let path = "p0/00000000000000000000.log"
        let first = try #require(fixture.disk.contents(of: path))
        try log.append(fixture.batch(["two"]), now: fixture.now)
        let whole = try #require(fixture.disk.contents(of: path))
        for length in first.count..<whole.count {
            fixture.disk.overwrite(path, with: Array(whole[..<length]))
            var (reopened, report) = try fixture.open()
            #expect(report.corruption == nil)
            #expect(report.truncatedBytes == Int64(length - first.count))
            try reopened.append(fixture.batch(["next"]), now: fixture.now)
            #expect(try reopened.values() == ["one", "next"])
        }
        // Zeros, as a file system leaves them where the size was written before the bytes.
        fixture.disk.overwrite(path, with: first + [UInt8](repeating: 0, count: 5000))
        let (_, report) = try fixture.open()
        #expect(report.truncatedBytes == 5000 && report.corruption == nil)
    }

    @Test("A flipped bit with valid batches behind it is reported and nothing is dropped")
    func flippedBit() throws {
        let fixture = LogFixture()
        var (log, _) = try fixture.open()
        for index in 0..<3 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        let path = "p0/00000000000000000000.log"
        let whole = try #require(fixture.disk.contents(of: path))
        let size = whole.count / 3
        for byte in size..<(2 * size) where byte < size + 12 || byte >= size + 16 {
            fixture.disk.overwrite(path, with: whole)
            fixture.disk.flipBit(of: path, byte: byte, bit: byte % 8)
            var (reopened, report) = try fixture.open()
            let corruption = try #require(report.corruption, "byte \(byte)")
            #expect(corruption.position == Int64(size))
            #expect(corruption.readableEnd == Offset(1))
            #expect(try reopened.values() == ["v0"])
            #expect(throws: AppendError.writesRefused(.corrupt(corruption))) {
                try reopened.append(fixture.batch(["no"]), now: fixture.now)
            }
            #expect(fixture.disk.contents(of: path)?.count == whole.count)
        }
    }

    @Test("Damage in a sealed segment, a missing one and a shortened one are reported")
    func sealedDamage() throws {
        for damage in 0..<3 {
            var fixture = LogFixture()
            fixture.configuration.segmentBytes = 300
            var (log, _) = try fixture.open()
            for index in 0..<12 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
            try log.flush()
            let names = try fixture.disk.list("p0").filter { $0.hasSuffix(".log") }
            let path = "p0/" + names[1]
            let bytes = try #require(fixture.disk.contents(of: path))
            switch damage {
            case 0:
                // Without its index the segment is read, and the flip found.
                try fixture.disk.remove(path.replacing(".log", with: ".index"))
                fixture.disk.flipBit(of: path, byte: bytes.count - 1, bit: 0)
            case 1: try fixture.disk.remove(path)
            default: fixture.disk.overwrite(path, with: Array(bytes.dropLast(20)))
            }
            var (reopened, report) = try fixture.open()
            #expect(report.corruption != nil, "damage \(damage)")
            #expect(report.droppedSegments == 0)
            #expect(try reopened.values().first == "v0")
            #expect(reopened.beginFlush() == nil)
            let after = try fixture.disk.list("p0").filter { $0.hasSuffix(".log") }
            #expect(after.count == names.count - (damage == 1 ? 1 : 0))
        }
    }

    @Test("A damaged index is made anew, whatever its bytes")
    func damagedIndex() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 600
        fixture.configuration.indexIntervalBytes = 1
        var (log, _) = try fixture.open()
        for index in 0..<20 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        try log.close()
        let expected = (0..<20).map { "v\($0)" }
        let path = "p0/00000000000000000000.index"
        let bytes = try #require(fixture.disk.contents(of: path))
        for index in stride(from: 0, to: bytes.count, by: 3) {
            fixture.disk.overwrite(path, with: bytes)
            fixture.disk.flipBit(of: path, byte: index, bit: index % 8)
            var (reopened, report) = try fixture.open(tail: TailCache(budgetBytes: 0))
            #expect(report.corruption == nil)
            #expect(try reopened.values() == expected)
        }
    }

    @Test("Inspection lists what is there and what is wrong, without repairing")
    func inspection() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 300
        var (log, _) = try fixture.open()
        for index in 0..<12 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        try log.close()
        var offsets: [Int64] = []
        let healthy = try LogInspection(
            directory: "p0", disk: fixture.disk, readsRecords: true
        ) { header, _, _ in offsets.append(header.baseOffset.rawValue) }
        #expect(healthy.problems.isEmpty)
        #expect(offsets == Array(0..<12))
        #expect(healthy.segments.reduce(0) { $0 + $1.recordCount } == 12)
        #expect(healthy.segments.allSatisfy { $0.coveredBytes == $0.bytes })
        let path = "p0/00000000000000000000.log"
        fixture.disk.flipBit(of: path, byte: 70, bit: 1)
        let before = fixture.disk.contents(of: path)
        let damaged = try LogInspection(directory: "p0", disk: fixture.disk)
        #expect(!damaged.problems.isEmpty)
        #expect(fixture.disk.contents(of: path) == before)
    }

    @Test("Random bytes in every kind of file never trap the opening or the inspection")
    func randomFiles() throws {
        var random = SeededGenerator(seed: 21)
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 300
        fixture.configuration.cleanupPolicy = [.compact, .delete]
        var (log, _) = try fixture.open()
        for index in 0..<12 {
            try log.append(fixture.batch(["v\(index)"], keys: ["k"]), now: fixture.now)
        }
        try log.close()
        let names = try fixture.disk.list("p0")
        let contents = names.map { fixture.disk.contents(of: "p0/" + $0) ?? [] }
        for _ in 0..<300 {
            let disk = SimulatedDisk(seed: 1)
            try disk.makeDirectory("p0")
            for (name, bytes) in zip(names, contents) {
                var bytes = bytes
                for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                        in: 0...255, using: &random)
                }
                _ = try disk.open("p0/" + name, .create)
                disk.overwrite("p0/" + name, with: bytes)
            }
            _ = try LogInspection(directory: "p0", disk: disk, readsRecords: true)
            var damaged = LogFixture(disk: disk)
            damaged.configuration = fixture.configuration
            var (opened, _) = try damaged.open(tail: TailCache(budgetBytes: 0))
            _ = try? opened.records()
            _ = try? opened.firstOffset(atOrAfter: fixture.now.wall, below: opened.endOffset)
            _ = try? opened.append(fixture.batch(["x"], keys: ["k"]), now: fixture.now)
        }
    }
}
