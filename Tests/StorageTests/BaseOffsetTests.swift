import Model
import NIOCore
import Simulation
import Storage
import Testing

/// Base offsets lie outside of the batches' checksums: only their order tells of a flipped bit.
@Suite("Damaged base offsets")
struct BaseOffsetTests {
    /// Batches of three records in three segments, the last of them active.
    private func filled(
        indexInterval: Int64 = 1
    ) throws -> (fixture: LogFixture, segments: [String], expected: [String]) {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 500
        fixture.configuration.indexIntervalBytes = indexInterval
        var (log, _) = try fixture.open()
        var expected: [String] = []
        for index in 0..<15 {
            let values = (0..<3).map { "v\(3 * index + $0)" }
            try log.append(fixture.batch(values), now: fixture.now)
            expected += values
        }
        try log.close()
        let names = try fixture.disk.list("p0").filter { $0.hasSuffix(".log") }.sorted()
        return (fixture, names.map { "p0/" + $0 }, expected)
    }

    /// Where the batches of a file begin, and the offset of each.
    private func batches(
        of path: String, _ fixture: LogFixture
    ) throws -> [(position: Int, offset: Int)] {
        let bytes = ByteBuffer(bytes: try #require(fixture.disk.contents(of: path)))
        var cursor = RecordBatchCursor(bytes, strictness: .checksum)
        var found: [(position: Int, offset: Int)] = []
        while let batch = try cursor.next() {
            found.append((batch.start, Int(batch.header.baseOffset.rawValue)))
        }
        return found
    }

    /// What a consumer gets from the beginning on, and what stops it.
    private func consume(
        _ log: inout PartitionLog, from offset: Offset, maxBytes: Int
    ) throws -> (offsets: [Int64], end: ReadError?) {
        var next = offset
        var offsets: [Int64] = []
        while next < log.endOffset {
            let found: LogSlice
            do throws(ReadError) {
                let read = try log.read(
                    from: next, below: log.endOffset, maxBytes: maxBytes, atLeastOne: true)
                guard case .file(let slice) = read else { return (offsets, nil) }
                found = slice
            } catch {
                return (offsets, error)
            }
            let bytes = try found.read()
            var cursor = RecordBatchCursor(bytes, strictness: .structure)
            while let batch = try? cursor.next() {
                let last = batch.header.lastOffset
                offsets += Array(max(next, batch.header.baseOffset).rawValue...last.rawValue)
                next = last.advanced(by: 1)
            }
        }
        return (offsets, nil)
    }

    @Test("In a closed segment one is never given to a reader", arguments: [1, 4_096] as [Int64])
    func closedSegment(indexInterval: Int64) throws {
        let (fixture, segments, expected) = try filled(indexInterval: indexInterval)
        try #require(segments.count >= 3)
        for path in segments.dropLast() {
            for batch in try batches(of: path, fixture) {
                for bit in 0..<64 {
                    let byte = batch.position + bit / 8
                    fixture.disk.flipBit(of: path, byte: byte, bit: bit % 8)
                    defer { fixture.disk.flipBit(of: path, byte: byte, bit: bit % 8) }
                    var (log, _) = try fixture.open(clean: true, tail: TailCache(budgetBytes: 0))
                    #expect(log.endOffset == Offset(Int64(expected.count)))
                    for maxBytes in [1, 1_000] {
                        let (offsets, end) = try consume(&log, from: .zero, maxBytes: maxBytes)
                        #expect(
                            offsets == Array(0..<Int64(batch.offset)),
                            "\(path), batch \(batch.offset), bit \(bit)")
                        guard case .corrupt = end else {
                            Issue.record("batch \(batch.offset), bit \(bit) is given out")
                            continue
                        }
                    }
                }
            }
        }
    }

    @Test("In a segment without its index, or whose producers are not known, recovery reports it")
    func recovery() throws {
        for suffix in [".index", ".snapshot"] {
            let (fixture, segments, _) = try filled()
            for name in try fixture.disk.list("p0") where name.hasSuffix(suffix) {
                try fixture.disk.remove("p0/" + name)
            }
            for path in segments {
                for batch in try batches(of: path, fixture) {
                    for bit in 0..<64 {
                        let byte = batch.position + bit / 8
                        let whole = try #require(fixture.disk.contents(of: path))
                        fixture.disk.flipBit(of: path, byte: byte, bit: bit % 8)
                        defer { fixture.disk.overwrite(path, with: whole) }
                        var (log, report) = try fixture.open(tail: TailCache(budgetBytes: 0))
                        let corruption = try #require(
                            report.corruption, "\(path), batch \(batch.offset), bit \(bit)")
                        #expect(corruption.readableEnd == Offset(Int64(batch.offset)))
                        #expect(corruption.position == Int64(batch.position))
                        let (offsets, _) = try consume(&log, from: .zero, maxBytes: 1_000)
                        #expect(offsets == Array(0..<Int64(batch.offset)))
                    }
                }
            }
        }
    }

    @Test("gossamer log verify names the batch")
    func inspection() throws {
        let (fixture, segments, _) = try filled()
        for path in segments.dropLast() {
            for batch in try batches(of: path, fixture) {
                for bit in 0..<64 {
                    let byte = batch.position + bit / 8
                    fixture.disk.flipBit(of: path, byte: byte, bit: bit % 8)
                    defer { fixture.disk.flipBit(of: path, byte: byte, bit: bit % 8) }
                    let found = try LogInspection(directory: "p0", disk: fixture.disk)
                    #expect(
                        found.problems.first?.position == Int64(batch.position),
                        "\(path), batch \(batch.offset), bit \(bit)")
                }
            }
        }
    }

    @Test("What compaction leaves out is no damage; behind a gap the next batch has to agree")
    func gaps() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 400
        fixture.configuration.cleanupPolicy = [.compact]
        fixture.configuration.minCleanableDirtyRatio = 0
        var (log, _) = try fixture.open()
        for index in 0..<30 {
            let key = index % 7 == 0 ? "once \(index)" : "again"
            try log.append(fixture.batch(["v\(index)"], keys: [key]), now: fixture.now)
        }
        try log.flush()
        let begun = log.beginCompaction(now: fixture.now, upTo: log.endOffset)
        let task = try #require(begun)
        log.completeCompaction(task, try task.run())
        try log.close()
        var (whole, _) = try fixture.open(clean: true, tail: TailCache(budgetBytes: 0))
        let (kept, end) = try consume(&whole, from: .zero, maxBytes: 1_000)
        #expect(end == nil && kept.count < 30)
        let path = "p0/00000000000000000000.log"
        let found = try batches(of: path, fixture)
        for (place, batch) in found.dropLast().enumerated() {
            // Beyond the next one's offset.
            let bit = 5
            fixture.disk.flipBit(of: path, byte: batch.position + 7, bit: bit)
            defer { fixture.disk.flipBit(of: path, byte: batch.position + 7, bit: bit) }
            guard batch.offset + 1 << bit >= found[place + 1].offset else { continue }
            var (log, _) = try fixture.open(clean: true, tail: TailCache(budgetBytes: 0))
            let (offsets, _) = try consume(&log, from: .zero, maxBytes: 1_000)
            #expect(offsets == kept.filter { $0 < batch.offset })
        }
    }
}
