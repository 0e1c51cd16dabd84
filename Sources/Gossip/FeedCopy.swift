internal import DequeModule
internal import Model
internal import NIOCore
internal import OrderedCollections

/// One feed as this member has it: the newest change of each key.
///
/// Invariants: an entry only grows by version; every change of the feed up to `mark` was applied
/// here or was overtaken by a later one of its key. Entries behind `mark` may be here already.
/// What a lost log held stays: nothing but a later change of its key removes an entry.
/// A change costs one hash; a delta looks at every entry once.
struct FeedCopy {
    /// Looked up by key, walked for deltas in the order in which keys came.
    private(set) var entries: OrderedDictionary<ByteBuffer, FeedEntry> = [:]
    private(set) var mark = FeedVersion.nothing
    /// When the owner said that `mark` was its last change.
    private(set) var asOf = Timestamp.none
    /// Tombstones up to here may be forgotten.
    private(set) var floor = FeedVersion.nothing
    private(set) var bytes = 0
    private(set) var tombstones = 0
    /// The last version of which something may be lacking, because the bounds refused it here or
    /// at whoever told of it.
    private var lacks = FeedVersion.nothing
    /// Changes that came before the change that they follow.
    private var links = Deque<(previous: FeedVersion, mark: FeedMark)>()

    /// A later state that somebody has, who, and how often it is still asked for: the only one that
    /// had it may be gone, and a mark or a root tells of it again where it is not.
    var wanted: (version: FeedVersion, from: NodeID, left: Int)?
    /// Not asked for again before.
    var pullAt = Instant(nanoseconds: 0)
    /// When its mark was last spread as a rumour.
    var spreadAt: Instant?
    /// It changed since it was last written to disk.
    var isDirty = false

    /// It does not show everything.
    var isPartial: Bool { lacks > .nothing }

    /// Whether an entry is news; it is stored then, if `room` allows.
    mutating func apply(_ entry: FeedEntry, room: Int) -> Bool {
        let known = entries[entry.key]
        if let known, entry.version <= known.version { return false }
        // Its tombstone may have been forgotten. One of an older epoch may come from a log that was
        // lost: it is all that is left of it.
        if known == nil, entry.version <= floor,
            entry.value == nil || entry.version.epoch == floor.epoch
        {
            return false
        }
        guard entry.isWithinBounds else {
            lacks = max(lacks, entry.version)
            return false
        }
        let growth = entry.encodedBytes - (known?.encodedBytes ?? 0)
        if bytes + growth > GossipLimits.feedBytes || growth > room { forgetTombstones() }
        guard bytes + growth <= GossipLimits.feedBytes, growth <= max(0, room) else {
            lacks = max(lacks, entry.version)
            return false
        }
        bytes += growth
        if entry.value == nil { tombstones += 1 }
        if let known, known.value == nil { tombstones -= 1 }
        entries[entry.key] = entry
        isDirty = true
        if tombstones > GossipLimits.feedTombstones { forgetTombstones() }
        return true
    }

    /// Drops the older half of the tombstones: whoever is behind them is sent the whole feed.
    private mutating func forgetTombstones() {
        guard tombstones > 0 else { return }
        let all = entries.values.filter { $0.value == nil }.map(\.version).sorted()
        floor = max(floor, all[all.count / 2])
        let limit = floor
        entries.removeAll { $0.value.value == nil && $0.value.version <= limit }
        tombstones = 0
        bytes = 0
        for entry in entries.values {
            bytes += entry.encodedBytes
            if entry.value == nil { tombstones += 1 }
        }
        isDirty = true
    }

    /// Nothing of the feed up to there is lacking.
    mutating func advance(to next: FeedMark) {
        if next.version == mark {
            asOf = max(asOf, next.asOf)
        } else if next.version > mark {
            mark = next.version
            asOf = max(asOf, next.asOf)
            isDirty = true
        }
        followLinks()
        if let wanted, wanted.version <= mark { self.wanted = nil }
    }

    /// Takes a change as a rumour brings it; whether nothing is lacking up to it now.
    mutating func link(_ change: FeedChange) -> Bool {
        let next = FeedMark(feed: change.feed, version: change.entry.version, asOf: change.asOf)
        guard next.version > mark else { return true }
        if change.previous <= mark {
            advance(to: next)
            return true
        }
        if links.count >= GossipLimits.feedLinks { links.removeFirst() }
        links.append((change.previous, next))
        return false
    }

    private mutating func followLinks() {
        while let place = links.firstIndex(where: {
            $0.previous <= mark && $0.mark.version > mark
        }) {
            mark = links[place].mark.version
            asOf = max(asOf, links[place].mark.asOf)
            isDirty = true
        }
        let reached = mark
        links.removeAll { $0.mark.version <= reached }
    }

    /// What whoever has everything up to `version` lacks.
    func delta(of feed: FeedID, since version: FeedVersion) -> FeedDelta {
        let since = version < floor ? FeedVersion.nothing : version
        return FeedDelta(
            mark: FeedMark(feed: feed, version: mark, asOf: asOf), since: since, floor: floor,
            isPartial: lacks > since,
            entries: since == .nothing
                ? Array(entries.values) : entries.values.filter { $0.version > since })
    }

    /// Takes in what a peer has behind `since`; whether anything was news.
    ///
    /// From a peer that lacks something itself this copy may lack it too, and what such a one does
    /// not name was not removed for that. Whoever has the whole feed makes a copy whole again.
    mutating func merge(_ delta: FeedDelta, room: Int) -> Bool {
        var isNews = false
        var room = room
        let isWhole = delta.since == .nothing && !delta.isPartial
        if isWhole, isPartial, delta.mark.version >= lacks {
            lacks = .nothing
            isDirty = true
        }
        for entry in delta.entries {
            let before = bytes
            if apply(entry, room: room) { isNews = true }
            room -= bytes - before
        }
        if isWhole, delta.floor > mark { removeUntold(delta) }
        if delta.since <= mark {
            let before = mark
            if delta.isPartial, delta.mark.version > mark { lacks = max(lacks, delta.mark.version) }
            advance(to: delta.mark)
            if mark != before { isNews = true }
        }
        return isNews
    }

    /// The peer has forgotten tombstones that this member never saw: what it does not name, and is
    /// no later than they, was removed.
    private mutating func removeUntold(_ delta: FeedDelta) {
        let told = Set(delta.entries.map(\.key))
        entries.removeAll { $0.value.version <= delta.floor && !told.contains($0.key) }
        floor = max(floor, delta.floor)
        bytes = entries.values.reduce(0) { $0 + $1.encodedBytes }
        tombstones = entries.values.count { $0.value == nil }
        isDirty = true
    }

    var digest: UInt64 {
        DigestTree.fingerprint(
            UInt64(bitPattern: mark.epoch), UInt64(bitPattern: mark.sequence))
    }
}
