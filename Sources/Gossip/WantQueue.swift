internal import DequeModule
internal import Model
internal import OrderedCollections

/// A value that a peer has and this member pulls.
struct Want {
    var advert: Advert
    /// Who has it, in the order in which they said so.
    var sources: [NodeID]
    /// Whether it was a rumour: then it is passed on once it is here.
    var isRumour: Bool
    var asked: NodeID?
    var askedAt: Instant?
}

/// The values to be pulled, in order, with a bound on what one peer is asked for at a time.
///
/// Every step costs the same however many values wait, because a newcomer wants the whole table.
struct WantQueue {
    /// Looked up, never iterated.
    private var wants: [String: Want] = [:]
    /// Not asked of anybody yet; keys that are wanted no more are skipped when met.
    private var waiting = Deque<String>()
    private var underWay = Deque<(key: String, askedAt: Instant)>()
    private var load: OrderedDictionary<NodeID, (keys: Int, bytes: Int)> = [:]

    var isEmpty: Bool { wants.isEmpty }
    var count: Int { wants.count }

    subscript(key: String) -> Want? { wants[key] }

    /// Adds what a peer has; nothing where a newer one is wanted or the queue is full.
    mutating func add(_ advert: Advert, from peer: NodeID, isRumour: Bool) {
        if var known = wants[advert.key] {
            guard advert.ballot >= known.advert.ballot else { return }
            if known.advert.ballot == advert.ballot {
                if !known.sources.contains(peer), known.asked != peer, known.sources.count < 4 {
                    known.sources.append(peer)
                }
                known.isRumour = known.isRumour || isRumour
                wants[advert.key] = known
                return
            }
            remove(advert.key)
        }
        guard wants.count < GossipLimits.wants else { return }
        wants[advert.key] = Want(advert: advert, sources: [peer], isRumour: isRumour)
        waiting.append(advert.key)
    }

    /// Ends a want; whether it was a rumour.
    @discardableResult
    mutating func remove(_ key: String) -> Bool {
        guard let want = wants.removeValue(forKey: key) else { return false }
        unload(want)
        return want.isRumour
    }

    private mutating func unload(_ want: Want) {
        guard let peer = want.asked, let old = load[peer] else { return }
        let size = want.advert.size ?? 0
        load[peer] = old.keys <= 1 ? nil : (old.keys - 1, max(0, old.bytes - size))
    }

    /// What was asked too long ago is asked of the next that has it, or given up.
    mutating func expire(_ now: Instant) {
        while let first = underWay.first,
            now.milliseconds(since: first.askedAt) >= GossipLimits.wantTimeoutMilliseconds
        {
            underWay.removeFirst()
            guard let want = wants[first.key], want.askedAt == first.askedAt else { continue }
            unload(want)
            guard !want.sources.isEmpty else {
                wants[first.key] = nil
                continue
            }
            wants[first.key]?.asked = nil
            wants[first.key]?.askedAt = nil
            waiting.append(first.key)
        }
    }

    /// Which keys to ask of whom now.
    mutating func next(_ now: Instant) -> OrderedDictionary<NodeID, [String]> {
        var batches: OrderedDictionary<NodeID, [String]> = [:]
        var deferred: [String] = []
        while deferred.count < 16, let key = waiting.popFirst() {
            guard var want = wants[key], want.askedAt == nil, let peer = want.sources.first
            else { continue }
            let size = want.advert.size ?? 0
            let busy = load[peer] ?? (0, 0)
            guard busy.keys < GossipLimits.wantsPerMessage,
                busy.keys == 0 || busy.bytes + size <= GossipLimits.wantedBytesPerPeer
            else {
                deferred.append(key)
                continue
            }
            want.sources.removeFirst()
            want.asked = peer
            want.askedAt = now
            wants[key] = want
            load[peer] = (busy.keys + 1, busy.bytes + size)
            underWay.append((key, now))
            batches[peer, default: []].append(key)
        }
        for key in deferred.reversed() { waiting.prepend(key) }
        return batches
    }
}
