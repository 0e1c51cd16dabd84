import Model
import NIOCore
import Node
import Testing

@testable import Simulation

/// Whether an order is found that explains a history, and none where there is none.
@Suite struct RegisterHistoryTests {
    private struct Call: TimedCall {
        /// Nil reads.
        var written: Int?
        var read: Int?
        let start: Int64
        let end: Int64?

        func applied(to state: Int) -> Int? {
            if let written { return written }
            return read == nil || read == state ? state : nil
        }
    }

    private func write(_ value: Int, _ start: Int64, _ end: Int64?) -> Call {
        Call(written: value, start: start, end: end)
    }

    private func read(_ value: Int, _ start: Int64, _ end: Int64) -> Call {
        Call(read: value, start: start, end: end)
    }

    private func judge(_ calls: [Call]) -> Linearizability {
        Linearizability.judge(calls, initial: 0)
    }

    @Test func staleReadsAreFound() {
        #expect(judge([write(1, 0, 10), read(1, 11, 12)]) == .linearizable)
        #expect(judge([write(1, 0, 10), read(0, 11, 12)]) == .violated)
        // While the write is under way both are right, but not the old after the new one.
        #expect(judge([write(1, 0, 10), read(1, 1, 2), read(1, 3, 4)]) == .linearizable)
        #expect(judge([write(1, 0, 10), read(1, 1, 2), read(0, 3, 4)]) == .violated)
    }

    @Test func whatNobodyKnowsMayHaveHappenedOrNot() {
        #expect(judge([write(1, 0, nil), read(0, 5, 6), read(1, 7, 8)]) == .linearizable)
        #expect(judge([write(1, 0, nil), read(0, 5, 6)]) == .linearizable)
        #expect(judge([write(1, 0, nil), read(1, 5, 6), read(0, 7, 8)]) == .violated)
    }

    @Test func longHistoriesAreJudged() {
        var calls: [Call] = [write(-1, 0, nil)]
        for number in 1..<1_000 {
            let at = Int64(number) * 10
            calls.append(write(number, at, at + 1))
            calls.append(read(number, at + 2, at + 3))
        }
        #expect(judge(calls) == .linearizable)
        calls.append(read(998, 20_000, 20_001))
        #expect(judge(calls) == .violated)
    }

    @Test func tooManyAtOnceAreNotJudged() {
        let calls = (0..<300).map { write($0, 0, 1_000) } + [read(-7, 2_000, 2_001)]
        #expect(judge(calls) == .undecided)
    }

    // MARK: Registers of a mesh

    private func chosen(_ value: Int64, _ counter: UInt64) -> Decision {
        .chosen(
            ChosenValue(
                key: "producer-ids",
                ballot: Ballot(counter: counter, proposer: NodeID(1), boot: BootEpoch(1)),
                value: ByteBuffer(integer: value)))
    }

    private func reserve(
        _ number: UInt64, _ decision: Decision, from start: Int64, to end: Int64, site: Int,
        _ histories: inout RegisterHistories
    ) {
        histories.note(
            .proposed(
                number, [RegisterProposal(key: "producer-ids", operation: .reserve(1_000))]),
            site: site, life: 1, at: Instant(nanoseconds: start))
        histories.note(
            .decided(number, [decision]), site: site, life: 1, at: Instant(nanoseconds: end))
    }

    @Test func twoThatWereGivenTheSameAreFound() {
        var histories = RegisterHistories()
        reserve(1, chosen(1_000, 1), from: 0, to: 10, site: 0, &histories)
        reserve(1, chosen(2_000, 2), from: 11, to: 20, site: 1, &histories)
        #expect(histories.judge().violated == nil)
        #expect(histories.judge().judged == 1)
        reserve(2, chosen(2_000, 3), from: 21, to: 30, site: 0, &histories)
        #expect(histories.judge().violated == "producer-ids")
    }

    @Test func whatNobodyHeardOfExplainsWhatIsFound() {
        var histories = RegisterHistories()
        reserve(1, .unknown(""), from: 0, to: 10, site: 0, &histories)
        reserve(1, chosen(2_000, 2), from: 11, to: 20, site: 1, &histories)
        #expect(histories.judge().violated == nil)
        reserve(2, chosen(2_000, 2), from: 21, to: 30, site: 1, &histories)
        #expect(histories.judge().violated == "producer-ids")
    }

    @Test func whatWasNotChosenExplainsNothing() {
        var histories = RegisterHistories()
        reserve(1, .notChosen(""), from: 0, to: 10, site: 0, &histories)
        reserve(1, chosen(2_000, 2), from: 11, to: 20, site: 1, &histories)
        #expect(histories.judge().violated == "producer-ids")
    }

    @Test func aReadOfWhatWasOverwrittenIsFound() {
        var histories = RegisterHistories()
        reserve(1, chosen(1_000, 1), from: 0, to: 10, site: 0, &histories)
        reserve(2, chosen(2_000, 2), from: 11, to: 20, site: 0, &histories)
        histories.note(
            .read(1, ["producer-ids"]), site: 1, life: 1, at: Instant(nanoseconds: 30))
        histories.note(
            .decided(1, [chosen(1_000, 1)]), site: 1, life: 1, at: Instant(nanoseconds: 40))
        #expect(histories.judge().violated == "producer-ids")
    }
}
