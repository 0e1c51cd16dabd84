import DequeModule
import KafkaProtocol
import Model
import NIOCore
import Node
import Routes
import Storage

/// Where a client sends: one process.
struct MeshTarget: Hashable {
    let site: Int
    let life: Int
}

/// A client and where it sends.
struct MeshRoute: Hashable {
    let client: Int
    let target: MeshTarget
}

/// A client of the mesh: acts when its time has come, and hears what becomes of its requests.
///
/// It speaks Kafka's protocol through the codec: what it asks goes to a broker as bytes, and the
/// answer comes back as bytes.
protocol MeshClient: AnyObject {
    /// Nothing is left that it waits for; asked once all is well.
    var isDone: Bool { get }
    var summary: String { get }
    func act(in world: MeshWorld)
    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld)
    /// The connection with a process is gone, with the answers that were to come.
    func lost(site: Int, life: Int, in world: MeshWorld)
}

/// A request that a client waits for.
struct PendingRequest {
    let token: UInt64
    let target: MeshTarget
    let at: Instant
}

/// Which version of each request a client speaks: drawn once, as if each had another library.
struct ClientVersions {
    let seed: UInt64

    subscript(key: APIKey) -> Int16 {
        var dice = SeededGenerator(seed: seed ^ UInt64(UInt16(bitPattern: key.rawValue)) << 48)
        return Int16.random(
            in: key.firstServedVersion...key.versions.upperBound, using: &dice)
    }
}

extension MeshWorld {
    /// What a request and its answer take in the network, each.
    private static let clientMicroseconds: ClosedRange<Int64> = 50...800

    func add(_ client: any MeshClient) {
        clients.append(client)
        timeline.schedule(.client(clients.count - 1), at: now)
    }

    func actLater(_ client: Int, milliseconds: ClosedRange<Int64>) {
        schedule(.client(client), afterMicroseconds: draw(milliseconds) * 1_000)
    }

    func versions(of client: Int) -> ClientVersions {
        ClientVersions(seed: seed ^ UInt64(client) << 24)
    }

    /// A process that would answer; nil where there is none.
    func anyTarget() -> MeshTarget? {
        let up = sites.filter { $0.life?.isReady == true }
        guard !up.isEmpty else { return nil }
        return target(up[Int(draw(0...Int64(up.count - 1)))].index)
    }

    func target(_ site: Int) -> MeshTarget? {
        guard sites.indices.contains(site), sites[site].life?.isReady == true else { return nil }
        return MeshTarget(site: site, life: sites[site].lives)
    }

    // MARK: Requests

    /// Encodes a request and sends it; the answer is heard under the token.
    func send<Request: KafkaRequest>(
        _ request: Request, version: Int16, from client: Int, to target: MeshTarget
    ) -> UInt64 {
        lastToken += 1
        let token = lastToken
        guard sites[target.site].lives == target.life, sites[target.site].life != nil else {
            // Nobody listens there any more: the client is told in a moment.
            schedule(
                .lost(client: client, site: target.site, life: target.life),
                afterMicroseconds: draw(Self.clientMicroseconds))
            return token
        }
        var frame = ByteBuffer()
        let correlation = Int32(truncatingIfNeeded: token & 0x7FFF_FFFF)
        do throws(WireError) {
            try request.encodeFrame(
                correlationID: correlation, clientID: "client-\(client)", version: version,
                into: &frame)
        } catch {
            fail("client \(client) can't encode \(request): \(error)", breaks: .wordsUnderstood)
            return token
        }
        let connection = connection(of: client, to: target)
        connection.expected.append(
            (
                token,
                { bytes in
                    var body = bytes
                    body.moveReaderIndex(forwardBy: 4)
                    let header = try ResponseHeader.decode(
                        &body, for: Request.apiKey, version: version)
                    guard header.correlationID == correlation else { throw WireError.truncated }
                    return try Request.Response.decode(body, version: version)
                }
            ))
        let arrival = max(
            connection.lastRequest + 1, now.nanoseconds + draw(Self.clientMicroseconds) * 1_000)
        connection.lastRequest = arrival
        timeline.schedule(
            .post(
                site: target.site, life: target.life, loop: connection.loop,
                .request(connection, frame)), at: Instant(nanoseconds: arrival))
        return token
    }

    private func connection(of client: Int, to target: MeshTarget) -> SimulatedConnection {
        let route = MeshRoute(client: client, target: target)
        if let connection = connections[route] { return connection }
        let connection = SimulatedConnection(
            client: client, target: target, loop: Int(draw(0...Int64(BrokerLife.loops - 1))),
            in: self)
        connections[route] = connection
        return connection
    }

    /// The client gives a connection up: what it waits for there it does not hear any more.
    func disconnect(_ client: Int, from target: MeshTarget) {
        guard
            let connection = connections.removeValue(
                forKey: MeshRoute(client: client, target: target))
        else { return }
        connection.isOpen = false
        let arrival = max(
            connection.lastRequest + 1, now.nanoseconds + draw(Self.clientMicroseconds) * 1_000)
        timeline.schedule(
            .post(
                site: target.site, life: target.life, loop: connection.loop, .hungUp(connection)),
            at: Instant(nanoseconds: arrival))
    }

    func lose(_ client: Int, _ target: MeshTarget) {
        connections.removeValue(forKey: MeshRoute(client: client, target: target))?.isOpen = false
        clients[client].lost(site: target.site, life: target.life, in: self)
    }

    // MARK: Answers

    /// An answer of a shard or of the control machine, for the loop that asked.
    func toLoop(_ token: UInt64, _ answer: Answer, of site: BrokerSite, from loop: Int) {
        post(.answer(token, answer), to: SimulatedLoop.index(of: token), of: site, from: loop)
    }

    func respond(_ pieces: [Piece], on connection: SimulatedConnection) {
        guard connection.isOpen else { return }
        var bytes = ByteBuffer()
        for piece in pieces {
            switch piece {
            case .bytes(var part): bytes.writeBuffer(&part)
            case .file(let slice):
                // The power went: the process ends with it, and the connection too.
                guard var part = try? slice.read() else { return connection.close() }
                bytes.writeBuffer(&part)
            }
        }
        let arrival = max(
            connection.lastAnswer + 1, now.nanoseconds + draw(Self.clientMicroseconds) * 1_000)
        connection.lastAnswer = arrival
        timeline.schedule(
            .response(connection, bytes), at: Instant(nanoseconds: arrival))
    }

    func closedByBroker(_ connection: SimulatedConnection) {
        schedule(
            .lost(
                client: connection.client, site: connection.target.site,
                life: connection.target.life),
            afterMicroseconds: draw(Self.clientMicroseconds))
    }

    func arrive(response bytes: ByteBuffer, on connection: SimulatedConnection) {
        guard connection.isOpen, let expected = connection.expected.popFirst() else { return }
        note(ContentHash(of: bytes).rawValue)
        do {
            let response = try expected.reader(bytes)
            clients[connection.client].hear(expected.token, response, in: self)
        } catch {
            fail(
                "client \(connection.client) could not read what broker "
                    + "\(connection.target.site + 1) answered: \(error)",
                breaks: .wordsUnderstood)
        }
    }

    /// Who works with the mesh: a maker of the topic; a producer, a consumer and a committer for
    /// each partition; and a group whose members come and go.
    func beginClients() {
        add(SimulatedTopicMaker(index: clients.count))
        for partition in 0..<options.partitions { beginClients(of: partition) }
        add(SimulatedOperator(index: clients.count))
        if options.turnsTopic { add(SimulatedTopicTurner(index: clients.count)) }
        for number in 0..<options.groupMembers {
            add(
                SimulatedGroupMember(
                    index: clients.count, isStatic: number < options.staticMembers))
        }
        for _ in 0..<2 { add(SimulatedReader(index: clients.count, group: "readers")) }
        if options.watchesOffsets { add(SimulatedLagWatch(index: clients.count)) }
    }

    func beginClients(of partition: Int32) {
        add(SimulatedProducer(index: clients.count, partition: partition))
        add(SimulatedConsumer(index: clients.count, partition: partition))
        add(SimulatedCommitter(index: clients.count, group: "group-\(partition)"))
    }

    /// Questions that are no clients' carry who asks.
    private static let tokenBits: UInt64 = 40

    /// A token for what an operator asks a broker's control machine itself.
    func token(for client: Int) -> UInt64 {
        lastToken += 1
        return UInt64(client) << Self.tokenBits | lastToken
    }

    /// All members of the group have their part in one generation.
    var isGroupSettled: Bool {
        let members = clients.compactMap { $0 as? SimulatedGroupMember }
        return Set(members.map(\.settled)).count <= 1
    }

    /// Who asked a broker to change who votes.
    func tell(_ token: UInt64, _ answer: VoterChangeAnswer) {
        let client = Int(token >> Self.tokenBits)
        guard clients.indices.contains(client),
            let client = clients[client] as? SimulatedOperator
        else { return }
        client.hear(token, answer, in: self)
    }
}
