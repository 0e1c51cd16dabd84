internal import NIOCore

/// Chooses the partition of a record as Kafka's own clients do: they and this one send equal
/// keys to the same place.
enum Partitioner {
    /// The partition of a key: murmur2 with the sign bit cleared, modulo the count.
    static func partition(of key: ByteBuffer, count: Int32) -> Int32 {
        Int32(murmur2(key) & 0x7FFF_FFFF) % count
    }

    /// MurmurHash2, 32 bits, with the seed that Kafka uses (Appleby 2008).
    static func murmur2(_ bytes: ByteBuffer) -> UInt32 {
        let multiplier: UInt32 = 0x5BD1_E995
        var hash = 0x9747_B28C ^ UInt32(truncatingIfNeeded: bytes.readableBytes)
        var rest = bytes
        // All multiplications wrap by design: it is a mixing function.
        while let word = rest.readInteger(endianness: .little, as: UInt32.self) {
            var mixed = word &* multiplier
            mixed ^= mixed >> 24
            hash = (hash &* multiplier) ^ (mixed &* multiplier)
        }
        let tail = Array(rest.readableBytesView)
        if !tail.isEmpty {
            for (index, byte) in tail.enumerated() { hash ^= UInt32(byte) << (8 * UInt32(index)) }
            hash = hash &* multiplier
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        return hash ^ (hash >> 15)
    }
}
