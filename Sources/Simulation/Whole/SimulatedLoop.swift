import DequeModule
import KafkaProtocol
import Model
import NIOCore
import Node
import Routes

/// A client's connection with one loop of a process, both of its ends.
///
/// Requests and answers keep their order in each direction, as on a stream; what is under way when
/// it ends is lost.
final class SimulatedConnection: ClientConnection {
    let listener = "PLAIN"
    let clientHost: String
    let client: Int
    let target: MeshTarget
    let loop: Int
    unowned let world: MeshWorld
    var waitingFetches: Set<UInt64> = []
    var answers = AnswerQueue()
    /// Whether the client still listens.
    var isOpen = true
    /// What the client waits for, in the order in which it asked.
    var expected: Deque<(token: UInt64, reader: (ByteBuffer) throws -> any KafkaResponse)> = []
    var lastRequest: Int64 = 0
    var lastAnswer: Int64 = 0

    init(client: Int, target: MeshTarget, loop: Int, in world: MeshWorld) {
        self.client = client
        self.target = target
        self.loop = loop
        self.world = world
        clientHost = "10.0.0.\(client)"
    }

    func answer(_ number: UInt64, _ pieces: [Piece]?) {
        guard answers.answer(number, pieces) else { return }
        while let due = answers.next() { world.respond(due, on: self) }
    }

    func close() { world.closedByBroker(self) }
}

/// A loop of a process as its clients' requests see it: the routes are those that brokers run.
final class SimulatedLoop: RequestLoop {
    let index: Int
    /// Its process holds this loop.
    private unowned let site: BrokerSite
    private unowned let world: MeshWorld
    private var known: ClusterView?
    private var waiting: [UInt64: (Answer) -> Void] = [:]
    private var lastToken: UInt64 = 0
    private var postponed: [UInt64: () -> Void] = [:]
    var sessions: FetchSessionCache

    private static let loopShift: UInt64 = 48

    init(index: Int, of site: BrokerSite, in world: MeshWorld) {
        self.index = index
        self.site = site
        self.world = world
        sessions = FetchSessionCache(loop: index, loops: BrokerLife.loops)
    }

    var view: ClusterView {
        get {
            guard let known = known ?? site.life?.view else {
                preconditionFailure("requests come once the broker is ready")
            }
            return known
        }
        set { known = newValue }
    }

    var now: Now { world.clock(of: site) }
    var moment: Instant { world.clock(of: site).instant }
    var loopCount: Int { BrokerLife.loops }
    var dataDirectory: String { "/var/lib/gossamer" }

    func shardIndex(of partition: TopicPartition) -> Int {
        site.life?.shardIndex(of: partition) ?? 0
    }

    func expect(_ continuation: @escaping (Answer) -> Void) -> UInt64 {
        lastToken += 1
        let token = UInt64(index) << Self.loopShift | lastToken
        waiting[token] = continuation
        return token
    }

    /// The loop that a token belongs to.
    static func index(of token: UInt64) -> Int { Int(token >> loopShift) }

    func post(shard input: Shard.Input, to target: Int) {
        world.post(.shard(input), to: target, of: site, from: index)
    }

    func ask(_ request: ControlRequest, then: @escaping (ControlReply) -> Void) {
        let token = expect { answer in
            if case .control(let reply) = answer { then(reply) }
        }
        world.post(
            .plane(.control(.request(token: token, request))), to: 0, of: site, from: index)
    }

    func later(milliseconds: Int64, _ action: @escaping () -> Void) {
        lastToken += 1
        postponed[lastToken] = action
        world.schedule(
            .post(site: site.index, life: site.lives, loop: index, .later(lastToken)),
            afterMicroseconds: milliseconds * 1_000)
    }

    // MARK: Turns

    func isDue(_ number: UInt64) { postponed.removeValue(forKey: number)?() }

    func answer(_ token: UInt64, _ answer: Answer) { waiting.removeValue(forKey: token)?(answer) }

    /// A whole frame came: its length is in front.
    func take(_ frame: ByteBuffer, of connection: SimulatedConnection) {
        world.note(ContentHash(of: frame).rawValue)
        var body = frame
        do throws(WireError) {
            guard let length = body.readInteger(as: Int32.self), length == body.readableBytes else {
                throw .truncated
            }
            let header = try RequestHeader.decode(&body)
            let exchange = Exchange(
                connection: connection, number: connection.answers.makePlace(), header: header)
            try route(exchange, body)
        } catch {
            world.fail(
                "\(site.name) could not read what client \(connection.client) asked: \(error)",
                breaks: .wordsUnderstood)
        }
    }

    func hungUp(_ connection: SimulatedConnection) {
        connection.answers.removeAll()
        for token in connection.waitingFetches.sorted() {
            waiting[token] = nil
            for loop in 0..<loopCount { post(shard: .forget(token: token), to: loop) }
        }
    }
}
