import Coordination
import Model
import NIOCore
import Node
import Replication
import Storage
import Testing

/// The slots of groups: made at the first question, loaded, asked, and gone with their topic.
@Suite struct ControlGroupTests {
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
                                    leaderEpoch: .unknown, metadata: "")
                            ])
                    ])))
    }

    private func committed(_ bench: inout ControlBench, _ group: String) -> Int64? {
        bench.request(
            77, .group(.fetchOffsets(GroupRequest.FetchOffsets(groupID: group, topics: nil))))
        guard case .fetchOffsets(let answer)? = bench.take().groupReplies.last else { return nil }
        return answer.topics.first?.partitions.first?.offset?.rawValue
    }

    private func commitError(_ response: GroupResponse?) -> GroupError? {
        guard case .commitOffsets(let topics)? = response else { return nil }
        return topics.first?.partitions.first?.error
    }

    private func ready() -> ControlBench {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.settle()
        bench.loadSlots()
        bench.effects = []
        return bench
    }

    @Test func theFirstQuestionMakesTheSlots() {
        var bench = ControlBench()
        bench.effects = []
        bench.request(1, commit("g", 5))
        #expect(commitError(bench.take().groupReplies.last) == .coordinatorLoadInProgress)
        bench.request(2, .listGroups(GroupRequest.List()))
        #expect(bench.take().replies.count == 1, "there are no groups to list")
        bench.request(3, .coordinators(groups: ["g"]))
        bench.request(4, .coordinators(groups: ["h"]))
        #expect(bench.writes.count == 1, "one topic for all")
        #expect(bench.take().replies.isEmpty)
        bench.persist()
        #expect(bench.take().replies.isEmpty)
        bench.openAll()
        let effects = bench.effects
        #expect(effects.replies.map(\.token) == [3, 4])
        for reply in effects.replies {
            guard case .coordinators([NodeID(1)]) = reply.reply else {
                Issue.record("unexpected: \(reply)")
                return
            }
        }
        let topic = bench.view?.topic(named: TopicName.consumerOffsets)
        #expect(topic?.partitions.count == 3)
        #expect(topic?.isInternal == true)
        #expect(topic?.configuration.isCompacted == true)
        bench.request(5, commit("g", 5))
        #expect(commitError(bench.effects.groupReplies.last) == .coordinatorLoadInProgress)
        bench.loadSlots()
        bench.request(6, .coordinators(groups: ["g"]))
        #expect(bench.take().replies.map(\.token) == [6])
    }

    @Test func whoAsksWhileTheTopicCannotBeMadeIsTold() {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.persist(failure: "disk full")
        guard case .coordinators([nil])? = bench.take().replies.last?.reply else {
            Issue.record("no answer")
            return
        }
        bench.request(2, .coordinators(groups: ["g"]))
        #expect(bench.writes.count == 1, "the next question tries again")
    }

    @Test func aCommitIsAnsweredOnceItsLogTookIt() {
        var bench = ready()
        bench.request(1, commit("g", 5))
        #expect(bench.effects.groupReplies.isEmpty)
        bench.append()
        #expect(commitError(bench.effects.groupReplies.last) == nil)
        #expect(bench.take().replies.map(\.token) == [1])
        #expect(committed(&bench, "g") == 5)
        bench.request(2, commit("g", 9))
        bench.append(error: .storage)
        #expect(commitError(bench.take().groupReplies.last) == .notCoordinator)
        #expect(committed(&bench, "g") == 5)
    }

    @Test func theListIsThatOfAllSlots() {
        var bench = ready()
        let names = (0..<20).map { "group-\($0)" }
        for name in names { bench.request(1, commit(name, 1)) }
        bench.append()
        bench.effects = []
        bench.request(2, .listGroups(GroupRequest.List()))
        let replies = bench.take().replies
        #expect(replies.count == 1)
        guard case .groups(let list)? = replies.first?.reply else {
            Issue.record("no list")
            return
        }
        #expect(list.error == nil)
        #expect(list.groups.map(\.groupID).sorted() == names.sorted())
    }

    @Test func aRestartKnowsWhatWasCommitted() throws {
        var bench = ready()
        bench.request(1, commit("g", 5))
        var slot: TopicPartition?
        var records: [SlotRecord] = []
        for case .append(_, let partition, let bytes) in bench.effects {
            slot = partition
            for record in try LogRead.memory(bytes).records() {
                records.append(SlotRecord(key: record.key ?? ByteBuffer(), value: record.value))
            }
        }
        var next = ControlBench(registers: bench.registers)
        next.openAll()
        let loads = next.take().loads
        #expect(loads.count == 3)
        for load in loads {
            if load.partition == slot { next.handle(.slotRecords(load, records)) }
            next.handle(.slotEnd(load))
        }
        #expect(committed(&next, "g") == 5)
    }

    @Test func whoeverWaitsHearsThatTheSlotsAreGone() {
        var bench = ready()
        bench.request(1, commit("g", 5))
        let pending = bench.take()
        bench.request(2, .deleteTopics([TopicName.consumerOffsets]))
        bench.settle()
        let replies = bench.take()
        #expect(replies.replies.map(\.token).sorted() == [1, 2])
        #expect(commitError(replies.groupReplies.first) != nil)
        for case .append(let number, _, _) in pending {
            bench.handle(.appended(number, ProduceResult()))
        }
        #expect(bench.take().replies.isEmpty, "an answer that comes late is nobody's")
        bench.request(3, .coordinators(groups: ["g"]))
        bench.settle()
        bench.loadSlots()
        #expect(committed(&bench, "g") == nil)
    }

    @Test func theOffsetsOfADeletedTopicGoWithIt() {
        var bench = ready()
        bench.create(["orders"])
        bench.settle()
        bench.effects = []
        bench.request(1, commit("g", 5))
        bench.append()
        bench.request(2, .deleteTopics(["orders"]))
        bench.settle()
        bench.append()
        bench.effects = []
        #expect(committed(&bench, "g") == nil)
    }

    @Test func timersOfTheSlotsAreCarriedThrough() {
        var bench = ready()
        bench.request(
            1,
            .group(
                .join(
                    GroupRequest.Join(
                        groupID: "g", memberID: "", clientID: "c", clientHost: "h",
                        sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 10_000,
                        protocolType: "consumer",
                        protocols: [MemberProtocol(name: "range", metadata: ByteBuffer())],
                        requiresKnownMemberID: false, supportsSkippingAssignment: false))))
        let effects = bench.take()
        #expect(effects.replies.isEmpty)
        let wakes = effects.compactMap { effect -> Instant? in
            if case .wake(let moment) = effect { moment } else { nil }
        }
        guard let first = wakes.min() else {
            Issue.record("nobody is woken")
            return
        }
        bench.now = Now(instant: first, wall: bench.now.wall)
        bench.handle(.wake)
        guard case .join(let answer)? = bench.take().groupReplies.last else {
            Issue.record("the member still waits")
            return
        }
        #expect(answer.error == nil)
        #expect(answer.generation == 1)
    }
}
