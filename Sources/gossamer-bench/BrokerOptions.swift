import ArgumentParser
import Client
import KafkaProtocol
import Model
import NIOCore

/// Which broker and topic are measured.
struct BrokerOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .customLong("bootstrap")],
        help: ArgumentHelp("The broker.", valueName: "host:port"))
    var bootstrap = "127.0.0.1:9092"

    @Option(help: ArgumentHelp("The topic; made if it does not exist.", valueName: "name"))
    var topic = "bench"

    @Option(help: ArgumentHelp("Partitions of a topic that is made.", valueName: "n"))
    var partitions: Int32 = 1

    func address() throws -> BrokerAddress {
        guard let colon = bootstrap.lastIndex(of: ":"),
            let port = Int(bootstrap[bootstrap.index(after: colon)...]),
            (1...65_535).contains(port),
            colon > bootstrap.startIndex
        else {
            throw ValidationError(
                "--bootstrap \(bootstrap): expected HOST:PORT, for example 127.0.0.1:9092")
        }
        return BrokerAddress(host: String(bootstrap[..<colon]), port: port)
    }

    func client() throws -> KafkaClient {
        KafkaClient(ClientConfiguration(bootstrap: [try address()], clientID: "gossamer-bench"))
    }

    /// Makes the topic if it is not there, and returns its partitions.
    func prepare(_ client: KafkaClient) async throws -> Int32 {
        let request = CreateTopicsRequest(
            topics: [.init(name: topic, partitionCount: partitions, replicationFactor: 1)])
        _ = try await client.send(request, to: .controller)
        let name = topic
        let found = try await client.metadata(topics: [name]).topics.first
        guard let count = found?.partitions.count, count > 0 else {
            throw ClientError.refused(
                found?.errorCode ?? .unknownTopicOrPartition, subject: "topic \(name)", message: nil
            )
        }
        return Int32(count)
    }
}

/// Batches of equal records, as a producer would send them.
enum Batches {
    static func make(records: Int, bytes: Int) -> ByteBuffer {
        var builder = RecordBatchBuilder()
        let value = ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes)
        let now = Timestamp(milliseconds: Stopwatch.wallMilliseconds())
        for _ in 0..<records { builder.append(key: nil, value: value, timestamp: now) }
        return builder.finish()
    }
}
