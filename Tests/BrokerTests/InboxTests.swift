import DequeModule
import Model
import Node
import Testing

@testable import Broker

/// What a loop handles first.
@Suite struct InboxTests {
    private func kind(_ message: Message?) -> String {
        switch message {
        case .mesh(.wake): "mesh"
        case .mesh(.trace(let id)): "trace \(id)"
        case .shard(.settle(let token)): "shard \(token)"
        case .control(.wake): "control"
        case nil: "none"
        default: "another"
        }
    }

    /// Behind ten thousand partitions a probe would be answered too late.
    @Test func theMeshIsNotKeptWaiting() {
        var inbox = Inbox()
        for token in 1...3 as ClosedRange<UInt64> { inbox.append(.shard(.settle(token: token))) }
        inbox.append(.mesh(.trace(1)))
        inbox.append(.control(.wake))
        inbox.append(contentsOf: [.mesh(.trace(2)), .shard(.settle(token: 4))])
        var order: [String] = []
        while !inbox.isEmpty { order.append(kind(inbox.popFirst())) }
        #expect(
            order == [
                "trace 1", "trace 2", "shard 1", "shard 2", "shard 3", "control", "shard 4",
            ])
        #expect(inbox.popFirst() == nil)
    }
}
