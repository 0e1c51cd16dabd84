import Model
import NIOCore
import Testing

@Suite("CRC-32C")
struct CRC32CTests {
    @Test(
        "Vectors of RFC 3720 B.4",
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ([UInt8](0..<32), 0x46DD_794E),
            ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
            ([UInt8]("123456789".utf8), 0xE306_9283),
            ([UInt8](), 0),
        ] as [([UInt8], UInt32)])
    func vectors(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.checksum(of: ByteBuffer(bytes: bytes)) == expected)
    }

    @Test("Any cut of the input gives the same sum, across the sizes of the lanes")
    func continuation() {
        var random = SeededGenerator(seed: 7)
        for length in [1, 7, 8, 255, 767, 768, 769, 4000, 24_575, 24_576, 24_577, 60_000] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            let buffer = ByteBuffer(bytes: bytes)
            let whole = CRC32C.checksum(of: buffer)
            for _ in 0..<20 {
                let cut = Int.random(in: 0...length, using: &random)
                let first = CRC32C.checksum(of: buffer, at: 0, length: cut)
                let both = CRC32C.checksum(
                    of: buffer, at: cut, length: length - cut, continuing: first)
                #expect(both == whole)
            }
        }
    }

    @Test("The instruction and the tables agree with a bit-by-bit definition")
    func reference() {
        var random = SeededGenerator(seed: 9)
        for length in [3, 64, 800, 3000, 26_000] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            var crc: UInt32 = 0xFFFF_FFFF
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
            }
            #expect(CRC32C.checksum(of: ByteBuffer(bytes: bytes)) == ~crc)
            #expect(CRC32C.portableChecksum(of: ByteBuffer(bytes: bytes)) == ~crc)
        }
    }
}
