import Model
import NIOCore
import Testing

@Suite("Record batches")
struct RecordBatchTests {
    private func sample(records: Int = 3) -> ByteBuffer {
        var builder = RecordBatchBuilder(
            producerID: ProducerID(7), producerEpoch: ProducerEpoch(1), baseSequence: 40)
        for index in 0..<records {
            builder.append(
                key: index == 1 ? nil : ByteBuffer(string: "key-\(index)"),
                value: index == 2 ? nil : ByteBuffer(string: "value-\(index)"),
                headers: [
                    RecordField(
                        name: ByteBuffer(string: "h"),
                        value: index == 0 ? nil : ByteBuffer(string: "x"))
                ], timestamp: Timestamp(milliseconds: 1000 + Int64(index)))
        }
        return builder.finish()
    }

    private func reader(of bytes: ByteBuffer) throws -> (RecordReader, RecordBatchHeader) {
        var cursor = RecordBatchCursor(bytes, strictness: .client)
        let batch = try #require(try cursor.next())
        let payload = try #require(
            bytes.getSlice(at: batch.recordsStart, length: batch.recordsLength))
        return (RecordReader(payload: payload, header: batch.header), batch.header)
    }

    @Test("What is built is read back")
    func roundTrip() throws {
        var (reader, header) = try reader(of: sample())
        #expect(header.recordCount == 3)
        #expect(header.lastOffset == Offset(2))
        #expect(header.lastSequence == 42)
        #expect(header.maxTimestamp == Timestamp(milliseconds: 1002))
        #expect(header.codec == Codec.none)
        let first = try #require(try reader.next())
        #expect(first.key.map { String(buffer: $0) } == "key-0")
        #expect(first.value.map { String(buffer: $0) } == "value-0")
        #expect(first.headers.count == 1 && first.headers[0].value == nil)
        #expect(first.timestamp == Timestamp(milliseconds: 1000))
        let second = try #require(try reader.next())
        #expect(second.key == nil && second.headers[0].value != nil)
        let third = try #require(try reader.next())
        #expect(third.value == nil && third.offset == Offset(2))
        #expect(try reader.next() == nil)
    }

    @Test("Every strict prefix is refused, at every strictness")
    func prefixes() {
        let bytes = sample()
        for length in 1..<bytes.readableBytes {
            for strictness in [RecordBatchStrictness.structure, .checksum, .client] {
                var cursor = RecordBatchCursor(
                    bytes.getSlice(at: 0, length: length)!, strictness: strictness)
                #expect(throws: RecordBatchError.self) { _ = try cursor.next() }
            }
        }
    }

    @Test("Every flipped bit behind the head is noticed")
    func bitFlips() {
        let bytes = sample()
        for index in 16..<bytes.readableBytes {
            for bit in 0..<8 {
                var flipped = bytes
                let byte = flipped.getInteger(at: index, as: UInt8.self)!
                flipped.setInteger(byte ^ (1 << UInt8(bit)), at: index)
                var cursor = RecordBatchCursor(flipped, strictness: .client)
                #expect(throws: RecordBatchError.self) { _ = try cursor.next() }
            }
        }
    }

    @Test("Several batches are walked one by one")
    func severalBatches() throws {
        var bytes = sample(records: 1)
        bytes.writeImmutableBuffer(sample(records: 2))
        var cursor = RecordBatchCursor(bytes, strictness: .client)
        #expect(try cursor.next()?.header.recordCount == 1)
        #expect(try cursor.next()?.header.recordCount == 2)
        #expect(try cursor.next() == nil)
        #expect(cursor.position == bytes.writerIndex)
    }

    @Test("Random bytes never trap the readers")
    func randomBytes() {
        var random = SeededGenerator(seed: 3)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = sample()
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes.setInteger(
                    UInt8.random(in: 0...255, using: &random),
                    at: Int.random(in: 0..<bytes.readableBytes, using: &random))
            }
            var cursor = RecordBatchCursor(bytes, strictness: .structure)
            do {
                guard let batch = try cursor.next() else { continue }
                _ = (batch.header.lastOffset, batch.header.lastSequence, batch.header.codec)
                let payload = bytes.getSlice(
                    at: batch.recordsStart, length: batch.recordsLength)!
                var reader = RecordReader(payload: payload, header: batch.header)
                while try reader.next() != nil {}
            } catch {
                refused += 1
            }
        }
        #expect(refused > 10_000)
    }

    @Test("A producer may not send what only brokers write")
    func clientRules() throws {
        func refusal(_ change: (inout RecordBatchHeader) -> Void) throws -> RecordBatchError? {
            var header = try #require(RecordBatchHeader(sample(), at: 0))
            change(&header)
            let records = sample().getSlice(
                at: RecordBatchHeader.size,
                length: sample().readableBytes - RecordBatchHeader.size)!
            var bytes = ByteBuffer()
            header.seal(records: records, into: &bytes)
            var cursor = RecordBatchCursor(bytes, strictness: .client)
            do throws(RecordBatchError) {
                _ = try cursor.next()
                return nil
            } catch {
                return error
            }
        }
        #expect(try refusal { _ in } == nil)
        #expect(try refusal { $0.attributes |= 0x20 } == .inconsistent(.controlFromClient))
        #expect(try refusal { $0.attributes |= 0x80 } == .inconsistent(.attributes))
        #expect(try refusal { $0.attributes |= 0x40 } == .inconsistent(.attributes))
        #expect(try refusal { $0.attributes |= 0x07 } == .inconsistent(.codec))
        #expect(try refusal { $0.recordCount = 2 } == .inconsistent(.recordCount))
        #expect(try refusal { $0.recordCount = -1 } == .inconsistent(.recordCount))
        #expect(try refusal { $0.lastOffsetDelta = -1 } == .inconsistent(.lastOffsetDelta))
        #expect(try refusal { $0.baseSequence = -1 } == .inconsistent(.producer))
        #expect(try refusal { $0.producerEpoch = ProducerEpoch(-1) } == .inconsistent(.producer))
        #expect(try refusal { $0.baseOffset = Offset(-1) } == .inconsistent(.baseOffset))
        #expect(try refusal { $0.magic = 1 } == .unsupportedMagic(1))
    }

    @Test("Lengths at the edges of their type are refused without overflow")
    func extremeLengths() {
        for length in [Int32.min, -1, 0, 48, Int32.max, Int32.max - 12] {
            var bytes = sample()
            bytes.setInteger(length, at: 8)
            var cursor = RecordBatchCursor(bytes, strictness: .client)
            #expect(throws: RecordBatchError.self) { _ = try cursor.next() }
        }
    }

    @Test("Sequences wrap from the largest to zero")
    func sequenceWrap() {
        #expect(RecordBatchHeader.advance(sequence: .max, by: 1) == 0)
        #expect(RecordBatchHeader.advance(sequence: .max - 1, by: 3) == 1)
        #expect(RecordBatchHeader.advance(sequence: -1, by: 3) == -1)
    }

    @Test("Varints take the bytes that they say, at every width")
    func varints() {
        for value in [0, 1, -1, 63, 64, -64, -65, 8191, 8192, .max, .min] as [Int64] {
            var buffer = ByteBuffer()
            Varint.write(value, into: &buffer)
            #expect(buffer.readableBytes == Varint.size(of: value))
        }
    }
}
