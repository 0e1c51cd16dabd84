import ArgumentParser
import Foundation
import Model
import NIOCore
import Storage

/// What an append to a partition's log costs, without network and broker around it.
struct LogBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Time appends to a log on this machine's disk.",
        discussion: """
            EXAMPLES:
              gossamer-bench log --directory /tmp/bench-log --count 10000 --batch 100
            """)

    @Option(help: ArgumentHelp("Directory to write below; made, and left there.", valueName: "dir"))
    var directory: String

    @Option(help: ArgumentHelp("Batches to append.", valueName: "n"))
    var count = 10_000

    @Option(help: ArgumentHelp("Records in a batch.", valueName: "n"))
    var batch = 100

    @Option(help: ArgumentHelp("Bytes of each record.", valueName: "n"))
    var bytes = 100

    @OptionGroup var report: ReportOptions

    func run() async throws {
        guard count > 0, batch > 0, bytes >= 0 else {
            throw ValidationError("--count and --batch: expected numbers above 0")
        }
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        var log = try PartitionLog.open(
            directory: "bench", disk: PosixDisk(root: directory),
            files: FileHandleCache(capacity: 64), tail: TailCache(budgetBytes: 8 << 20),
            configuration: LogConfiguration(), cleanShutdown: false, now: Self.now()
        ).log
        let records = Batches.make(records: batch, bytes: bytes)
        var samples: [Int64] = []
        samples.reserveCapacity(count)
        let before = ProcessCost(pid: ProcessInfo.processInfo.processIdentifier)
        let start = Stopwatch.nanoseconds()
        var last = start
        for _ in 0..<count {
            _ = try log.append(
                records, leaderEpoch: LeaderEpoch(0), origin: .client, now: Self.now())
            let time = Stopwatch.nanoseconds()
            samples.append(time - last)
            last = time
        }
        let seconds = Double(last - start) / 1e9
        let after = ProcessCost(pid: ProcessInfo.processInfo.processIdentifier)
        try log.close()
        var result = Report()
        result.add("batches", Double(count), "")
        result.add("bytes of a batch", Double(records.readableBytes), "")
        result.add("rate", Double(count * batch) / seconds, "messages/s")
        result.add("throughput", Double(count * records.readableBytes) / seconds / 1e6, "MB/s")
        result.addPercentiles("append", samples)
        if let before, let after {
            let cpu = after.cpuSeconds - before.cpuSeconds
            result.add("cpu per million messages", cpu * 1e6 / Double(count * batch), "s")
        }
        try result.show(report.format)
    }

    private static func now() -> Now {
        Now(
            instant: Instant(nanoseconds: Stopwatch.nanoseconds()),
            wall: Timestamp(milliseconds: Stopwatch.wallMilliseconds()))
    }
}
