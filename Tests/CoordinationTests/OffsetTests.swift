import Coordination
import Model
import NIOCore
import Testing

@Suite struct OffsetTests {
    @Test("A commit is visible and answered once it is in the log, and not before")
    func visibility() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        slot.holdsAppends = true
        let token = slot.send(commit(10, member: members[0], generation: generation))
        #expect(slot.replies[token] == nil)
        #expect(try slot.committed() == nil)
        slot.acknowledge()
        #expect(try slot.commitError(token) == nil)
        #expect(try slot.committed() == 10)
    }

    @Test(
        "A refused commit leaves what was committed before",
        arguments: [
            (.notLeader, .notCoordinator), (.unavailable, .coordinatorNotAvailable),
            (.timedOut, .coordinatorNotAvailable), (.tooLarge, .invalidCommitOffsetSize),
        ] as [(AppendError, GroupError)])
    func refusal(refusal: AppendError, error: GroupError) throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(10)) == nil)
        slot.holdsAppends = true
        let token = slot.send(commit(20))
        slot.acknowledge(refusal)
        #expect(try slot.commitError(token) == error)
        #expect(try slot.committed() == 10)
    }

    @Test("Offsets may go back; the last commit in the log counts")
    func rewind() throws {
        var slot = Slot()
        slot.holdsAppends = true
        for offset in [30, 10, 20] as [Int64] { _ = slot.send(commit(offset)) }
        slot.acknowledgeAll()
        #expect(try slot.committed() == 20)
        _ = slot.send(commit(5))
        slot.acknowledgeAll()
        #expect(try slot.committed() == 5)
    }

    @Test("Members commit in their generation only, and not before they have their assignment")
    func fencing() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        let member = members[0]
        func error(_ request: GroupRequest) throws -> GroupError? { try slot.commitNow(request) }
        #expect(
            try error(commit(1, member: member, generation: generation + 1)) == .illegalGeneration)
        #expect(
            try error(commit(1, member: member, generation: generation - 1)) == .illegalGeneration)
        #expect(
            try error(commit(1, member: "nobody", generation: generation)) == .unknownMemberID)
        #expect(try error(commit(1)) == .unknownMemberID)
        #expect(try error(commit(1, generation: 3, group: "other")) == .illegalGeneration)
        #expect(try error(commit(1, member: member, generation: generation)) == nil)
        let rejoin = try slot.joinNow(join(member))
        #expect(
            try error(commit(2, member: member, generation: rejoin.generation))
                == .rebalanceInProgress)
        #expect(try slot.committed() == 1)
    }

    @Test("A member may commit what it has done while the others already rejoin")
    func commitDuringRebalance() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        _ = slot.send(.join(join(members[0])))
        #expect(
            try slot.commitNow(commit(7, member: members[1], generation: generation)) == nil)
        #expect(try slot.committed() == 7)
    }

    @Test("A commit counts as a sign of life")
    func commitIsHeartbeat() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        for offset in 0..<5 as Range<Int64> {
            slot.advance(milliseconds: 9_000)
            let request = commit(offset, member: members[0], generation: generation)
            #expect(try slot.commitNow(request) == nil)
        }
    }

    @Test("A commit outlives the member and the generation that sent it")
    func commitInFlightWhileMemberLeaves() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        slot.holdsAppends = true
        let token = slot.send(commit(9, member: members[0], generation: generation))
        _ = try slot.leave(MemberIdentity(memberID: members[0]))
        slot.acknowledgeAll()
        #expect(try slot.commitError(token) == nil)
        #expect(try slot.committed() == 9)
    }

    @Test("Simple consumers need no group, and may use the empty id as they always could")
    func simpleConsumers() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(3, metadata: "note")) == nil)
        #expect(try slot.commitNow(commit(4, group: "")) == nil)
        #expect(try slot.committed() == 3)
        #expect(try slot.committed(group: "") == 4)
        let described = try slot.describe()
        #expect(described.state == .empty)
        #expect(described.protocolType == "")
    }

    @Test("A refused commit of a simple consumer leaves no group behind")
    func refusedSimpleCommit() throws {
        var slot = Slot()
        slot.holdsAppends = true
        _ = slot.send(commit(3))
        #expect(slot.coordinator.groupCount == 1)
        slot.acknowledge(.unavailable)
        #expect(slot.coordinator.groupCount == 0)
    }

    @Test("Each partition is judged by itself")
    func partialFailure() throws {
        var slot = Slot { $0.maximumOffsetsPerGroup = 2 }
        func part(
            _ index: Int32, _ offset: Int64, _ metadata: String = ""
        ) -> GroupRequest.CommitOffsets.Partition {
            GroupRequest.CommitOffsets.Partition(
                index: PartitionIndex(index), offset: Offset(offset), leaderEpoch: .unknown,
                metadata: metadata)
        }
        let request = GroupRequest.CommitOffsets(
            groupID: "g", generation: -1, memberID: "",
            topics: [
                Topic(
                    name: "t",
                    partitions: [
                        part(0, 1, String(repeating: "x", count: 4_096)),
                        part(1, 1, String(repeating: "x", count: 4_097)), part(2, -1), part(3, 3),
                        part(4, 4),
                    ]),
                Topic(name: "", partitions: [part(0, 1)]),
            ])
        guard case .commitOffsets(let topics) = try slot.ask(.commitOffsets(request)) else {
            throw Mismatch()
        }
        #expect(
            topics[0].partitions.map(\.error) == [
                nil, .offsetMetadataTooLarge, .invalidRequest, nil, .policyViolation,
            ])
        #expect(topics[1].partitions.map(\.error) == [.invalidRequest])
        #expect(try slot.committed(partition: 0) == 1)
        #expect(try slot.committed(partition: 2) == nil)
        #expect(try slot.committed(partition: 3) == 3)
        // What is held already can be committed again.
        #expect(try slot.commitNow(commit(9, partition: 3)) == nil)
        #expect(try slot.commitNow(commit(9, partition: 4)) == .policyViolation)
    }

    @Test("While the log stalls, commits are refused beyond a bound")
    func stalledLog() throws {
        var slot = Slot { $0.maximumPendingAppends = 2 }
        slot.holdsAppends = true
        for _ in 0..<2 { _ = slot.send(commit(1)) }
        #expect(try slot.commitNow(commit(2)) == .coordinatorNotAvailable)
        slot.acknowledgeAll()
        let token = slot.send(commit(3))
        slot.acknowledgeAll()
        #expect(try slot.commitError(token) == nil)
    }

    @Test("OffsetFetch answers for what is asked, or for all, in order")
    func fetch() throws {
        var slot = Slot()
        for (topic, partition) in [("b", 1), ("a", 0), ("b", 0)] as [(String, Int32)] {
            _ = slot.send(commit(Int64(partition), topic: topic, partition: partition))
        }
        let all = try slot.ask(
            .fetchOffsets(GroupRequest.FetchOffsets(groupID: "g", topics: nil)))
        guard case .fetchOffsets(let response) = all else { throw Mismatch() }
        #expect(response.topics.map(\.name) == ["a", "b"])
        #expect(response.topics[1].partitions.map(\.index.rawValue) == [0, 1])
        #expect(response.topics[1].partitions.map(\.offset) == [Offset(0), Offset(1)])
        #expect(
            response.topics[1].partitions.map(\.leaderEpoch)
                == Array(
                    repeating: LeaderEpoch(5), count: 2))
        #expect(try slot.committed(topic: "a", partition: 7) == nil)
        #expect(try slot.committed(group: "unheard-of") == nil)
    }
}
