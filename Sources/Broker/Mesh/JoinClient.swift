import Model
import NIOCore
import Node
import Sodium
import Storage
import Transport

/// Asks a mesh to let a blank broker in: by the admission secret, at any seed that answers. Where
/// the configuration expects a number of brokers, blank ones find out among themselves who begins.
///
/// Owned by one loop, alive until it was admitted or refused for good. Seeds that do not answer are
/// tried again for ever, because in many places all brokers are started at once; a refusal that no
/// retry can change ends it with the reason.
final class JoinClient: MeshTransportDelegate, TrustStore {
    /// What a newcomer is given.
    struct Grant: Sendable {
        let identity: DirectoryIdentity
        let values: [ChosenValue]
    }

    private let settings: MeshConfiguration
    private let nodeID: Int32?
    private let events: BrokerEvents
    private let outcome: EventLoopPromise<Grant>
    private var transport: MeshTransport?
    private var forming: Forming?
    /// Open links to other blank brokers, by the seed that was dialled.
    private var dialled: [MeshAddress: LinkID] = [:]
    private var redial: Scheduled<Void>?
    /// The link by which this broker asked to be let in, and waits.
    private var asked: LinkID?
    /// Why it was not admitted when it last asked.
    private var refusal: String?
    private var pause: Int64 = 250
    private var isDone = false
    private var complaints = SeedComplaints()
    /// Kept until the end: the transport does not retain its delegate.
    private var itself: JoinClient?

    private static let pauseMaximum: Int64 = 5_000
    /// Those who form a mesh look for each other more often: they are all there, or soon will be.
    private static let formingPause: Int64 = 500

    private init(
        settings: MeshConfiguration, nodeID: Int32?, events: BrokerEvents,
        outcome: EventLoopPromise<Grant>
    ) {
        self.settings = settings
        self.nodeID = nodeID
        self.events = events
        self.outcome = outcome
    }

    /// Returns once a decision of the mesh admitted this broker.
    ///
    /// - Parameter cluster: the mesh that it belongs to already; nil takes any.
    static func run(
        _ opening: StoreOpening, _ settings: MeshConfiguration, as nodeID: Int32?,
        of cluster: ClusterID? = nil, on loop: any EventLoop, events: BrokerEvents
    ) async throws(BrokerStartError) -> Grant {
        let outcome = loop.makePromise(of: Grant.self)
        loop.execute {
            let client = JoinClient(
                settings: settings, nodeID: nodeID, events: events, outcome: outcome)
            client.begin(opening, cluster ?? .none, on: loop)
        }
        do {
            return try await outcome.futureResult.get()
        } catch let error as BrokerStartError {
            throw error
        } catch {
            throw .mesh("\(error)")
        }
    }

    private func begin(
        _ opening: StoreOpening, _ cluster: ClusterID, on loop: any EventLoop
    ) {
        do throws(SecretFile.Failure) {
            let identity = LocalIdentity(
                signingKey: opening.signingKey(), clusterID: cluster, nodeID: nil,
                storeID: opening.storeID, bootEpoch: opening.bootEpoch, role: .joiner,
                mode: settings.links.mode)
            let transport = MeshTransport(
                loop: loop, identity: identity, secrets: try MeshSecrets.ring(settings.secretFile),
                trust: self, delegate: self)
            self.transport = transport
            itself = self
            guard let expected = settings.expect, let listen = settings.listen else {
                return dial()
            }
            forming = Forming(
                expected: expected, seeds: settings.seeds, own: transport.claim.publicKey)
            let address = MeshAddress(host: listen.host, port: UInt16(clamping: listen.port))
            transport.bind(to: address).assumeIsolated().whenComplete { result in
                switch result {
                case .success: self.dial()
                case .failure(let error):
                    self.end(.failure(.mesh("\(listen): can't listen there: \(error)")))
                }
            }
        } catch {
            outcome.fail(BrokerStartError.mesh("\(error)"))
        }
    }

    private func dial() {
        guard !isDone else { return }
        for seed in settings.seeds {
            let address = MeshAddress(host: seed.host, port: UInt16(clamping: seed.port))
            if dialled[address] == nil { transport?.connect(to: address) }
        }
        guard forming != nil else { return }
        perform(forming?.askIfComplete() ?? [])
        dialLater()
    }

    /// One timer, however many seeds failed.
    private func dialLater() {
        guard !isDone, redial == nil, let loop = transport?.loop else { return }
        let delay = forming == nil ? pause : Self.formingPause
        pause = min(pause * 2, Self.pauseMaximum)
        redial = loop.assumeIsolated().scheduleTask(in: .milliseconds(delay)) {
            self.redial = nil
            self.dial()
        }
    }

    private func perform(_ actions: [Forming.Action]) {
        for action in actions {
            switch action {
            case .send(let message, let link):
                transport?.send(
                    message.encoded(),
                    kind: MessageKind(rawValue: MeshMessageKind.form.rawValue), to: .link(link))
            case .found:
                end(.success(Grant(identity: DataStore.founding(nodeID: nodeID), values: [])))
            case .disagree(let reason):
                end(
                    .failure(
                        .mesh(
                            "another broker can't form a mesh with this one: \(reason). Give all "
                                + "brokers that form a mesh the same --expect and --seed list")))
            }
        }
    }

    private func end(_ result: Result<Grant, BrokerStartError>) {
        guard !isDone, let transport else { return }
        isDone = true
        redial?.cancel()
        // Not from within the transport's own call.
        let outcome = outcome
        transport.close().assumeIsolated().whenComplete { _ in
            self.transport = nil
            self.itself = nil
            switch result {
            case .success(let grant): outcome.succeed(grant)
            case .failure(let error): outcome.fail(error)
            }
        }
    }

    /// Whoever answers has to know the secret too: else anybody could take a newcomer in.
    func judge(_ claim: PeerClaim) -> Verdict {
        if claim.role == .joiner, settings.expect != nil {
            return claim.admission.isValid ? .candidate : .refuse(.wrongSecret)
        }
        guard claim.nodeID != nil, claim.role == .broker else { return .refuse(.unwelcome) }
        // Not as a member, who has one link only: a mesh that looks for the broker that was at this
        // address before would end the link by which this one waits for its answer.
        return claim.admission.isValid ? .candidate : .refuse(.wrongSecret)
    }

    func linkOpened(_ peer: PeerInfo) {
        guard !isDone else { return }
        if peer.isInitiator { complaints.reached(peer.address) }
        guard peer.claim.role == .broker else {
            if peer.isInitiator { dialled[peer.address] = peer.link }
            return perform(forming?.opened(peer.link, peer.claim.publicKey) ?? [])
        }
        // One at a time: two members might give one newcomer two ids.
        guard asked == nil else { return }
        asked = peer.link
        transport?.send(
            ByteBuffer(integer: nodeID ?? -1),
            kind: MessageKind(rawValue: MeshMessageKind.join.rawValue), to: .link(peer.link))
    }

    func linkClosed(_ peer: PeerInfo, reason: CloseReason) {
        if asked == peer.link { asked = nil }
        forming?.closed(peer.link)
        if dialled[peer.address] == peer.link { dialled[peer.address] = nil }
        dialLater()
    }

    func linkFailed(_ address: MeshAddress, expecting: NodeID?, failure: LinkFailure) {
        switch failure {
        case .refused(.ownAddress), .declined(.ownAddress):
            // A list that all have alike has this broker in it.
            return
        default:
            if complaints.isNews(address, failure) { events.seedFailed(address, failure) }
        }
        switch failure {
        case .refused(.wrongSecret), .declined(.wrongSecret):
            end(
                .failure(
                    .mesh(
                        "\(settings.secretFile ?? "no --secret-file"): the mesh at "
                            + "\(address.text) has another admission secret. Copy the secret file "
                            + "of that mesh")))
        case .declined(.revoked):
            end(.failure(.mesh("the mesh has revoked this broker's key: it can't come back")))
        case .declined(.staleBoot):
            end(
                .failure(
                    .mesh(
                        "the mesh has seen a later start of this data directory: it is a copy, or "
                            + "was rolled back. Start on an empty directory")))
        default: dialLater()
        }
    }

    func received(
        _ message: ByteBuffer, kind: MessageKind, stream: StreamID, from peer: PeerInfo
    ) {
        guard !isDone else { return }
        if kind.rawValue == MeshMessageKind.form.rawValue {
            guard let said = Forming.Message(decoding: message) else { return }
            return perform(forming?.received(said, on: peer.link) ?? [])
        }
        guard kind.rawValue == MeshMessageKind.joinAnswer.rawValue else { return }
        guard let answer = try? JoinAnswer(decoding: message) else { return dialLater() }
        switch answer {
        case .admitted(let node, let cluster, let values):
            guard cluster == peer.claim.clusterID.rawValue else { return dialLater() }
            end(
                .success(
                    Grant(
                        identity: DirectoryIdentity(
                            clusterID: cluster, nodeID: node, hasJoined: true),
                        values: values)))
        case .refused(let reason, let canRetry):
            // Said once, and again when it is another reason: it may be asked for a day.
            if reason != refusal { events.joinRefused(reason, canRetry: canRetry) }
            refusal = reason
            if canRetry {
                transport?.closeLink(peer.link)
            } else {
                end(.failure(.mesh(reason)))
            }
        }
    }

    func received(datagram: ByteBuffer, from peer: NodeID) {}
}

extension LinkProtection {
    var mode: LinkMode {
        switch self {
        case .seal: .seal
        case .authenticate: .authenticate
        }
    }
}
