internal import Model
internal import NIOCore
internal import OrderedCollections

/// A goodbye that is being said: to some members by a ping each, whose answer says it is heard.
///
/// Whoever has heard it passes it on like any rumour, so a few are enough, and the leaving member
/// need not stay to spread it itself.
struct Farewell {
    /// Pings that are not answered, by their ids.
    var asked: OrderedDictionary<UInt64, NodeID> = [:]
    /// Members that have heard it.
    var heard: [NodeID] = []
    /// When this member goes in any case.
    let latest: Instant

    init(latest: Instant) { self.latest = latest }
}

/// Leaving: as soon as the goodbye is safe with others.
extension GossipMachine {
    mutating func leave() {
        guard leftAt == nil else { return }
        let next = Incarnation(record.life.incarnation.rawValue &+ 1)  // 2^32 lives of one boot
        renewRecord(incarnation: next, isLeaving: true)
        let latest = now.advanced(byMilliseconds: GossipLimits.lingerMilliseconds)
        farewell = Farewell(latest: latest)
        leaveAt(presentCount > 0 ? latest : now)
        sayFarewell()
    }

    private mutating func leaveAt(_ moment: Instant) {
        leftAt = moment
        timers.set(.left, at: moment)
    }

    /// Said once.
    mutating func finishLeaving() {
        guard farewell != nil else { return }
        farewell = nil
        out.append(.left)
    }

    /// Tells some of those who did not answer yet; asked again while datagrams get lost.
    mutating func sayFarewell() {
        guard let said = farewell, now < said.latest else { return }
        let peers = probeRound.sample(GossipLimits.farewellPeers, using: &generator) { peer in
            !said.heard.contains(peer)
                && members[peer].map { $0.keyedBoot == $0.life.boot } == true
        }
        for peer in peers {
            let id = generator.next()
            farewell?.asked[id] = peer
            let bytes = pack(.ping(id), lead: [Part.record(record).encoded()])
            sendDatagram(bytes, to: peer)
        }
        timers.set(
            .farewell, at: now.advanced(byMilliseconds: profile.probeTimeoutMilliseconds))
    }

    /// Whether an answer was to the goodbye; the last that was needed ends the stay.
    mutating func heardFarewell(_ id: UInt64, from peer: NodeID) -> Bool {
        guard farewell?.asked[id] == peer else { return false }
        farewell?.asked[id] = nil
        guard let said = farewell, !said.heard.contains(peer), now < said.latest else {
            return true
        }
        farewell?.heard.append(peer)
        if said.heard.count + 1 >= min(GossipLimits.farewellsHeard, presentCount) { leaveAt(now) }
        return true
    }
}
