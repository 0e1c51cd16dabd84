import ArgumentParser
import Foundation

/// The form of a report.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case table
    case json
}

/// `-o` and `--broker-pid`, the same on every program.
struct ReportOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: "Form of the report.")
    var format: ReportFormat = .table

    @Option(
        help: ArgumentHelp(
            "Process of the broker, whose CPU time and memory are reported.", valueName: "pid"))
    var brokerPid: Int32?
}

/// Named figures in the order in which they were found.
struct Report {
    /// A figure: a number with its unit.
    struct Figure: Encodable {
        var name: String
        var value: Double
        var unit: String
    }

    private(set) var figures: [Figure] = []

    mutating func add(_ name: String, _ value: Double, _ unit: String) {
        figures.append(Figure(name: name, value: value, unit: unit))
    }

    /// Adds p50, p90, p99, p99.9 and the maximum of samples in nanoseconds, in milliseconds.
    mutating func addPercentiles(_ name: String, _ nanoseconds: [Int64]) {
        guard !nanoseconds.isEmpty else { return }
        let sorted = nanoseconds.sorted()
        for (label, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let index = min(sorted.count - 1, Int(Double(sorted.count) * share))
            add("\(name) \(label)", Double(sorted[index]) / 1e6, "ms")
        }
        add("\(name) max", Double(sorted[sorted.count - 1]) / 1e6, "ms")
    }

    /// Adds what the broker spent between two readings.
    mutating func addCost(
        _ before: ProcessCost?, _ after: ProcessCost?, messages: Int
    ) {
        guard let before, let after else { return }
        let seconds = after.cpuSeconds - before.cpuSeconds
        add("broker cpu", seconds, "s")
        if messages > 0 {
            add("broker cpu per million messages", seconds * 1e6 / Double(messages), "s")
        }
        add("broker memory now", Double(after.residentKiB) / 1024, "MiB")
        add("broker memory peak", Double(after.peakKiB) / 1024, "MiB")
    }

    func show(_ format: ReportFormat) throws {
        switch format {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            Self.line(String(decoding: try encoder.encode(["figures": figures]), as: UTF8.self))
        case .table:
            let width = figures.map(\.name.count).max() ?? 0
            for figure in figures {
                let padding = String(repeating: " ", count: width - figure.name.count)
                Self.line("\(figure.name)\(padding)  \(Self.number(figure.value)) \(figure.unit)")
            }
        }
    }

    private static func line(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// Three significant digits behind small numbers, none behind large ones.
    private static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        let scale = abs(value) >= 100 ? 10.0 : 1000.0
        return String((value * scale).rounded() / scale)
    }
}

/// What a process has cost so far, from /proc.
struct ProcessCost {
    var cpuSeconds: Double
    var residentKiB: Int
    var peakKiB: Int

    /// Nil where there is no such process, or no /proc.
    init?(pid: Int32?) {
        guard let pid, let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let status = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let close = stat.lastIndex(of: ")")
        else { return nil }
        // Behind the name in parentheses: field 14 and 15 of the whole are user and system ticks.
        let fields = stat[stat.index(after: close)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else { return nil }
        cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        residentKiB = Self.kibibytes(status, "VmRSS")
        peakKiB = Self.kibibytes(status, "VmHWM")
    }

    private static func kibibytes(_ status: String, _ name: String) -> Int {
        for line in status.split(separator: "\n") where line.hasPrefix(name + ":") {
            let digits = line.filter { $0.isASCII && $0.isNumber }
            return Int(digits) ?? 0
        }
        return 0
    }
}

/// The monotonic clock, in nanoseconds.
enum Stopwatch {
    static func nanoseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Milliseconds since the Unix epoch.
    static func wallMilliseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
