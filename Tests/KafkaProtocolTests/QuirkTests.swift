import KafkaProtocol
import NIOCore
import Testing

/// What real clients send beside the letter of the protocol.
@Suite struct QuirkTests {
    @Test("librdkafka 2.16 writes the null list of all topics as four zero bytes")
    func allTopicsInFourBytes() throws {
        let body = ByteBuffer(bytes: [0, 0, 0, 0, 1, 0, 0])
        let request = try MetadataRequest.decode(body, version: 13)
        #expect(request.topics == nil)
        #expect(request.allowAutoTopicCreation)
        #expect(!request.includeTopicAuthorizedOperations)
    }

    @Test func otherSurplusIsRefused() {
        #expect(throws: WireError.self) {
            try MetadataRequest.decode(ByteBuffer(bytes: [0, 1, 0, 0, 9, 9, 9]), version: 13)
        }
    }
}
