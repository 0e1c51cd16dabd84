import Broker
import Client
import KafkaProtocol
import Model
import NIOCore
import Testing

/// What a connection does with requests in order, out of order, and with what is none.
@Suite(.timeLimit(.minutes(1))) struct ConnectionTests {
    private func head(_ key: Int16, _ version: Int16, _ correlationID: Int32) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.writeInteger(Int32(11))
        frame.writeMultipleIntegers(key, version, correlationID, Int16(1))
        frame.writeString("x")
        return frame
    }

    private func id(_ frame: ByteBuffer?) -> Int32? {
        frame?.getInteger(at: frame?.readerIndex ?? 0)
    }

    private func produce(
        _ topic: String, acks: Int16, version: Int16 = 9, transactional: String? = nil
    ) -> ProduceRequest {
        var builder = RecordBatchBuilder()
        builder.append(
            key: nil, value: ByteBuffer(string: "a"),
            timestamp: Timestamp(milliseconds: 1_700_000_000_000))
        return ProduceRequest(
            transactionalID: transactional, acks: acks, timeoutMilliseconds: 5_000,
            topics: [
                ProduceRequest.Topic(
                    name: topic,
                    partitions: [ProduceRequest.Partition(index: 0, records: builder.finish())])
            ])
    }

    private func withTopic(_ body: (BrokerServer) async throws -> Void) async throws {
        try await BrokerFixture.withBroker { broker in
            let answer = try await broker.connect().send(
                CreateTopicsRequest(
                    topics: [
                        CreateTopicsRequest.Topic(
                            name: "orders", partitionCount: 1, replicationFactor: 1)
                    ], timeoutMilliseconds: 10_000), timeoutMilliseconds: 10_000)
            #expect(answer.topics.map(\.errorCode) == [.none])
            try await body(broker)
        }
    }

    @Test func versionsThatAreTooNewAreAnsweredInTheOldestForm() async throws {
        try await BrokerFixture.withBroker { broker in
            var stranger = try await Stranger(broker.address())
            await stranger.send(head(18, 99, 7))
            var answer = await stranger.next()
            var frame = try #require(answer)
            #expect(frame.readInteger(as: Int32.self) == 7)
            #expect(frame.readInteger(as: Int16.self) == ErrorCode.unsupportedVersion.rawValue)
            let listed = frame.readInteger(as: Int32.self)
            let count = try #require(listed)
            #expect(Int(count) == APIKey.advertised.count)
            #expect(frame.readableBytes == 6 * Int(count), "nothing that version 0 does not have")
            await stranger.send(head(18, 0, 8))
            answer = await stranger.next()
            frame = try #require(answer)
            #expect(frame.readInteger(as: Int32.self) == 8)
            #expect(frame.readInteger(as: Int16.self) == 0)
        }
    }

    @Test func answersKeepTheOrderOfTheRequests() async throws {
        try await BrokerFixture.withBroker { broker in
            var stranger = try await Stranger(broker.address())
            try await stranger.send(
                FetchRequest(maxWaitMilliseconds: 50, minBytes: 1), correlationID: 1, version: 11)
            var many = ByteBuffer()
            for number in 2...200 as ClosedRange<Int32> {
                many.writeImmutableBuffer(head(18, 0, number))
            }
            await stranger.send(many)
            for number in 1...200 as ClosedRange<Int32> {
                #expect(id(await stranger.next()) == number)
            }
        }
    }

    @Test(
        arguments: [
            (77, 0), (4, 0), (0, 14), (3, 99), (1, 3), (1, 17), (43, 2), (45, 1), (46, 0), (-1, 0),
        ] as [(Int16, Int16)])
    func whatIsNotServedEndsTheConnection(key: Int16, version: Int16) async throws {
        try await BrokerFixture.withBroker { broker in
            var stranger = try await Stranger(broker.address())
            await stranger.send(head(18, 0, 1))
            await stranger.send(head(key, version, 2))
            #expect(id(await stranger.next()) == 1)
            #expect(await stranger.next() == nil)
        }
    }

    @Test func bytesThatAreNoRequestEndTheConnection() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.limits.requestBytes = 1_024
        } _: { broker in
            for length in [-1, 0, 7, 1_025, .max, .min] as [Int32] {
                var stranger = try await Stranger(broker.address())
                await stranger.send(ByteBuffer(integer: length))
                #expect(await stranger.next() == nil, "\(length)")
            }
            var stranger = try await Stranger(broker.address())
            var short = head(3, 1, 1)
            short.setInteger(Int16(500), at: 12)
            await stranger.send(short)
            #expect(await stranger.next() == nil)
            var other = try await Stranger(broker.address())
            await other.send(head(18, 0, 1))
            #expect(id(await other.next()) == 1, "others are served")
        }
    }

    @Test func whoWantsNoAnswerGetsNone() async throws {
        try await withTopic { broker in
            var stranger = try await Stranger(broker.address())
            try await stranger.send(produce("orders", acks: 0), correlationID: 1, version: 9)
            try await stranger.send(
                ListOffsetsRequest(
                    topics: [
                        ListOffsetsRequest.Topic(
                            name: "orders",
                            partitions: [
                                ListOffsetsRequest.Partition(index: 0, timestamp: -1)
                            ])
                    ]), correlationID: 2, version: 2)
            let received = await stranger.next()
            let frame = try #require(received)
            #expect(id(frame) == 2)
            let body = frame.getSlice(at: frame.readerIndex + 4, length: frame.readableBytes - 4)
            let answer = try ListOffsetsResponse.decode(body ?? ByteBuffer(), version: 2)
            #expect(answer.topics[0].partitions[0].offset == 1, "but it was appended")
        }
    }

    @Test func whoWantsNoAnswerLearnsOfAnErrorByTheEnd() async throws {
        try await withTopic { broker in
            var stranger = try await Stranger(broker.address())
            try await stranger.send(produce("unknown", acks: 0), correlationID: 1, version: 9)
            #expect(await stranger.next() == nil)
            var other = try await Stranger(broker.address())
            try await other.send(
                produce("orders", acks: 0, transactional: "t"), correlationID: 1, version: 9)
            #expect(await other.next() == nil)
        }
    }

    @Test func acksThatMeanNothingAreRefused() async throws {
        try await withTopic { broker in
            let answer = try await broker.connect().send(
                produce("orders", acks: 2), timeoutMilliseconds: 10_000)
            #expect(answer.topics[0].partitions[0].errorCode == .invalidRequiredAcks)
        }
    }

    @Test func connectionsAreBounded() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.limits.connections = 2
        } _: { broker in
            var first = try await Stranger(broker.address())
            await first.send(head(18, 0, 1))
            #expect(id(await first.next()) == 1)
            var second = try await Stranger(broker.address())
            await second.send(head(18, 0, 1))
            #expect(id(await second.next()) == 1)
            var third = try await Stranger(broker.address())
            #expect(await third.next() == nil)
            await first.send(head(18, 0, 2))
            #expect(id(await first.next()) == 2, "those who were there first stay")
        }
    }

    @Test func whoNeverFinishesAFrameIsSentAway() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.limits.frameSeconds = 0
        } _: { broker in
            var slow = try await Stranger(broker.address())
            await slow.send(head(18, 0, 1).getSlice(at: 0, length: 9) ?? ByteBuffer())
            #expect(await slow.next() == nil)
        }
    }

    @Test func whoIsSilentIsSentAway() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.limits.idleSeconds = 0
        } _: { broker in
            var silent = try await Stranger(broker.address())
            #expect(await silent.next() == nil)
        }
    }

    /// A request that is four times as large as what all unfinished ones may take.
    private func largeRequest() throws -> (first: ByteBuffer, rest: ByteBuffer) {
        var builder = RecordBatchBuilder()
        builder.append(
            key: nil, value: ByteBuffer(repeating: 1, count: 256 * 1_024),
            timestamp: Timestamp(milliseconds: 1_700_000_000_000))
        let topic = ProduceRequest.Topic(
            name: "orders",
            partitions: [ProduceRequest.Partition(index: 0, records: builder.finish())])
        var frame = ByteBuffer()
        try ProduceRequest(acks: -1, timeoutMilliseconds: 5_000, topics: [topic]).encodeFrame(
            correlationID: 9, clientID: nil, version: 9, into: &frame)
        let first = frame.readSlice(length: 200 * 1_024) ?? ByteBuffer()
        return (first, frame)
    }

    @Test func largeRequestsGetThroughWhereMemoryIsShort() async throws {
        try await BrokerFixture.withBroker { configuration in
            configuration.eventLoops = 1
            configuration.limits.bufferedBytes = 64 * 1_024
        } _: { broker in
            let (start, rest) = try largeRequest()
            var first = try await Stranger(broker.address())
            var second = try await Stranger(broker.address())
            first.begin(start)
            second.begin(start)
            var other = try await Stranger(broker.address())
            await other.send(head(18, 0, 1))
            #expect(id(await other.next()) == 1, "small ones are served beside them")
            second.begin(rest)
            first.begin(rest)
            #expect(id(await first.next()) == 9)
            #expect(id(await second.next()) == 9)
        }
    }

    @Test func aShutdownAnswersWhatWasBegun() async throws {
        let directory = TemporaryDirectory()
        let broker = try await BrokerFixture.start(BrokerFixture.configuration(directory))
        var stranger = try await Stranger(broker.address())
        var requests = head(18, 0, 1)
        try FetchRequest(maxWaitMilliseconds: 300, minBytes: 1).encodeFrame(
            correlationID: 2, clientID: nil, version: 11, into: &requests)
        requests.writeImmutableBuffer(head(18, 0, 3))
        await stranger.send(requests)
        #expect(id(await stranger.next()) == 1, "they came together, so all of them are begun")
        async let ended: Void = broker.shutdown()
        #expect(id(await stranger.next()) == 2)
        #expect(id(await stranger.next()) == 3)
        #expect(await stranger.next() == nil)
        await ended
    }
}
