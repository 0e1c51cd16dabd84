import Model
import NIOCore
import Simulation
import Storage
import Testing

@Suite("Partition log: append, read, flush, recover")
struct PartitionLogTests {
    @Test("Appended records are read back, from the tail cache and from files")
    func appendAndRead() throws {
        for budget in [0, 1 << 20] {
            let fixture = LogFixture()
            var (log, _) = try fixture.open(tail: TailCache(budgetBytes: budget))
            for index in 0..<50 {
                let outcome = try log.append(
                    fixture.batch(["a\(index)", "b\(index)"]), now: fixture.now)
                guard case .appended(let appended) = outcome else {
                    Issue.record("not appended")
                    return
                }
                #expect(appended.baseOffset == Offset(Int64(index) * 2))
                #expect(appended.lastOffset == Offset(Int64(index) * 2 + 1))
            }
            #expect(log.endOffset == Offset(100))
            let records = try log.records()
            #expect(records.map(\.offset.rawValue) == Array(0..<100))
            #expect(String(buffer: records[41].value!) == "b20")
            #expect(try log.records(from: Offset(33)).first?.offset == Offset(33))
        }
    }

    @Test("Segments roll by size and reads cross them")
    func roll() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 500
        var (log, _) = try fixture.open(tail: TailCache(budgetBytes: 0))
        for index in 0..<40 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        #expect(log.segmentCount > 5)
        #expect(try log.values() == (0..<40).map { "v\($0)" })
        #expect(log.wantsSeal)
        try log.flush()
        #expect(!log.wantsSeal)
        #expect(log.flushedOffset == Offset(40))
        #expect(try log.values() == (0..<40).map { "v\($0)" })
    }

    @Test("Reads stay below the limit and within the range")
    func readBounds() throws {
        let fixture = LogFixture()
        for budget in [0, 1 << 20] {
            var (log, _) = try fixture.open(tail: TailCache(budgetBytes: budget))
            for _ in 0..<10 { try log.append(fixture.batch(["x", "y"]), now: fixture.now) }
            let read = try log.read(
                from: Offset(4), below: Offset(9), maxBytes: 1 << 20, atLeastOne: true)
            let bytes =
                switch read {
                case .empty: ByteBuffer()
                case .memory(let buffer): buffer
                case .file(let slice): try slice.read()
                }
            var cursor = RecordBatchCursor(bytes, strictness: .checksum)
            var last = Offset(-1)
            while let batch = try cursor.next() { last = batch.header.lastOffset }
            #expect(last == Offset(7))
            #expect(throws: ReadError.outOfRange(start: Offset(0), end: log.endOffset)) {
                _ = try log.read(
                    from: log.endOffset.advanced(by: 1), below: log.endOffset, maxBytes: 1,
                    atLeastOne: true)
            }
        }
    }

    @Test("A flushed log survives a crash; an unsealed one is scanned")
    func recovery() throws {
        var fixture = LogFixture()
        fixture.configuration.segmentBytes = 600
        var (log, _) = try fixture.open()
        for index in 0..<30 { try log.append(fixture.batch(["v\(index)"]), now: fixture.now) }
        try log.flush()
        // SIGKILL: the page cache stays, so only the unsealed segment is read.
        var (reopened, report) = try fixture.open()
        #expect(report.corruption == nil)
        #expect(report.scannedBytes > 0 && report.scannedBytes <= 600)
        #expect(reopened.endOffset == Offset(30))
        #expect(try reopened.values() == (0..<30).map { "v\($0)" })
        try reopened.append(fixture.batch(["more"]), now: fixture.now)
        #expect(try reopened.values().last == "more")
        // Power cut: "more" was not flushed and may go, the rest may not.
        fixture.disk.restart()
        (reopened, report) = try fixture.open()
        #expect(report.corruption == nil)
        #expect(try Array(reopened.values().prefix(30)) == (0..<30).map { "v\($0)" })
    }
}
