public import Model
public import NIOCore
import Sodium

extension MeshTransport {
    /// Seals and sends a datagram, at the end of the turn. Nil means that the kernel will get it;
    /// without keys it is dropped and a link is opened instead, where an address is known.
    @discardableResult
    public func sendDatagram(_ payload: ByteBuffer, to node: NodeID) -> DatagramDrop? {
        loop.preconditionInEventLoop()
        let now = now()
        guard payload.readableBytes <= Self.datagramPayloadMaximum else {
            return dropped(.oversized)
        }
        guard let session = table.session(with: node), session.mayStillSend(now: now),
            let address = datagramAddresses[node]
        else {
            if let address = addresses[node] { connect(to: address, expecting: node) }
            return dropped(.noKeys)
        }
        if let datagramTap, !datagramTap(.outgoing, node, payload) { return dropped(.tapped) }
        renewIfOld(session, now: now)
        let wire = session.seal(payload)
        statistics.datagramsSent += 1
        statistics.datagramBytesSent += UInt64(wire.readableBytes)
        if let wireTap, !wireTap(wire, node) { return dropped(.tapped) }
        put(wire, to: address)
        return nil
    }

    private func dropped(_ reason: DatagramDrop) -> DatagramDrop {
        statistics.datagramDrops.add(reason)
        return reason
    }

    private func put(_ wire: ByteBuffer, to address: SocketAddress) {
        guard let socket else { return }
        let promise = loop.makePromise(of: Void.self)
        let me = NIOLoopBound(self, eventLoop: loop)
        promise.futureResult.whenFailure { _ in
            me.value.statistics.datagramDrops.add(.sendFailed)
        }
        socket.write(
            AddressedEnvelope<ByteBuffer>(remoteAddress: address, data: wire), promise: promise)
        needsDatagramFlush = true
        scheduleFlush()
    }

    /// Opens a link for new keys before the old ones end: first the side with the lower key, and
    /// if that doesn't, the other.
    private func renewIfOld(_ session: DatagramSession, now: Instant) {
        let isLower = identity.signingKey.publicKey < session.claim.publicKey
        let age = now.milliseconds(since: session.established)
        let due =
            isLower ? Limits.datagramRenewLowMilliseconds : Limits.datagramRenewHighMilliseconds
        guard age >= due, let address = addresses[session.peer] else { return }
        connect(to: address, expecting: session.peer)
    }

    /// Whatever came to the port: opened and delivered, or counted.
    func received(datagram: ByteBuffer) {
        var wire = datagram
        statistics.datagramBytesReceived += UInt64(wire.readableBytes)
        let session: DatagramSession
        do throws(DatagramRefusal) {
            session = try table.open(&wire, now: now())
        } catch {
            statistics.datagramDrops.add(error.drop)
            return
        }
        let node = session.peer
        if session.isUnconfirmed { confirm(session) }
        statistics.datagramsReceived += 1
        if let datagramTap, !datagramTap(.incoming, node, wire) {
            statistics.datagramDrops.add(.tapped)
            return
        }
        delegate?.received(datagram: wire, from: node)
    }

    // MARK: Keys

    /// The side that connected knows that both have the keys; the other side learns it by the first
    /// record, or datagram, that is sealed with them. Until then it goes on with the keys that
    /// work: had the peer not got our last message, new ones would reach nobody for an hour.
    func installOrWait(_ session: DatagramSession, _ link: Link, now: Instant) {
        if !link.isInitiator, let old = table.session(with: session.peer),
            old.claim.isSameBoot(as: session.claim), old.mayStillSend(now: now),
            table.insertUnconfirmed(session)
        {
            link.waitingSession = session
        } else {
            install(session, link, now: now)
        }
    }

    /// The peer has shown that it has a link's keys.
    func confirm(_ link: Link) {
        guard let session = link.waitingSession, session.isUnconfirmed else { return }
        link.waitingSession = nil
        table.discard(session)
        session.isUnconfirmed = false
        install(session, link, now: now())
    }

    /// The same, shown by a datagram.
    func confirm(_ session: DatagramSession) {
        for link in links.values where link.waitingSession === session { confirm(link) }
    }

    /// New keys for datagrams with a member, and where it takes them.
    func install(_ session: DatagramSession, _ link: Link, now: Instant) {
        guard !table.has(session.receiveKeyID) else { return }
        var keepsCurrent = false
        if let old = table.session(with: session.peer),
            old.claim.isSameBoot(as: session.claim),
            old.isInitiator != session.isInitiator,
            now.milliseconds(since: old.established) < Limits.simultaneousMilliseconds,
            // Else the peer has ended the other link, and may have no more of its keys.
            let other = memberLinks[session.peer], other !== link, other.isOpen
        {
            keepsCurrent = !isPreferred(session.isInitiator, session.claim)
        }
        table.insert(session, keepsCurrent: keepsCurrent, now: now)
        statistics.datagramPeers = table.peers
        if var remote = link.remote, session.claim.meshPort != 0 {
            remote.port = Int(session.claim.meshPort)
            datagramAddresses[session.peer] = remote
            if addresses[session.peer] == nil, let host = remote.ipAddress {
                addresses[session.peer] = MeshAddress(host: host, port: session.claim.meshPort)
            }
        }
    }

    /// Of two handshakes made at once both sides prefer the one that the lower key began.
    func isPreferred(_ isInitiator: Bool, _ claim: PeerClaim) -> Bool {
        isInitiator == (identity.signingKey.publicKey < claim.publicKey)
    }
}
