import Client
import KafkaProtocol
import Model
import NIOCore
import Testing

/// Produce 13 and Fetch 13 to 16: topics by id (KIP-516).
@Suite(.timeLimit(.minutes(1))) struct TopicIDTests {
    private static let nobody = TopicID(high: 1, low: 2)

    /// A client that knows topics by id.
    private struct Consumer {
        let connection: BrokerConnection
        var version: Int16 = 16

        func create(_ name: String, partitions: Int32 = 1) async throws -> TopicID {
            let answer = try await connection.send(
                CreateTopicsRequest(
                    topics: [
                        .init(name: name, partitionCount: partitions, replicationFactor: 1)
                    ], timeoutMilliseconds: 10_000), timeoutMilliseconds: 10_000)
            #expect(answer.topics.map(\.errorCode) == [.none])
            return try #require(answer.topics.first?.topicID)
        }

        func delete(_ name: String) async throws {
            let answer = try await connection.send(
                DeleteTopicsRequest(topics: [.init(name: name)], timeoutMilliseconds: 10_000),
                timeoutMilliseconds: 10_000)
            #expect(answer.topics.map(\.errorCode) == [.none])
        }

        func produce(_ topic: TopicID, _ value: String) async throws -> ProduceResponse {
            var builder = RecordBatchBuilder()
            builder.append(
                key: nil, value: ByteBuffer(string: value),
                timestamp: Timestamp(milliseconds: 1_700_000_000_000))
            return try await connection.send(
                ProduceRequest(
                    acks: -1, timeoutMilliseconds: 5_000,
                    topics: [
                        .init(
                            topicID: topic,
                            partitions: [.init(index: 0, records: builder.finish())])
                    ]), version: 13, timeoutMilliseconds: 10_000)
        }

        func fetch(
            _ topics: [TopicID], session: Int32 = 0, epoch: Int32 = -1, wait: Int32 = 0,
            claiming leaderEpoch: Int32 = -1, index: Int32 = 0, offset: Int64 = 0,
            forgetting: [TopicID] = []
        ) async throws -> FetchResponse {
            try await connection.send(
                FetchRequest(
                    maxWaitMilliseconds: wait, minBytes: 1, sessionID: session,
                    sessionEpoch: epoch,
                    topics: topics.map {
                        .init(
                            topicID: $0,
                            partitions: [
                                .init(
                                    index: index, currentLeaderEpoch: leaderEpoch,
                                    fetchOffset: offset,
                                    partitionMaxBytes: 1 << 20)
                            ])
                    },
                    forgottenTopics: forgetting.map { .init(topicID: $0, partitionIndexes: [0]) }),
                version: version, timeoutMilliseconds: 30_000)
        }
    }

    private func withConsumer(_ body: (Consumer) async throws -> Void) async throws {
        try await BrokerFixture.withBroker { broker in
            try await body(Consumer(connection: try await broker.connect()))
        }
    }

    private func codes(_ response: FetchResponse) -> [ErrorCode] {
        response.topics.flatMap(\.partitions).map(\.errorCode)
    }

    @Test(arguments: 13...16 as ClosedRange<Int16>)
    func recordsComeByID(version: Int16) async throws {
        try await withConsumer { consumer in
            var consumer = consumer
            consumer.version = version
            let id = try await consumer.create("orders")
            let produced = try await consumer.produce(id, "first")
            #expect(produced.topics.map(\.topicID) == [id])
            #expect(produced.topics[0].partitions.map(\.errorCode) == [.none])
            let answer = try await consumer.fetch([id, Self.nobody, .zero])
            #expect(answer.topics.map(\.topicID) == [id, Self.nobody, .zero])
            #expect(codes(answer) == [.none, .unknownTopicID, .unknownTopicID])
            #expect(answer.topics[0].partitions[0].highWatermark == 1)
            #expect(answer.topics[0].partitions[0].records.size > 0)
            #expect(answer.topics[0].partitions[0].preferredReadReplica == -1)
            #expect(codes(try await consumer.fetch([id], index: 7)) == [.unknownTopicOrPartition])
        }
    }

    @Test func producingToNoTopicOfThatID() async throws {
        try await withConsumer { consumer in
            let id = try await consumer.create("orders")
            try await consumer.delete("orders")
            _ = try await consumer.create("orders")
            let answer = try await consumer.produce(id, "for the old one")
            #expect(answer.topics.map(\.topicID) == [id])
            #expect(answer.topics[0].partitions.map(\.errorCode) == [.unknownTopicID])
        }
    }

    /// A topic made anew under the same name is another one: nobody reads on in it unawares.
    @Test func aTopicMadeAnewIsNotTheOldOne() async throws {
        try await BrokerFixture.withBroker { broker in
            let consumer = Consumer(connection: try await broker.connect())
            let old = try await consumer.create("orders")
            _ = try await consumer.produce(old, "old")
            let whole = try await consumer.fetch([old], epoch: 0)
            #expect(whole.sessionID > 0)
            #expect(codes(whole) == [.none])
            // One that waits at the end of the log, while the topic goes.
            let other = Consumer(connection: try await broker.connect())
            async let waiting = other.fetch([old], wait: 20_000, offset: 1)
            try await consumer.delete("orders")
            let new = try await consumer.create("orders")
            #expect(new != old)
            let dismissed = codes(try await waiting)
            // At once, by what the view says then; either makes a client ask for Metadata.
            #expect(dismissed == [.unknownTopicID] || dismissed == [.notLeaderOrFollower])
            #expect(codes(try await consumer.fetch([old])) == [.unknownTopicID])
            let second = try await consumer.fetch([], session: whole.sessionID, epoch: 1)
            #expect(second.topics.map(\.topicID) == [old])
            #expect(codes(second) == [.unknownTopicID])
            // The client drops the old one and takes up the new in the same session.
            _ = try await consumer.produce(new, "new")
            let third = try await consumer.fetch(
                [new], session: whole.sessionID, epoch: 2, forgetting: [old])
            #expect(third.topics.map(\.topicID) == [new])
            #expect(codes(third) == [.none])
            #expect(third.topics[0].partitions[0].highWatermark == 1)
        }
    }

    /// Kafka's rule: names and ids don't meet in one session.
    @Test func aSessionByIDIsNotContinuedByName() async throws {
        try await withConsumer { consumer in
            let id = try await consumer.create("orders")
            let whole = try await consumer.fetch([id], epoch: 0)
            var older = consumer
            older.version = 12
            let mixed = try await older.fetch([], session: whole.sessionID, epoch: 1)
            #expect(mixed.errorCode == .fetchSessionTopicIDError)
            #expect(mixed.topics.isEmpty)
            let next = try await consumer.fetch([], session: whole.sessionID, epoch: 1)
            #expect(next.errorCode == .none, "the session is as it was")
        }
    }

    /// It knows better than this broker's view, so there is nothing to tell it.
    @Test func whoClaimsALaterEpochGetsNoHint() async throws {
        try await withConsumer { consumer in
            let id = try await consumer.create("orders")
            let answer = try await consumer.fetch([id], claiming: 9)
            #expect(codes(answer) == [.unknownLeaderEpoch])
            #expect(answer.topics[0].partitions[0].currentLeader == CurrentLeader())
            #expect(answer.nodeEndpoints.isEmpty)
        }
    }
}
