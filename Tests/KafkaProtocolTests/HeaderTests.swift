import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// Headers, the table of keys, error codes and the consumers' own bytes.
@Suite struct HeaderTests {
    @Test func anUnknownVersionOfApiVersionsStillHasAHeader() throws {
        var frame = ByteBuffer()
        frame.writeMultipleIntegers(Int16(18), Int16(99), Int32(5), Int16(1))
        frame.writeBytes([0x63, 0, 1, 2])
        let header = try RequestHeader.decode(&frame)
        #expect(header.api == .apiVersions && header.supported == nil)
        #expect(header.correlationID == 5 && header.clientID == "c")
        // The answer: version 0, error 35, and the ranges, without flexible fields.
        var out = ByteBuffer()
        try ApiVersionsResponse(errorCode: .unsupportedVersion, apiKeys: APIKey.advertised)
            .encodeFrame(correlationID: 5, version: 0, into: &out)
        #expect(out.readableBytes == 4 + 4 + 2 + 4 + 6 * APIKey.advertised.count)
    }

    @Test func theResponseHeaderOfApiVersionsIsNeverFlexible() {
        for version in APIKey.apiVersions.versions {
            #expect(!ResponseHeader.isFlexible(.apiVersions, version: version))
        }
        #expect(ResponseHeader.isFlexible(.produce, version: 9))
        #expect(!ResponseHeader.isFlexible(.produce, version: 8))
    }

    @Test func headersAreNotBelieved() {
        func decode(_ bytes: [UInt8]) throws(WireError) {
            var frame = ByteBuffer(bytes: bytes)
            _ = try RequestHeader.decode(&frame)
        }
        let start: [UInt8] = [0, 3, 0, 9, 0, 0, 0, 1]
        for length in 0..<8 {
            #expect(throws: WireError.truncated) { try decode(Array(start[..<length])) }
        }
        #expect(throws: WireError.negativeLength(-2)) { try decode(start + [0xFF, 0xFE]) }
        #expect(throws: WireError.truncated) { try decode(start + [0, 9, 0x61]) }
        #expect(throws: WireError.invalidUTF8) { try decode(start + [0, 1, 0xFF]) }
        #expect(throws: WireError.truncated) { try decode(start + [0xFF, 0xFF]) }
        #expect(throws: WireError.tooManyTags(0x7FFF_FFFF)) {
            try decode(start + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07])
        }
    }

    @Test func tagsOfAHeaderAreSkipped() throws {
        var frame = ByteBuffer(bytes: [0, 3, 0, 9, 0, 0, 0, 1, 0xFF, 0xFF, 1, 0, 2, 8, 8, 0x42])
        let header = try RequestHeader.decode(&frame)
        #expect(header.clientID == nil)
        #expect(frame.readableBytesView.elementsEqual([0x42]))
    }

    @Test func requestFramesComeBack() throws {
        for version in APIKey.heartbeat.versions {
            let request = HeartbeatRequest(groupID: "g", generationID: 3, memberID: "m")
            var out = ByteBuffer()
            try request.encodeFrame(
                correlationID: 9, clientID: "client", version: version, into: &out)
            let length = out.readInteger(as: Int32.self)
            #expect(length == Int32(out.readableBytes))
            let header = try RequestHeader.decode(&out)
            #expect(header.supported == .heartbeat)
            #expect(try HeartbeatRequest.decode(out, version: version) == request)
        }
    }

    @Test func theTableIsTheOneThatIsPromised() {
        #expect(APIKey.advertised.count == 32)
        #expect(APIKey.produce.versions == 0...13 && APIKey.produce.firstServedVersion == 3)
        #expect(APIKey.fetch.versions == 4...16 && APIKey.fetch.firstServedVersion == 4)
        #expect(APIKey.joinGroup.versions == 0...9)
        #expect(APIKey.metadata.name == "Metadata")
        #expect(APIKey(rawValue: 71) == nil && APIKey(rawValue: 55) == nil)
    }

    @Test func nullWhereAVersionHasNoneIsWrittenAsEmpty() throws {
        var out = ByteBuffer()
        try MetadataRequest().encode(version: 0, into: &out)
        #expect(out == ByteBuffer(bytes: [0, 0, 0, 0]))
        out.clear()
        try MetadataRequest().encode(version: 1, into: &out)
        #expect(out == ByteBuffer(bytes: [0xFF, 0xFF, 0xFF, 0xFF]))
    }

    @Test func errorCodesHaveNamesAndSentences() {
        #expect(ErrorCode.notLeaderOrFollower.description == "NOT_LEADER_OR_FOLLOWER (6)")
        #expect(ErrorCode(rawValue: 6).isRetriable && !ErrorCode.unsupportedVersion.isRetriable)
        #expect(ErrorCode(rawValue: 999).name == "UNKNOWN")
        #expect(ErrorCode(rawValue: 999).message.contains("999"))
        #expect(ErrorCode.nonEmptyGroup.rawValue == 68)
    }

    @Test(arguments: Int16(0)...3)
    func consumerBytesRoundTrip(version: Int16) throws {
        let owned = [ConsumerProtocol.TopicPartitions(name: "t", partitionIndexes: [0, 3])]
        var subscription = ConsumerProtocol.Subscription(
            topics: ["t", "u"], userData: ByteBuffer(string: "x"))
        if version >= 1 { subscription.ownedPartitions = owned }
        if version >= 2 { subscription.generationID = 8 }
        if version >= 3 { subscription.rackID = "r" }
        let bytes = try subscription.encode(version: version)
        #expect(try ConsumerProtocol.Subscription.decode(bytes) == subscription)
        let assignment = ConsumerProtocol.Assignment(partitions: owned)
        let encoded = try assignment.encode(version: version)
        #expect(try ConsumerProtocol.Assignment.decode(encoded) == assignment)
        for length in 0..<bytes.readableBytes {
            let prefix = try #require(bytes.getSlice(at: 0, length: length))
            #expect(throws: WireError.self) { try ConsumerProtocol.Subscription.decode(prefix) }
        }
    }

    @Test func consumerBytesOfANewerVersionAreReadAsFarAsTheyAreKnown() throws {
        var bytes = try ConsumerProtocol.Assignment(userData: ByteBuffer(string: "u")).encode()
        bytes.setInteger(Int16(9), at: 0)
        bytes.writeString("more")
        let read = try ConsumerProtocol.Assignment.decode(bytes)
        #expect(read.userData == ByteBuffer(string: "u"))
    }
}
