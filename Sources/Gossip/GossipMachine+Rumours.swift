internal import Model
internal import NIOCore
internal import OrderedCollections

/// Packing and sending rumours, and hearing them.
extension GossipMachine {
    // MARK: Sending

    /// How often a rumour is passed on. Meshes below 1,000 get more than memberlist's
    /// 4*ceil(log10(N+1)), with which one rumour in fifteen misses somebody at 25 % loss.
    var transmissionLimit: Int {
        let members = presentCount + 1
        if rules.raisedTransmissions, members <= 10 {
            let bits = Int.bitWidth - members.leadingZeroBitCount
            return max(2 * (members - 1), 4 * bits)
        }
        var digits = 0
        var power = 1
        while power < members + 1 {
            power *= 10
            digits += 1
        }
        let plain = 4 * digits
        return rules.raisedTransmissions ? max(GossipLimits.transmissionsAboveTen, plain) : plain
    }

    var hasRumours: Bool {
        !(memberRumours.isEmpty && tableRumours.isEmpty && feedRumours.isEmpty)
    }

    /// One packet within the hard budget: what must lead, then rumours by the quotas of their
    /// classes. A class that needs less leaves the rest to the others, in order.
    mutating func pack(_ kind: Packet.Kind, lead: [ByteBuffer]) -> ByteBuffer {
        var bytes = Packet.open(kind)
        var parts = 0
        for part in lead
        where bytes.readableBytes + part.readableBytes <= GossipLimits.datagramPayloadBytes {
            bytes.writeImmutableBuffer(part)
            parts += 1
        }
        if hasRumours {
            bytes.reserveCapacity(GossipLimits.datagramPayloadBytes)
            let room = GossipLimits.datagramPayloadBytes - bytes.readableBytes
            let shares = shares(of: room)
            let limit = transmissionLimit
            let start = bytes.readableBytes
            memberRumours.take(
                into: &bytes, parts: &parts, budget: min(room, shares.members), limit: limit)
            var used = bytes.readableBytes - start
            tableRumours.take(
                into: &bytes, parts: &parts, budget: min(room - used, shares.table), limit: limit)
            used = bytes.readableBytes - start
            feedRumours.take(into: &bytes, parts: &parts, budget: room - used, limit: limit)
        }
        if parts > 0 { Packet.close(&bytes, parts: parts) }
        return bytes
    }

    /// Members 40 %, table 40 %, marks 20 %; so that none starves another (memberlist#299).
    private func shares(of room: Int) -> (members: Int, table: Int) {
        guard rules.classQuotas else { return (room, room) }
        let marks = min(feedRumours.waitingBytes, room / 5)
        let table = min(tableRumours.waitingBytes, room * 2 / 5)
        let members = min(memberRumours.waitingBytes, room - table - marks)
        return (members, room - members - marks)
    }

    mutating func sendDatagram(_ bytes: ByteBuffer, to peer: NodeID) {
        if members[peer]?.isDatagramBlocked == true {
            sendMessage(LinkMessage.wrap(bytes), to: peer)
            // Datagrams still try, so that their return is noticed.
        }
        counters.datagramsSent += 1
        counters.datagramBytesSent += UInt64(bytes.readableBytes)
        out.append(.sendDatagram(to: peer, bytes))
    }

    mutating func sendMessage(_ bytes: ByteBuffer, to peer: NodeID) {
        counters.messagesSent += 1
        counters.messageBytesSent += UInt64(bytes.readableBytes)
        out.append(.sendMessage(to: peer, bytes))
    }

    mutating func connect(_ peer: NodeID) {
        guard let member = members[peer], let record = member.record else { return }
        if let since = member.connectingSince,
            now.milliseconds(since: since) < GossipLimits.connectPatienceMilliseconds
        {
            return
        }
        members[peer]?.connectingSince = now
        out.append(.connect(peer, record.description.addresses))
    }

    // MARK: When

    /// Brings the next tick forward for a fresh rumour, as far as the burst allows.
    mutating func rumourAdded() {
        guard isStarted else { return }
        refillPushTokens()
        var at: Instant
        if !rules.pushesFreshRumours {
            if gossipDue != nil { return }
            at = now.advanced(byMilliseconds: profile.gossipIntervalMilliseconds)
        } else if pushTokens >= 1 {
            at = now.advanced(byMilliseconds: GossipLimits.batchingMilliseconds)
        } else {
            at = now.advanced(byMilliseconds: millisecondsToToken)
        }
        if let due = gossipDue, due <= at { return }
        at = max(at, now)
        gossipDue = at
        timers.set(.gossip, at: at)
    }

    private mutating func refillPushTokens() {
        let elapsed = Double(now.nanoseconds - pushTokensAt.nanoseconds) / 1_000_000
        pushTokensAt = now
        pushTokens = min(
            Double(GossipLimits.pushBurst),
            pushTokens + elapsed / Double(profile.gossipIntervalMilliseconds))
    }

    private var millisecondsToToken: Int64 {
        Int64((1 - pushTokens) * Double(profile.gossipIntervalMilliseconds)) + 1
    }

    mutating func gossipTick() {
        gossipDue = nil
        guard hasRumours else { return }
        refillPushTokens()
        pushTokens = max(0, pushTokens - 1)
        if rules.dealsGossipPeers { gossipToNext() } else { gossipToAny() }
        guard hasRumours else { return }
        let wait = max(
            profile.gossipIntervalMilliseconds, pushTokens >= 1 ? 0 : millisecondsToToken)
        gossipDue = schedule(.gossip, after: wait)
    }

    /// Everybody gets its turn before anybody gets another, so that fewer are missed.
    private mutating func gossipToNext() {
        var sent = 0
        var tried = 0
        while sent < profile.gossipPeers, tried < min(gossipRound.count, 16), hasRumours {
            tried += 1
            guard let peer = gossipRound.next(using: &generator),
                let isKeyed = members[peer]?.isKeyed
            else { break }
            guard isKeyed else {
                connect(peer)
                continue
            }
            sendDatagram(pack(.gossip, lead: []), to: peer)
            sent += 1
        }
    }

    /// As memberlist chooses.
    private mutating func gossipToAny() {
        let peers = gossipRound.sample(profile.gossipPeers, using: &generator) {
            members[$0]?.isKeyed == true
        }
        for peer in peers { sendDatagram(pack(.gossip, lead: []), to: peer) }
    }

    // MARK: Receiving

    mutating func receive(_ bytes: ByteBuffer, from peer: NodeID, overLink: Bool) {
        counters.datagramsReceived += overLink ? 0 : 1
        do {
            let packet = try Packet(decoding: bytes)
            accept(packet, from: peer, overLink: overLink)
        } catch {
            counters.refusedPackets += 1
            note(.refusedBytes(from: peer, error))
        }
    }

    mutating func accept(_ packet: Packet, from peer: NodeID, overLink: Bool) {
        guard isStarted, !isRevoked(peer) else { return }
        members[peer]?.lastHeard = now
        if !overLink, let boot = members[peer]?.bootWithoutKeys {
            members[peer]?.keyedBoot = boot
        }
        var tellsOwnRecord = false
        for part in packet.parts {
            if case .accusation(let accusation) = part, accusation.subject == node {
                tellsOwnRecord = true
            }
            hear(part, from: peer)
        }
        switch packet.kind {
        case .ping(let id):
            // An accused member's answer carries its refutation: the buddy system both ways.
            let lead = tellsOwnRecord ? [Part.record(record).encoded()] : []
            let answer = pack(.ack(id), lead: lead)
            if overLink {
                sendMessage(LinkMessage.wrap(answer), to: peer)
            } else {
                sendDatagram(answer, to: peer)
            }
        case .ack(let id): acknowledged(id, from: peer, overLink: overLink)
        case .nack(let id): refused(id, from: peer)
        case .pingRequest(let id, let target): probe(target, for: peer, id: id)
        case .gossip: break
        case .digests(let roots): compare(roots, with: peer)
        }
    }

    private mutating func hear(_ part: Part, from peer: NodeID) {
        switch part {
        case .record(let record): hear(record, from: .rumour(peer))
        case .accusation(let accusation): accuse(accusation, from: .rumour(peer))
        case .value(let value): offer(value, from: peer, isNews: true)
        case .advert(let advert): weigh(advert, from: peer, isRumour: true)
        case .mark(let mark): hear(mark, from: peer, isRumour: true)
        case .change(let change): hear(change, from: peer)
        case .feedRoot(let root): compare(feeds: root, with: peer)
        case .trace(let trace):
            let next = TraceMark(id: trace.id, origin: trace.origin, hop: trace.hop &+ 1)
            self.trace(next, from: peer)
        }
    }

    // MARK: Traces

    /// Passed on once by each member; every arrival is reported.
    mutating func trace(_ trace: TraceMark, from peer: NodeID?) {
        let isFirst = seenTraces[trace.id] == nil
        note(.traced(trace, from: peer, isFirst: isFirst))
        guard isFirst else { return }
        if seenTraces.count >= GossipLimits.traces { seenTraces.removeFirst() }
        seenTraces[trace.id] = trace.hop
        tableRumours.insert(.trace(trace.id), Part.trace(trace).encoded())
        rumourAdded()
    }
}
