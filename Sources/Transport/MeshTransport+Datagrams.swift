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
}
