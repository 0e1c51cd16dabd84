import ArgumentParser
import Client
import KafkaProtocol
import Model
import NIOCore

/// Throughput of fetching: only batch headers are read, so the broker is what is measured.
struct ConsumeBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consume",
        abstract: "Fetch a topic from its beginning to its end.",
        discussion: """
            EXAMPLES:
              gossamer-bench consume --topic bench --broker-pid 4711
            """)

    @Option(help: ArgumentHelp("Largest answer for one partition.", valueName: "bytes"))
    var fetchBytes: Int32 = 4 * 1024 * 1024

    @OptionGroup var broker: BrokerOptions
    @OptionGroup var report: ReportOptions

    func run() async throws {
        let client = try broker.client()
        let partitions = try await broker.prepare(client)
        let names = (0..<partitions).map { TopicPartitionName(topic: broker.topic, partition: $0) }
        let starts = try await client.offsets(of: .earliest, in: names)
        let ends = try await client.offsets(of: .latest, in: names)
        let before = ProcessCost(pid: report.brokerPid)
        let start = Stopwatch.nanoseconds()
        var messages = 0
        var bytes = 0
        var fetches = 0
        for name in names {
            var position = starts[name] ?? 0
            while position < ends[name] ?? 0 {
                let records = try await fetch(name, from: position, client)
                fetches += 1
                bytes += records.readableBytes
                let from = position
                var cursor = RecordBatchCursor(records, strictness: .structure)
                while let batch = try? cursor.next() {
                    position = batch.header.lastOffset.rawValue + 1
                }
                messages += Int(position - from)
            }
        }
        let seconds = Double(Stopwatch.nanoseconds() - start) / 1e9
        let after = ProcessCost(pid: report.brokerPid)
        var result = Report()
        result.add("messages", Double(messages), "")
        result.add("fetches", Double(fetches), "")
        result.add("time", seconds, "s")
        result.add("rate", Double(messages) / seconds, "messages/s")
        result.add("throughput", Double(bytes) / seconds / 1e6, "MB/s")
        result.addCost(before, after, messages: messages)
        try result.show(report.format)
        await client.close()
    }

    private func fetch(
        _ name: TopicPartitionName, from position: Int64, _ client: KafkaClient
    ) async throws -> ByteBuffer {
        let request = FetchRequest(
            replicaID: -1, maxWaitMilliseconds: 500, minBytes: 1, maxBytes: fetchBytes,
            sessionID: 0, sessionEpoch: -1,
            topics: [
                .init(
                    name: name.topic,
                    partitions: [
                        .init(
                            index: name.partition, fetchOffset: position,
                            partitionMaxBytes: fetchBytes)
                    ])
            ])
        let response = try await client.send(
            request, to: .leader(topic: name.topic, partition: name.partition))
        guard let row = response.topics.first?.partitions.first, row.errorCode == .none else {
            throw ClientError.refused(
                response.topics.first?.partitions.first?.errorCode ?? response.errorCode,
                subject: "fetch of \(name.topic)/\(name.partition)", message: nil)
        }
        return row.records.buffer ?? ByteBuffer()
    }
}
