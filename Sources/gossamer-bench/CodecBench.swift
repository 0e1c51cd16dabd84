import ArgumentParser
import KafkaProtocol
import Model
import NIOCore

/// Nanoseconds per message of the wire codec, newest versions.
struct CodecBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec",
        abstract: "Time decoding and encoding of the messages on the hot path.",
        discussion: """
            EXAMPLES:
              gossamer-bench codec
            """)

    @Option(help: ArgumentHelp("Rounds of each.", valueName: "n"))
    var rounds = 100_000

    @OptionGroup var report: ReportOptions

    func run() async throws {
        guard rounds > 0 else { throw ValidationError("--rounds 0: expected a number above 0") }
        var result = Report()
        let records = Batches.make(records: 10, bytes: 100)
        let topic = TopicID(high: 1, low: 7)
        let produce = ProduceRequest(
            acks: -1, timeoutMilliseconds: 30_000,
            topics: [.init(topicID: topic, partitions: [.init(index: 0, records: records)])])
        try time("produce request", produce, version: 13, &result)
        let fetch = FetchRequest(
            maxWaitMilliseconds: 500, minBytes: 1,
            topics: (0..<4).map { topic in
                .init(
                    topicID: TopicID(high: 1, low: UInt64(topic)),
                    partitions: (0..<32).map {
                        .init(index: $0, fetchOffset: 1, partitionMaxBytes: 1 << 20)
                    })
            })
        try time("fetch request, 128 partitions", fetch, version: 16, &result)
        let response = ProduceResponse(
            topics: [.init(topicID: topic, partitions: [.init(index: 0, baseOffset: 7)])])
        try time("produce response", response, version: 13, &result)
        let metadata = MetadataResponse(
            brokers: [.init(nodeID: 1, host: "broker1.example.com", port: 9092)],
            topics: (0..<10).map { topic in
                .init(
                    name: "topic-\(topic)",
                    partitions: (0..<10).map {
                        .init(index: $0, leaderID: 1, replicaNodes: [1], isrNodes: [1])
                    })
            })
        try time("metadata response, 100 partitions", metadata, version: 13, &result)
        try result.show(report.format)
    }

    private func time<Message: KafkaMessage>(
        _ name: String, _ message: Message, version: Int16, _ result: inout Report
    ) throws {
        var bytes = ByteBuffer()
        let encodeStart = Stopwatch.nanoseconds()
        for _ in 0..<rounds {
            bytes.clear()
            try message.encode(version: version, into: &bytes)
        }
        let encoded = Stopwatch.nanoseconds() - encodeStart
        let decodeStart = Stopwatch.nanoseconds()
        for _ in 0..<rounds {
            _ = try Message.decode(bytes, version: version)
        }
        let decoded = Stopwatch.nanoseconds() - decodeStart
        result.add("\(name): size", Double(bytes.readableBytes), "bytes")
        result.add("\(name): encode", Double(encoded) / Double(rounds), "ns")
        result.add("\(name): decode", Double(decoded) / Double(rounds), "ns")
    }
}
