internal import Gossip
internal import Model
internal import NIOCore

/// How a simulated mesh performs effects and lets events happen.
extension GossipMesh {
    mutating func perform(_ effect: GossipEffect, of index: Int) {
        if nodes[index].isMuted {
            if case .wake(let at) = effect { setWake(at, of: index) }
            return
        }
        observe?(index, effect, now)
        switch effect {
        case .sendDatagram, .sendMessage, .connect, .contactSeeds:
            if nodes[index].freeze != nil {
                nodes[index].outbox.append(effect)
            } else {
                transmit(effect, of: index)
            }
        case .wake(let at): setWake(at, of: index)
        case .confirm(let keys):
            for key in keys {
                let answer = Delivery.confirmed(key, registers[key])
                timeline.schedule(
                    .deliver(answer, to: index, boot: nodes[index].boot),
                    at: now.advanced(byMilliseconds: 2))
            }
        case .memberChanged, .memberRemoved, .tableChanged, .persistFeeds, .removeFeed,
            .persistMembers, .alarm, .selfIsolated, .left, .event:
            break
        }
    }

    private mutating func setWake(_ at: Instant, of index: Int) {
        if let pending = nodes[index].nextWake, pending <= at, pending > now { return }
        nodes[index].nextWake = at
        timeline.schedule(.wake(index, boot: nodes[index].boot), at: at)
    }

    mutating func transmit(_ effect: GossipEffect, of index: Int) {
        switch effect {
        case .sendDatagram(let peer, let bytes):
            precondition(
                bytes.readableBytes <= GossipLimits.datagramPayloadBytes,
                "a datagram stays within its budget")
            sendDatagram(bytes, from: index, to: Self.index(of: peer))
        case .sendMessage(let peer, let bytes):
            sendMessage(bytes, from: index, to: Self.index(of: peer))
        case .connect(let peer, let known):
            let target = known.compactMap { addresses[$0] }.first
            dial(target, peer: peer, from: index, dialled: nil)
        case .contactSeeds(let seeds):
            for seed in seeds { dial(addresses[seed], peer: nil, from: index, dialled: seed) }
        default: break
        }
    }

    static func index(of node: NodeID) -> Int { Int(node.rawValue) - 1 }

    private mutating func sendDatagram(_ bytes: ByteBuffer, from: Int, to: Int) {
        count(datagram: bytes.readableBytes, from)
        let keyed = keys[from * count + to]
        guard keyed != 0 else { return }
        for arrival in network.datagramArrivals(from: from, to: to, at: now) {
            let delivery = Delivery.datagram(from: from, keyed: keyed, bytes)
            timeline.schedule(.deliver(delivery, to: to, boot: nodes[to].boot), at: arrival)
        }
    }

    private mutating func count(datagram bytes: Int, _ from: Int) {
        let size = bytes + TrafficCount.datagramOverheadBytes
        traffic.datagrams += 1
        traffic.datagramBytes += size
        nodes[from].traffic.datagrams += 1
        nodes[from].traffic.datagramBytes += size
    }

    private mutating func sendMessage(_ bytes: ByteBuffer, from: Int, to: Int) {
        traffic.messages += 1
        traffic.messageBytes += bytes.readableBytes
        nodes[from].traffic.messages += 1
        nodes[from].traffic.messageBytes += bytes.readableBytes
        if links.contains(pair(from, to)) {
            guard let arrival = network.streamArrival(from: from, to: to, at: now) else {
                breakLink(from, to)
                return
            }
            timeline.schedule(
                .deliver(.message(from: from, bytes), to: to, boot: nodes[to].boot), at: arrival)
            return
        }
        let direction = from * count + to
        if waiting[direction, default: []].count < 64 {
            waiting[direction, default: []].append(bytes)
        }
        let target = nodes[to].isUp ? addresses[nodes[to].address] : to
        dial(target, peer: nodes[to].node, from: from, dialled: nil)
    }

    /// Retransmissions end after a while.
    private mutating func breakLink(_ from: Int, _ to: Int) {
        links.remove(pair(from, to))
        for (end, other) in [(from, to), (to, from)] {
            timeline.schedule(
                .deliver(
                    .linkFailed(peer: nodes[other].node, .timedOut), to: end,
                    boot: nodes[end].boot), at: now.advanced(byMilliseconds: 1_000))
        }
    }

    private mutating func dial(_ to: Int?, peer: NodeID?, from: Int, dialled: MeshAddress?) {
        guard let to else {
            guard let peer else { return }
            timeline.schedule(
                .deliver(
                    .linkFailed(peer: peer, .unreachable), to: from, boot: nodes[from].boot),
                at: now.advanced(byMilliseconds: 5))
            return
        }
        guard to != from, dialling[from * count + to] == nil else { return }
        dials += 1
        dialling[from * count + to] = dials
        timeline.schedule(
            .deliver(.dialTimeout(to: to, id: dials), to: from, boot: nodes[from].boot),
            at: now.advanced(byMilliseconds: 1_000))
        guard let arrival = network.streamArrival(from: from, to: to, at: now) else { return }
        let dial = Delivery.dial(from: from, id: dials, dialled: dialled, started: now)
        timeline.schedule(.deliver(dial, to: to, boot: nodes[to].boot), at: arrival)
    }

    // MARK: Events

    mutating func happen(_ event: MeshEvent) {
        switch event {
        case .wake(let index, let boot):
            guard nodes[index].boot == boot, nodes[index].nextWake == now else { return }
            nodes[index].nextWake = nil
            if nodes[index].freeze?.kind == .process {
                nodes[index].isWakeDue = true
            } else {
                handle(.wake, at: index)
            }
        case .deliver(let delivery, let index, let boot): deliver(delivery, to: index, boot)
        case .thaw(let index): thaw(index)
        case .freeze(let index, let kind, let end): freeze(index, kind, until: end)
        case .stall(let index, let boot): if nodes[index].boot == boot { stall(index) }
        }
    }

    private mutating func deliver(_ delivery: Delivery, to index: Int, _ boot: UInt64) {
        mix(UInt64(index) << 32 | UInt64(truncatingIfNeeded: now.nanoseconds))
        if case .dial(let from, let id, _, _) = delivery, !nodes[index].isUp {
            refuse(dial: id, from: from, at: index)
            return
        }
        guard nodes[index].boot == boot, nodes[index].isUp else { return }
        if nodes[index].freeze != nil || !nodes[index].inbox.isEmpty {
            enqueue(delivery, at: index)
        } else {
            receive(delivery, at: index)
        }
    }

    private mutating func refuse(dial id: UInt64, from: Int, at index: Int) {
        guard dialling[from * count + index] == id else { return }
        dialling[from * count + index] = nil
        waiting[from * count + index] = nil
        timeline.schedule(
            .deliver(
                .linkFailed(peer: nodes[index].node, .refused), to: from, boot: nodes[from].boot),
            at: now.advanced(byMilliseconds: 1))
    }

    private mutating func mix(_ word: UInt64) {
        traceHash = (traceHash ^ word) &* 0x0000_0100_0000_01B3  // wraps: a hash
        traceHash ^= traceHash >> 29
    }

    mutating func receive(_ delivery: Delivery, at index: Int) {
        switch delivery {
        case .datagram(let from, let keyed, let bytes):
            mix(UInt64(from) << 20 | UInt64(bytes.readableBytes))
            guard UInt64(keyed) == nodes[index].boot else { return }
            handle(.datagram(from: nodes[from].node, bytes), at: index)
        case .message(let from, let bytes):
            mix(UInt64(from) << 40 | UInt64(bytes.readableBytes))
            handle(.message(from: nodes[from].node, bytes), at: index)
        case .dial(let from, let id, let dialled, let started):
            guard nodes[from].isUp else { return }
            open(from, index)
            guard let arrival = network.streamArrival(from: index, to: from, at: now) else {
                return
            }
            let answer = Delivery.answered(
                from: index, id: id, dialled: dialled, started: started)
            timeline.schedule(
                .deliver(answer, to: from, boot: nodes[from].boot), at: arrival)
            handle(.linkOpened(linkUp(from)), at: index)
        case .answered(let from, let id, let dialled, let started):
            guard dialling[index * count + from] == id else { return }
            dialling[index * count + from] = nil
            open(from, index)
            let link = LinkUp(
                peer: nodes[from].node, boot: BootEpoch(nodes[from].boot),
                roundTripMicroseconds: (now.nanoseconds - started.nanoseconds) / 1_000,
                dialled: dialled)
            handle(.linkOpened(link), at: index)
            for bytes in waiting.removeValue(forKey: index * count + from) ?? [] {
                sendMessage(bytes, from: index, to: from)
            }
        case .linkFailed(let peer, let failure):
            handle(.linkFailed(peer, failure), at: index)
        case .dialTimeout(let to, let id):
            guard dialling[index * count + to] == id else { return }
            dialling[index * count + to] = nil
            waiting[index * count + to] = nil
            handle(.linkFailed(nodes[to].node, .timedOut), at: index)
        case .confirmed(let key, let value): handle(.confirmed(key: key, value), at: index)
        }
    }

    private func linkUp(_ peer: Int) -> LinkUp {
        LinkUp(peer: nodes[peer].node, boot: BootEpoch(nodes[peer].boot))
    }

    private mutating func open(_ a: Int, _ b: Int) {
        links.insert(pair(a, b))
        keys[a * count + b] = UInt32(truncatingIfNeeded: nodes[b].boot)
        keys[b * count + a] = UInt32(truncatingIfNeeded: nodes[a].boot)
    }
}
