import Coordination
import DequeModule
import KafkaProtocol
import Model
import NIOCore
import NIOPosix
import Node
import Routes
import Storage
import Synchronization

/// One event loop of the broker: its connections, its shard, and on the first one the control
/// machine.
///
/// Everything here belongs to the loop and is touched by no other thread; other threads post
/// messages. A turn reads the clocks once, then handles messages until none is left, so that a
/// machine is never entered while it runs and a burst of requests is one append after the other
/// followed by one flush of each connection.
final class Reactor {
    let index: Int
    let loop: any EventLoop
    let shared: SharedParts
    let limits: BrokerLimits
    let events: BrokerEvents
    private(set) var view: ClusterView
    private(set) var now = Clock.now()
    var shard: Shard
    /// Only on reactor 0, as is the mesh's shell.
    var plane: ControlPlane?
    var mesh: MeshShell?
    var sessions: FetchSessionCache

    private var inbox = Inbox()
    /// Changes places with the mailbox's.
    private var spare = Deque<Message>()
    private var isTurning = false
    private var batchDepth = 0
    private var waiting: [UInt64: (Answer) -> Void] = [:]
    private var lastToken: UInt64 = 0
    private var connections: [UInt64: Connection] = [:]
    private var settling: [Connection] = []
    private var shardEffects: [Shard.Effect] = []
    private var planeEffects: [ControlPlane.Effect] = []
    /// Logs that are to be opened, gathered in this turn.
    var openings: [PartitionOrder] = []
    private var bufferedBytes = 0
    private var isDraining = false
    /// The one connection that may exceed the account of unfinished frames.
    private var overdraft: UInt64?
    private var shardTimer: Scheduled<Void>?
    private var controlTimer: Scheduled<Void>?
    private var meshTimer: Scheduled<Void>?
    private var starved: [UInt64: Connection] = [:]
    /// Who waits until others lead what this broker led.
    var handedOver: ((HandoverReport) -> Void)?

    /// On its way to one follower, of all loops: half of what a link's queue holds, so that votes
    /// and gossip find room.
    private static let followerBytes = 8 << 20

    init(
        index: Int, loop: any EventLoop, shared: SharedParts, limits: BrokerLimits,
        view: ClusterView, catchUpBytesPerSecond: Int
    ) {
        self.index = index
        self.loop = loop
        self.shared = shared
        self.limits = limits
        self.events = shared.events
        self.view = view
        self.shard = Shard(
            disk: shared.disk, files: shared.files, tail: shared.tail[index],
            boot: shared.store.opening.bootEpoch,
            number: UInt16(clamping: index),
            followerBytes: Self.followerBytes / shared.mailboxes.count,
            catchUpBytesPerSecond: catchUpBytesPerSecond / shared.mailboxes.count)
        self.sessions = FetchSessionCache(loop: index, loops: shared.mailboxes.count)
    }

    // MARK: Turns

    /// Requests of one read are handled in one turn.
    func beginBatch() {
        // Deadlines of what comes now are counted from now, not from the last turn.
        if batchDepth == 0, !isTurning { now = Clock.now() }
        batchDepth += 1
    }

    func endBatch() {
        batchDepth -= 1
        if batchDepth == 0, !inbox.isEmpty { turn() }
    }

    /// Sends a message to a reactor; one to itself is handled in this turn.
    func post(_ message: Message, to target: Int) {
        guard target == index else {
            shared.mailboxes[target].post(message)
            return
        }
        inbox.append(message)
        if !isTurning, batchDepth == 0 { turn() }
    }

    /// How long a turn may go on: a tenth of the time in which a probe of another broker has to be
    /// answered. Thirty thousand partitions that are opened are as many messages; sockets and the
    /// clock are looked at in between.
    private static let turnNanoseconds: Int64 = 10_000_000
    /// Messages between two looks at the clock.
    private static let messagesPerLook = 32

    /// Handles messages until there are none, or until others have to have their turn.
    func turn() {
        guard !isTurning else { return }
        isTurning = true
        now = Clock.now()
        shared.mailboxes[index].drain(into: &inbox, by: &spare)
        var handled = 0
        var isOver = false
        repeat {
            while !isOver, let message = inbox.popFirst() {
                handle(message)
                handled += 1
                isOver = handled % Self.messagesPerLook == 0 && hasTurnedLong
            }
            // What was appended in this turn goes to each follower at once.
            if shard.hasToSend { driveShard(.turnEnded) }
        } while !isOver && !inbox.isEmpty
        isTurning = false
        beginOpenings()
        if !inbox.isEmpty { loop.assumeIsolated().execute { self.turn() } }
        let due = settling
        settling.removeAll(keepingCapacity: true)
        for connection in due { connection.resume() }
    }

    private var hasTurnedLong: Bool {
        Clock.now().instant.nanoseconds - now.instant.nanoseconds >= Self.turnNanoseconds
    }

    private func handle(_ message: Message) {
        switch message {
        case .shard(let input): driveShard(input)
        case .control(let input): drivePlane(.control(input))
        case .mesh(let input): drivePlane(.mesh(input))
        case .answer(let token, let answer): waiting.removeValue(forKey: token)?(answer)
        case .view(let view): self.view = view
        case .send(let node, let message): mesh?.replication.send(message, to: node)
        }
    }

    private func driveShard(_ input: Shard.Input) {
        var effects: [Shard.Effect] = []
        swap(&effects, &shardEffects)
        shard.handle(input, now: now, into: &effects)
        for effect in effects { perform(effect) }
        effects.removeAll(keepingCapacity: true)
        swap(&effects, &shardEffects)
    }

    private func drivePlane(_ input: ControlPlane.Input) {
        var effects: [ControlPlane.Effect] = []
        swap(&effects, &planeEffects)
        // In its place: a look whether it is there would copy all of it.
        let wasHere: Void? = plane?.handle(input, now: now, into: &effects)
        precondition(wasHere != nil, "reactor \(index) has no control machine")
        for effect in effects {
            switch effect {
            case .control(let effect): perform(effect)
            case .mesh(let effect): perform(effect)
            }
        }
        effects.removeAll(keepingCapacity: true)
        swap(&effects, &planeEffects)
    }

    // MARK: Questions and answers

    /// The number keeps the reactor in its upper bits, so that the answer finds its way back.
    func expect(_ continuation: @escaping (Answer) -> Void) -> UInt64 {
        lastToken += 1
        let token = UInt64(index) << 48 | lastToken
        waiting[token] = continuation
        return token
    }

    func answer(_ token: UInt64, _ answer: Answer) {
        post(.answer(token: token, answer), to: Int(token >> 48))
    }

    func forget(_ token: UInt64) { waiting[token] = nil }

    func ask(_ request: ControlRequest, then: @escaping (ControlReply) -> Void) {
        let token = expect { answer in
            if case .control(let reply) = answer { then(reply) }
        }
        post(.control(.request(token: token, request)), to: 0)
    }

    /// The reactor whose shard holds a partition.
    func shardIndex(of partition: TopicPartition) -> Int {
        shared.shardIndex(of: partition)
    }

    /// One timer for the shard: a wish for an earlier moment takes the place of the last.
    func wakeShard(at moment: Instant) {
        shardTimer?.cancel()
        shardTimer = schedule(.shard(.wake), at: moment)
    }

    /// One timer for the control machine.
    func wakeControl(at moment: Instant) {
        controlTimer?.cancel()
        controlTimer = schedule(.control(.wake), at: moment)
    }

    /// One timer for the mesh.
    func wakeMesh(at moment: Instant) {
        meshTimer?.cancel()
        meshTimer = schedule(.mesh(.wake), at: moment)
    }

    private func schedule(_ message: Message, at moment: Instant) -> Scheduled<Void> {
        let delay = max(0, moment.nanoseconds - Clock.now().instant.nanoseconds)
        let mailbox = shared.mailboxes[index]
        return loop.scheduleTask(in: .nanoseconds(delay)) { mailbox.post(message) }
    }

    // MARK: Connections

    func add(_ connection: Connection) { connections[connection.id] = connection }

    func remove(_ connection: Connection) {
        connections[connection.id] = nil
        endOverdraft(connection)
        starved[connection.id] = nil
        shared.openConnections.subtract(1, ordering: .relaxed)
        for token in connection.waitingFetches.sorted() {
            forget(token)
            for target in shared.mailboxes.indices {
                post(.shard(.forget(token: token)), to: target)
            }
        }
    }

    /// Flushes a connection and lets it go on once this turn is over.
    func settleAfterTurn(_ connection: Connection) {
        guard isTurning else {
            connection.resume()
            return
        }
        settling.append(connection)
    }

    /// Keeps account of the bytes of unfinished frames on this loop.
    func count(bytes: Int) {
        bufferedBytes += bytes
        guard bytes < 0, bufferedBytes <= shared.bufferedBytesPerLoop, !starved.isEmpty else {
            return
        }
        let waiting = starved.values.sorted { $0.id < $1.id }
        starved.removeAll()
        for connection in waiting { connection.resume() }
    }

    /// Gives back the right to exceed the account, when its frame is whole or its client gone.
    func endOverdraft(_ connection: Connection) {
        guard overdraft == connection.id else { return }
        overdraft = nil
        guard let next = starved.values.min(by: { $0.id < $1.id }) else { return }
        starved[next.id] = nil
        next.resume()
    }

    /// Whether a connection may read on: always to begin a frame, and to go on with one while the
    /// loop's account has room. Beyond that one connection at a time may, so that a large request
    /// always gets through. Who may not is told when it may.
    func mayRead(_ connection: Connection, holding bytes: Int) -> Bool {
        if isDraining { return false }
        if bytes == 0 || bufferedBytes <= shared.bufferedBytesPerLoop { return true }
        if overdraft == nil { overdraft = connection.id }
        if overdraft == connection.id { return true }
        starved[connection.id] = connection
        return false
    }

    /// How long an unfinished frame may hold memory that others wait for.
    static let crowdedFrameMilliseconds: Int64 = 5_000

    /// Once a second: ends what is idle, what dribbles, and, where memory is short, the oldest
    /// unfinished frame.
    func inspectConnections() {
        let instant = Clock.now().instant
        for connection in connections.values.sorted(by: { $0.id < $1.id }) {
            if let began = connection.frameBegan, !connection.isHeldBack,
                starved[connection.id] == nil,
                instant.milliseconds(since: began) > Int64(limits.frameSeconds) * 1_000
            {
                events.connectionEnded(connection, reason: "frame took too long")
                connection.close()
            } else if connection.isQuiet,
                instant.milliseconds(since: connection.lastHeard)
                    > Int64(limits.idleSeconds) * 1_000
            {
                events.connectionEnded(connection, reason: "idle")
                connection.close()
            }
        }
        guard bufferedBytes > shared.bufferedBytesPerLoop else { return }
        let oldest = connections.values.filter { $0.frameBegan != nil && $0.id != overdraft }
            .min { ($0.frameBegan ?? instant, $0.id) < ($1.frameBegan ?? instant, $1.id) }
        if let oldest, let began = oldest.frameBegan,
            instant.milliseconds(since: began) > Self.crowdedFrameMilliseconds
        {
            events.connectionEnded(oldest, reason: "memory for unfinished requests is used up")
            oldest.close()
        }
    }

    /// How long a stop waits for answers that were begun.
    static let drainMillisecondsMaximum: Int64 = 1_000

    /// Reads nothing more, waits until every answer is out (or for a second), then closes.
    func drainConnections(then: @escaping () -> Void) {
        isDraining = true
        let deadline = Clock.now().instant.advanced(
            byMilliseconds: Self.drainMillisecondsMaximum)
        lookWhetherDrained(deadline: deadline, then: then)
    }

    private func lookWhetherDrained(deadline: Instant, then: @escaping () -> Void) {
        let all = connections.values.sorted { $0.id < $1.id }
        guard all.allSatisfy(\.isQuiet) || Clock.now().instant >= deadline else {
            loop.assumeIsolated().scheduleTask(in: .milliseconds(5)) {
                self.lookWhetherDrained(deadline: deadline, then: then)
            }
            return
        }
        for connection in all { connection.close() }
        then()
    }
}
