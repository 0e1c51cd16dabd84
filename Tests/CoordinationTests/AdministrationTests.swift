import Coordination
import Model
import NIOCore
import Testing

@Suite struct AdministrationTests {
    private func delete(_ group: String, _ slot: inout Slot) throws -> GroupError? {
        let response = try slot.ask(.delete(GroupRequest.Delete(groupID: group)))
        guard case .delete(let error) = response else { throw Mismatch() }
        return error
    }

    private func list(
        states: [String] = [], types: [String] = [], _ slot: inout Slot
    ) throws -> [GroupResponse.List.Listing] {
        let response = try slot.ask(
            .list(GroupRequest.List(states: states, types: types)))
        guard case .list(let list) = response else { throw Mismatch() }
        return list.groups
    }

    private func deleteOffsets(
        _ topics: [String], _ slot: inout Slot
    ) throws -> GroupResponse.DeleteOffsets {
        let request = GroupRequest.DeleteOffsets(
            groupID: "g",
            topics: topics.map { Topic(name: $0, partitions: [PartitionIndex(0)]) })
        guard case .deleteOffsets(let response) = try slot.ask(.deleteOffsets(request)) else {
            throw Mismatch()
        }
        return response
    }

    @Test("A group is deleted when it is empty, with its offsets, for good")
    func deleteGroup() throws {
        var slot = Slot()
        #expect(try delete("g", &slot) == .groupIDNotFound)
        let (members, generation) = try slot.stableGroup(1)
        let request = commit(1, member: members[0], generation: generation)
        #expect(try slot.commitNow(request) == nil)
        #expect(try delete("g", &slot) == .nonEmptyGroup)
        _ = try slot.leave(MemberIdentity(memberID: members[0]))
        #expect(try delete("g", &slot) == nil)
        #expect(try slot.committed() == nil)
        #expect(slot.coordinator.groupCount == 0)
        slot.restart()
        #expect(slot.coordinator.groupCount == 0)
        #expect(try delete("g", &slot) == .groupIDNotFound)
    }

    @Test("A large group goes in several appends, and is answered after the last")
    func deleteLargeGroup() throws {
        var slot = Slot()
        let parts = (0..<2_500 as Range<Int32>).map {
            GroupRequest.CommitOffsets.Partition(
                index: PartitionIndex($0), offset: Offset(1), leaderEpoch: .unknown, metadata: "")
        }
        _ = slot.send(
            .commitOffsets(
                GroupRequest.CommitOffsets(
                    groupID: "g", generation: -1, memberID: "",
                    topics: [Topic(name: "t", partitions: parts)])))
        slot.holdsAppends = true
        let token = slot.send(.delete(GroupRequest.Delete(groupID: "g")))
        #expect(slot.held.map(\.records.count) == [1_000, 1_000, 500])
        slot.acknowledge()
        slot.acknowledge()
        #expect(slot.replies[token] == nil)
        slot.acknowledge()
        #expect(slot.replies[token] == .delete(nil))
        #expect(slot.coordinator.groupCount == 0)
    }

    @Test("A deletion that the log refuses leaves the group; half of one is an error")
    func refusedDeletion() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1)) == nil)
        slot.holdsAppends = true
        let token = slot.send(.delete(GroupRequest.Delete(groupID: "g")))
        #expect(try slot.committed() == 1)
        slot.acknowledge(.notLeader)
        #expect(slot.replies[token] == .delete(.notCoordinator))
        #expect(try slot.committed() == 1)
    }

    @Test("A group that comes to life while it is being deleted lives")
    func deletionOvertakenByJoin() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1)) == nil)
        slot.holdsAppends = true
        let token = slot.send(.delete(GroupRequest.Delete(groupID: "g")))
        let joining = slot.send(.join(join()))
        slot.acknowledgeAll()
        #expect(slot.replies[token] == .delete(nil))
        slot.advance(milliseconds: 200)
        #expect(try slot.joined(joining).error == nil)
        #expect(try slot.committed() == nil)
    }

    @Test("A deletion covers the commits before it and spares those after it")
    func deletionAmongCommits() throws {
        var slot = Slot()
        slot.holdsAppends = true
        _ = slot.send(commit(1))
        _ = slot.send(.delete(GroupRequest.Delete(groupID: "g")))
        _ = slot.send(commit(2, partition: 1))
        slot.acknowledgeAll()
        for _ in 0..<2 {
            #expect(try slot.committed(partition: 0) == nil)
            #expect(try slot.committed(partition: 1) == 2)
            slot.restart()
        }
    }

    @Test("KIP-496: offsets of topics in use stay, others can be deleted from a live group")
    func offsetDelete() throws {
        var slot = Slot()
        #expect(try deleteOffsets(["t"], &slot).error == .groupIDNotFound)
        let (members, generation) = try slot.stableGroup(1)
        for topic in ["t", "former"] {
            let request = commit(1, member: members[0], generation: generation, topic: topic)
            #expect(try slot.commitNow(request) == nil)
        }
        let response = try deleteOffsets(["t", "former", "never"], &slot)
        #expect(response.error == nil)
        #expect(
            response.topics.map { $0.partitions[0].error } == [.groupSubscribedToTopic, nil, nil])
        #expect(try slot.committed(topic: "t") == 1)
        #expect(try slot.committed(topic: "former") == nil)
        _ = try slot.leave(MemberIdentity(memberID: members[0]))
        #expect(try deleteOffsets(["t"], &slot).topics[0].partitions[0].error == nil)
        #expect(try slot.committed(topic: "t") == nil)
    }

    @Test("KIP-496: a live group of another kind is refused, as are topics that can't be read")
    func offsetDeleteOfOtherGroups() throws {
        var slot = Slot()
        let odd = [MemberProtocol(name: "range", metadata: bytes("?"))]
        _ = slot.send(.join(join(protocols: odd)))
        slot.advance(milliseconds: 200)
        let response = try deleteOffsets(["t"], &slot)
        #expect(response.topics[0].partitions[0].error == .groupSubscribedToTopic)
        var connect = Slot()
        _ = connect.send(.join(join(type: "connect")))
        connect.advance(milliseconds: 200)
        #expect(try deleteOffsets(["t"], &connect).error == .nonEmptyGroup)
    }

    @Test("ListGroups filters by state (KIP-518) and type (KIP-848), without regard to case")
    func listGroups() throws {
        var slot = Slot()
        _ = try slot.stableGroup(1)
        #expect(try slot.commitNow(commit(1, group: "a-simple-one")) == nil)
        let all = try list(&slot)
        #expect(all.map(\.groupID) == ["a-simple-one", "g"])
        #expect(all.map(\.state) == [.empty, .stable])
        #expect(all.map(\.protocolType) == ["", "consumer"])
        #expect(all.map(\.groupType) == ["classic", "classic"])
        #expect(try list(states: ["STABLE"], &slot).map(\.groupID) == ["g"])
        #expect(try list(states: ["Dead"], &slot).isEmpty)
        #expect(try list(types: ["Classic"], &slot).count == 2)
        #expect(try list(types: ["consumer"], &slot).isEmpty)
    }

    @Test("KIP-1043: a missing group is dead, or from version 6 on an error")
    func describeMissing() throws {
        var slot = Slot()
        #expect(try slot.describe().state == .dead)
        #expect(try slot.describe().error == nil)
        let request = GroupRequest.Describe(groupID: "g", reportsMissingGroup: true)
        guard case .describe(let response) = try slot.ask(.describe(request)) else {
            throw Mismatch()
        }
        #expect(response.error == .groupIDNotFound)
    }

    @Test("Error numbers are those of Kafka's wire")
    func errorNumbers() {
        let expected: [GroupError: Int16] = [
            .unknownServerError: -1, .offsetMetadataTooLarge: 12, .coordinatorLoadInProgress: 14,
            .coordinatorNotAvailable: 15, .notCoordinator: 16, .illegalGeneration: 22,
            .inconsistentGroupProtocol: 23, .invalidGroupID: 24, .unknownMemberID: 25,
            .invalidSessionTimeout: 26, .rebalanceInProgress: 27, .invalidCommitOffsetSize: 28,
            .invalidRequest: 42, .policyViolation: 44, .nonEmptyGroup: 68, .groupIDNotFound: 69,
            .memberIDRequired: 79, .groupMaxSizeReached: 81, .fencedInstanceID: 82,
            .groupSubscribedToTopic: 86,
        ]
        for error in GroupError.allCases { #expect(error.rawValue == expected[error]) }
        #expect(GroupError?.none.code == 0)
        #expect(GroupError?.some(.nonEmptyGroup).code == 68)
    }
}
