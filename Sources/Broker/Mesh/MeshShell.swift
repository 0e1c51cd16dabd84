import Gossip
import Model
import NIOCore
import Node
import OrderedCollections
import Routes
import Sodium
import Transport

/// What stands between the mesh machine and the network: performs its effects by the transport,
/// and turns what the transport hears into its inputs.
///
/// Owned by the control loop. Messages of peers that are not members are looked at here and go no
/// further: a candidate may ask to join, an operator may ask questions.
final class MeshShell: MeshTransportDelegate {
    unowned let reactor: Reactor
    let trust: MeshTrust
    let secretFile: String?
    /// Names of the admission secrets that are taken, the one that is shown first.
    private(set) var secretNames: [String] = []
    /// What this broker's shards and those of others say to each other.
    let replication: ReplicationLinks
    /// What is said every few seconds of committed offsets and of the ends of partitions.
    let feeds: FeedKeeping
    /// What operators' questions are answered by; nil where nobody gave it its words.
    var inspector: Inspector?
    private(set) var transport: MeshTransport?
    private(set) var journal = MeshJournal()
    /// Addresses of a member that were not tried yet, while one is.
    private var untried: [NodeID: [MeshAddress]] = [:]
    /// Links that wait for an answer to a join, by token.
    private var joins: [UInt64: LinkID] = [:]
    private var lastToken: UInt64 = 0
    private var complaints = SeedComplaints()
    var fence = Fence()
    /// The boot of another process with this one's identity that was heard of last.
    var twin: BootEpoch?
    private var whenLeft: [() -> Void] = []
    private(set) var hasLeft = false

    /// Joins that may wait for a decision at a time: each costs one round of Paxos.
    private static let joinsMaximum = 64

    init(reactor: Reactor, trust: MeshTrust, secretFile: String?) {
        self.reactor = reactor
        self.trust = trust
        self.secretFile = secretFile
        replication = ReplicationLinks(reactor: reactor)
        feeds = FeedKeeping(reactor: reactor)
    }

    /// Reads the secret file again, for handshakes to come; links that are open stay.
    func reloadSecrets() throws(SecretFile.Failure) {
        let ring = try MeshSecrets.ring(secretFile)
        secretNames = try MeshSecrets.names(secretFile)
        trust.use(secretsNamed: secretNames)
        transport?.use(ring)
    }

    /// Takes links and datagrams at an address.
    func bindTransport(
        _ identity: consuming LocalIdentity, to address: MeshAddress
    ) throws(SecretFile.Failure) -> EventLoopFuture<MeshAddress> {
        secretNames = try MeshSecrets.names(secretFile)
        trust.use(secretsNamed: secretNames)
        trust.now = { Clock.now().instant }
        trust.laterBootIsThere = { [unowned self] node, boot in
            if let link = self.transport?.peer(node), link.claim.bootEpoch > boot { return true }
            guard let peer = self.reactor.plane?.mesh.peers[node] else { return false }
            return peer.status.isPresent && peer.life.boot > boot
        }
        trust.whenDuplicate = { [unowned self] node, twins in
            self.reactor.loop.assumeIsolated().execute { self.shutOut(node, twins) }
        }
        let transport = MeshTransport(
            loop: reactor.loop, identity: identity, secrets: try MeshSecrets.ring(secretFile),
            trust: trust, delegate: self)
        self.transport = transport
        return transport.bind(to: address)
    }

    /// Until the machine is made nobody is trusted, so there is nothing yet that it has to know.
    func tell(_ input: Mesh.Input) {
        guard reactor.plane != nil else { return }
        reactor.post(.mesh(input), to: 0)
    }

    /// Only the shell itself sees some of what happens.
    func note(_ what: MeshJournal.What) { journal.note(what, at: reactor.now) }

    // MARK: Effects

    func perform(_ effect: Mesh.Effect) {
        switch effect {
        case .sendDatagram(let node, let bytes): transport?.sendDatagram(bytes, to: node)
        case .send(let node, let kind, let bytes):
            transport?.send(
                bytes, kind: MessageKind(rawValue: kind.rawValue), to: .member(node))
        case .connect(let node, let addresses): connect(node, addresses)
        case .contactSeeds(let seeds):
            for seed in seeds { transport?.connect(to: seed) }
        case .admitted(let record): trust.admit(record)
        case .heard(let member):
            trust.heard(member.node, member.life.boot)
            if let address = member.description?.addresses.first {
                transport?.learn(address, of: member.node)
            }
        case .forget(let node):
            untried[node] = nil
            transport?.forget(node)
        case .joinAnswer(let token, let answer):
            guard let link = joins.removeValue(forKey: token) else { return }
            transport?.send(
                answer.encoded(), kind: MessageKind(rawValue: MeshMessageKind.joinAnswer.rawValue),
                to: .link(link))
        case .answer(let token, let decision):
            reactor.answer(token, .decided(decision))
        case .votersAnswer(let token, let answer): reactor.answer(token, .voters(answer))
        case .left:
            hasLeft = true
            for then in whenLeft { then() }
            whenLeft = []
        case .event(.alarm(.duplicateIdentity(let life))) where !isNews(of: life.boot): return
        case .event(let event):
            journal.note(event, at: reactor.now)
            reactor.events.report(event)
        case .replicate(let node, let message): replication.send(message, to: node)
        case .persistRegisters, .persistChosen, .persistOwn, .persistFeeds, .removeFeed,
            .wake, .loaded, .learned,
            .decided, .members, .leased, .confirmLeaderships:
            preconditionFailure("performed by the reactor or within the control plane")
        }
    }

    private func connect(_ node: NodeID, _ addresses: [MeshAddress]) {
        guard let first = addresses.first else { return }
        untried[node] = Array(addresses.dropFirst())
        transport?.learn(first, of: node)
        transport?.connect(to: first, expecting: node)
    }

    /// Says goodbye to the mesh, then calls back; at once where nobody listens, or where the mesh
    /// has shut this broker out.
    func leave(then: @escaping () -> Void) {
        guard transport != nil, !hasLeft, !fence.isClosed else { return then() }
        whenLeft.append(then)
        tell(.leave)
    }

    /// Ends links and keys; called once, at the stop.
    func close() -> EventLoopFuture<Void> {
        guard let transport else { return reactor.loop.makeSucceededVoidFuture() }
        self.transport = nil
        return transport.close()
    }

    // MARK: Transport

    func linkOpened(_ peer: PeerInfo) {
        if peer.isInitiator { complaints.reached(peer.address) }
        guard let node = peer.node else { return }
        untried[node] = nil
        fence.welcomed(by: node)
        replication.linkOpened(peer.link, with: node)
        tell(
            .linkOpened(
                LinkUp(
                    peer: node, boot: peer.claim.bootEpoch,
                    roundTripMicroseconds: peer.roundTripNanoseconds / 1_000,
                    dialled: peer.isInitiator ? peer.address : nil)))
    }

    func linkClosed(_ peer: PeerInfo, reason: CloseReason) {
        joins = joins.filter { $0.value != peer.link }
        guard let node = peer.node else { return }
        replication.linkClosed(peer.link, with: node)
        switch reason {
        case .duplicateStore:
            witness(.duplicateStore, by: node)
            tell(.linkFailed(node, .closed))
        // What ends in order says nothing about the peer.
        case .idle, .superseded, .asked, .shuttingDown, .queueFull: return
        case .silent, .violation, .byPeer, .broken: tell(.linkFailed(node, .closed))
        }
    }

    func declined(by node: NodeID, _ refusal: HandshakeRefusal) { witness(refusal, by: node) }

    func linkFailed(
        _ address: MeshAddress, expecting: NodeID?, failure: Transport.LinkFailure
    ) {
        journal.note(.linkFailed(address, expecting, failure), at: reactor.now)
        guard let node = expecting else {
            if failure != .refused(.ownAddress), complaints.isNews(address, failure) {
                reactor.events.seedFailed(address, failure)
            }
            return tell(.seedFailed(address, Self.reason(failure)))
        }
        if let next = untried[node]?.first {
            untried[node]?.removeFirst()
            transport?.connect(to: next, expecting: node)
            return
        }
        untried[node] = nil
        tell(.linkFailed(node, Self.reason(failure)))
    }

    private static func reason(_ failure: Transport.LinkFailure) -> Gossip.LinkFailure {
        switch failure {
        case .notConnected, .unknownHost: .unreachable
        case .refused(.timedOut), .declined(.timedOut): .timedOut
        case .refused(.disconnected), .declined(.disconnected): .closed
        case .refused, .declined: .authentication
        }
    }

    func received(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, from peer: PeerInfo
    ) {
        guard let kind = MeshMessageKind(rawValue: kind.rawValue) else { return }
        switch (kind, peer.standing) {
        case (.join, .candidate): join(message, peer)
        case (.gossip, .member), (.paxosRequest, .member), (.paxosReply, .member):
            if let node = peer.node { tell(.message(from: node, kind, message)) }
        case (.replication, .member):
            if let node = peer.node { replication.received(message, from: node) }
            transport?.consumed(message.readableBytes, of: stream, on: peer.link)
        case (.inspect, .member), (.inspect, .operator): inspector?.asked(message, from: peer)
        case (.inspectAnswer, .member):
            if let node = peer.node { inspector?.answered(message, by: node) }
        default: journal.note(.outOfPlace(kind, peer.address), at: reactor.now)
        }
    }

    private func join(_ message: ByteBuffer, _ peer: PeerInfo) {
        var bytes = message
        guard let node: Int32 = bytes.readInteger(), bytes.readableBytes == 0, node >= -1 else {
            return
        }
        guard reactor.plane != nil, joins.count < Self.joinsMaximum else {
            let reason =
                reactor.plane == nil
                ? "the broker is still starting" : "too many brokers join at once"
            let answer = JoinAnswer.refused(reason, canRetry: true)
            transport?.send(
                answer.encoded(), kind: MessageKind(rawValue: MeshMessageKind.joinAnswer.rawValue),
                to: .link(peer.link))
            return
        }
        lastToken += 1
        joins[lastToken] = peer.link
        tell(
            .join(
                token: lastToken,
                JoinClaim(
                    key: peer.claim.publicKey, store: peer.claim.storeID,
                    boot: peer.claim.bootEpoch, node: node < 0 ? nil : NodeID(node))))
    }

    func received(datagram: ByteBuffer, from peer: NodeID) {
        tell(.datagram(from: peer, datagram))
    }
}
