import Broker
import Testing

@testable import gossamer

@Suite("Packets for other programs")
struct PacketCaptureTests {
    private func packet(_ payload: String, isOutgoing: Bool = true) -> PacketReport? {
        Given.report(
            """
            {"number":7,"at":1000,"isOutgoing":\(isOutgoing),"peer":2,"bytes":36,
             "text":"PING","payload":"\(payload)"}
            """)
    }

    private func little(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// The blocks of a file: each names its length at both ends.
    private func blocks(_ file: [UInt8]) throws -> [(type: Int, body: [UInt8])] {
        var blocks: [(type: Int, body: [UInt8])] = []
        var place = 0
        while place < file.count {
            let length = little(file[(place + 4)..<(place + 8)])
            try #require(length % 4 == 0 && length >= 12 && place + length <= file.count)
            #expect(little(file[(place + length - 4)..<(place + length)]) == length)
            blocks.append(
                (
                    little(file[place..<(place + 4)]),
                    Array(file[(place + 8)..<(place + length - 4)])
                ))
            place += length
        }
        return blocks
    }

    @Test("The file is a section, an interface of raw IP and a block for each packet")
    func file() throws {
        let capture = PacketCapture(own: 1, members: [Given.member(2)].compactMap { $0 })
        let given = try #require(packet("c0ffee"))
        let block = try #require(capture.block(of: given))
        let parts = try blocks(PacketCapture.opening() + block)
        #expect(parts.map(\.type) == [0x0A0D_0D0A, 1, 6])
        #expect(Array(parts[0].body[..<4]) == [0x4D, 0x3C, 0x2B, 0x1A])
        #expect(little(parts[1].body[..<2]) == 101)
        let body = parts[2].body
        #expect(little(body[8..<12]) == 1_000_000)
        let size = little(body[12..<16])
        #expect(size == 20 + 8 + 3)
        let frame = Array(body[20..<(20 + size)])
        #expect(frame[0] == 0x45)
        #expect(Int(frame[2]) << 8 | Int(frame[3]) == size)
        #expect(frame[9] == 17)
        #expect(PacketCapture.checksum(Array(frame[..<20])) == 0)
        // This broker's address is unknown: made of its id.
        #expect(Array(frame[12..<16]) == [10, 255, 0, 1])
        #expect(Array(frame[16..<20]) == [10, 0, 0, 2])
        #expect(Int(frame[22]) << 8 | Int(frame[23]) == 7946)
        #expect(Array(frame[28...]) == [0xC0, 0xFF, 0xEE])
        #expect(String(decoding: body, as: UTF8.self).contains("PING"))
    }

    @Test("Incoming packets go the other way; what is no payload is left out")
    func ways() throws {
        let capture = PacketCapture(own: 1, members: [Given.member(2)].compactMap { $0 })
        let incoming = try #require(packet("00", isOutgoing: false))
        let block = try #require(capture.block(of: incoming))
        let frame = Array(try blocks(block)[0].body[20...])
        #expect(Array(frame[12..<16]) == [10, 0, 0, 2])
        let odd = try #require(packet("0"))
        #expect(capture.block(of: odd) == nil)
        let wrong = try #require(packet("xy"))
        #expect(capture.block(of: wrong) == nil)
    }

    @Test("A packet is a line: time, way, size, meaning")
    func line() throws {
        let out = try #require(packet("00"))
        #expect(GossipTap.line(out, own: 1) == "00:00:01.000  OUT 1 -> 2  36 B  PING")
        let back = try #require(packet("00", isOutgoing: false))
        #expect(GossipTap.line(back, own: 1) == "00:00:01.000  IN  2 -> 1  36 B  PING")
    }
}
