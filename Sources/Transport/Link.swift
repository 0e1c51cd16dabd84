import Model
import NIOCore
import Sodium

/// One TCP connection to a peer: its handshake, then records both ways, then a goodbye.
///
/// Owned by the transport and by its channel, on one loop. Its owner hears of it through the
/// transport, never while any of its state is being changed. Memory: what is queued (bounded), what
/// is being put together (bounded), and about 2 KiB.
final class Link: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Where a link stands.
    enum Phase {
        /// Connecting, or in its handshake.
        case beginning
        case open
        /// Said that it leaves, takes what the peer had sent already.
        case leaving(since: Instant)
        case closed
    }

    let id: LinkID
    let isInitiator: Bool
    /// Where we connected to, or where the peer's connection comes from.
    let address: MeshAddress
    /// Whom we wanted to reach.
    let expecting: NodeID?
    /// The peer's literal address, once connected.
    var remote: SocketAddress?
    private(set) var phase = Phase.beginning
    private(set) var info: PeerInfo?
    private(set) var opened: Instant?
    private(set) var reason: CloseReason?
    /// Keys for datagrams of a peer that isn't a member yet, or that may not have them.
    var waitingSession: DatagramSession?
    /// Whether the owner has heard of the link.
    var isAnnounced = false
    /// Whether the transport will flush this link at the end of the turn.
    var isDirty = false

    private unowned let transport: MeshTransport
    private var context: ChannelHandlerContext?
    private var handshake: Handshake?
    private var sealer: RecordSealer?
    private var opener: RecordOpener?
    private var outgoing: OutgoingMessages
    private var incoming = IncomingMessages(standing: .candidate)
    private var gathered = ByteBuffer()
    private var times: LinkTimes
    private var goodbye: LinkRecord.Goodbye?
    private var saidGoodbye = false
    private var heardGoodbye = false

    init(
        id: LinkID, transport: MeshTransport, isInitiator: Bool, address: MeshAddress,
        expecting: NodeID?, now: Instant
    ) {
        self.id = id
        self.transport = transport
        self.isInitiator = isInitiator
        self.address = address
        self.expecting = expecting
        outgoing = OutgoingMessages(bytesMaximum: transport.limits.outgoingBytes)
        times = LinkTimes(now: now)
    }

    var isBeginning: Bool { if case .beginning = phase { true } else { false } }
    var isOpen: Bool { if case .open = phase { true } else { false } }
    var isClosed: Bool { if case .closed = phase { true } else { false } }
    var unsentMessages: Int { outgoing.count }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard !isClosed else { return context.close(promise: nil) }
        remote = context.channel.remoteAddress
        let now = transport.now()
        times.flightSent = now
        times.lastHeard = now
        let keyID = transport.freshKeyID()
        if isInitiator {
            var out = ByteBuffer()
            handshake = Handshake(
                initiatingWith: KeyAgreement(), keyID: keyID, local: transport.identity,
                into: &out)
            write(out)
        } else {
            handshake = Handshake(respondingWith: KeyAgreement(), keyID: keyID)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !isClosed else { return }
        times.lastHeard = transport.now()
        transport.statistics.linkBytesReceived += UInt64(bytes.readableBytes)
        if gathered.readableBytes == 0 {
            gathered = bytes
        } else {
            if gathered.readerIndex > Limits.recordPayloadBytes { gathered.discardReadBytes() }
            gathered.writeBuffer(&bytes)
        }
        while !isClosed, takeNext() {}
        if gathered.readableBytes == 0 { gathered = ByteBuffer() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flush() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        end(isBeginning ? nil : .byPeer, failure: HandshakeFailure(.disconnected))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(isBeginning ? nil : .broken, failure: HandshakeFailure(.disconnected))
        context.close(promise: nil)
    }

    // MARK: Receiving

    /// Takes one handshake message or record; false where more bytes are needed.
    private func takeNext() -> Bool {
        if isBeginning { return takeHandshake() }
        let content: ByteBuffer?
        do throws(LinkViolation) {
            content = try opener?.next(&gathered)
            guard let content else { return false }
            if waitingSession != nil { transport.confirm(self) }
            let event = try incoming.take(LinkRecord(content))
            perform(event)
            return true
        } catch {
            transport.statistics.linkViolations.add(error)
            abort(.violation(error), saying: .violation)
            return false
        }
    }

    private func perform(_ event: IncomingMessages.Event) {
        switch event {
        case .nothing: break
        case .kept: times.lastMessage = times.lastHeard
        case .message(let stream, let kind, let message):
            times.lastMessage = times.lastHeard
            transport.deliver(message, kind: kind, stream: stream, from: self)
        case .credit(let stream, let bytes):
            guard outgoing.grant(bytes, to: stream) else {
                transport.statistics.linkViolations.add(.creditExceeded)
                abort(.violation(.creditExceeded), saying: .violation)
                return
            }
            transport.markDirty(self)
        case .goodbye(let said):
            heardGoodbye = true
            if reason == nil { reason = said.reason }
            leave(reason ?? .byPeer, saying: said)
        }
    }

    private func takeHandshake() -> Bool {
        guard let size = gathered.getInteger(at: gathered.readerIndex, as: UInt32.self) else {
            return false
        }
        guard size > 0, size <= UInt32(Limits.handshakeFrameBytes) else {
            failHandshake(HandshakeFailure(.malformed), sending: ByteBuffer())
            return false
        }
        guard gathered.readableBytes >= 4 + Int(size), handshake != nil else { return false }
        gathered.moveReaderIndex(forwardBy: 4)
        let message = gathered.readSlice(length: Int(size)) ?? ByteBuffer()
        var out = ByteBuffer()
        let result: Established?
        do throws(HandshakeFailure) {
            result = try handshake!.receive(
                message, local: transport.identity, secrets: transport.secrets,
                party: .init(
                    trust: transport.trust, expecting: expecting, challengedAt: times.flightSent),
                into: &out)
        } catch {
            failHandshake(error, sending: out)
            return false
        }
        let now = transport.now()
        let roundTrip = now.nanoseconds - times.flightSent.nanoseconds
        times.flightSent = now
        if out.readableBytes > 0 { write(out) }
        switch consume result {
        case .some(let established): open(established, roundTrip: firstTrip ?? roundTrip)
        case .none: firstTrip = firstTrip ?? (isInitiator ? roundTrip : nil)
        }
        return true
    }

    /// Of the first flight and its answer.
    private var firstTrip: Int64?

    private func failHandshake(_ failure: HandshakeFailure, sending out: ByteBuffer) {
        end(nil, failure: failure)
        if out.readableBytes > 0 { writeLast(out) } else { context?.close(promise: nil) }
    }

    private func open(_ established: consuming Established, roundTrip: Int64) {
        let now = transport.now()
        opened = now
        times.lastMessage = now
        phase = .open
        let info = PeerInfo(
            link: id, claim: established.claim, standing: established.standing,
            givenStanding: established.givenStanding, isInitiator: isInitiator, address: address,
            suite: established.suite, mode: established.mode, roundTripNanoseconds: roundTrip)
        self.info = info
        incoming = IncomingMessages(standing: info.standing)
        var wire = ByteBuffer()
        sealer = RecordSealer(
            suite: info.suite, mode: info.mode, key: established.linkTransmit.duplicate(),
            now: now, into: &wire)
        opener = RecordOpener(
            suite: info.suite, mode: info.mode, key: established.linkReceive.duplicate())
        // The first record of the side that connected tells the other that it has the keys.
        if isInitiator { seal(.ping(isKept: false), into: &wire) }
        if wire.readableBytes > 0 { write(wire) }
        let keyID = handshake?.keyID ?? 0
        handshake = nil
        transport.linkOpened(self, info, established, keyID: keyID, now: now)
    }

    // MARK: Sending

    func send(_ message: ByteBuffer, kind: MessageKind, stream: StreamID) -> MessageDrop? {
        guard isOpen else { return .linkLost }
        if let drop = outgoing.append(message, kind: kind, stream: stream) {
            if drop == .queueFull, !kind.isDroppable { abort(.queueFull, saying: .queueFull) }
            return drop
        }
        times.lastMessage = transport.now()
        transport.markDirty(self)
        return nil
    }

    /// The owner has consumed so much of a stream.
    func consume(_ bytes: Int, of stream: StreamID) {
        guard isOpen, let granted = incoming.consume(bytes, of: stream) else { return }
        var wire = ByteBuffer()
        seal(.credit(stream, bytes: granted), into: &wire)
        write(wire)
    }

    /// Sends what may go; the rest waits for the socket or for credit.
    func flush() {
        isDirty = false
        guard let context, sealer != nil, !isClosed else { return }
        var wire = ByteBuffer()
        while context.channel.isWritable, let record = outgoing.next() {
            seal(record, into: &wire)
            if wire.readableBytes >= Limits.recordPayloadBytes {
                put(wire, context)
                wire = ByteBuffer()
            }
        }
        if let goodbye, !saidGoodbye, outgoing.isEmpty {
            seal(.goodbye(goodbye), into: &wire)
            saidGoodbye = true
        }
        if saidGoodbye, heardGoodbye {
            end(reason ?? .byPeer, failure: nil)
            writeLast(wire)
        } else if wire.readableBytes > 0 {
            write(wire)
        } else {
            context.flush()
        }
    }

    private func seal(_ record: LinkRecord, into wire: inout ByteBuffer) {
        let now = transport.now()
        if sealer?.isRekeyDue(now: now) == true {
            sealer?.seal(into: &wire, rekeying: true, now: now) {
                LinkRecord.rekey.write(into: &$0)
            }
            transport.statistics.rekeys += 1
        }
        sealer?.seal(into: &wire, now: now) { record.write(into: &$0) }
    }

    private func put(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        times.lastSent = transport.now()
        transport.statistics.linkBytesSent += UInt64(bytes.readableBytes)
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    private func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        put(bytes, context)
        context.flush()
    }

    /// Closes the channel once the kernel has these bytes: a close at once would drop them.
    /// Comes after `end`, since the channel may be closed before this returns.
    private func writeLast(_ bytes: ByteBuffer) {
        guard let context else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        // A peer that takes nothing does not hold the socket.
        let deadline = context.eventLoop.scheduleTask(
            in: .milliseconds(Limits.goodbyeMilliseconds)
        ) { channel.close(promise: nil) }
        promise.futureResult.whenComplete { _ in
            deadline.cancel()
            channel.close(promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
    }

    // MARK: The end

    /// Sends what is queued and a goodbye, and takes what the peer had sent already.
    func leave(_ reason: CloseReason, saying goodbye: LinkRecord.Goodbye) {
        switch phase {
        case .beginning: abort(reason, saying: goodbye)
        case .open:
            phase = .leaving(since: transport.now())
            self.reason = reason
            self.goodbye = goodbye
            transport.linkLeaves(self)
            flush()
        case .leaving: flush()
        case .closed: break
        }
    }

    /// Ends now; the peer is told why, if a handshake was complete.
    func abort(_ reason: CloseReason, saying goodbye: LinkRecord.Goodbye) {
        guard !isClosed else { return }
        var wire = ByteBuffer()
        if sealer != nil, !saidGoodbye { seal(.goodbye(goodbye), into: &wire) }
        end(isBeginning ? nil : reason, failure: HandshakeFailure(.disconnected))
        if wire.readableBytes > 0 { writeLast(wire) } else { context?.close(promise: nil) }
    }

    /// There is no connection: refused, unreachable, or too slow; or no address.
    func connectFailed(isUnknownHost: Bool) {
        guard isBeginning else { return }
        phase = .closed
        transport.linkFailed(
            self, HandshakeFailure(.disconnected), isConnected: false,
            isUnknownHost: isUnknownHost)
    }

    /// Tells the transport once.
    private func end(_ reason: CloseReason?, failure: HandshakeFailure?) {
        guard !isClosed else { return }
        let wasBeginning = isBeginning
        phase = .closed
        handshake = nil
        sealer = nil
        opener = nil
        gathered = ByteBuffer()
        if wasBeginning {
            transport.linkFailed(self, failure ?? HandshakeFailure(.disconnected))
        } else {
            transport.linkClosed(self, self.reason ?? reason ?? .broken)
        }
    }

    /// The peer was admitted: what holds for candidates holds no more.
    func promote() {
        incoming.lift()
        info?.standing = .member
    }

    /// Looks at the deadlines.
    func tick(_ now: Instant, isKept: Bool) {
        let due = times.due(
            phase, mayIdle: !isKept && outgoing.isEmpty,
            idleMilliseconds: transport.limits.idleMilliseconds, now: now)
        switch due {
        case .nothing: break
        case .timedOut: failHandshake(HandshakeFailure(.timedOut), sending: ByteBuffer())
        case .silent: abort(.silent, saying: .asked)
        case .idle: leave(.idle, saying: .idle)
        case .ping:
            var wire = ByteBuffer()
            seal(.ping(isKept: isKept), into: &wire)
            write(wire)
        case .abandoned: abort(reason ?? .broken, saying: .asked)
        }
    }
}
