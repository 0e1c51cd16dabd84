import Gossip
import Model
import NIOCore
import Node
import Replication

/// Two endpoints, the lower first.
struct MeshPair: Hashable, Comparable {
    let low: Int
    let high: Int

    init(_ one: Int, _ other: Int) {
        low = min(one, other)
        high = max(one, other)
    }

    static func < (left: MeshPair, right: MeshPair) -> Bool {
        (left.low, left.high) < (right.low, right.high)
    }
}

/// The two processes whose handshake made the keys of their datagrams.
struct MeshSession: Hashable {
    let low: Int
    let high: Int
}

/// What travels on a link.
enum MeshWire {
    case mesh(MeshMessageKind, ByteBuffer)
    case replication(ByteBuffer)
}

/// A link between two processes.
struct MeshLink {
    let id: UInt64
    let session: MeshSession
    /// What was sent while the network was cut, by direction: from the lower index, or to it.
    var stalled: [(from: Int, wire: MeshWire)] = []
    var cutSince: Instant?
}

/// Links and datagrams between processes. A cut delays what is on a link, as TCP does, until it is
/// mended or the link is given up; datagrams are lost.
///
/// Handshakes are one step here: whether the other side takes the caller is asked of its machine.
extension MeshWorld {
    private static let handshakeMicroseconds: ClosedRange<Int64> = 600...3_000
    /// As long as a dead peer takes to be found out by the handshake's own clock.
    private static let handshakeTimeoutMicroseconds: Int64 = 5_000_000
    /// Three pings without an answer.
    private static let silenceMilliseconds: Int64 = 30_000

    func isCut(_ from: Int, _ to: Int) -> Bool {
        network.isCut(.streams, from: from, to: to) || network.isCut(.streams, from: to, to: from)
    }

    // MARK: Datagrams

    func send(datagram bytes: ByteBuffer, to node: NodeID, from site: BrokerSite) {
        let to = Int(node.rawValue) - 1
        guard to != site.index, sites.indices.contains(to) else { return }
        // Nobody sends without the keys of a handshake: one is begun instead.
        guard let session = links[MeshPair(site.index, to)]?.session else {
            return dial(site, to, nil, isCalled: false)
        }
        for arrival in network.datagramArrivals(from: site.index, to: to, at: now) {
            timeline.schedule(
                .datagram(from: site.index, to: to, session: session, bytes), at: arrival)
        }
    }

    func arrive(datagram bytes: ByteBuffer, _ session: MeshSession, from: Int, to: Int) {
        let receiver = sites[to]
        let life = from < to ? session.high : session.low
        guard receiver.life != nil, receiver.lives == life else { return }
        guard !receiver.isPaused else { return }
        note(ContentHash(of: bytes).rawValue)
        deliver(.plane(.mesh(.datagram(from: sites[from].node, bytes))), to: 0, of: receiver)
    }

    // MARK: Links

    func send(_ message: ReplicationMessage, to node: NodeID, from site: BrokerSite) {
        guard node != site.node else { return route(message, from: node, at: site) }
        var bytes = ByteBuffer()
        message.encode(into: &bytes)
        send(.replication(bytes), to: Int(node.rawValue) - 1, from: site)
    }

    /// From another loop than the one that has the links.
    func sendLater(
        _ message: ReplicationMessage, to node: NodeID, from site: BrokerSite, _ loop: Int
    ) {
        guard node != site.node else { return route(message, from: node, at: site) }
        var bytes = ByteBuffer()
        message.encode(into: &bytes)
        let pair = (site.index * BrokerLife.loops + loop) * BrokerLife.loops
        let hop = max(lastPosts[pair, default: 0] + 1, now.nanoseconds + draw(2...60) * 1_000)
        lastPosts[pair] = hop
        send(
            .replication(bytes), to: Int(node.rawValue) - 1, from: site,
            at: Instant(nanoseconds: hop))
    }

    func send(_ wire: MeshWire, to: Int, from site: BrokerSite, at moment: Instant? = nil) {
        let pair = MeshPair(site.index, to)
        guard sites.indices.contains(to), to != site.index else { return }
        guard let link = links[pair] else {
            // What is sent while there is no link opens one, and is lost here: machines repeat.
            return dial(site, to, nil, isCalled: false)
        }
        guard
            let arrival = network.streamArrival(
                from: site.index, to: to, at: max(moment ?? now, now))
        else {
            links[pair]?.stalled.append((site.index, wire))
            return
        }
        timeline.schedule(
            .stream(from: site.index, to: to, link: link.id, wire), at: arrival)
    }

    func arrive(_ wire: MeshWire, on link: UInt64, from: Int, to: Int) {
        guard links[MeshPair(from, to)]?.id == link else { return }
        let receiver = sites[to]
        guard receiver.life != nil else { return }
        if receiver.isPaused {
            return receiver.backlog.append(.stream(from: from, to: to, link: link, wire))
        }
        switch wire {
        case .mesh(let kind, let bytes):
            note(ContentHash(of: bytes).rawValue)
            deliver(
                .plane(.mesh(.message(from: sites[from].node, kind, bytes))), to: 0, of: receiver)
        case .replication(let bytes):
            note(ContentHash(of: bytes).rawValue)
            do throws(ReplicationCodecError) {
                let message = try ReplicationMessage(decoding: bytes)
                counts.replicated += 1
                route(message, from: sites[from].node, at: receiver)
            } catch { fail("a broker could not read another's message: \(error)") }
        }
    }

    /// Hands what another broker's shards say to the machine that it is for.
    private func route(_ message: ReplicationMessage, from node: NodeID, at site: BrokerSite) {
        guard let life = site.life else { return }
        func toShard(_ message: ReplicationMessage, of partition: TopicPartition) {
            post(
                .shard(.replication(from: node, message)), to: life.shardIndex(of: partition),
                of: site, from: -1)
        }
        func split<Entry>(
            _ entries: [Entry], by partition: (Entry) -> TopicPartition,
            _ make: ([Entry]) -> ReplicationMessage
        ) {
            for loop in 0..<BrokerLife.loops {
                let own = entries.filter { life.shardIndex(of: partition($0)) == loop }
                guard !own.isEmpty else { continue }
                post(.shard(.replication(from: node, make(own))), to: loop, of: site, from: -1)
            }
        }
        switch message {
        case .attach(let partition, _), .attached(let partition, _, _, _),
            .refused(let partition, _, _), .detach(let partition, _):
            toShard(message, of: partition)
        case .append(let append): toShard(message, of: append.partition)
        case .acknowledged(let replica, let ends):
            split(ends, by: \.partition) { .acknowledged(replica, $0) }
        case .progress(let entries): split(entries, by: \.partition) { .progress($0) }
        case .inquire(let partitions): split(partitions, by: \.self) { .inquire($0) }
        case .renewLease, .leaseAnswer, .releaseLease:
            post(.plane(.mesh(.lease(from: node, message))), to: 0, of: site, from: -1)
        case .holdings(let replica, let holdings):
            guard replica.node == node else { return }
            post(.plane(.control(.holdings(replica, holdings))), to: 0, of: site, from: -1)
        case .present:
            for loop in 0..<BrokerLife.loops {
                post(.shard(.replication(from: node, message)), to: loop, of: site, from: -1)
            }
        case .trimmed(let replica, let starts):
            split(starts, by: \.partition) { .trimmed(replica, $0) }
        case .stopTopics(let claims):
            post(.plane(.control(.stop(claims, for: node))), to: 0, of: site, from: -1)
        case .stoppedTopics(let topics):
            post(.plane(.control(.stopped(topics, by: node))), to: 0, of: site, from: -1)
        case .giveWay(let wishes):
            post(.plane(.control(.giveWay(wishes))), to: 0, of: site, from: -1)
        case .recognise(let serial, let claims):
            post(
                .plane(.control(.recognise(from: node, serial, claims))), to: 0, of: site, from: -1)
        case .recognised(let serial, _, _):
            let loop = Shard.number(ofClaims: serial)
            guard loop < BrokerLife.loops else { return }
            post(.shard(.replication(from: node, message)), to: loop, of: site, from: -1)
        }
    }

    // MARK: Dialling

    /// - Parameter isCalled: whether the machine asked for the link itself and hears what came of
    ///   it in any case.
    func dial(_ site: BrokerSite, _ to: Int, _ address: MeshAddress?, isCalled: Bool = true) {
        guard sites.indices.contains(to), to != site.index, site.life != nil else { return }
        if links[MeshPair(site.index, to)] != nil, !isCalled { return }
        schedule(
            .dialled(from: site.index, to: to, life: site.lives, address: address),
            afterMicroseconds: draw(Self.handshakeMicroseconds))
    }

    func answerDial(_ from: Int, _ to: Int, _ address: MeshAddress?) {
        let caller = sites[from]
        let callee = sites[to]
        guard let own = caller.life else { return }
        func fail(_ failure: LinkFailure, after microseconds: Int64) {
            schedule(
                .dialFailed(from: from, to: to, life: caller.lives, address: address, failure),
                afterMicroseconds: microseconds)
        }
        guard !isCut(from, to) else {
            return fail(.timedOut, after: Self.handshakeTimeoutMicroseconds)
        }
        guard let other = callee.life else { return fail(.unreachable, after: 200) }
        guard !callee.isPaused else {
            return fail(.timedOut, after: Self.handshakeTimeoutMicroseconds)
        }
        guard takes(caller, own, by: other, callee.node), takes(callee, other, by: own, caller.node)
        else {
            return fail(.authentication, after: 200)
        }
        let pair = MeshPair(from, to)
        if let link = links[pair], link.session == session(pair) {
            return tellOpened(caller, callee, other.boot, address)
        }
        lastLink += 1
        links[pair] = MeshLink(id: lastLink, session: session(pair))
        take(lastLink, of: caller, with: callee)
        take(lastLink, of: callee, with: caller)
        note(lastLink << 8 | 17)
        tellOpened(caller, callee, other.boot, address)
        post(
            .plane(.mesh(.linkOpened(LinkUp(peer: caller.node, boot: own.boot)))), to: 0,
            of: callee)
    }

    /// A process sends over this link from now on. What was on its way over another is lost in
    /// part: its shards begin anew with that peer.
    private func take(_ link: UInt64, of site: BrokerSite, with peer: BrokerSite) {
        guard site.life?.links.updateValue(link, forKey: peer.index) != nil else { return }
        loseLink(site, peer.node)
    }

    private func loseLink(_ site: BrokerSite, _ peer: NodeID) {
        for loop in 0..<BrokerLife.loops {
            post(.shard(.linkLost(peer)), to: loop, of: site, from: -1)
        }
    }

    private func session(_ pair: MeshPair) -> MeshSession {
        MeshSession(low: sites[pair.low].lives, high: sites[pair.high].lives)
    }

    private func tellOpened(
        _ caller: BrokerSite, _ callee: BrokerSite, _ boot: BootEpoch, _ address: MeshAddress?
    ) {
        post(
            .plane(
                .mesh(
                    .linkOpened(
                        LinkUp(
                            peer: callee.node, boot: boot, roundTripMicroseconds: 500,
                            dialled: address)))), to: 0, of: caller)
    }

    /// Whether a process is what the other one was told of its member.
    private func takes(
        _ site: BrokerSite, _ life: BrokerLife, by other: BrokerLife, _ peer: NodeID
    ) -> Bool {
        guard let admission = other.plane.mesh.admission(of: site.node), !admission.isRevoked,
            admission.key == site.key, admission.store == site.store
        else { return false }
        if let known = other.boots[site.store],
            known.boot > life.boot
                || known.boot == life.boot && (known.process ?? life.serial) != life.serial
        {
            shutOut(site, by: peer)
            return false
        }
        other.boots[site.store] = (life.boot, life.serial)
        return true
    }

    func dialFailed(_ from: Int, _ to: Int, _ address: MeshAddress?, _ failure: LinkFailure) {
        let input: Mesh.Input =
            if let address { .seedFailed(address, failure) } else {
                .linkFailed(sites[to].node, failure)
            }
        deliver(.plane(.mesh(input)), to: 0, of: sites[from])
    }

    // MARK: Ends of links

    /// The links of a process that is gone. Its machine would say so; without it, silence does.
    func closeLinks(of site: BrokerSite, silently: Bool) {
        for pair in links.keys.sorted() where pair.low == site.index || pair.high == site.index {
            guard let link = links.removeValue(forKey: pair) else { continue }
            let peer = pair.low == site.index ? pair.high : pair.low
            let isSilent = silently || isCut(pair.low, pair.high)
            tellClosed(peer, site.index, link.id, isSilent ? Self.silenceMilliseconds : 1)
        }
    }

    func closeLink(_ site: BrokerSite, _ peer: Int) {
        guard let link = links.removeValue(forKey: MeshPair(site.index, peer)) else { return }
        tellClosed(peer, site.index, link.id, 1)
        tellClosed(site.index, peer, link.id, 0)
    }

    private func tellClosed(_ site: Int, _ peer: Int, _ link: UInt64, _ milliseconds: Int64) {
        schedule(
            .closed(site: site, life: sites[site].lives, peer: peer, link: link),
            afterMicroseconds: milliseconds * 1_000)
    }

    func linkClosed(_ site: BrokerSite, _ peer: Int, _ link: UInt64) {
        // There may be another one by now, whose beginning told of this one's end.
        guard site.life?.links[peer] == link else { return }
        note(link << 8 | 18)
        site.life?.links[peer] = nil
        loseLink(site, sites[peer].node)
        deliver(.plane(.mesh(.linkFailed(sites[peer].node, .closed))), to: 0, of: site)
    }

    // MARK: Cuts

    func cut(_ traffic: Traffic, from: Int, to: Int) {
        network.cut(traffic, from: from, to: to)
        let pair = MeshPair(from, to)
        if traffic.contains(.streams), links[pair]?.cutSince == nil { links[pair]?.cutSince = now }
    }

    /// Mends one direction: what waited arrives, unless the link was given up.
    func mend(from: Int, to: Int) {
        network.heal(.all, from: from, to: to)
        let pair = MeshPair(from, to)
        guard !isCut(from, to), var link = links[pair] else { return }
        if let since = link.cutSince, now.milliseconds(since: since) >= Self.silenceMilliseconds {
            links[pair] = nil
            tellClosed(from, to, link.id, 0)
            return tellClosed(to, from, link.id, 0)
        }
        let stalled = link.stalled
        link.stalled = []
        link.cutSince = nil
        links[pair] = link
        for (sender, wire) in stalled {
            let receiver = sender == from ? to : from
            guard let arrival = network.streamArrival(from: sender, to: receiver, at: now) else {
                continue
            }
            timeline.schedule(
                .stream(from: sender, to: receiver, link: link.id, wire), at: arrival)
        }
    }
}
