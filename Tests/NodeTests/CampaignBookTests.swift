import Model
import Replication
import Testing

@testable import Node

private func partition(_ index: Int32) -> TopicPartition {
    TopicPartition(topic: TopicID(high: 1, low: 2), index: PartitionIndex(index))
}

private func at(_ milliseconds: Int64) -> Instant {
    Instant(nanoseconds: milliseconds * 1_000_000)
}

/// Campaigns by the moments at which they go on.
@Suite struct CampaignBookTests {
    private func opened(
        _ index: Int32, in book: inout CampaignBook, now: Int64
    ) {
        var campaign = Campaign(
            against: NodeID(9), LeaderEpoch(1), rank: 0, jitter: 0, now: at(now))
        var said: [Campaign.Effect] = []
        campaign.open(into: &said)
        book[partition(index)] = campaign
        for case .wake(let moment) in said { book.note(moment, of: partition(index)) }
    }

    @Test("Those that are due come in the order of their moments, and once")
    func order() {
        var book = CampaignBook()
        for index in [3, 1, 2] as [Int32] { opened(index, in: &book, now: Int64(index) * 10) }
        book.note(at(10), of: partition(1))
        #expect(book.nextDue == at(10))
        #expect(book.takeDue(at(20)) == [partition(1), partition(2)])
        #expect(book.nextDue == at(30))
        #expect(book.takeDue(at(20)).isEmpty)
    }

    @Test("A moment is void once its campaign is over, or has asked for another one")
    func void() {
        var book = CampaignBook()
        opened(1, in: &book, now: 10)
        opened(2, in: &book, now: 10)
        book[partition(1)] = nil
        var said: [Campaign.Effect] = []
        book[partition(2)]?.handle(.held(milliseconds: 500), now: at(5), into: &said)
        for case .wake(let moment) in said { book.note(moment, of: partition(2)) }
        #expect(book.takeDue(at(100)).isEmpty)
        #expect(book.nextDue == at(505))
        #expect(book.takeDue(at(505)) == [partition(2)])
        book.removeAll()
        #expect(book.nextDue == nil && book[partition(2)] == nil)
    }
}

@Suite struct PartitionRegisterTests {
    @Test("A register's name says which partition it is of, in one spelling")
    func names() {
        let id = TopicID(high: 0x0123_4567_89ab_cdef, low: 0xf)
        let known = TopicPartition(topic: id, index: PartitionIndex(2_147_483_647))
        let key = "partition/0123456789abcdef000000000000000f/2147483647"
        #expect(PartitionRegister.key(known) == key)
        #expect(PartitionRegister.partition(of: key) == known)
        let first = TopicPartition(topic: id, index: PartitionIndex(0))
        #expect(PartitionRegister.partition(of: PartitionRegister.key(first)) == first)
        let prefix = "partition/0123456789abcdef000000000000000f"
        for stranger in [
            "topic/a", prefix, prefix + "/", prefix + "/-1", prefix + "/+1", prefix + "/01",
            prefix + "/2147483648", prefix + "/1x", prefix + "/99999999999999999999",
            "partition/0123456789ABCDEF000000000000000f/1", prefix + "1", prefix + "0/1",
        ] { #expect(PartitionRegister.partition(of: stranger) == nil, "\(stranger)") }
    }
}
