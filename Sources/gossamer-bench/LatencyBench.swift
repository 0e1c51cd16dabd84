import ArgumentParser
import Client
import KafkaProtocol
import NIOCore

/// Latency at a fixed rate: of the acknowledgement, and from send to arrival at a consumer.
///
/// Open loop: message n is due at n/rate, and its latency counts from when it was due, so a stall
/// is charged to all messages that it delays (coordinated omission is avoided).
struct LatencyBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latency",
        abstract: "Send single messages at a fixed rate and time them.",
        discussion: """
            EXAMPLES:
              gossamer-bench latency --rate 1000 --seconds 10
            """)

    @Option(help: ArgumentHelp("Messages per second.", valueName: "n"))
    var rate = 1_000

    @Option(help: ArgumentHelp("Length of the run.", valueName: "n"))
    var seconds = 10

    @Option(help: ArgumentHelp("Bytes of each message.", valueName: "n"))
    var bytes = 100

    @OptionGroup var broker: BrokerOptions
    @OptionGroup var report: ReportOptions

    func validate() throws {
        guard (1...100_000).contains(rate), (1...3_600).contains(seconds), bytes >= 0 else {
            throw ValidationError("expected --rate from 1 to 100000 and --seconds from 1 to 3600")
        }
    }

    func run() async throws {
        let client = try broker.client()
        _ = try await broker.prepare(client)
        let name = TopicPartitionName(topic: broker.topic, partition: 0)
        let base = try await client.offsets(of: .latest, in: [name])[name] ?? 0
        let fetcher = RecordFetcher(client, positions: [name: base])
        let total = rate * seconds
        let before = ProcessCost(pid: report.brokerPid)
        let start = Stopwatch.nanoseconds() + 100_000_000
        async let arrivals = Self.arrivals(fetcher, base: base, count: total)
        let acknowledged = try await send(client, total, start)
        let seen = try await arrivals
        let after = ProcessCost(pid: report.brokerPid)
        let interval = 1_000_000_000 / Int64(rate)
        let ends = seen.enumerated().map { $1 - (start + Int64($0) * interval) }
        var result = Report()
        result.add("messages", Double(total), "")
        result.addPercentiles("acknowledged", acknowledged)
        result.addPercentiles("end to end", ends)
        result.addCost(before, after, messages: total)
        try result.show(report.format)
        await client.close()
    }

    private func send(
        _ client: KafkaClient, _ total: Int, _ start: Int64
    ) async throws -> [Int64] {
        let request = ProduceRequest(
            acks: -1, timeoutMilliseconds: 30_000,
            topics: [
                .init(
                    name: broker.topic,
                    partitions: [
                        .init(index: 0, records: Batches.make(records: 1, bytes: bytes))
                    ])
            ])
        let connection = try await client.connection(
            to: .leader(topic: broker.topic, partition: 0))
        let interval = 1_000_000_000 / Int64(rate)
        return try await withThrowingTaskGroup(of: Int64.self) { group in
            for index in 0..<total {
                let due = start + Int64(index) * interval
                let early = due - Stopwatch.nanoseconds()
                if early > 0 { try await Task.sleep(for: .nanoseconds(early), tolerance: .zero) }
                group.addTask {
                    let response = try await connection.send(request, timeoutMilliseconds: 30_000)
                    for row in response.topics.flatMap(\.partitions) where row.errorCode != .none {
                        throw ClientError.refused(row.errorCode, subject: "produce", message: nil)
                    }
                    return Stopwatch.nanoseconds() - due
                }
            }
            var latencies: [Int64] = []
            for try await latency in group { latencies.append(latency) }
            return latencies
        }
    }

    /// When each message arrived, by offset.
    private static func arrivals(
        _ fetcher: RecordFetcher, base: Int64, count: Int
    ) async throws -> [Int64] {
        var times: [Int64] = []
        while times.count < count {
            let records = try await fetcher.poll()
            let now = Stopwatch.nanoseconds()
            for _ in records { times.append(now) }
        }
        return times
    }
}
