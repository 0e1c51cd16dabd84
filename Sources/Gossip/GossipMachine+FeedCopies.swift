internal import Model
internal import NIOCore
internal import OrderedCollections

/// Copies of feeds as a whole: forgotten with their topic, gathered before a recovery, written to
/// disk and read from it, and shown.
extension GossipMachine {
    /// What the registers say of the offsets topic; what is left of another is forgotten.
    mutating func follow(_ epochs: SlotEpochs?) {
        slotEpochs = epochs
        guard let epochs else { return }
        var others: OrderedSet<UInt64> = []
        for case .slot(_, let topic) in feeds.copies.keys where topic != epochs.topic {
            others.append(topic)
        }
        for topic in others { forgetSlots(of: topic) }
    }

    /// The offsets topic was deleted: nobody will ask for what was committed in it.
    mutating func forgetSlots(of topic: UInt64) {
        for feed in feeds.copies.keys {
            guard case .slot(_, topic) = feed else { continue }
            forget(feed)
        }
    }

    /// Forgets a copy, on disk too: what is left there would come back with the next start.
    mutating func forget(_ feed: FeedID) {
        guard feeds[feed] != nil else { return }
        feeds.remove(feed)
        wantedFeeds.remove(feed)
        owedMarks.remove(feed)
        feedRumours.remove(.mark(feed))
        out.append(.removeFeed(name: Self.name(of: feed)))
    }

    /// Asks every member for all of every feed, whatever is here already.
    mutating func pullEverything() {
        let asked = feeds.copies.keys.map { FeedPull(feed: $0, since: .nothing) }
        let present = members.values.filter(\.status.isPresent).map(\.node)
        for peer in present {
            for start in stride(from: 0, to: asked.count, by: GossipLimits.feedsPerMessage) {
                let end = min(asked.count, start + GossipLimits.feedsPerMessage)
                sendMessage(LinkMessage.pull(Array(asked[start..<end])).encoded(), to: peer)
            }
            tellMarks(to: peer)
        }
    }

    /// Those that changed, in turn: so much at a time unless `all` are meant.
    mutating func saveFeeds(all: Bool) {
        var written: [(name: String, ByteBuffer)] = []
        var bytes = 0
        let keys = feeds.copies.keys
        for _ in keys.indices {
            guard all || bytes < GossipLimits.savedFeedBytes else { break }
            if nextSaved >= keys.count { nextSaved = 0 }
            let feed = keys[nextSaved]
            nextSaved += 1
            guard let copy = feeds[feed], copy.isDirty else { continue }
            bytes += copy.bytes
            written.append((Self.name(of: feed), Self.saved(feed, copy)))
            _ = feeds.update(feed) { copy, _ in
                copy.isDirty = false
                return true
            }
        }
        if !written.isEmpty { out.append(.persistFeeds(written)) }
    }

    private static func name(of feed: FeedID) -> String {
        switch feed {
        case .slot(let number, let topic): "slot-\(number)-\(topic)"
        case .ends(let node): "ends-\(node.rawValue)"
        }
    }

    /// Version 1, then the whole feed as a delta, then a CRC-32C over all that.
    private static func saved(_ feed: FeedID, _ copy: FeedCopy) -> ByteBuffer {
        var bytes = ByteBuffer(integer: UInt8(1))
        copy.delta(of: feed, since: .nothing).write(into: &bytes)
        bytes.writeInteger(CRC32C.checksum(of: bytes))
        return bytes
    }

    /// What can't be read is left out: the mesh has it. What belongs to a broker that is no member
    /// goes. Copies of slots stay whatever is known of their topic so early: should its register
    /// not be here yet, they are what a recovery is made of, and `follow` looks at them later.
    mutating func restore(_ saved: [ByteBuffer]) {
        for var bytes in saved {
            guard bytes.readableBytes > 5,
                let sum = bytes.getInteger(at: bytes.writerIndex - 4, as: UInt32.self)
            else { continue }
            bytes.moveWriterIndex(to: bytes.writerIndex - 4)
            guard CRC32C.checksum(of: bytes) == sum,
                bytes.readInteger(as: UInt8.self) == 1,
                let delta = try? FeedDelta(decoding: &bytes), bytes.readableBytes == 0,
                delta.mark.feed != .ends(node)
            else { continue }
            if case .ends(let owner) = delta.mark.feed, !members.contains(owner) {
                out.append(.removeFeed(name: Self.name(of: delta.mark.feed)))
                continue
            }
            _ = feeds.update(delta.mark.feed) { copy, room in copy.merge(delta, room: room) }
            _ = feeds.update(delta.mark.feed) { copy, _ in
                copy.isDirty = false
                return true
            }
        }
    }

    // MARK: Readers

    /// Every feed that this member has a copy of; its own too.
    public var feedIDs: [FeedID] { Array(feeds.copies.keys) }

    /// A copy of one feed: a step for each entry.
    public func feed(_ feed: FeedID) -> FeedView? {
        feeds[feed].map { copy in
            FeedView(
                feed: feed, version: copy.mark, asOf: copy.asOf, isPartial: copy.isPartial,
                entries: Array(copy.entries.values))
        }
    }
}
