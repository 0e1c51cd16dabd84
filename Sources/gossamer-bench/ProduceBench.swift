import ArgumentParser
import Client
import KafkaProtocol
import NIOCore

/// Throughput of producing: prepared batches, pipelined, so that the broker and not the client is
/// what is measured.
struct ProduceBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce",
        abstract: "Send prepared batches as fast as they are acknowledged.",
        discussion: """
            EXAMPLES:
              gossamer-bench produce --count 5000000 --bytes 100 --broker-pid 4711
            """)

    @Option(help: ArgumentHelp("Messages to send.", valueName: "n"))
    var count = 1_000_000

    @Option(help: ArgumentHelp("Bytes of each message.", valueName: "n"))
    var bytes = 100

    @Option(help: ArgumentHelp("Messages in a batch.", valueName: "n"))
    var batch = 5_000

    @Option(help: ArgumentHelp("Requests in flight.", valueName: "n"))
    var inFlight = 5

    @Option(help: ArgumentHelp("1 or -1 (all).", valueName: "n"))
    var acks: Int16 = -1

    @OptionGroup var broker: BrokerOptions
    @OptionGroup var report: ReportOptions

    func validate() throws {
        guard count > 0, bytes >= 0, batch > 0, inFlight > 0 else {
            throw ValidationError("--count, --batch and --in-flight: expected numbers above 0")
        }
    }

    func run() async throws {
        let client = try broker.client()
        let partitions = try await broker.prepare(client)
        let records = Batches.make(records: batch, bytes: bytes)
        let requests = (count + batch - 1) / batch
        let before = ProcessCost(pid: report.brokerPid)
        let start = Stopwatch.nanoseconds()
        var latencies: [Int64] = []
        try await withThrowingTaskGroup(of: Int64.self) { group in
            for index in 0..<requests {
                if index >= inFlight, let took = try await group.next() { latencies.append(took) }
                let partition = Int32(index) % partitions
                let request = ProduceRequest(
                    acks: acks, timeoutMilliseconds: 30_000,
                    topics: [
                        .init(
                            name: broker.topic,
                            partitions: [.init(index: partition, records: records)])
                    ])
                group.addTask { try await Self.send(request, client, broker.topic, partition) }
            }
            for try await took in group { latencies.append(took) }
        }
        let seconds = Double(Stopwatch.nanoseconds() - start) / 1e9
        let after = ProcessCost(pid: report.brokerPid)
        let messages = requests * batch
        var result = Report()
        result.add("messages", Double(messages), "")
        result.add("time", seconds, "s")
        result.add("rate", Double(messages) / seconds, "messages/s")
        result.add("throughput", Double(messages * bytes) / seconds / 1e6, "MB/s")
        result.addPercentiles("batch acknowledged", latencies)
        result.addCost(before, after, messages: messages)
        try result.show(report.format)
        await client.close()
    }

    private static func send(
        _ request: ProduceRequest, _ client: KafkaClient, _ topic: String, _ partition: Int32
    ) async throws -> Int64 {
        let start = Stopwatch.nanoseconds()
        let response = try await client.send(
            request, to: .leader(topic: topic, partition: partition))
        for row in response.topics.flatMap(\.partitions) where row.errorCode != .none {
            throw ClientError.refused(
                row.errorCode, subject: "\(topic)/\(row.index)", message: row.errorMessage)
        }
        return Stopwatch.nanoseconds() - start
    }
}
