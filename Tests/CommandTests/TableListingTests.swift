import Broker
import Testing

@testable import gossamer

/// Pages of several brokers, which need not end at the same places.
@Suite struct TableListingTests {
    private func answer(
        _ node: Int32, _ keys: [String], next: Int?, counter: UInt64 = 1
    ) -> InspectionAnswer {
        var answer = InspectionAnswer(nodeId: node, clusterId: "c", at: 0)
        answer.versions = keys.compactMap { Given.version($0, 1, counter) }
        answer.nextBucket = next
        return answer
    }

    private func keys(_ listing: TableListing, of node: Int32) -> [String] {
        listing.whole.answers.first { $0.nodeId == node }?.versions?.map(\.key) ?? []
    }

    @Test func pagesArePutTogether() {
        var listing = TableListing()
        #expect(listing.next == 0)
        listing.take(
            InspectionAnswers(
                answers: [
                    answer(1, ["c", "a"], next: 5), answer(2, ["c", "a", "d"], next: 7),
                ], silent: []))
        #expect(listing.next == 5, "from where the first of them ended")
        listing.take(
            InspectionAnswers(
                answers: [
                    answer(1, ["d", "b"], next: nil), answer(2, ["d", "b"], next: nil, counter: 2),
                ], silent: []))
        #expect(listing.next == nil)
        #expect(keys(listing, of: 1) == ["a", "b", "c", "d"])
        #expect(keys(listing, of: 2) == ["a", "b", "c", "d"])
        let newer = listing.whole.answers[1].versions?.first { $0.key == "d" }
        #expect(newer?.counter == 2, "what comes again replaces")
    }

    @Test func aBrokerThatMissesAPageIsSilent() {
        var listing = TableListing()
        listing.take(
            InspectionAnswers(
                answers: [answer(1, ["a"], next: 5), answer(2, ["a"], next: 5)], silent: []))
        listing.take(InspectionAnswers(answers: [answer(1, ["b"], next: nil)], silent: [2]))
        #expect(listing.next == nil)
        #expect(listing.whole.answers.map(\.nodeId) == [1])
        #expect(listing.whole.silent == [2])
    }

    @Test func anAnswerThatGoesNowhereEndsTheListing() {
        var listing = TableListing()
        listing.take(InspectionAnswers(answers: [answer(1, ["a"], next: 5)], silent: []))
        listing.take(InspectionAnswers(answers: [answer(1, ["a"], next: 5)], silent: []))
        #expect(listing.next == nil)
    }
}
