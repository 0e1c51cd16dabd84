import DequeModule
import Model
import NIOCore
import Node
import Replication
import Routes
import Storage
import Synchronization

/// What event loops say to each other: values only, never references to each other's state.
enum Message: Sendable {
    case shard(Shard.Input)
    case control(Control.Input)
    case mesh(Mesh.Input)
    case answer(token: UInt64, Answer)
    case view(ClusterView)
    /// A shard's words to another broker; for the loop that has the links.
    case send(NodeID, ReplicationMessage)
}

/// The way into a reactor from other threads.
///
/// Messages keep the order in which one sender posted them. A burst costs one wake-up of the
/// loop: only the first message into an empty box schedules the reactor's turn. Unbounded by
/// itself; what enters it is bounded by the connections' requests in flight and by disk jobs.
final class Mailbox: Sendable {
    private let box = Mutex(Deque<Message>())
    private let loop: any EventLoop
    var eventLoop: any EventLoop { loop }
    private let reactor: NIOLoopBoundBox<Reactor?>

    init(loop: any EventLoop) {
        self.loop = loop
        self.reactor = NIOLoopBoundBox.makeBoxSendingValue(nil, eventLoop: loop)
    }

    /// Names the reactor that empties the box; called on its loop, once.
    func attach(_ reactor: Reactor) {
        precondition(self.reactor.value == nil, "a mailbox has one reactor")
        self.reactor.value = reactor
    }

    /// Lets the reactor go, so that a stopped broker's state is freed.
    func detach() { loop.execute { self.reactor.value = nil } }

    /// The reactor, for code that runs on its loop; nil once the broker has stopped.
    var reactorOnLoop: Reactor? { reactor.value }

    func isOn(_ other: any EventLoop) -> Bool { loop === other }

    /// Lets what was begun on the loop's connections be answered, then closes them.
    func drainConnections() -> EventLoopFuture<Void> {
        let drained = loop.makePromise(of: Void.self)
        loop.execute {
            guard let reactor = self.reactor.value else { return drained.succeed() }
            reactor.drainConnections { drained.succeed() }
        }
        return drained.futureResult
    }

    /// Before a slot is read again that could not be read: the disk may do it the next time, and a
    /// slot that is never read keeps all of its groups waiting.
    private static let slotAgainMilliseconds: Int64 = 1_000

    func readAgain(_ load: SlotLoad, _ piece: LogRead) {
        _ = loop.scheduleTask(in: .milliseconds(Self.slotAgainMilliseconds)) {
            self.reactor.value?.read(load, piece)
        }
    }

    /// How long a stop waits for the control machine's word, which bounds the handing over itself.
    private static let handoverMilliseconds: Int64 = 4_000

    /// Hands leaderships over to other brokers; the report of it, or nil where none came.
    func handOver() async -> HandoverReport? {
        let report = loop.makePromise(of: HandoverReport?.self)
        let deadline = loop.scheduleTask(in: .milliseconds(Self.handoverMilliseconds)) {
            report.succeed(nil)
        }
        loop.execute {
            guard let reactor = self.reactor.value, reactor.plane != nil,
                reactor.mesh?.fence.isClosed != true
            else { return report.succeed(nil) }
            reactor.handedOver = { report.succeed($0) }
            reactor.post(.control(.handOver), to: 0)
        }
        let outcome = try? await report.futureResult.get()
        deadline.cancel()
        return outcome ?? nil
    }

    /// How long a stop waits until its goodbye has spread.
    private static let farewellMilliseconds: Int64 = 1_500

    /// Says goodbye to the mesh; returns when it has spread, or after a while.
    func leaveMesh() async {
        let left = loop.makePromise(of: Void.self)
        let deadline = loop.scheduleTask(in: .milliseconds(Self.farewellMilliseconds)) {
            left.succeed()
        }
        loop.execute {
            guard let mesh = self.reactor.value?.mesh else { return left.succeed() }
            mesh.leave { left.succeed() }
        }
        try? await left.futureResult.get()
        deadline.cancel()
    }

    /// Ends the links and the sockets of the mesh.
    func closeMesh() -> EventLoopFuture<Void> {
        loop.flatSubmit {
            self.reactor.value?.mesh?.close() ?? self.loop.makeSucceededVoidFuture()
        }
    }

    func post(_ message: Message) {
        let wasEmpty = box.withLock { box in
            box.append(message)
            return box.count == 1
        }
        guard wasEmpty else { return }
        loop.execute { self.reactor.value?.turn() }
    }

    /// Takes everything out; called by the reactor.
    ///
    /// - Parameter spare: empty, and empty again afterwards: its room changes places with the
    ///   box's, so that who posts waits for a swap and for no copy.
    func drain(into inbox: inout Inbox, by spare: inout Deque<Message>) {
        box.withLock { swap(&spare, &$0) }
        inbox.append(contentsOf: spare)
        spare.removeAll(keepingCapacity: true)
    }
}
