public import Model
public import NIOCore
import NIOPosix
import Sodium

/// A member to which a link is opened again whenever it ends.
struct KeptLink {
    /// Failures since the last link.
    var failures = 0
    var isScheduled = false
}

/// Messages to a member that wait for a link that is being opened: bounded in bytes.
struct WaitingMessages {
    /// What `send` was given.
    struct Message {
        let bytes: ByteBuffer
        let kind: MessageKind
        let stream: StreamID
    }

    var messages: [Message] = []
    var bytes = 0
}

extension MeshTransport {
    /// Opens a link; the delegate hears how it went. While one to the same address is being
    /// opened, that one is meant.
    @discardableResult
    public func connect(to address: MeshAddress, expecting node: NodeID? = nil) -> LinkID {
        loop.preconditionInEventLoop()
        if let link = dialling[address] { return link.id }
        let link = makeLink(isInitiator: true, address: address, expecting: node)
        dialling[address] = link
        statistics.handshakesOpen += 1
        let bound = NIOLoopBound(link, eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(Limits.connectMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: Limits.unsentBytes / 4, high: Limits.unsentBytes)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(host: address.host, port: Int(address.port))
            .assumeIsolated().whenFailure { error in
                // Where there was an address, a connection to it was tried.
                let attempts = error as? NIOConnectionError
                link.connectFailed(
                    isUnknownHost: attempts.map {
                        $0.connectionErrors.isEmpty
                            && ($0.dnsAError != nil || $0.dnsAAAAError != nil)
                    } ?? false)
            }
        return link.id
    }

    /// Opens a link to the member whenever there is none, with growing pauses, until told
    /// otherwise. Its address must be known, or become so by `learn` or by a handshake.
    public func keepConnected(to node: NodeID) {
        if kept[node] == nil { kept[node] = KeptLink() }
        if memberLinks[node] == nil { dialKept(node) }
    }

    /// Links to the member may end when idle.
    public func stopKeeping(_ node: NodeID) { kept[node] = nil }

    /// Queues a message. Nil means that it is on its way, in its order; else it was dropped and
    /// counted, and where its kind may not be dropped and the queue was full, the link is closed.
    @discardableResult
    public func send(
        _ message: ByteBuffer, kind: MessageKind, to peer: PeerReference,
        stream: StreamID = .control
    ) -> MessageDrop? {
        loop.preconditionInEventLoop()
        let drop: MessageDrop?
        switch peer {
        case .link(let id):
            drop = links[id]?.send(message, kind: kind, stream: stream) ?? missing(id)
        case .member(let node):
            if let link = memberLinks[node], link.isOpen {
                drop = link.send(message, kind: kind, stream: stream)
            } else {
                drop = wait(message, kind: kind, stream: stream, for: node)
            }
        }
        if let drop {
            statistics.messageDrops.add(drop)
        } else {
            statistics.messagesSent += 1
        }
        return drop
    }

    private func missing(_ id: LinkID) -> MessageDrop? { links[id] == nil ? .linkLost : nil }

    private func wait(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, for node: NodeID
    ) -> MessageDrop? {
        guard message.readableBytes <= Limits.messageBytes else { return .tooLong }
        guard let address = addresses[node] else { return .unreachable }
        let waits = waiting[node]?.bytes ?? 0
        guard waits + message.readableBytes <= Limits.waitingBytes else { return .queueFull }
        // In its place: a copy of the queue for every message would make it quadratic.
        waiting[node, default: WaitingMessages()].bytes += message.readableBytes
        waiting[node, default: WaitingMessages()].messages
            .append(.init(bytes: message, kind: kind, stream: stream))
        connect(to: address, expecting: node)
        return nil
    }

    /// The owner has consumed so many bytes of messages of a stream: its sender may go on.
    public func consumed(_ bytes: Int, of stream: StreamID, on link: LinkID) {
        links[link]?.consume(bytes, of: stream)
    }

    /// Ends a link: what is queued is sent first.
    public func closeLink(_ id: LinkID) { links[id]?.leave(.asked, saying: .asked) }

    /// Ends everything with a member at once: its links and its keys for datagrams. For
    /// revocation; whether it may come back is the trust store's to say.
    ///
    /// - Parameter isDuplicate: whether the peer is told that its store is another's too.
    public func forget(_ node: NodeID, isDuplicate: Bool = false) {
        kept[node] = nil
        table.remove(node)
        datagramAddresses[node] = nil
        addresses[node] = nil
        dropWaiting(for: node)
        for link in links.values where link.info?.claim.nodeID == node {
            link.abort(.asked, saying: isDuplicate ? .duplicateStore : .asked)
        }
    }

    /// A candidate's link becomes a member's, without a new handshake; false where there is no
    /// such link, or its peer claims another id.
    public func admit(_ id: LinkID, as node: NodeID) -> Bool {
        guard let link = links[id], link.isOpen, let info = link.info,
            info.standing == .candidate, info.claim.nodeID == node
        else { return false }
        link.promote()
        if let session = link.waitingSession {
            link.waitingSession = nil
            install(session, link, now: now())
        }
        settle(link, node)
        return true
    }

    // MARK: Links coming and going

    /// Why a connection wasn't taken.
    private struct NotAccepted: Error {}

    /// Takes an inbound connection, or refuses it before anything is spent on it.
    func accept(_ channel: any Channel) throws {
        func refuse(_ reason: AcceptRefusal) -> NotAccepted {
            statistics.acceptsRefused.add(reason)
            return NotAccepted()
        }
        guard !isClosed else { throw NotAccepted() }
        guard links.count < limits.links else { throw refuse(.tooManyLinks) }
        let halfOpen = statistics.handshakesOpen - dialling.count
        guard halfOpen < limits.halfOpenHandshakes else { throw refuse(.tooManyHalfOpen) }
        let source = TokenBuckets.source(of: channel.remoteAddress)
        guard buckets.take(source, now: now()) else { throw refuse(.sourceTooFast) }
        let address = MeshAddress(
            host: channel.remoteAddress?.ipAddress ?? "",
            port: UInt16(truncatingIfNeeded: channel.remoteAddress?.port ?? 0))
        let link = makeLink(isInitiator: false, address: address, expecting: nil)
        statistics.handshakesOpen += 1
        try channel.pipeline.syncOperations.addHandler(link)
    }

    private func makeLink(isInitiator: Bool, address: MeshAddress, expecting: NodeID?) -> Link {
        let link = Link(
            id: LinkID(nextLink), transport: self, isInitiator: isInitiator, address: address,
            expecting: expecting, now: now())
        nextLink += 1
        links[link.id] = link
        return link
    }

    func freshKeyID() -> UInt32 { table.freshKeyID() }

    /// A handshake is complete.
    func linkOpened(
        _ link: Link, _ info: PeerInfo, _ keys: borrowing Established, keyID: UInt32, now: Instant
    ) {
        endDialling(link)
        statistics.handshakesCompleted += 1
        statistics.linksOpen += 1
        if info.standing == .candidate, !link.isInitiator {
            let candidates = links.values.count { $0.isOpen && $0.info?.standing == .candidate }
            guard candidates <= limits.candidateLinks else {
                statistics.acceptsRefused.add(.tooManyCandidates)
                link.abort(.asked, saying: .asked)
                return
            }
        }
        // The owner judged the responder a round trip ago, and may have forgotten it since.
        if link.isInitiator, !stillTrusts(info) {
            link.abort(.asked, saying: .asked)
            return
        }
        if let node = info.claim.nodeID, identity.nodeID != nil, info.claim.role == .broker {
            let session = DatagramSession(
                keys: keys, receiveKeyID: keyID, isInitiator: link.isInitiator,
                own: identity.claim(), peer: node, now: now)
            if info.standing == .candidate {
                link.waitingSession = session
            } else if info.standing == .member {
                installOrWait(session, link, now: now)
            }
        }
        // Before the owner hears of it, so that it may answer by the member's id.
        if let node = info.node { settle(link, node) }
        link.isAnnounced = true
        delegate?.linkOpened(info)
    }

    private func stillTrusts(_ info: PeerInfo) -> Bool {
        switch trust.judge(info.claim) {
        case .member(let node): info.standing == .member && info.claim.nodeID == node
        case .candidate: info.standing == .candidate
        case .operator: info.standing == .operator
        case .refuse: false
        }
    }

    /// Makes a member's link the one that its messages take, unless an equal one is preferred.
    private func settle(_ link: Link, _ node: NodeID) {
        guard link.isOpen, let info = link.info, let opened = link.opened else { return }
        if let old = memberLinks[node], old !== link, old.isOpen, let before = old.info {
            let isAtOnce =
                before.claim.isSameBoot(as: info.claim) && old.isInitiator != link.isInitiator
                && opened.milliseconds(since: old.opened ?? opened)
                    < Limits.simultaneousMilliseconds
            if isAtOnce, !isPreferred(link.isInitiator, info.claim) {
                link.leave(.superseded, saying: .superseded)
                return
            }
            memberLinks[node] = link
            old.leave(.superseded, saying: .superseded)
        }
        memberLinks[node] = link
        kept[node]?.failures = 0
        if let queue = waiting.removeValue(forKey: node) {
            for message in queue.messages {
                let drop = link.send(message.bytes, kind: message.kind, stream: message.stream)
                if let drop { statistics.messageDrops.add(drop) }
            }
        }
    }

    private func endDialling(_ link: Link) {
        statistics.handshakesOpen -= 1
        if dialling[link.address] === link { dialling[link.address] = nil }
    }

    /// A handshake, or a connect, has failed.
    func linkFailed(
        _ link: Link, _ failure: HandshakeFailure, isConnected: Bool = true,
        isUnknownHost: Bool = false
    ) {
        links[link.id] = nil
        endDialling(link)
        if isConnected {
            if failure.isRemote {
                statistics.handshakesDeclined.add(failure.refusal)
            } else {
                statistics.handshakesRefused.add(failure.refusal)
            }
        }
        guard link.isInitiator, !isClosed else { return }
        if let node = link.expecting {
            dropWaiting(for: node)
            kept[node]?.failures += 1
            scheduleKept(node)
        }
        let reason: LinkFailure =
            if !isConnected {
                isUnknownHost ? .unknownHost : .notConnected
            } else if failure.isRemote {
                .declined(failure.refusal)
            } else {
                .refused(failure.refusal)
            }
        if let member = failure.member { delegate?.declined(by: member, failure.refusal) }
        delegate?.linkFailed(link.address, expecting: link.expecting, failure: reason)
    }

    private func dropWaiting(for node: NodeID) {
        guard let queue = waiting.removeValue(forKey: node) else { return }
        for _ in queue.messages { statistics.messageDrops.add(.linkLost) }
    }

    /// A link takes no more messages; another may take its place at once.
    func linkLeaves(_ link: Link) {
        if let node = link.info?.node, memberLinks[node] === link { memberLinks[node] = nil }
    }

    func linkClosed(_ link: Link, _ reason: CloseReason) {
        links[link.id] = nil
        statistics.linksOpen -= 1
        for _ in 0..<link.unsentMessages { statistics.messageDrops.add(.linkLost) }
        if let session = link.waitingSession, session.isUnconfirmed { table.discard(session) }
        guard let info = link.info else { return }
        linkLeaves(link)
        if !isClosed, let node = info.node, memberLinks[node] == nil { scheduleKept(node) }
        if link.isAnnounced {
            delegate?.linkClosed(info, reason: reason)
        } else if link.isInitiator {
            delegate?.linkFailed(
                link.address, expecting: link.expecting, failure: .refused(.unwelcome))
        }
    }

    func deliver(_ message: ByteBuffer, kind: MessageKind, stream: StreamID, from link: Link) {
        guard let info = link.info else { return }
        statistics.messagesReceived += 1
        delegate?.received(message, kind: kind, stream: stream, from: info)
    }

    // MARK: Kept links

    /// Tries again after a pause of half to one and a half times the doubled first.
    private func scheduleKept(_ node: NodeID) {
        guard let link = kept[node], !link.isScheduled, !isClosed else { return }
        kept[node]?.isScheduled = true
        let doubled = Limits.backoffFirstMilliseconds << Int64(min(link.failures, 10))
        let pause = min(doubled, Limits.backoffMaximumMilliseconds)
        let jittered = pause / 2 + Int64(Libsodium.randomWord() % UInt64(pause))
        let me = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(jittered)) {
            me.value.kept[node]?.isScheduled = false
            me.value.dialKept(node)
        }
    }

    private func dialKept(_ node: NodeID) {
        guard kept[node] != nil, memberLinks[node] == nil, !isClosed else { return }
        guard let address = addresses[node] else {
            kept[node]?.failures += 1
            scheduleKept(node)
            return
        }
        connect(to: address, expecting: node)
    }
}
