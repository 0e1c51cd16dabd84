import Coordination
import Gossip
import Model
import NIOCore
import Storage
import Testing

@testable import Node

/// Committed offsets on their way to every broker, and back into a slot that was lost.
@Suite struct ControlFeedTests {
    private func commit(_ group: String, _ offset: Int64) -> ControlRequest {
        .group(
            .commitOffsets(
                GroupRequest.CommitOffsets(
                    groupID: group, generation: -1, memberID: "",
                    topics: [
                        Topic(
                            name: "orders",
                            partitions: [
                                GroupRequest.CommitOffsets.Partition(
                                    index: PartitionIndex(0), offset: Offset(offset),
                                    leaderEpoch: .unknown, metadata: "m")
                            ])
                    ])))
    }

    private func committed(_ bench: inout ControlBench, _ group: String) -> Int64? {
        bench.request(
            77, .group(.fetchOffsets(GroupRequest.FetchOffsets(groupID: group, topics: nil))))
        guard case .fetchOffsets(let answer)? = bench.take().groupReplies.last else { return nil }
        return answer.topics.first?.partitions.first?.offset?.rawValue
    }

    private func ready() -> ControlBench {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.settle()
        bench.loadSlots()
        bench.effects = []
        return bench
    }

    private static func slot(of group: String) -> Int {
        Int(GroupSlot.slot(for: group, count: 3).rawValue)
    }

    private func spread(_ effects: [Control.Effect]) -> [FeedNews] {
        effects.compactMap { if case .spread(let news) = $0 { news } else { nil } }
    }

    private func record(_ group: String, _ offset: Int64) -> SlotRecord {
        SlotRecord(
            OffsetCommitKey(groupID: group, topic: "orders", partition: PartitionIndex(0)),
            OffsetCommitValue(
                offset: Offset(offset), leaderEpoch: .unknown, metadata: "",
                commitTimestamp: Timestamp(milliseconds: 1_700_000_000_000)))
    }

    // MARK: Telling

    @Test func aCommitIsToldOnceItIsDurableAndOnlyThen() throws {
        var bench = ready()
        bench.request(1, commit("g", 5))
        #expect(spread(bench.effects).isEmpty)
        bench.append(at: 40)
        let news = try #require(spread(bench.take()).first)
        guard case .slot(let slot, _) = news.feed else {
            Issue.record("\(news.feed)")
            return
        }
        #expect(Int(slot) == Self.slot(of: "g"))
        #expect(news.asOf == bench.now.wall)
        #expect(news.entries.map(\.version) == [FeedVersion(epoch: 0, sequence: 40)])
        let entry = try #require(news.entries.first)
        let told = try SlotRecord(key: entry.key, value: entry.value).content()
        guard case .offset(let key, let value?) = told else {
            Issue.record("\(told)")
            return
        }
        #expect(key.groupID == "g" && value.offset == Offset(5) && value.metadata == "m")
        bench.request(2, commit("g", 9))
        bench.append(error: .storage)
        #expect(spread(bench.take()).isEmpty)
    }

    @Test func deletionIsToldAsATombstoneBehindTheCommit() throws {
        var bench = ready()
        bench.request(1, commit("g", 5))
        bench.append(at: 40)
        let key = try #require(spread(bench.take()).first?.entries.first?.key)
        bench.request(2, .group(.delete(GroupRequest.Delete(groupID: "g"))))
        bench.append(at: 41)
        let news = try #require(spread(bench.take()).first)
        let gone = try #require(news.entries.first { $0.key == key })
        #expect(gone.value == nil)
        #expect(gone.version > FeedVersion(epoch: 0, sequence: 40))
    }

    @Test func aNewLeaderTellsWhatItsLogHoldsOnceAllOfItIsCommitted() throws {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.settle()
        let loads = bench.take().loads
        let load = try #require(
            loads.first { Int($0.partition.index.rawValue) == Self.slot(of: "g") })
        func versions(_ epoch: Int64, _ places: Int64...) -> [FeedVersion] {
            places.map { FeedVersion(epoch: epoch, sequence: $0) }
        }
        bench.handle(
            .slotRecords(
                load, [record("g", 5), SlotRecord(groupID: "g", nil), record("h", 1)],
                at: versions(3, 8, 9, 10)))
        bench.handle(.slotRecords(load, [record("g", 7)], at: versions(4, 11)))
        // Pieces of a reading that does not count any more tell nothing.
        let other = SlotLoad(partition: load.partition, number: .max)
        bench.handle(.slotRecords(other, [record("g", 6)], at: versions(4, 12)))
        bench.handle(.slotEnd(other))
        #expect(spread(bench.take()).isEmpty, "the end of the log may be nobody's word yet")
        bench.handle(.slotEnd(load))
        let all = spread(bench.take())
        let news = try #require(all.first)
        #expect(all.count == 1 && news.isLoaded)
        #expect(
            news.entries.map(\.version) == versions(3, 10) + versions(4, 11),
            "the last word on each offset, in order; groups are not told")
        bench.handle(.slotEnd(load))
        #expect(spread(bench.take()).isEmpty, "once")
    }

    @Test func onlyWhoCoordinatesASlotAffirmsIt() {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.settle()
        bench.handle(.affirmFeeds)
        #expect(spread(bench.effects).isEmpty, "still loading")
        let epochs = bench.effects.compactMap { effect -> SlotEpochs? in
            if case .slotEpochs(let epochs) = effect { epochs } else { nil }
        }
        #expect(epochs.map(\.epochs) == [[0, 0, 0]])
        bench.loadSlots()
        bench.effects = []
        bench.handle(.affirmFeeds)
        let news = spread(bench.take())
        #expect(news.count == 3)
        #expect(news.allSatisfy { $0.entries.isEmpty && $0.asOf == bench.now.wall })
    }

    // MARK: Recovery

    private func outcome(_ effects: [Control.Effect]) -> RecoveryOutcome? {
        for case .reply(_, .recovered(let outcome)) in effects { return outcome }
        return nil
    }

    @Test func whatASlotLacksIsWrittenBackAndReadAgain() throws {
        var bench = ready()
        let slot = Self.slot(of: "g")
        bench.request(1, .recoverOffsets(slot: slot, [record("g", 5)], force: false))
        var written: [SlotRecord] = []
        for case .append(_, _, let bytes) in bench.effects {
            for record in try LogRead.memory(bytes).records() {
                written.append(SlotRecord(key: record.key ?? ByteBuffer(), value: record.value))
            }
        }
        #expect(written == [record("g", 5)])
        #expect(outcome(bench.effects) == nil)
        bench.append(at: 0)
        let done = bench.take()
        #expect(outcome(done)?.written == [record("g", 5)])
        #expect(outcome(done)?.refusal == nil)
        let load = try #require(done.loads.first)
        bench.handle(.slotRecords(load, written, at: [FeedVersion(epoch: 0, sequence: 0)]))
        bench.handle(.slotEnd(load))
        #expect(committed(&bench, "g") == 5)
        // Again, there is nothing to do.
        bench.request(2, .recoverOffsets(slot: slot, [record("g", 5)], force: false))
        let again = bench.take()
        #expect(outcome(again)?.written.isEmpty == true)
        #expect(outcome(again)?.kept == 1)
    }

    @Test func aSlotThatLivesIsNotWrittenToWithoutForce() {
        let other = (0..<100).map { "h\($0)" }.first { Self.slot(of: $0) == Self.slot(of: "g") }
        var bench = ready()
        bench.request(1, commit("g", 5))
        bench.append()
        bench.effects = []
        let records = [record("g", 2), record(other ?? "", 7)]
        let slot = Self.slot(of: "g")
        bench.request(2, .recoverOffsets(slot: slot, records, force: false))
        #expect(outcome(bench.effects)?.refusal == .notEmpty(1))
        bench.effects = []
        bench.request(3, .recoverOffsets(slot: slot, records, force: true))
        bench.append(at: 1)
        let done = bench.take()
        #expect(outcome(done)?.written == [record(other ?? "", 7)], "the log's word stands")
        #expect(outcome(done)?.kept == 1)
    }

    /// Its record is in the log before what a recovery would write, which would take it back.
    @Test func aCommitThatIsOnItsWayIsNotUndone() {
        var bench = ready()
        bench.request(1, commit("g", 5))
        let other = (0..<100).map { "h\($0)" }.first { Self.slot(of: $0) == Self.slot(of: "g") }
        let slot = Self.slot(of: "g")
        let records = [record("g", 2), record(other ?? "", 7)]
        bench.request(2, .recoverOffsets(slot: slot, records, force: false))
        #expect(outcome(bench.effects)?.refusal == .notEmpty(1))
        bench.effects.removeAll { if case .reply = $0 { true } else { false } }
        bench.request(3, .recoverOffsets(slot: slot, [record("g", 2)], force: true))
        #expect(outcome(bench.effects)?.written.isEmpty == true)
        #expect(outcome(bench.effects)?.kept == 1)
        #expect(bench.effects.count { if case .append = $0 { true } else { false } } == 1)
        bench.append(at: 0)
        #expect(committed(&bench, "g") == 5)
    }

    @Test func aRecoveryThatWasNotWrittenSaysSo() {
        var bench = ready()
        bench.request(
            1, .recoverOffsets(slot: Self.slot(of: "g"), [record("g", 5)], force: false))
        bench.append(error: .storage)
        guard case .notWritten? = outcome(bench.take())?.refusal else {
            Issue.record("no refusal")
            return
        }
        bench.request(2, .recoverOffsets(slot: 99, [record("g", 5)], force: false))
        #expect(outcome(bench.take())?.refusal == .notCoordinator)
    }

    @Test func aDeletedTopicOfSlotsIsForgotten() {
        var bench = ready()
        bench.request(2, .deleteTopics([TopicName.consumerOffsets]))
        bench.settle()
        let forgotten = bench.effects.contains {
            if case .forgetSlots = $0 { true } else { false }
        }
        #expect(forgotten)
    }
}
