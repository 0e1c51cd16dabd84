import Model
import Testing

@testable import Broker

/// How many members it takes to end a broker.
@Suite struct FenceTests {
    @Test("Of many members two must say so, and one that says it twice is one")
    func twoOfMany() {
        var fence = Fence()
        #expect(!fence.close(by: NodeID(2), others: 4))
        #expect(!fence.close(by: NodeID(2), others: 4))
        #expect(!fence.isClosed)
        #expect(fence.close(by: NodeID(3), others: 4))
        #expect(fence.isClosed)
        #expect(!fence.close(by: NodeID(4), others: 4))
    }

    @Test("The only other member is enough")
    func theOnlyOther() {
        var fence = Fence()
        #expect(fence.close(by: NodeID(2), others: 1))
    }
}
