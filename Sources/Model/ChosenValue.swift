public import NIOCore

/// What a register held when a ballot chose it: the one thing that tables hold and gossip spreads.
///
/// Ordered by ballot, never by arrival or by clock. A nil value is a tombstone: the register was
/// decided to hold nothing.
public struct ChosenValue: Hashable, Sendable {
    /// `topic/<name>`, `members/<node id>`, `producer-ids` and so on.
    public let key: String
    public let ballot: Ballot
    public let value: ByteBuffer?

    public init(key: String, ballot: Ballot, value: ByteBuffer?) {
        self.key = key
        self.ballot = ballot
        self.value = value
    }

    /// The longest key: a topic name has at most 249 characters, and its prefix a few.
    public static let keyBytesMaximum = 300
    /// The largest value: a topic of 100,000 partitions with five replicas each fits.
    public static let valueBytesMaximum = 4 * 1024 * 1024

    /// The fingerprint of the value, so that equal ballots with different contents are noticed.
    public var contentHash: ContentHash {
        guard let value else { return ContentHash(rawValue: 0) }
        return ContentHash(of: value)
    }
}

/// A 64-bit fingerprint of bytes: FNV-1a with SplitMix64's finish.
///
/// Finds accidents, not attacks: whatever is compared by it came over an authenticated channel.
/// Costs about a nanosecond a byte.
public struct ContentHash: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(of bytes: ByteBuffer) { self.init(ofAll: CollectionOfOne(bytes)) }

    /// The fingerprint of several pieces one after the other.
    public init(ofAll pieces: some Sequence<ByteBuffer>) {
        var state: UInt64 = 0xCBF2_9CE4_8422_2325
        for piece in pieces {
            for byte in piece.readableBytesView {
                state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3  // wraps: a hash
            }
        }
        var mixed = SeededGenerator(seed: state)
        rawValue = mixed.next() | 1
    }

    @inlinable public static func < (left: ContentHash, right: ContentHash) -> Bool {
        left.rawValue < right.rawValue
    }
}
