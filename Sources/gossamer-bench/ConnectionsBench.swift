import ArgumentParser
import Client
import Foundation

/// What many idle connections cost: each opens, agrees on versions and stays.
struct ConnectionsBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connections",
        abstract: "Open many connections, hold them, and time a request beside them.",
        discussion: """
            EXAMPLES:
              gossamer-bench connections --count 5000 --broker-pid 4711
            """)

    @Option(help: ArgumentHelp("Connections to open.", valueName: "n"))
    var count = 1_000

    @Option(help: ArgumentHelp("Connections opened at once.", valueName: "n"))
    var atOnce = 64

    @OptionGroup var broker: BrokerOptions
    @OptionGroup var report: ReportOptions

    func validate() throws {
        guard count > 0, atOnce > 0 else {
            throw ValidationError("--count and --at-once: expected numbers above 0")
        }
    }

    func run() async throws {
        let address = try broker.address()
        let client = try broker.client()
        let before = ProcessCost(pid: report.brokerPid)
        let start = Stopwatch.nanoseconds()
        var open: [BrokerConnection] = []
        var refused = 0
        await withTaskGroup(of: BrokerConnection?.self) { group in
            for index in 0..<count {
                if index >= atOnce, let result = await group.next() {
                    if let result { open.append(result) } else { refused += 1 }
                }
                group.addTask {
                    try? await BrokerConnection.open(
                        address, clientID: "gossamer-bench", timeoutMilliseconds: 10_000)
                }
            }
            for await result in group {
                if let result { open.append(result) } else { refused += 1 }
            }
        }
        let seconds = Double(Stopwatch.nanoseconds() - start) / 1e9
        var latencies: [Int64] = []
        for _ in 0..<200 {
            let begin = Stopwatch.nanoseconds()
            try await client.metadata(topics: [])
            latencies.append(Stopwatch.nanoseconds() - begin)
        }
        let after = ProcessCost(pid: report.brokerPid)
        var result = Report()
        result.add("open", Double(open.count { $0.isOpen }), "")
        result.add("refused", Double(refused), "")
        result.add("time", seconds, "s")
        result.add("rate", Double(count) / seconds, "connections/s")
        result.addPercentiles("metadata beside them", latencies)
        result.addCost(before, after, messages: 0)
        if let before, let after, !open.isEmpty {
            let growth = Double(after.residentKiB - before.residentKiB) / Double(open.count)
            result.add("broker memory per connection", growth, "KiB")
        }
        try result.show(report.format)
        for connection in open { await connection.close() }
        await client.close()
    }
}
