import ArgumentParser
import Model
import Storage

/// `gossamer log ...`.
struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Look into a data directory without a broker; nothing is ever written.",
        discussion: """
            A broker may be running on the directory; what it appends meanwhile may look torn.

            EXAMPLES:
              gossamer log inspect /var/lib/gossamer
              gossamer log verify /var/lib/gossamer
            """,
        subcommands: [LogInspect.self, LogVerify.self])
}

/// What `inspect` and `verify` do alike.
enum LogReports {
    /// One partition's directory and what was found in it.
    struct Report {
        var path: String
        var inspection: LogInspection
    }

    static func read(
        _ root: String, readsRecords: Bool,
        onBatch: (String, RecordBatchHeader, Offset, Int64) -> Void = { _, _, _, _ in }
    ) throws -> [Report] {
        let disk = PosixDisk(root: root)
        return try LogDirectories.find(in: root).map { path in
            do {
                let inspection = try LogInspection(
                    directory: path, disk: disk, readsRecords: readsRecords
                ) { header, segment, position in onBatch(path, header, segment, position) }
                return Report(path: path, inspection: inspection)
            } catch {
                throw CommandFailure("\(root)/\(path): cannot be read (\(error))")
            }
        }
    }

    /// One problem as `-o json` prints it.
    struct ProblemRow: Encodable, Equatable {
        var path: String
        var segment: Int64
        var position: Int64
        var problem: String
        var severe: Bool
    }

    static func problems(_ report: Report) -> [ProblemRow] {
        report.inspection.problems.map { problem in
            let (text, severe) = words(problem.kind)
            return ProblemRow(
                path: report.path, segment: problem.segment.rawValue, position: problem.position,
                problem: text, severe: severe)
        }
    }

    /// In words, and whether records are lost or at risk; the rest mends itself at the next start.
    static func words(_ kind: LogInspection.Problem.Kind) -> (text: String, severe: Bool) {
        switch kind {
        case .badBatch(let error, isTail: true):
            ("torn tail: \(error); it is cut off at the next start", false)
        case .badBatch(let error, isTail: false):
            ("damaged batch with valid ones behind it: \(error)", true)
        case .unreadableRecords: ("the records of a batch cannot be read", true)
        case .offsetGap(let expected):
            ("a segment is missing: expected one from offset \(expected.rawValue)", true)
        case .badIndex: ("the index is damaged; it is made anew at the next start", false)
        case .badSnapshot: ("the producer snapshot is damaged; it is made anew", false)
        case .leftover(let name): ("\(name) was left by an interrupted write; it is removed", false)
        case .unknownFile(let name): ("\(name) is no file of a log", false)
        case .unreadableFile(let error): ("a file cannot be read: \(error)", true)
        }
    }
}

/// `gossamer log inspect`.
struct LogInspect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show the segments of every partition, or every batch.",
        discussion: """
            EXAMPLES:
              gossamer log inspect /var/lib/gossamer
              gossamer log inspect /var/lib/gossamer/logs/<topic id>/0 --batches
            """)

    @Argument(help: "A data directory, or one partition's directory in it.")
    var directory: String

    @Flag(help: "Show every batch instead of every segment.")
    var batches = false

    @OptionGroup var output: OutputOptions

    /// One segment as `-o json` prints it.
    struct SegmentRow: Encodable, Equatable {
        var path: String
        var baseOffset: Int64
        var nextOffset: Int64
        var bytes: Int64
        var batches: Int
        var records: Int64
        var maxTimestamp: Int64?
        var indexEntries: Int
    }

    /// One batch as `-o json` prints it.
    struct BatchRow: Encodable, Equatable {
        var path: String
        var position: Int64
        var baseOffset: Int64
        var lastOffset: Int64
        var records: Int32
        var bytes: Int
        var codec: String
        var leaderEpoch: Int32
        var producerId: Int64
        var baseSequence: Int32
        var maxTimestamp: Int64
    }

    func run() async throws {
        var rows: [BatchRow] = []
        let reports = try LogReports.read(directory, readsRecords: false) {
            path, header, _, position in
            if batches { rows.append(Self.row(path, header, position)) }
        }
        if batches {
            try show(rows)
        } else {
            try show(reports)
        }
    }

    private static func row(
        _ path: String, _ header: RecordBatchHeader, _ position: Int64
    ) -> BatchRow {
        BatchRow(
            path: path, position: position, baseOffset: header.baseOffset.rawValue,
            lastOffset: header.lastOffset.rawValue, records: header.recordCount,
            bytes: header.totalBytes, codec: header.codec.map { "\($0)" } ?? "unknown",
            leaderEpoch: header.leaderEpoch.rawValue, producerId: header.producerID.rawValue,
            baseSequence: header.baseSequence, maxTimestamp: header.maxTimestamp.milliseconds)
    }

    private func show(_ rows: [BatchRow]) throws {
        guard output.format == .table else { return try Terminal.printJSON(["batches": rows]) }
        var table = TextTable(
            [
                "PATH", "POSITION", "BASE", "LAST", "RECORDS", "BYTES", "CODEC", "EPOCH",
                "PRODUCER", "SEQUENCE",
            ], numbers: [1, 2, 3, 4, 5, 7, 8, 9])
        for row in rows {
            table.append([
                row.path, "\(row.position)", "\(row.baseOffset)", "\(row.lastOffset)",
                "\(row.records)", "\(row.bytes)", row.codec, "\(row.leaderEpoch)",
                "\(row.producerId)", "\(row.baseSequence)",
            ])
        }
        Terminal.print(table.text(colored: Terminal.hasColor))
    }

    private func show(_ reports: [LogReports.Report]) throws {
        let rows = reports.flatMap { report in
            report.inspection.segments.map { segment in
                SegmentRow(
                    path: report.path, baseOffset: segment.baseOffset.rawValue,
                    nextOffset: segment.nextOffset.rawValue, bytes: segment.bytes,
                    batches: segment.batchCount, records: segment.recordCount,
                    maxTimestamp: segment.maxTimestamp == .none
                        ? nil : segment.maxTimestamp.milliseconds,
                    indexEntries: segment.indexEntryCount)
            }
        }
        guard output.format == .table else { return try Terminal.printJSON(["segments": rows]) }
        var table = TextTable(
            ["PATH", "BASE", "NEXT", "BYTES", "BATCHES", "RECORDS", "LAST WRITTEN"],
            numbers: [1, 2, 3, 4, 5])
        for row in rows {
            table.append([
                row.path, "\(row.baseOffset)", "\(row.nextOffset)", "\(row.bytes)",
                "\(row.batches)", "\(row.records)",
                row.maxTimestamp.map(WallClock.text(milliseconds:)) ?? "-",
            ])
        }
        Terminal.print(table.text(colored: Terminal.hasColor))
    }
}

/// `gossamer log verify`.
struct LogVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every checksum and every record of a data directory.",
        discussion: """
            Exit code 10 if records are lost or at risk. What the next start of a broker mends by
            itself (a torn tail, a damaged index) is listed and is no failure.

            EXAMPLES:
              gossamer log verify /var/lib/gossamer
              gossamer log verify /var/lib/gossamer -o json
            """)

    @Argument(help: "A data directory, or one partition's directory in it.")
    var directory: String

    @OptionGroup var output: OutputOptions

    /// The result as `-o json` prints it.
    struct Summary: Encodable, Equatable {
        var partitions: Int
        var segments: Int
        var batches: Int
        var records: Int64
        var bytes: Int64
        var problems: [LogReports.ProblemRow]
    }

    func run() async throws {
        let reports = try LogReports.read(directory, readsRecords: true)
        let segments = reports.flatMap(\.inspection.segments)
        let summary = Summary(
            partitions: reports.count, segments: segments.count,
            batches: segments.map(\.batchCount).reduce(0, +),
            records: segments.map(\.recordCount).reduce(0, +),
            bytes: segments.map(\.bytes).reduce(0, +),
            problems: reports.flatMap(LogReports.problems))
        switch output.format {
        case .json: try Terminal.printJSON(summary)
        case .table: Terminal.print(Self.text(summary))
        }
        let severe = summary.problems.count { $0.severe }
        if severe > 0 {
            throw Unhealthy("\(directory): \(Counted.text(severe, "problem")) with records")
        }
    }

    static func text(_ summary: Summary) -> String {
        var lines = summary.problems.map { row in
            "\(row.severe ? "DAMAGE" : "note")  \(row.path) segment \(row.segment) "
                + "byte \(row.position): \(row.problem)"
        }
        lines.append(
            "\(Counted.text(summary.partitions, "partition")) with records, "
                + "\(Counted.text(summary.segments, "segment")), "
                + "\(summary.batches) batches, \(summary.records) records, "
                + "\(summary.bytes) bytes: \(summary.problems.isEmpty ? "all well" : "see above")")
        return lines.joined(separator: "\n")
    }
}
