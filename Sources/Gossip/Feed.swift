public import Model
public import NIOCore

/// Whose word a feed carries: what one broker at a time says and every broker keeps a copy of.
public enum FeedID: Hashable, Sendable {
    /// The committed offsets of one slot of the offsets topic, by the leader of the slot; `of`
    /// tells the topic from a deleted one of its name, whose epochs say nothing about it.
    case slot(UInt32, of: UInt64 = 0)
    /// How far the partitions that one broker leads have come, by that broker.
    case ends(NodeID)
}

/// Where in its feed a change stands: by epoch and then by sequence, never by arrival or by what
/// the change says, because a committed offset may be taken back.
///
/// In a slot these are the leader epoch of its record and the record's offset in the slot's log; in
/// a broker's feed, its boot and a counter.
public struct FeedVersion: Hashable, Comparable, Sendable {
    public let epoch: Int64
    public let sequence: Int64

    public init(epoch: Int64, sequence: Int64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    /// Before every change.
    public static let nothing = FeedVersion(epoch: -1, sequence: -1)

    public static func < (left: FeedVersion, right: FeedVersion) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
}

/// How far a feed has come: what fits a datagram when its changes do not.
public struct FeedMark: Hashable, Sendable {
    public let feed: FeedID
    /// The last change.
    public let version: FeedVersion
    /// When the owner of the feed said that this was its last change, by its clock.
    public let asOf: Timestamp

    public init(feed: FeedID, version: FeedVersion, asOf: Timestamp) {
        self.feed = feed
        self.version = version
        self.asOf = asOf
    }
}

/// One key of a feed as of its last change; a nil value is a tombstone.
///
/// Key and value are opaque here: in a slot they are the bytes of its record.
public struct FeedEntry: Hashable, Sendable {
    public let key: ByteBuffer
    public let version: FeedVersion
    public let value: ByteBuffer?

    public init(key: ByteBuffer, version: FeedVersion, value: ByteBuffer?) {
        self.key = key
        self.version = version
        self.value = value
    }

    /// Whether it is small enough to be copied at all: whoever decodes one refuses a larger.
    var isWithinBounds: Bool {
        key.readableBytes <= GossipLimits.feedKeyBytes
            && (value?.readableBytes ?? 0) <= GossipLimits.feedValueBytes
    }
}

/// The offsets topic as the registers have it: the lower half of its id, and each slot's epoch.
public struct SlotEpochs: Hashable, Sendable {
    public let topic: UInt64
    public let epochs: [Int32]

    public init(topic: UInt64, epochs: [Int32]) {
        self.topic = topic
        self.epochs = epochs
    }
}

/// What the owner of a feed has to say, in ascending order of versions.
public struct FeedNews: Sendable {
    public var feed: FeedID
    public var entries: [FeedEntry]
    public var asOf: Timestamp
    /// Read from the owner's log at the beginning of its leadership: others have most of it.
    public var isLoaded: Bool

    public init(feed: FeedID, entries: [FeedEntry], asOf: Timestamp, isLoaded: Bool = false) {
        self.feed = feed
        self.entries = entries
        self.asOf = asOf
        self.isLoaded = isLoaded
    }
}

/// One change as a rumour, with the change before it: whoever has that one lacks nothing.
struct FeedChange: Hashable {
    let feed: FeedID
    let previous: FeedVersion
    let entry: FeedEntry
    let asOf: Timestamp
}

/// The changes of a feed behind one version, up to another, each key once.
struct FeedDelta: Hashable {
    let mark: FeedMark
    /// The changes behind it are here; `nothing` where the whole feed is.
    let since: FeedVersion
    /// Tombstones up to here are forgotten: what a reader has from before it and is not told of
    /// again, was removed.
    let floor: FeedVersion
    /// Something behind `since` may be lacking: the bounds kept it out of the sender's copy.
    let isPartial: Bool
    let entries: [FeedEntry]
}

/// What a member asks of a feed: everything behind the version that it has.
struct FeedPull: Hashable {
    let feed: FeedID
    let since: FeedVersion
}
