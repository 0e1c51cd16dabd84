internal import Model
internal import NIOCore
internal import OrderedCollections

/// Spreading feeds: changes as rumours within a budget, marks past it, and deltas over the links.
///
///     owner                     A                          B
///     | change (v7 after v6)    |                          |
///     |------------------------>| has v6: complete to v7   |
///     |                         | change (v7 after v6)     |
///     |                         |------------------------->| lacks v6
///     |                         |   pull, has v4           |
///     |                         |<-------------------------|
///     |                         |   delta v4 .. v7         |
///     |                         |------------------------->| complete to v7
///
/// A mark is passed on only by a member that has everything up to it, so that whoever hears it may
/// pull from whoever told it, and no owner serves the whole mesh. Roots of all marks travel with
/// the digests: what every rumour missed is found in seconds.
extension GossipMachine {
    // MARK: The owner

    mutating func publish(_ news: FeedNews) {
        var isOwed = false
        var changes: [FeedChange] = []
        let told = feeds.update(news.feed) { copy, room in
            var room = room
            for entry in news.entries where entry.version > copy.mark || news.isLoaded {
                let change = FeedChange(
                    feed: news.feed, previous: copy.mark, entry: entry, asOf: news.asOf)
                let before = copy.bytes
                _ = copy.apply(entry, room: room)
                room -= copy.bytes - before
                if entry.version > copy.mark {
                    changes.append(change)
                    copy.advance(
                        to: FeedMark(feed: news.feed, version: entry.version, asOf: news.asOf))
                }
            }
            copy.advance(to: FeedMark(feed: news.feed, version: copy.mark, asOf: news.asOf))
            return true
        }
        guard told else { return }
        refillFeedTokens()
        for change in changes {
            guard !news.isLoaded, feedTokens >= 1, !isOwed,
                change.entry.encodedBytes <= GossipLimits.feedChangeBytes
            else {
                isOwed = true
                break
            }
            feedTokens -= 1
            spread(change)
        }
        if isOwed { owe(news.feed) } else if changes.isEmpty { repeatMark(of: news.feed) }
    }

    private mutating func refillFeedTokens() {
        let seconds = Double(now.milliseconds(since: feedTokensAt)) / 1_000
        feedTokensAt = now
        feedTokens = min(
            Double(GossipLimits.feedChangeBurst),
            feedTokens + seconds * Double(GossipLimits.feedChangesPerSecond))
    }

    private mutating func spread(_ change: FeedChange) {
        feedRumours.insert(
            .change(change.feed, change.entry.key), Part.change(change).encoded())
        rumourAdded()
    }

    /// A mark is told when a second has passed since the last one.
    private mutating func owe(_ feed: FeedID) {
        owedMarks.append(feed)
        tendFeeds(at: now)
    }

    /// Says again that nothing has changed, beside probes and without a packet of its own.
    private mutating func repeatMark(of feed: FeedID) {
        let interval = max(GossipLimits.feedMarkMilliseconds, Int64(presentMembers) * 1_000)
        guard let copy = feeds[feed], copy.mark > .nothing else { return }
        if let last = copy.spreadAt, now.milliseconds(since: last) < interval { return }
        spreadMark(of: feed, pushes: false)
    }

    private mutating func spreadMark(of feed: FeedID, pushes: Bool) {
        guard let copy = feeds[feed] else { return }
        let now = now
        _ = feeds.update(feed) { copy, _ in
            copy.spreadAt = now
            return true
        }
        let mark = FeedMark(feed: feed, version: copy.mark, asOf: copy.asOf)
        feedRumours.insert(.mark(feed), Part.mark(mark).encoded())
        if pushes { rumourAdded() }
    }

    // MARK: The others

    /// Whether there can be such a change: a broker's in a boot that it has had, and never this
    /// member's own; a slot's in an epoch that its register knows of, or one not far behind it. A
    /// version out of nowhere would shut out every later word of the feed's owner.
    func isPlausible(_ feed: FeedID, _ version: FeedVersion) -> Bool {
        switch feed {
        case .ends(let owner):
            guard owner != node, let member = members[owner] else { return false }
            return version.epoch <= Int64(clamping: member.life.boot.rawValue)
        case .slot(let number, let topic):
            guard topic != goneTopic else { return false }
            guard let known = slotEpochs else { return true }
            guard topic == known.topic, known.epochs.indices.contains(Int(number)) else {
                return false
            }
            return version.epoch <= Int64(known.epochs[Int(number)]) + GossipLimits.epochsAhead
        }
    }

    private mutating func refuse(_ feed: FeedID, _ version: FeedVersion) -> Bool {
        if isPlausible(feed, version) { return false }
        // Peers list this member's own feed among theirs, and nothing is wrong with that.
        if feed != .ends(node) { counters.refusedFeeds += 1 }
        return true
    }

    mutating func hear(_ change: FeedChange, from peer: NodeID) {
        guard !refuse(change.feed, change.entry.version) else { return }
        counters.feedChanges += 1
        var isComplete = false
        let isNews = feeds.update(change.feed) { copy, room in
            let isNews = copy.apply(change.entry, room: room)
            isComplete = copy.link(change)
            return isNews
        }
        if isNews { spread(change) }
        guard !isComplete else { return }
        want(
            change.feed, change.entry.version, from: peer,
            after: GossipLimits.feedGapMilliseconds)
    }

    mutating func hear(_ mark: FeedMark, from peer: NodeID, isRumour: Bool) {
        guard !refuse(mark.feed, mark.version) else { return }
        let known = feeds[mark.feed]
        if let known, mark.version < known.mark { return }
        guard let known, mark.version == known.mark else {
            want(mark.feed, mark.version, from: peer, after: 0)
            return
        }
        guard mark.asOf > known.asOf else { return }
        _ = feeds.update(mark.feed) { copy, _ in
            copy.advance(to: mark)
            return true
        }
        if isRumour { spreadMark(of: mark.feed, pushes: false) }
    }

    private mutating func want(
        _ feed: FeedID, _ version: FeedVersion, from peer: NodeID, after delay: Int64
    ) {
        let soon = now.advanced(byMilliseconds: delay)
        var due = soon
        let isWanted = feeds.update(feed) { copy, _ in
            if let wanted = copy.wanted, wanted.version >= version {
                if wanted.version == version { copy.wanted?.from = peer }
                return false
            }
            copy.wanted = (version, peer, GossipLimits.feedPulls)
            copy.pullAt = max(copy.pullAt, soon)
            due = copy.pullAt
            return true
        }
        guard isWanted else { return }
        wantedFeeds.append(feed)
        tendFeeds(at: due)
    }

    private mutating func tendFeeds(at moment: Instant) {
        if let due = feedsDue, due <= moment { return }
        feedsDue = moment
        timers.set(.feeds, at: moment)
    }

    /// Tells the marks that are owed and pulls what is wanted, each feed once a second.
    mutating func tendFeeds() {
        feedsDue = nil
        var next: Instant?
        for feed in owedMarks {
            if let last = feeds[feed]?.spreadAt {
                let due = last.advanced(byMilliseconds: GossipLimits.feedPullMilliseconds)
                if due > now {
                    next = min(next ?? due, due)
                    continue
                }
            }
            owedMarks.remove(feed)
            spreadMark(of: feed, pushes: true)
        }
        var pulls: OrderedDictionary<NodeID, [FeedPull]> = [:]
        let again = now.advanced(byMilliseconds: GossipLimits.feedPullMilliseconds)
        for feed in wantedFeeds {
            guard let copy = feeds[feed], let wanted = copy.wanted else {
                wantedFeeds.remove(feed)
                continue
            }
            if copy.pullAt <= now {
                pulls[wanted.from, default: []].append(FeedPull(feed: feed, since: copy.mark))
                askAgain(feed, at: again)
                next = min(next ?? again, again)
            } else {
                next = min(next ?? copy.pullAt, copy.pullAt)
            }
        }
        for (peer, asked) in pulls {
            counters.feedPulls += 1
            for start in stride(from: 0, to: asked.count, by: GossipLimits.feedsPerMessage) {
                let end = min(asked.count, start + GossipLimits.feedsPerMessage)
                sendMessage(LinkMessage.pull(Array(asked[start..<end])).encoded(), to: peer)
            }
        }
        if let next { tendFeeds(at: next) }
    }

    /// Should the peer not answer, another member is asked in its place: whoever told of the state
    /// is not the only one that has it by then.
    private mutating func askAgain(_ feed: FeedID, at moment: Instant) {
        let other = gossipRound.sample(1, using: &generator) { members[$0]?.isKeyed == true }.first
        _ = feeds.update(feed) { copy, _ in
            copy.pullAt = moment
            if let other { copy.wanted?.from = other }
            copy.wanted?.left -= 1
            if copy.wanted?.left == 0 { copy.wanted = nil }
            return true
        }
    }

    /// No more bytes at a time than a link takes in its stride; the rest is asked for again.
    mutating func give(_ pulls: [FeedPull], to peer: NodeID) {
        var budget = GossipLimits.wantedBytesPerPeer
        for pull in pulls where budget > 0 {
            guard let copy = feeds[pull.feed], !copy.entries.isEmpty else { continue }
            guard copy.mark > pull.since || pull.since == .nothing else { continue }
            let message = LinkMessage.delta(copy.delta(of: pull.feed, since: pull.since)).encoded()
            budget -= message.readableBytes
            sendMessage(message, to: peer)
        }
    }

    mutating func merge(_ delta: FeedDelta, from peer: NodeID) {
        let feed = delta.mark.feed
        let latest = delta.entries.reduce(max(delta.mark.version, delta.floor)) {
            max($0, $1.version)
        }
        guard !refuse(feed, latest) else { return }
        counters.feedDeltas += 1
        let before = feeds[feed]?.mark
        let isNews = feeds.update(feed) { copy, room in copy.merge(delta, room: room) }
        if feeds[feed]?.wanted == nil { wantedFeeds.remove(feed) }
        guard isNews, feeds[feed]?.mark != before else { return }
        owe(feed)
    }

    // MARK: Anti-entropy

    mutating func compare(feeds root: UInt64, with peer: NodeID) {
        if root != feeds.root { tellMarks(to: peer) }
    }

    mutating func tellMarks(to peer: NodeID) {
        tell(feeds.marks, to: peer, wantsAnswer: true)
    }

    private mutating func tell(_ marks: [FeedMark], to peer: NodeID, wantsAnswer: Bool) {
        var first = 0
        repeat {
            let end = min(marks.count, first + GossipLimits.feedsPerMessage)
            let message = LinkMessage.marks(
                Array(marks[first..<end]), wantsAnswer: wantsAnswer && end == marks.count)
            sendMessage(message.encoded(), to: peer)
            first = end
        } while first < marks.count
    }

    mutating func hear(_ marks: [FeedMark], _ wantsAnswer: Bool, from peer: NodeID) {
        for mark in marks { hear(mark, from: peer, isRumour: false) }
        guard wantsAnswer else { return }
        var theirs: [FeedID: FeedMark] = [:]
        for mark in marks { theirs[mark.feed] = mark }
        let news = feeds.marks.filter { own in
            guard let known = theirs[own.feed] else { return true }
            return (own.version, own.asOf) > (known.version, known.asOf)
        }
        if !news.isEmpty { tell(news, to: peer, wantsAnswer: false) }
    }
}
