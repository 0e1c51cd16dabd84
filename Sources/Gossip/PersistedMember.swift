public import NIOCore

extension PersistedMember {
    public func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(
            UInt8(1), status.rawValue, UInt16(record.encoded.readableBytes))
        bytes.writeImmutableBuffer(record.encoded)
        return bytes
    }

    public init(decoding bytes: ByteBuffer) throws(GossipDecodeError) {
        var bytes = bytes
        let version = try bytes.take(UInt8.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        guard let status = MemberStatus(rawValue: try bytes.take(UInt8.self)) else {
            throw .invalidValue
        }
        let length = Int(try bytes.take(UInt16.self))
        let record = try SelfRecord(decoding: try bytes.takeBytes(length))
        try bytes.finish()
        self.init(status: status, record: record)
    }
}
