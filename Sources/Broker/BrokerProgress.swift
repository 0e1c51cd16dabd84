import NIOCore
import Synchronization

/// What the start and the stop of a broker wait for; fulfilled by the loops, awaited by the shell.
final class BrokerProgress: Sendable {
    private struct State {
        var openShards: Int
        var isClean = true
    }

    private let state: Mutex<State>
    private let readiness: EventLoopPromise<[String]>
    private let end: EventLoopPromise<Bool>
    /// Why the mesh no longer takes this broker for the member that it was; the first reason
    /// counts.
    let fences: AsyncStream<String>
    private let fencing: AsyncStream<String>.Continuation

    init(shards: Int, loop: any EventLoop) {
        state = Mutex(State(openShards: shards))
        readiness = loop.makePromise()
        end = loop.makePromise()
        (fences, fencing) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    func fenced(_ reason: String) { fencing.yield(reason) }

    func ready(failures: [String]) { readiness.succeed(failures) }

    func stopped(clean: Bool) {
        let outcome: Bool? = state.withLock { state in
            state.openShards -= 1
            state.isClean = state.isClean && clean
            return state.openShards == 0 ? state.isClean : nil
        }
        if let outcome { end.succeed(outcome) }
    }

    /// What could not be opened, once everything else is; the future never fails.
    var whenReady: EventLoopFuture<[String]> { readiness.futureResult }

    /// Whether every log was closed in order, once all are.
    var whenStopped: EventLoopFuture<Bool> { end.futureResult }

    /// Lets the promises go where a start failed before anything was opened.
    func abandon() {
        readiness.succeed([])
        end.succeed(false)
    }
}
