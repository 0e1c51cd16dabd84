import Model
import NIOCore
import NIOPosix
import Sodium
import Testing

@testable import Transport

/// What a test's broker heard.
enum Heard: Sendable {
    case opened(PeerInfo)
    case closed(PeerInfo, CloseReason)
    case failed(MeshAddress, LinkFailure)
    case declined(NodeID, HandshakeRefusal)
    case message(ByteBuffer, MessageKind, StreamID, PeerInfo)
    case datagram(ByteBuffer, NodeID)
}

/// A broker that is nothing but a transport: notes what it hears. Belongs to its loop.
final class TestBroker: MeshTransportDelegate {
    let loop: any EventLoop
    let trust = TableOfMembers()
    private(set) var transport: MeshTransport?
    private(set) var heard: [Heard] = []
    /// Datagrams as they went to the socket.
    var wires: [ByteBuffer] = []
    /// Moves the transport's clock.
    var aheadMilliseconds: Int64 = 0
    private var waiters: [((TestBroker) -> Bool, EventLoopPromise<Void>)] = []

    init(_ person: Person, knows: [Person], loop: any EventLoop, limits: TransportLimits) {
        self.loop = loop
        for other in knows { trust.members[other.publicKey] = NodeID(other.number) }
        let transport = MeshTransport(
            loop: loop, identity: person.identity, secrets: person.secrets, trust: trust,
            limits: limits, delegate: self)
        transport.clock = { [unowned self] in
            MonotonicClock.now().advanced(byMilliseconds: aheadMilliseconds)
        }
        transport.ticksByItself = false
        transport.wireTap = { [unowned self] wire, _ in
            wires.append(wire)
            return true
        }
        self.transport = transport
    }

    func linkOpened(_ peer: PeerInfo) { note(.opened(peer)) }
    func linkClosed(_ peer: PeerInfo, reason: CloseReason) { note(.closed(peer, reason)) }
    func linkFailed(_ address: MeshAddress, expecting: NodeID?, failure: LinkFailure) {
        note(.failed(address, failure))
    }
    func declined(by node: NodeID, _ refusal: HandshakeRefusal) { note(.declined(node, refusal)) }
    func received(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, from peer: PeerInfo
    ) { note(.message(message, kind, stream, peer)) }
    func received(datagram: ByteBuffer, from peer: NodeID) { note(.datagram(datagram, peer)) }

    private func note(_ event: Heard) {
        heard.append(event)
        check()
    }

    /// Counters change without an event, so whoever waits is also asked now and then.
    private func check() {
        waiters.removeAll { isMet, promise in
            guard isMet(self) else { return false }
            promise.succeed()
            return true
        }
    }

    func wait(until isMet: @escaping (TestBroker) -> Bool) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        waiters.append((isMet, promise))
        let me = NIOLoopBound(self, eventLoop: loop)
        let asking = loop.scheduleRepeatedTask(
            initialDelay: .zero, delay: .milliseconds(2)
        ) { _ in me.value.check() }
        let deadline = loop.scheduleTask(in: .seconds(20)) { promise.fail(TookTooLong()) }
        promise.futureResult.whenComplete { _ in
            asking.cancel()
            deadline.cancel()
        }
        return promise.futureResult
    }

    struct TookTooLong: Error {}

    // MARK: What tests ask

    var opened: [PeerInfo] {
        heard.compactMap { if case .opened(let peer) = $0 { peer } else { nil } }
    }
    var closed: [(PeerInfo, CloseReason)] {
        heard.compactMap { if case .closed(let peer, let why) = $0 { (peer, why) } else { nil } }
    }
    var failures: [LinkFailure] {
        heard.compactMap { if case .failed(_, let failure) = $0 { failure } else { nil } }
    }
    var declined: [NodeID] {
        heard.compactMap { if case .declined(let node, _) = $0 { node } else { nil } }
    }
    var messages: [(ByteBuffer, MessageKind, StreamID, PeerInfo)] {
        heard.compactMap { event in
            guard case .message(let bytes, let kind, let stream, let peer) = event else {
                return nil
            }
            return (bytes, kind, stream, peer)
        }
    }
    var datagrams: [ByteBuffer] {
        heard.compactMap { if case .datagram(let bytes, _) = $0 { bytes } else { nil } }
    }
    var statistics: TransportStatistics { transport?.statistics ?? TransportStatistics() }

    func end() -> EventLoopFuture<Void> {
        let closing = transport?.close() ?? loop.makeSucceededVoidFuture()
        transport = nil
        return closing
    }
}

/// A `TestBroker` as tests hold it: every access is on its loop.
struct Running: Sendable {
    let loop: any EventLoop
    let address: MeshAddress
    private let broker: NIOLoopBound<TestBroker>

    static func start(
        _ person: Person, knows: [Person] = [], at port: UInt16 = 0,
        limits: TransportLimits = TransportLimits()
    ) async throws -> Running {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let broker = try await loop.submit {
            NIOLoopBound(
                TestBroker(person, knows: knows, loop: loop, limits: limits), eventLoop: loop)
        }.get()
        let address = try await loop.flatSubmit {
            broker.value.transport?.bind(to: MeshAddress(host: "127.0.0.1", port: port))
                ?? loop.makeFailedFuture(TestBroker.TookTooLong())
        }.get()
        return Running(loop: loop, address: address, broker: broker)
    }

    @discardableResult
    func on<R: Sendable>(_ body: @escaping @Sendable (TestBroker) -> R) async throws -> R {
        try await loop.submit { [broker] in body(broker.value) }.get()
    }

    @discardableResult
    func use<R: Sendable>(_ body: @escaping @Sendable (MeshTransport) -> R) async throws -> R {
        try await loop.submit { [broker] in
            guard let transport = broker.value.transport else { throw TestBroker.TookTooLong() }
            return body(transport)
        }.get()
    }

    func wait(until isMet: @escaping @Sendable (TestBroker) -> Bool) async throws {
        try await loop.flatSubmit { [broker] in broker.value.wait(until: isMet) }.get()
    }

    /// The counters as they are now, or as they were when it ended.
    func statistics() async throws -> TransportStatistics { try await on { $0.statistics } }

    func end() async throws {
        try await loop.flatSubmit { [broker] in broker.value.end() }.get()
    }
}

/// Two members that know each other, with a link from the first to the second.
func linked(
    _ one: Person = Person(number: 1), _ two: Person = Person(number: 2),
    limits: TransportLimits = TransportLimits()
) async throws -> (Running, Running) {
    let first = try await Running.start(one, knows: [two], limits: limits)
    let second = try await Running.start(two, knows: [one], limits: limits)
    let address = second.address
    let node = NodeID(two.number)
    try await first.use {
        $0.learn(address, of: node)
        $0.connect(to: address, expecting: node)
    }
    try await first.wait { !$0.opened.isEmpty }
    try await second.wait { !$0.opened.isEmpty }
    return (first, second)
}

func end(_ brokers: Running...) async throws { for broker in brokers { try await broker.end() } }

/// A plain socket without any manners, for what strangers do.
final class Stranger: Sendable {
    let channel: any Channel

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let received: EventLoopPromise<Int>
        private var count = 0

        init(_ received: EventLoopPromise<Int>) { self.received = received }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            count += unwrapInboundIn(data).readableBytes
        }
        func channelInactive(context: ChannelHandlerContext) { received.succeed(count) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    /// How many bytes came until the other side closed.
    let received: EventLoopFuture<Int>

    private init(_ channel: any Channel, _ received: EventLoopFuture<Int>) {
        self.channel = channel
        self.received = received
    }

    static func connect(to address: MeshAddress) async throws -> Stranger {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let received = loop.makePromise(of: Int.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: address.host, port: Int(address.port)).get()
        return Stranger(channel, received.futureResult)
    }

    /// Sends datagrams from a socket of its own.
    static func send(_ datagrams: [ByteBuffer], to address: MeshAddress) async throws {
        let socket = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let target = try SocketAddress(ipAddress: address.host, port: Int(address.port))
        for datagram in datagrams {
            try await socket.writeAndFlush(
                AddressedEnvelope(remoteAddress: target, data: datagram))
        }
        try await socket.close()
    }
}

/// Connects as the person does, and is gone before it has the answer to its identity: what it said
/// is known afterwards.
final class HalfInitiator: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let person: Person
    private let trust = TableOfMembers()
    private let said: EventLoopPromise<[ByteBuffer]>
    private var flights: [ByteBuffer] = []
    private var handshake: Handshake?

    private init(_ person: Person, knows other: Person, _ said: EventLoopPromise<[ByteBuffer]>) {
        self.person = person
        self.said = said
        trust.members[other.publicKey] = NodeID(other.number)
    }

    static func connect(_ person: Person, knows other: Person, to address: MeshAddress)
        async throws -> [ByteBuffer]
    {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let said = loop.makePromise(of: [ByteBuffer].self)
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        HalfInitiator(person, knows: other, said))
                }
            }
            .connect(host: address.host, port: Int(address.port)).get()
        return try await said.futureResult.get()
    }

    func channelActive(context: ChannelHandlerContext) {
        var out = ByteBuffer()
        handshake = Handshake(
            initiatingWith: KeyAgreement(), keyID: 77, local: person.identity, into: &out)
        flights.append(out)
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        bytes.moveReaderIndex(forwardBy: 4)
        var out = ByteBuffer()
        _ = try? handshake?.receive(
            bytes, local: person.identity, secrets: person.secrets, party: .init(trust: trust),
            into: &out)
        flights.append(out)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(out)).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { said.succeed(flights) }
}
