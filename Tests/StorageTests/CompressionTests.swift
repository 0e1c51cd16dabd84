import Compression
import Model
import NIOCore
import Testing

@Suite("Compression")
struct CompressionTests {
    private func samples() -> [ByteBuffer] {
        var random = SeededGenerator(seed: 5)
        let noise = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        return [
            ByteBuffer(string: "x"), ByteBuffer(string: String(repeating: "abc", count: 50_000)),
            ByteBuffer(bytes: noise),
        ]
    }

    @Test("Every codec gives back what it got", arguments: Codec.allCases)
    func roundTrip(codec: Codec) throws {
        for sample in samples() {
            let folded = try Compression.compress(sample, codec: codec)
            let unfolded = try Compression.decompress(
                folded, codec: codec, limit: sample.readableBytes)
            #expect(unfolded == sample)
        }
    }

    @Test("Output beyond the limit is refused", arguments: Codec.allCases)
    func bombs(codec: Codec) throws {
        let bomb = ByteBuffer(repeating: 0, count: 4 << 20)
        let folded = try Compression.compress(bomb, codec: codec)
        for limit in [0, 1, 4096, (4 << 20) - 1] {
            #expect(throws: CompressionError.tooLarge(limit: limit)) {
                _ = try Compression.decompress(folded, codec: codec, limit: limit)
            }
        }
        #expect(
            try Compression.decompress(folded, codec: codec, limit: 4 << 20).readableBytes
                == 4 << 20)
    }

    @Test(
        "Cut and damaged input is refused or gives other bytes, never a trap",
        arguments: [Codec.gzip, .snappy, .lz4, .zstd])
    func damage(codec: Codec) throws {
        var random = SeededGenerator(seed: 11)
        let sample = ByteBuffer(string: String(repeating: "hello world ", count: 200))
        let folded = try Compression.compress(sample, codec: codec)
        for length in 0..<folded.readableBytes {
            let cut = folded.getSlice(at: 0, length: length)!
            if let bytes = try? Compression.decompress(cut, codec: codec, limit: 1 << 20) {
                // Only the snappy stream has no end of its own: a cut between blocks is legal.
                #expect(codec == .snappy && bytes != sample)
            }
        }
        for _ in 0..<3000 {
            var damaged = folded
            for _ in 0..<3 {
                damaged.setInteger(
                    UInt8.random(in: 0...255, using: &random),
                    at: Int.random(in: 0..<folded.readableBytes, using: &random))
            }
            if let bytes = try? Compression.decompress(damaged, codec: codec, limit: 1 << 20) {
                #expect(bytes.readableBytes <= 1 << 20)
            }
        }
    }

    @Test("Bare snappy blocks are read as well as the Java stream")
    func bareSnappy() throws {
        // Length 5 as a varint, then a literal of five bytes: tag (5 - 1) << 2.
        let block = ByteBuffer(bytes: [5, 4 << 2] + Array("hello".utf8))
        let unfolded = try Compression.decompress(block, codec: .snappy, limit: 100)
        #expect(String(buffer: unfolded) == "hello")
        let stream = try Compression.compress(ByteBuffer(string: "hello"), codec: .snappy)
        #expect(Array(stream.readableBytesView.prefix(8)) == [0x82] + Array("SNAPPY".utf8) + [0])
    }

    @Test("A gzip body of several members is read whole")
    func gzipMembers() throws {
        var bytes = try Compression.compress(ByteBuffer(string: "one "), codec: .gzip)
        bytes.writeImmutableBuffer(
            try Compression.compress(ByteBuffer(string: "two"), codec: .gzip))
        let unfolded = try Compression.decompress(bytes, codec: .gzip, limit: 100)
        #expect(String(buffer: unfolded) == "one two")
    }
}
