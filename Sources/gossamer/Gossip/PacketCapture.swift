import Broker

/// Datagrams as a pcapng file that any dissector opens.
///
/// The payload is what the mesh said, decrypted; around it stand an IPv4 and a UDP header made up
/// from the members' addresses, because what was on the wire can't be read. What a packet says is
/// its comment. Formats: draft-ietf-opsawg-pcapng, link type 101 (raw IP), RFC 791, RFC 768.
struct PacketCapture {
    private static let sectionHeader: UInt32 = 0x0A0D_0D0A
    private static let byteOrderMagic: UInt32 = 0x1A2B_3C4D
    private static let linkTypeRaw: UInt16 = 101
    private static let udp: UInt8 = 17

    /// The broker whose packets they are.
    let own: Int32
    /// Where each member is, as IPv4 address and port.
    private let places: [Int32: (address: [UInt8], port: UInt16)]

    init(own: Int32, members: [MemberReport]) {
        self.own = own
        places = Dictionary(
            members.compactMap { member in
                member.address.flatMap(Self.place).map { (member.nodeId, $0) }
            }, uniquingKeysWith: { first, _ in first })
    }

    /// What the file begins with: a section, and the one interface.
    static func opening() -> [UInt8] {
        var section: [UInt8] = little(byteOrderMagic) + little(UInt16(1)) + little(UInt16(0))
        section += [UInt8](repeating: 0xFF, count: 8)
        section += option(4, Array("gossamer gossip tap (decrypted)".utf8)) + little(UInt32(0))
        let interface =
            little(linkTypeRaw) + little(UInt16(0)) + little(UInt32(0))
            + option(2, Array("mesh".utf8)) + little(UInt32(0))
        return block(sectionHeader, section) + block(1, interface)
    }

    /// One packet; nil where its payload is no hexadecimal text.
    func block(of packet: PacketReport) -> [UInt8]? {
        guard let payload = Self.bytes(packet.payload) else { return nil }
        let datagram = frame(payload, packet)
        let microseconds = UInt64(max(0, packet.at)) * 1_000
        var body = Self.little(UInt32(0))
        body += Self.little(UInt32(microseconds >> 32))
        body += Self.little(UInt32(truncatingIfNeeded: microseconds))
        body += Self.little(UInt32(datagram.count)) + Self.little(UInt32(datagram.count))
        body += Self.padded(datagram)
        body += Self.option(1, Array(packet.text.utf8))
        // Which way it went: 1 in, 2 out.
        body += Self.option(2, Self.little(UInt32(packet.isOutgoing ? 2 : 1)))
        body += Self.little(UInt32(0))
        return Self.block(6, body)
    }

    // MARK: The datagram

    private func frame(_ payload: [UInt8], _ packet: PacketReport) -> [UInt8] {
        let source = place(packet.isOutgoing ? own : packet.peer)
        let target = place(packet.isOutgoing ? packet.peer : own)
        let length = UInt16(clamping: payload.count + 8)
        let udp =
            Self.big(source.port) + Self.big(target.port) + Self.big(length)
            // No checksum: the header is made up.
            + Self.big(UInt16(0)) + payload
        var ip: [UInt8] = [0x45, 0]
        ip += Self.big(UInt16(clamping: udp.count + 20))
        ip += Self.big(UInt16(truncatingIfNeeded: packet.number))
        ip += [0x40, 0, 64, Self.udp, 0, 0]
        ip += source.address + target.address
        let sum = Self.checksum(ip)
        ip[10] = UInt8(sum >> 8)
        ip[11] = UInt8(sum & 0xFF)
        return ip + udp
    }

    /// 10.255.x.y of the id where a member's address is unknown, or no IPv4 one.
    private func place(_ node: Int32) -> (address: [UInt8], port: UInt16) {
        if let known = places[node] { return known }
        let id = UInt32(bitPattern: node)
        return ([10, 255, UInt8(id >> 8 & 0xFF), UInt8(id & 0xFF)], 7946)
    }

    private static func place(_ text: String) -> (address: [UInt8], port: UInt16)? {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        let parts = text[..<colon].split(separator: ".", omittingEmptySubsequences: false)
            .map { UInt8($0) }
        guard parts.count == 4, parts.allSatisfy({ $0 != nil }) else { return nil }
        return (parts.compactMap { $0 }, port)
    }

    /// RFC 1071.
    static func checksum(_ header: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: header.count - 1, by: 2) {
            sum += UInt32(header[index]) << 8 | UInt32(header[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(sum)
    }

    // MARK: Blocks

    private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(body.count + 12)
        return little(type) + little(length) + body + little(length)
    }

    private static func option(_ code: UInt16, _ value: [UInt8]) -> [UInt8] {
        let value = value.prefix(Int(UInt16.max))
        return little(code) + little(UInt16(value.count)) + padded(Array(value))
    }

    private static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    }

    private static func little(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
        big(value).reversed()
    }

    private static func big(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
        stride(from: value.bitWidth - 8, through: 0, by: -8).map {
            UInt8(truncatingIfNeeded: value >> $0)
        }
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...(index + 1)], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
