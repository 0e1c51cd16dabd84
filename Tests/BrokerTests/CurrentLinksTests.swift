import Model
import Testing
import Transport

@testable import Broker

/// When the streams between two brokers begin anew.
@Suite struct CurrentLinksTests {
    private let node = NodeID(2)

    @Test("A link that lost its place to a newer one ends nothing when it closes")
    func superseded() {
        var links = CurrentLinks()
        let first = links.opened(LinkID(1), with: node)
        #expect(!first)
        let second = links.opened(LinkID(2), with: node)
        #expect(second)
        let old = links.closed(LinkID(1), with: node)
        #expect(!old)
        let current = links.closed(LinkID(2), with: node)
        #expect(current)
    }

    @Test("A link that ended before the next one began them anew already")
    func oneAfterTheOther() {
        var links = CurrentLinks()
        _ = links.opened(LinkID(1), with: node)
        let closed = links.closed(LinkID(1), with: node)
        #expect(closed)
        let next = links.opened(LinkID(2), with: node)
        #expect(!next)
    }

    @Test("Members have links of their own")
    func others() {
        var links = CurrentLinks()
        _ = links.opened(LinkID(1), with: node)
        let other = links.opened(LinkID(2), with: NodeID(3))
        #expect(!other)
        let closed = links.closed(LinkID(1), with: node)
        #expect(closed)
    }
}
