import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// Bytes that other software has made must be read and written in the same way here.
@Suite struct GoldenTests {
    @Test func theVectorsAreManyAndCoverEveryKey() {
        #expect(GoldenFrame.fromClients.count == 175)
        #expect((GoldenFrame.encodedRequests + GoldenFrame.encodedResponses).count == 366)
        let captured = Set(GoldenFrame.fromClients.map(\.kind.key))
        #expect(captured == Set(APIKey.allCases))
    }

    @Test(arguments: GoldenFrame.fromClients + GoldenFrame.encodedRequests)
    func requestsComeBackByteForByte(frame: GoldenFrame) throws {
        var body = frame.bytes
        let header = try RequestHeader.decode(&body)
        #expect(header.api == frame.kind.key)
        #expect(header.apiVersion == frame.version)
        var again = ByteBuffer()
        try header.encode(into: &again)
        again.writeImmutableBuffer(try frame.kind.reencoded(body, frame.version))
        #expect(again == frame.bytes)
    }

    @Test(arguments: GoldenFrame.encodedResponses)
    func responsesComeBackByteForByte(frame: GoldenFrame) throws {
        var body = frame.bytes
        let header = try ResponseHeader.decode(
            &body, for: frame.kind.key, version: frame.version)
        var again = ByteBuffer()
        header.encode(for: frame.kind.key, version: frame.version, into: &again)
        again.writeImmutableBuffer(try frame.kind.reencoded(body, frame.version))
        #expect(again == frame.bytes)
    }
}
