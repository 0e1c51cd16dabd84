public import Model
public import NIOCore
import NIOPosix
import Sodium

/// What the owner of a transport hears of it: on the loop, synchronously, in the order of things.
///
/// It may call the transport from any of these.
public protocol MeshTransportDelegate: AnyObject {
    /// A handshake is complete; messages may be sent and will be received.
    func linkOpened(_ peer: PeerInfo)
    /// A link that was open is open no more. Keys for datagrams stay, unless we forgot the peer.
    func linkClosed(_ peer: PeerInfo, reason: CloseReason)
    /// A link that we asked for did not come about.
    func linkFailed(_ address: MeshAddress, expecting: NodeID?, failure: LinkFailure)
    /// A member that proved its key does not take us; `linkFailed` follows.
    func declined(by node: NodeID, _ refusal: HandshakeRefusal)
    /// A whole message, in the order of its stream. What came on a stream other than control is
    /// to be acknowledged by `consumed`.
    func received(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, from peer: PeerInfo)
    /// A datagram of a member, once.
    func received(datagram: ByteBuffer, from peer: NodeID)
}

extension MeshTransportDelegate {
    public func declined(by node: NodeID, _ refusal: HandshakeRefusal) {}
}

/// The shell that carries bytes between brokers: links over TCP and datagrams over UDP, on one
/// port, all authenticated.
///
/// No datagram precedes a handshake: who sends one without keys gets a link opened instead, where
/// an address is known. Links close when idle and keys stay for their hour. Everything here belongs
/// to one event loop: call it there, be called there; nothing is `async`. Alive until `close`.
///
/// Costs: a datagram 1 to 2 us of cryptography and 3 to 4 us of system call; a link about 2 KiB
/// and a handshake of 130 us of CPU at each end.
public final class MeshTransport {
    /// The greatest payload of a datagram: 1,400 bytes in all.
    public static let datagramPayloadMaximum = Limits.datagramBytes - DatagramTable.overhead
    /// What a datagram costs beside its payload.
    public static let datagramOverhead = DatagramTable.overhead
    /// The greatest message.
    public static let messageMaximum = Limits.messageBytes

    public let loop: any EventLoop
    public let limits: TransportLimits
    public internal(set) var statistics = TransportStatistics()
    /// Sees the payload of every datagram, both ways, for tools; where it says false, the datagram
    /// goes no further.
    public var datagramTap: ((DatagramDirection, NodeID, ByteBuffer) -> Bool)?

    var identity: LocalIdentity
    var secrets: AdmissionSecrets
    let trust: any TrustStore
    weak var delegate: (any MeshTransportDelegate)?
    /// Tests see, hold back and repeat what goes to the socket.
    var wireTap: ((ByteBuffer, NodeID) -> Bool)?
    /// Tests move time, and look at deadlines themselves.
    var clock: () -> Instant
    var ticksByItself = true

    var links: [LinkID: Link] = [:]
    var memberLinks: [NodeID: Link] = [:]
    var dialling: [MeshAddress: Link] = [:]
    var addresses: [NodeID: MeshAddress] = [:]
    var datagramAddresses: [NodeID: SocketAddress] = [:]
    var kept: [NodeID: KeptLink] = [:]
    var waiting: [NodeID: WaitingMessages] = [:]
    var table = DatagramTable()
    var buckets: TokenBuckets
    var nextLink: UInt64 = 1
    var dirtyLinks: [Link] = []
    var isFlushScheduled = false
    var needsDatagramFlush = false
    var isClosed = false
    var listener: (any Channel)?
    var socket: (any Channel)?
    private var ticking: RepeatedTask?

    /// On the loop. Both `trust` and the delegate are asked on the loop; the delegate is not
    /// retained.
    public init(
        loop: any EventLoop, identity: consuming LocalIdentity,
        secrets: consuming AdmissionSecrets, trust: any TrustStore,
        limits: TransportLimits = TransportLimits(), delegate: any MeshTransportDelegate
    ) {
        loop.preconditionInEventLoop()
        self.loop = loop
        self.identity = identity
        self.secrets = secrets
        self.trust = trust
        self.limits = limits
        self.delegate = delegate
        clock = MonotonicClock.now
        buckets = TokenBuckets(burst: limits.sourceBurst, perSecond: limits.sourcePerSecond)
        let me = NIOLoopBound(self, eventLoop: loop)
        ticking = loop.scheduleRepeatedTask(
            initialDelay: .milliseconds(Limits.tickMilliseconds),
            delay: .milliseconds(Limits.tickMilliseconds)
        ) { _ in if me.value.ticksByItself { me.value.tick() } }
    }

    func now() -> Instant { clock() }

    // MARK: Owner

    /// Changes who we are, for handshakes to come: the mesh gave us a name, or a node id. Links
    /// that are open keep what was said on them; close them to be known by the new name.
    public func update(_ change: (inout LocalIdentity) -> Void) {
        change(&identity)
    }

    /// Changes the ring of admission secrets, for handshakes to come.
    public func use(_ secrets: consuming AdmissionSecrets) {
        self.secrets = secrets
    }

    /// What this process says of itself.
    public var claim: PeerClaim { identity.claim() }

    /// Where links to a member are opened.
    public func learn(_ address: MeshAddress, of node: NodeID) { addresses[node] = address }

    /// The open links, of members and others.
    public var peers: [PeerInfo] {
        links.values.filter(\.isOpen).compactMap(\.info).sorted { $0.link < $1.link }
    }

    /// The open link to a member that messages take.
    public func peer(_ node: NodeID) -> PeerInfo? { memberLinks[node]?.info }

    /// Whether datagrams to the member can be sealed now.
    public func hasDatagramKeys(for node: NodeID) -> Bool {
        table.session(with: node)?.mayStillSend(now: now()) ?? false
    }

    // MARK: Opening and closing

    /// Takes links and datagrams at the address. With port 0 one is chosen that is free for both.
    public func bind(to address: MeshAddress) -> EventLoopFuture<MeshAddress> {
        loop.preconditionInEventLoop()
        let promise = loop.makePromise(of: MeshAddress.self)
        bindListener(address, triesLeft: Limits.portTries, promise)
        return promise.futureResult
    }

    private func bindListener(
        _ address: MeshAddress, triesLeft: Int, _ promise: EventLoopPromise<MeshAddress>
    ) {
        let me = NIOLoopBound(self, eventLoop: loop)
        ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: Int32(limits.halfOpenHandshakes))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: Limits.unsentBytes / 4, high: Limits.unsentBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try me.value.accept(channel) }
            }
            .bind(host: address.host, port: Int(address.port))
            .assumeIsolated().whenComplete { result in
                switch result {
                case .failure(let error): promise.fail(error)
                case .success(let listener):
                    self.bindSocket(listener, address, triesLeft: triesLeft, promise)
                }
            }
    }

    private func bindSocket(
        _ listener: any Channel, _ address: MeshAddress, triesLeft: Int,
        _ promise: EventLoopPromise<MeshAddress>
    ) {
        let port = listener.localAddress?.port ?? 0
        makeSocket(address.host, port)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let socket):
                    self.listener = listener
                    self.take(socket, address.host, port)
                    self.identity.meshPort = UInt16(port)
                    promise.succeed(MeshAddress(host: address.host, port: UInt16(port)))
                case .failure(let error):
                    listener.close(promise: nil)
                    if address.port == 0, triesLeft > 1 {
                        self.bindListener(address, triesLeft: triesLeft - 1, promise)
                    } else {
                        promise.fail(error)
                    }
                }
            }
    }

    private func makeSocket(_ host: String, _ port: Int) -> EventLoopFuture<any Channel> {
        let me = NIOLoopBound(self, eventLoop: loop)
        return DatagramBootstrap(group: loop)
            .channelOption(.socketOption(.so_rcvbuf), value: Limits.receiveBufferBytes)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        DatagramSocket(transport: me.value))
                }
            }
            .bind(host: host, port: port)
    }

    /// NIO closes a datagram socket on most errors of a send, such as a firewall's EPERM or a
    /// missing route: another takes its place, for as long as the transport is open.
    private func take(_ socket: any Channel, _ host: String, _ port: Int) {
        self.socket = socket
        socket.closeFuture.assumeIsolated().whenComplete { _ in
            guard !self.isClosed else { return }
            self.socket = nil
            self.bindAgain(host, port)
        }
    }

    private func bindAgain(_ host: String, _ port: Int) {
        loop.assumeIsolated().scheduleTask(in: .milliseconds(Limits.rebindMilliseconds)) {
            guard !self.isClosed else { return }
            self.makeSocket(host, port).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let socket) where self.isClosed: socket.close(promise: nil)
                case .success(let socket): self.take(socket, host, port)
                case .failure: self.bindAgain(host, port)
                }
            }
        }
    }

    /// Says goodbye on every link, destroys every key, and frees the port.
    public func close() -> EventLoopFuture<Void> {
        loop.preconditionInEventLoop()
        isClosed = true
        ticking?.cancel()
        kept.removeAll()
        waiting.removeAll()
        for link in links.values { link.abort(.shuttingDown, saying: .shuttingDown) }
        table.removeAll()
        flushAll()
        let channels = [listener, socket].compactMap { $0 }
        listener = nil
        socket = nil
        let closing = channels.map { channel in
            channel.close().flatMapErrorThrowing { _ in }
        }
        // The links' last bytes are written by then; the loop holds their channels.
        let done = loop.makePromise(of: Void.self)
        EventLoopFuture.andAllComplete(closing, on: loop).assumeIsolated().whenComplete { _ in
            // Keeps the transport until nothing calls it any more.
            done.succeed()
            _ = self
        }
        return done.futureResult
    }

    /// Looks at every deadline.
    func tick() {
        let now = now()
        for link in links.values {
            let isKept = link.info?.node.map { kept[$0] != nil && memberLinks[$0] === link }
            link.tick(now, isKept: isKept ?? false)
        }
        table.expire(now: now)
        statistics.datagramPeers = table.peers
    }

    // MARK: The end of a turn

    func markDirty(_ link: Link) {
        guard !link.isDirty else { return }
        link.isDirty = true
        dirtyLinks.append(link)
        scheduleFlush()
    }

    /// What was sent in one turn of the loop leaves in as few system calls as it fits.
    func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        let me = NIOLoopBound(self, eventLoop: loop)
        loop.execute { me.value.flushAll() }
    }

    private func flushAll() {
        isFlushScheduled = false
        let links = dirtyLinks
        dirtyLinks.removeAll(keepingCapacity: true)
        for link in links where link.isDirty { link.flush() }
        if needsDatagramFlush {
            needsDatagramFlush = false
            socket?.flush()
        }
    }
}

/// Which way a datagram goes.
public enum DatagramDirection: Sendable {
    case incoming
    case outgoing
}
