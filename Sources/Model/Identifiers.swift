/// The position of a record in a partition's log; also "the next record to be written".
///
/// Kafka's offsets are dense and start at 0; -1 is never an offset here, absence is an optional.
public struct Offset: Hashable, Comparable, Sendable {
    public let rawValue: Int64

    @inlinable public init(_ rawValue: Int64) { self.rawValue = rawValue }

    public static let zero = Offset(0)

    @inlinable public static func < (left: Offset, right: Offset) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The offset `count` records later; traps on overflow, which a log cannot reach.
    @inlinable public func advanced(by count: Int64) -> Offset { Offset(rawValue + count) }
}

/// The fence of a leadership: whoever holds a newer one refuses the older (KIP-101, KIP-320).
///
/// `unknown` is -1 as on Kafka's wire; a real epoch is never negative.
public struct LeaderEpoch: Hashable, Comparable, Sendable {
    public let rawValue: Int32

    @inlinable public init(_ rawValue: Int32) { self.rawValue = rawValue }

    public static let unknown = LeaderEpoch(-1)

    @inlinable public static func < (left: LeaderEpoch, right: LeaderEpoch) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A broker as Kafka clients see it.
public struct NodeID: Hashable, Comparable, Sendable {
    public let rawValue: Int32

    @inlinable public init(_ rawValue: Int32) { self.rawValue = rawValue }

    @inlinable public static func < (left: NodeID, right: NodeID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The number of a partition within its topic, from 0.
public struct PartitionIndex: Hashable, Comparable, Sendable {
    public let rawValue: Int32

    @inlinable public init(_ rawValue: Int32) { self.rawValue = rawValue }

    @inlinable public static func < (left: PartitionIndex, right: PartitionIndex) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The identity that an idempotent producer gets from InitProducerId (KIP-98); -1 is "none".
public struct ProducerID: Hashable, Comparable, Sendable {
    public let rawValue: Int64

    @inlinable public init(_ rawValue: Int64) { self.rawValue = rawValue }

    public static let none = ProducerID(-1)

    @inlinable public static func < (left: ProducerID, right: ProducerID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The incarnation of a producer id; a higher one fences the lower (KIP-98, KIP-360).
public struct ProducerEpoch: Hashable, Comparable, Sendable {
    public let rawValue: Int16

    @inlinable public init(_ rawValue: Int16) { self.rawValue = rawValue }

    public static let none = ProducerEpoch(-1)

    @inlinable public static func < (left: ProducerEpoch, right: ProducerEpoch) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The 128-bit identity of a topic (KIP-516): a deleted and re-created name gets another one.
///
/// Held as two words in network order, so that `high` holds the first eight bytes on the wire.
public struct TopicID: Hashable, Comparable, Sendable {
    public let high: UInt64
    public let low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// What Kafka writes where no id is meant.
    public static let zero = TopicID(high: 0, low: 0)

    /// A random id (RFC 9562, version 4) drawn from the given generator.
    public static func random(using generator: inout some RandomNumberGenerator) -> TopicID {
        let high = generator.next() & ~0xF000 | 0x4000
        let low = generator.next() & ~(0b11 << 62) | (0b10 << 62)
        return TopicID(high: high, low: low)
    }

    @inlinable public static func < (left: TopicID, right: TopicID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

/// One partition of one topic, by identity and not by name: the key of everything that holds data.
public struct TopicPartition: Hashable, Comparable, Sendable {
    public let topic: TopicID
    public let index: PartitionIndex

    @inlinable public init(topic: TopicID, index: PartitionIndex) {
        self.topic = topic
        self.index = index
    }

    @inlinable public static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        (left.topic, left.index) < (right.topic, right.index)
    }
}
