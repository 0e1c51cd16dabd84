import Model
import NIOCore
import Testing

@testable import KafkaProtocol

/// A fetch response in parts is, put together, the response with its records inside.
@Suite struct FetchPartsTests {
    private static let batches = [
        ByteBuffer(repeating: 7, count: 300), ByteBuffer(), ByteBuffer(string: "batch"),
    ]

    private func response(_ records: [FetchResponse.Records]) -> FetchResponse {
        let partitions = records.enumerated().map { index, records in
            FetchResponse.Partition(
                index: Int32(index), highWatermark: 9, abortedTransactions: [],
                records: records)
        }
        return FetchResponse(
            sessionID: 4,
            topics: [
                .init(name: "first", partitions: Array(partitions[..<2])),
                .init(name: "empty"),
                .init(name: "second", partitions: Array(partitions[2...])),
            ])
    }

    @Test(arguments: APIKey.fetch.versions)
    func theWholeFrameIsTheSameBytes(version: Int16) throws {
        var whole = ByteBuffer()
        let bytes = response(Self.batches.map { .bytes($0) } + [.null])
        try bytes.encodeFrame(correlationID: 77, version: version, into: &whole)

        let deferred = response(Self.batches.map { .deferred(size: $0.readableBytes) } + [.null])
        let parts = try deferred.encodeParts(correlationID: 77, version: version)
        var joined = ByteBuffer()
        for part in parts {
            switch part {
            case .bytes(let bytes): joined.writeImmutableBuffer(bytes)
            case .records(let index): joined.writeImmutableBuffer(Self.batches[index])
            }
        }
        #expect(joined == whole)
        #expect(whole.getInteger(at: 0) == Int32(whole.readableBytes - 4))
        #expect(try deferred.encodedSize(version: version) == bytes.encodedSize(version: version))
        let indexes = parts.compactMap { if case .records(let index) = $0 { index } else { nil } }
        #expect(indexes == [0, 1, 2])
    }

    @Test func withoutDeferredRecordsThereIsOnePart() throws {
        let parts = try FetchResponse().encodeParts(correlationID: 1, version: 12)
        #expect(parts.count == 1)
    }

    @Test func sizesBeyondAFrameAreRefused() {
        let huge = response([.deferred(size: .max), .null])
        #expect(throws: WireError.tooLong(.max)) {
            try huge.encodeParts(correlationID: 1, version: 12)
        }
        let half = FetchResponse.Records.deferred(size: Int(Int32.max) / 2)
        #expect(throws: WireError.self) {
            try response([half, half, half]).encodeParts(correlationID: 1, version: 12)
        }
    }

    /// Records are slices: the same storage, no copy.
    @Test func decodedRecordsShareTheFrame() throws {
        let produce = ProduceRequest(topics: [
            .init(name: "t", partitions: [.init(records: ByteBuffer(repeating: 1, count: 100))])
        ])
        var frame = ByteBuffer()
        try produce.encode(version: 9, into: &frame)
        let decoded = try ProduceRequest.decode(frame, version: 9)
        let records = try #require(decoded.topics[0].partitions[0].records)
        let inFrame = unsafe frame.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        let inRecords = unsafe records.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(inRecords > inFrame && inRecords < inFrame + UInt(frame.writerIndex))
    }
}
