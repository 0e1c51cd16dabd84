public import NIOCore

/// Zigzag variable-length integers, as records use them (Protocol Buffers' encoding).
public enum Varint {
    /// Bytes that `value` takes: 1 to 10.
    public static func size(of value: Int64) -> Int {
        let bits = UInt64.bitWidth - (zigzag(value) | 1).leadingZeroBitCount
        return (bits + 6) / 7
    }

    /// Appends `value`.
    public static func write(_ value: Int64, into buffer: inout ByteBuffer) {
        var rest = zigzag(value)
        while rest >= 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    private static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value << 1) ^ (value >> 63))
    }
}

/// Reads varints and lengths between two indexes of a buffer, never beyond.
struct VarintReader {
    private let buffer: ByteBuffer
    var position: Int
    var end: Int

    init(_ buffer: ByteBuffer, from position: Int, to end: Int) {
        self.buffer = buffer
        self.position = position
        self.end = end
    }

    mutating func readInt64() throws(RecordError) -> Int64 {
        var raw: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < end, let byte = buffer.getInteger(at: position, as: UInt8.self)
            else { throw .truncated }
            position += 1
            // The tenth byte holds the 64th bit alone.
            guard shift < 63 || byte <= 1 else { throw .badVarint }
            raw |= UInt64(byte & 0x7F) << shift
            guard byte & 0x80 != 0 else { break }
            shift += 7
            guard shift <= 63 else { throw .badVarint }
        }
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    mutating func readInt32() throws(RecordError) -> Int32 {
        let wide = try readInt64()
        guard let value = Int32(exactly: wide) else { throw .outOfRange }
        return value
    }

    /// A length that may not be absent.
    mutating func readLength() throws(RecordError) -> Int {
        let length = try readInt32()
        guard length >= 0 else { throw .badLength(Int64(length)) }
        return Int(length)
    }

    /// A length where -1 says null.
    mutating func readNullableLength() throws(RecordError) -> Int {
        let length = try readInt32()
        guard length >= -1 else { throw .badLength(Int64(length)) }
        return Int(length)
    }

    mutating func skip(_ count: Int) throws(RecordError) {
        guard count <= end - position else { throw .truncated }
        position += count
    }

    mutating func readSlice(length: Int) throws(RecordError) -> ByteBuffer {
        guard length <= end - position, let slice = buffer.getSlice(at: position, length: length)
        else { throw .truncated }
        position += length
        return slice
    }
}
