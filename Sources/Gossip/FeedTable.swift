public import Model
internal import NIOCore
internal import OrderedCollections

/// This member's copies of all feeds.
///
/// Bounded in all: `GossipLimits.feeds` copies, `feedsBytes` of entries. Owned by the machine.
struct FeedTable {
    private(set) var copies: OrderedDictionary<FeedID, FeedCopy> = [:]
    /// Of all copies together.
    private(set) var bytes = 0

    subscript(feed: FeedID) -> FeedCopy? { copies[feed] }

    /// Changes a copy, which is begun where there is none; false where there is no room for one.
    mutating func update(
        _ feed: FeedID, _ change: (inout FeedCopy, _ room: Int) -> Bool
    ) -> Bool {
        if copies[feed] == nil {
            guard copies.count < GossipLimits.feeds else { return false }
            copies[feed] = FeedCopy()
        }
        // Moved out and back, so that the entries are changed in place.
        guard var copy = copies.updateValue(FeedCopy(), forKey: feed) else { return false }
        let before = copy.bytes
        let result = change(&copy, GossipLimits.feedsBytes - bytes)
        bytes += copy.bytes - before
        copies[feed] = copy
        return result
    }

    mutating func remove(_ feed: FeedID) {
        guard let copy = copies.removeValue(forKey: feed) else { return }
        bytes -= copy.bytes
    }

    /// The same on two members that have come equally far with every feed.
    var root: UInt64 {
        copies.reduce(0) { root, item in
            guard item.value.mark > .nothing else { return root }
            return root ^ DigestTree.fingerprint(Self.fingerprint(item.key), item.value.digest)
        }
    }

    var marks: [FeedMark] {
        copies.compactMap { feed, copy in
            guard copy.mark > .nothing else { return nil }
            return FeedMark(feed: feed, version: copy.mark, asOf: copy.asOf)
        }
    }

    private static func fingerprint(_ feed: FeedID) -> UInt64 {
        switch feed {
        case .slot(let number, let topic): DigestTree.fingerprint(1, UInt64(number), topic)
        case .ends(let node):
            DigestTree.fingerprint(2, UInt64(UInt32(bitPattern: node.rawValue)), 0)
        }
    }
}

/// A copy of a feed as readers of figures see it.
public struct FeedView: Sendable {
    public let feed: FeedID
    /// The last change up to which nothing is lacking.
    public let version: FeedVersion
    /// When the owner said that it was its last, by its clock; none where it never did.
    public let asOf: Timestamp
    /// The bounds have kept something out.
    public let isPartial: Bool
    /// Newest of each key, tombstones too.
    public let entries: [FeedEntry]
}
