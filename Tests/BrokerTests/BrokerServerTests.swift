import Broker
import Client
import KafkaProtocol
import Model
import NIOCore
import NIOPosix
import Testing

/// Data directories, listeners and restarts.
@Suite(.timeLimit(.minutes(1))) struct BrokerServerTests {
    private func create(_ connection: BrokerConnection, _ topic: String) async throws {
        let response = try await connection.send(
            CreateTopicsRequest(
                topics: [
                    CreateTopicsRequest.Topic(name: topic, partitionCount: 3, replicationFactor: 1)
                ], timeoutMilliseconds: 10_000), timeoutMilliseconds: 10_000)
        #expect(response.topics.map(\.errorCode) == [.none])
    }

    private func metadata(_ connection: BrokerConnection) async throws -> MetadataResponse {
        try await connection.send(MetadataRequest(topics: nil), timeoutMilliseconds: 10_000)
    }

    private func refusal(_ configuration: BrokerConfiguration) async -> String? {
        do {
            let broker = try await BrokerFixture.start(configuration)
            await broker.shutdown()
            return nil
        } catch { return "\(error)" }
    }

    @Test func eachListenerAdvertisesItself() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.rack = "r1"
            configuration.listeners = [
                ListenerConfiguration(name: "PLAIN", bind: BrokerFixture.localhost),
                ListenerConfiguration(
                    name: "OUTSIDE", bind: BrokerFixture.localhost,
                    advertise: HostPort(host: "broker.example.org", port: 19_092)),
                ListenerConfiguration(
                    name: "NAMED", bind: BrokerFixture.localhost,
                    advertise: HostPort(host: "localhost", port: 0)),
            ]
        } _: { broker in
            var found: [String] = []
            for index in 0..<3 {
                let connection = try await broker.connect(index)
                let answer = try await metadata(connection)
                #expect(answer.brokers.map(\.nodeID) == [1])
                #expect(answer.brokers.map(\.rack) == ["r1"])
                #expect(answer.controllerID == 1)
                #expect(answer.clusterID == broker.clusterID)
                found += answer.brokers.map { "\($0.host):\($0.port)" }
                await connection.close()
            }
            #expect(
                found == [
                    "127.0.0.1:\(broker.address(0).port)", "broker.example.org:19092",
                    "localhost:\(broker.address(2).port)",
                ])
        }
    }

    @Test func aDirectoryBelongsToOneProcessAtATime() async throws {
        let directory = TemporaryDirectory()
        try await BrokerFixture.withBroker(in: directory) { broker in
            let reason = await refusal(BrokerFixture.configuration(directory))
            #expect(reason?.contains("in use by pid") == true)
            #expect(reason?.contains(directory.path) == true)
            let answer = try await metadata(try await broker.connect())
            #expect(answer.topics.isEmpty, "the first one goes on")
        }
        #expect(await refusal(BrokerFixture.configuration(directory)) == nil, "it is free again")
    }

    @Test func aPortThatIsTakenIsRefused() async throws {
        try await BrokerFixture.withBroker { broker in
            var configuration = BrokerFixture.configuration(TemporaryDirectory())
            configuration.listeners[0].bind.port = broker.address().port
            let reason = await refusal(configuration)
            #expect(reason?.contains("127.0.0.1:\(broker.address().port)") == true)
            #expect(reason?.contains("can't listen") == true)
        }
    }

    @Test func aRestartKeepsTopicsAndIdentity() async throws {
        let directory = TemporaryDirectory()
        let first = try await BrokerFixture.withBroker(in: directory) { configuration in
            configuration.nodeID = 7
        } _: { broker in
            let connection = try await broker.connect()
            try await create(connection, "orders")
            let answer = try await metadata(connection)
            #expect(broker.nodeID == 7)
            return (broker.clusterID, answer.topics.first?.topicID)
        }
        try await BrokerFixture.withBroker(in: directory) { broker in
            #expect(broker.nodeID == 7)
            #expect(broker.clusterID == first.0)
            #expect(broker.clusterID.utf8.count == 22)
            let answer = try await metadata(try await broker.connect())
            #expect(answer.topics.map(\.name) == ["orders"])
            #expect(answer.topics.first?.topicID == first.1)
            #expect(answer.topics.first?.partitions.map(\.index) == [0, 1, 2])
            #expect(answer.topics.first?.partitions.allSatisfy { $0.leaderID == 7 } == true)
        }
        var other = BrokerFixture.configuration(directory)
        other.nodeID = 8
        let reason = await refusal(other)
        #expect(reason?.contains("--node-id 8") == true)
        #expect(reason?.contains("belongs to node 7") == true)
    }

    @Test func whatWasProducedIsConsumedAfterARestart() async throws {
        let directory = TemporaryDirectory()
        var builder = RecordBatchBuilder()
        for value in ["a", "b"] {
            builder.append(
                key: nil, value: ByteBuffer(string: value),
                timestamp: Timestamp(milliseconds: 1_700_000_000_000))
        }
        let records = builder.finish()
        try await BrokerFixture.withBroker(in: directory) { broker in
            let connection = try await broker.connect()
            try await create(connection, "orders")
            let answer = try await connection.send(
                ProduceRequest(
                    acks: -1, timeoutMilliseconds: 5_000,
                    topics: [
                        ProduceRequest.Topic(
                            name: "orders",
                            partitions: [ProduceRequest.Partition(index: 2, records: records)])
                    ]), timeoutMilliseconds: 10_000)
            #expect(answer.topics[0].partitions[0].errorCode == .none)
        }
        try await BrokerFixture.withBroker(in: directory) { broker in
            let answer = try await broker.connect().send(
                FetchRequest(
                    maxWaitMilliseconds: 0, minBytes: 1,
                    topics: [
                        FetchRequest.Topic(
                            name: "orders",
                            partitions: [
                                FetchRequest.Partition(index: 2, partitionMaxBytes: 1 << 20)
                            ])
                    ]), timeoutMilliseconds: 10_000)
            let partition = try #require(answer.topics.first?.partitions.first)
            #expect(partition.errorCode == .none)
            #expect(partition.highWatermark == 2)
            #expect(partition.records.size == records.readableBytes)
        }
    }

    @Test func committedOffsetsSurviveARestart() async throws {
        let directory = TemporaryDirectory()
        try await BrokerFixture.withBroker(in: directory) { configuration in
            configuration.defaults.flush = .sync
        } _: { broker in
            try await create(try await broker.connect(), "orders")
            let client = KafkaClient(ClientConfiguration(bootstrap: [broker.address()]))
            for group in 0..<5 {
                let topic = OffsetCommitRequest.Topic(
                    name: "orders",
                    partitions: [
                        OffsetCommitRequest.Partition(index: 1, committedOffset: Int64(group) + 10)
                    ])
                _ = try await client.send(
                    OffsetCommitRequest(groupID: "g\(group)", topics: [topic]),
                    to: .coordinator(group: "g\(group)")
                ) { (answer) throws(ClientError) in
                    try accept(answer.topics.first?.partitions.first?.errorCode, "commit")
                }
            }
            await client.close()
        }
        try await BrokerFixture.withBroker(in: directory) { broker in
            let client = KafkaClient(ClientConfiguration(bootstrap: [broker.address()]))
            for group in 0..<5 {
                let answer = try await client.send(
                    OffsetFetchRequest(groups: [OffsetFetchRequest.Group(groupID: "g\(group)")]),
                    to: .coordinator(group: "g\(group)")
                ) { (answer) throws(ClientError) in
                    try accept(answer.groups.first?.errorCode, "fetch")
                }
                let partition = answer.groups.first?.topics.first?.partitions.first
                #expect(partition?.index == 1)
                #expect(partition?.committedOffset == Int64(group) + 10)
            }
            await client.close()
        }
    }

    private func accept(_ code: ErrorCode?, _ subject: String) throws(ClientError) {
        guard code != ErrorCode.none else { return }
        throw .refused(code ?? .unknownServerError, subject: subject, message: nil)
    }
}
