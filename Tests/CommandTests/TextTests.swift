import Client
import Logging
import Model
import NIOCore
import Synchronization
import Testing

@testable import gossamer

@Suite("What people type")
struct QuantityTests {
    @Test(
        "Durations",
        arguments: [
            ("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("2h", 7_200_000),
            ("7d", 604_800_000), ("0s", 0), ("", nil), ("5", nil), ("-1s", nil), ("1.5s", nil),
            ("s", nil), ("99999999999999999999s", nil), ("40000d", nil),
        ] as [(String, Int64?)])
    func durations(text: String, expected: Int64?) {
        #expect((try? Quantities.milliseconds(text)) == expected)
    }

    @Test(
        "Byte counts",
        arguments: [
            ("1048576", 1_048_576), ("64KiB", 65_536), ("10m", 10 << 20), ("1GiB", 1 << 30),
            ("", nil), ("KiB", nil), ("-5", nil), ("9999999999999999999", nil),
            ("9223372036854775807K", nil), ("5 MiB", nil),
        ] as [(String, Int?)])
    func bytes(text: String, expected: Int?) {
        #expect((try? Quantities.bytes(text)) == expected)
    }

    @Test(
        "Positions in a log",
        arguments: [
            ("beginning", .beginning), ("latest", .end), ("42", .offset(42)),
            ("-7", .beforeEnd(7)), ("@1000", .time(1000)), ("1970-01-02", .time(86_400_000)),
            ("10s", .time(90_000)),
        ] as [(String, LogPosition)])
    func positions(text: String, expected: LogPosition) throws {
        #expect(try LogPosition(text, now: 100_000) == expected)
    }

    @Test("What is no position", arguments: ["", "-", "first", "1x", "@", "2026-13-01"])
    func badPositions(text: String) {
        #expect(throws: Expectation.self) { try LogPosition(text, now: 0) }
    }

    @Test(
        "Times, there and back",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (1_795_384_931_204, "2026-11-22T22:02:11.204Z"),
        ] as [(Int64, String)])
    func times(milliseconds: Int64, text: String) {
        #expect(WallClock.text(milliseconds: milliseconds) == text)
        #expect(WallClock.parse(text) == milliseconds)
    }

    @Test("What is no time", arguments: ["2025-02-29", "2026-1-1", "2026-01-01T25:00", "x"])
    func badTimes(text: String) { #expect(WallClock.parse(text) == nil) }

    @Test("Names of topics")
    func topicNames() {
        #expect(throws: Never.self) { try TopicName.check("orders.v1_x-2") }
        for bad in ["", ".", "..", "a b", "a/b", "ü", String(repeating: "x", count: 250)] {
            #expect(throws: UsageError.self) { try TopicName.check(bad) }
        }
    }

    @Test("The nearest word")
    func nearest() {
        #expect(NearestWord.of("ordes", in: ["payments", "orders"]) == "orders")
        #expect(NearestWord.of("zzzzzz", in: ["orders"]) == nil)
        #expect(NearestWord.distance("kitten", "sitting") == 3)
    }

    @Test("Escapes, also broken ones")
    func escapes() {
        #expect(Escapes.bytes("a\\n\\t\\x41\\\\\\0\\q\\x4") == Array("a\n\tA\\\0\\q\\x4".utf8))
        #expect(Escapes.bytes("\\") == [UInt8(ascii: "\\")])
    }
}

@Suite("What is printed")
struct OutputTests {
    private let consumed = ConsumedRecord(
        topic: "t", partition: 2, record: Self.record())

    private static func record() -> Record {
        var builder = RecordBatchBuilder(baseOffset: Offset(9))
        builder.append(
            key: ByteBuffer(string: "k\""), value: ByteBuffer(bytes: [0xFF]),
            headers: [
                RecordField(name: ByteBuffer(string: "h"), value: ByteBuffer(string: "1")),
                RecordField(name: ByteBuffer(string: "n"), value: nil),
            ], timestamp: Timestamp(milliseconds: 5))
        let batch = builder.finish()
        var cursor = RecordBatchCursor(batch, strictness: .checksum)
        guard let found = try? cursor.next(),
            let payload = batch.getSlice(at: found.recordsStart, length: found.recordsLength)
        else { preconditionFailure("a built batch can be read") }
        var reader = RecordReader(payload: payload, header: found.header)
        guard let record = try? reader.next() else { preconditionFailure("it holds a record") }
        return record
    }

    @Test("Format strings")
    func formats() throws {
        var bytes: [UInt8] = []
        try RecordFormat("%t/%p@%o %k %K %S %T %h %%\\n").write(consumed, into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "t/2@9 k\" 2 1 5 h=1,n= %\n")
        #expect(throws: UsageError.self) { try RecordFormat("%z") }
        #expect(throws: UsageError.self) { try RecordFormat("%") }
    }

    @Test("JSON lines keep bytes that are no text")
    func json() {
        var bytes: [UInt8] = []
        RecordJSON.write(consumed, into: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"topic":"t","partition":2,"offset":9,"timestamp":5,"key":"k\"","#
                + #""valueBase64":"/w==","headers":[{"name":"h","value":"1"},"#
                + #"{"name":"n","value":null}]}"# + "\n")
    }

    @Test("Tables align, and nothing moves the cursor")
    func tables() {
        var table = TextTable(["NAME", "N"], numbers: [1])
        table.append(["a\u{1B}[2J", "5"])
        table.append(["long-name", "12345"])
        #expect(
            table.text == """
                NAME           N
                a\u{FFFD}[2J          5
                long-name  12345
                """)
    }

    @Test("A log line cannot be forged by what it carries")
    func logLines() {
        let lines = Mutex<[String]>([])
        func emit(_ format: LogFormat) {
            var handler = StreamLogHandler(level: .info, format: format, clock: { 0 }) { line in
                lines.withLock { $0.append(line) }
            }
            handler.metadata = ["topic": "a b\nc"]
            handler.log(
                event: LogEvent(
                    level: .warning, message: "cut\noff", metadata: ["n": "1"], source: "s",
                    file: "f", function: "g", line: 1))
        }
        emit(.text)
        emit(.json)
        #expect(
            lines.withLock { $0 } == [
                #"1970-01-01T00:00:00.000Z warning cut\noff n=1 topic="a b\nc""#,
                #"{"time":"1970-01-01T00:00:00.000Z","level":"warning","message":"cut\noff","#
                    + #""n":"1","topic":"a b\nc"}"#,
            ])
    }
}
