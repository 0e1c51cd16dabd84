import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// What hostile bytes may ask for, and the answer: an error, soon, and no memory.
@Suite struct BoundsTests {
    private func metadata(_ version: Int16, _ bytes: [UInt8]) throws(WireError) {
        _ = try MetadataRequest.decode(ByteBuffer(bytes: bytes), version: version)
    }

    @Test func aCountIsComparedWithTheBytesLeft() {
        #expect(throws: WireError.tooManyElements(1_000_000)) {
            try metadata(1, [0x00, 0x0F, 0x42, 0x40])
        }
        #expect(throws: WireError.tooManyElements(3)) { try metadata(0, [0, 0, 0, 3, 0, 0, 0, 0]) }
    }

    @Test func aCountAboveTheLimitIsRefusedWhateverFollows() {
        #expect(throws: WireError.tooManyElements(1_000_001)) {
            try metadata(1, [0x00, 0x0F, 0x42, 0x41] + [UInt8](repeating: 0, count: 3_000_000))
        }
        #expect(throws: WireError.tooManyElements(Int(Int32.max))) {
            try metadata(1, [0x7F, 0xFF, 0xFF, 0xFF])
        }
        #expect(throws: WireError.tooManyElements(Int(UInt32.max) - 1)) {
            try metadata(9, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F])
        }
    }

    @Test func aMillionElementsAreReadWhereTheyAreThere() throws {
        var bytes = ByteBuffer(integer: Int32(1_000_000))
        bytes.writeRepeatingByte(0, count: 2_000_000)
        #expect(try MetadataRequest.decode(bytes, version: 0).topics?.count == 1_000_000)
    }

    @Test func negativeLengthsOtherThanNullAreRefused() {
        #expect(throws: WireError.negativeLength(-2)) { try metadata(1, [0xFF, 0xFF, 0xFF, 0xFE]) }
        #expect(throws: WireError.nullNotAllowed) { try metadata(0, [0xFF, 0xFF, 0xFF, 0xFF]) }
        #expect(throws: WireError.negativeLength(-3)) { try metadata(0, [0, 0, 0, 1, 0xFF, 0xFD]) }
        #expect(throws: WireError.nullNotAllowed) { try metadata(0, [0, 0, 0, 1, 0xFF, 0xFF]) }
    }

    @Test func stringsMustBeUTF8() {
        #expect(throws: WireError.invalidUTF8) {
            try metadata(0, [0, 0, 0, 1, 0, 2, 0xC3, 0x28])
        }
    }

    @Test func varintsOfMoreThan32BitsAreRefused() {
        #expect(throws: WireError.varintTooLong) {
            try metadata(9, [0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 0, 0])
        }
        #expect(throws: WireError.varintTooLong) {
            try metadata(9, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0])
        }
    }

    /// Version 9 without topics: [count][auto create][operations][operations][tags].
    private func tagged(_ tags: [UInt8]) throws(WireError) {
        try metadata(9, [1, 0, 0, 0] + tags)
    }

    @Test func unknownTagsAreSkipped() throws {
        try tagged([0])
        try tagged([2, 5, 3, 1, 2, 3, 9, 0])
    }

    @Test func tagsAreBounded() {
        #expect(throws: WireError.tooManyTags(10_001)) { try tagged([0x91, 0x4E]) }
        #expect(throws: WireError.tagsOutOfOrder(5)) { try tagged([2, 5, 0, 5, 0]) }
        #expect(throws: WireError.truncated) { try tagged([1, 5, 9, 1]) }
    }

    @Test func aKnownTagMustFillItsSize() {
        // Fetch 12 ends with [rack][tags]; tag 0 is the cluster id, here "a" with a byte to spare.
        let fixed = [UInt8](repeating: 0, count: 4 + 4 + 4 + 4 + 1 + 4 + 4)
        let body = ByteBuffer(bytes: fixed + [1, 1, 1, 1, 0, 3, 2, 0x61, 0])
        #expect(throws: WireError.tagSizeMismatch(0)) {
            try FetchRequest.decode(body, version: 12)
        }
    }

    @Test func stringsTooLongForTheLegacyEncodingAreNotWritten() throws {
        let long = String(repeating: "x", count: 32_768)
        var out = ByteBuffer(string: "kept")
        let request = HeartbeatRequest(groupID: long)
        #expect(throws: WireError.tooLong(32_768)) { try request.encode(version: 3, into: &out) }
        #expect(throws: WireError.tooLong(32_768)) {
            try request.encodeFrame(correlationID: 1, clientID: nil, version: 3, into: &out)
        }
        #expect(out == ByteBuffer(string: "kept"))
        try request.encode(version: 4, into: &out)
    }

    @Test func deferredRecordsDoNotFitAWholeMessage() async {
        await #expect(processExitsWith: .failure) {
            let response = FetchResponse(topics: [
                .init(partitions: [.init(records: .deferred(size: 3))])
            ])
            var out = ByteBuffer()
            try response.encode(version: 11, into: &out)
        }
    }
}
