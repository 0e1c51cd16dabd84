import Model
import NIOCore
import Node
import Routes

/// What the routes of requests need of an event loop.
extension Reactor: RequestLoop {
    var loopCount: Int { shared.mailboxes.count }

    var dataDirectory: String { shared.dataDirectory }

    var moment: Instant { Clock.now().instant }

    func post(shard input: Shard.Input, to target: Int) { post(.shard(input), to: target) }

    func later(milliseconds: Int64, _ action: @escaping () -> Void) {
        loop.assumeIsolated().scheduleTask(in: .milliseconds(milliseconds), action)
    }
}
