import Model
import Testing
import Transport

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

    @Test("Who says that the id is another's may not have heard who was let in")
    func hearsay() {
        func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
        var fence = Fence()
        let believed = [0, 9_999, 10_000].map {
            fence.believes(.duplicateNodeID, of: NodeID(2), now: at($0))
        }
        #expect(believed == [false, false, true])
        fence.welcomed(by: NodeID(2))
        let later = fence.believes(.duplicateNodeID, of: NodeID(2), now: at(20_000))
        #expect(!later)
        let revoked = fence.believes(.revoked, of: NodeID(3), now: at(0))
        #expect(revoked, "that is a decision which the member knows")
    }

    @Test("The only other member is enough")
    func theOnlyOther() {
        #expect(words(of: [2], others: 1).words == [true])
    }
}
