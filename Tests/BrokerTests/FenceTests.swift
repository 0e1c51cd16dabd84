import Model
import Testing

@testable import Broker

/// How many members it takes to end a broker.
@Suite struct FenceTests {
    /// The word of each witness in turn, and whether it closed the fence.
    private func words(of witnesses: [Int32], others: Int) -> (words: [Bool], isClosed: Bool) {
        var fence = Fence()
        let words = witnesses.map { fence.close(by: NodeID($0), others: others) }
        return (words, fence.isClosed)
    }

    @Test("Of many members two must say so, and one that says it twice is one")
    func twoOfMany() {
        let once = words(of: [2, 2], others: 4)
        #expect(once.words == [false, false])
        #expect(!once.isClosed)
        let twice = words(of: [2, 2, 3, 4], others: 4)
        #expect(twice.words == [false, false, true, false])
        #expect(twice.isClosed)
    }

    @Test("The only other member is enough")
    func theOnlyOther() {
        #expect(words(of: [2], others: 1).words == [true])
    }
}
