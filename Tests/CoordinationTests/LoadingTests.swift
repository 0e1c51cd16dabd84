import Coordination
import Model
import NIOCore
import Testing

@Suite struct LoadingTests {
    @Test("While the slot loads, nobody is told that there is no offset")
    func loading() throws {
        var slot = Slot(loaded: false)
        slot.input(.load([]))
        let fetch = try slot.ask(
            .fetchOffsets(GroupRequest.FetchOffsets(groupID: "g", topics: nil)))
        #expect(
            fetch == .fetchOffsets(GroupResponse.FetchOffsets(error: .coordinatorLoadInProgress)))
        #expect(try slot.joinNow(join()).error == .coordinatorLoadInProgress)
        #expect(try slot.commitNow(commit(1)) == .coordinatorLoadInProgress)
        #expect(try slot.describe().error == .coordinatorLoadInProgress)
        #expect(
            try slot.ask(.list(GroupRequest.List()))
                == .list(GroupResponse.List(error: .coordinatorLoadInProgress)))
        #expect(
            try slot.ask(.delete(GroupRequest.Delete(groupID: "g")))
                == .delete(.coordinatorLoadInProgress))
        slot.input(.loaded(epoch: LeaderEpoch(3)))
        #expect(slot.coordinator.phase == .active(LeaderEpoch(3)))
        #expect(try slot.commitNow(commit(1)) == nil)
    }

    @Test("While the slot loads, heartbeats succeed and syncs send back to the join, as in Kafka")
    func loadingForMembers() throws {
        var slot = Slot(loaded: false)
        #expect(try slot.heartbeat("member", 3) == nil)
        #expect(try slot.syncNow("member", 3).error == .rebalanceInProgress)
        slot.input(.unload)
        #expect(try slot.heartbeat("member", 3) == .notCoordinator)
        #expect(try slot.syncNow("member", 3).error == .notCoordinator)
    }

    @Test("A restart changes nothing that members or administrators can see")
    func reloadEqualsState() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(3, instances: ["a", nil, nil])
        for partition in 0..<3 as Range<Int32> {
            let request = commit(
                Int64(partition) * 10, member: members[1], generation: generation,
                partition: partition, metadata: "note")
            #expect(try slot.commitNow(request) == nil)
        }
        #expect(try slot.commitNow(commit(5, group: "simple")) == nil)
        #expect(try slot.commitNow(commit(6, group: "simple")) == nil)
        func view(_ slot: inout Slot) throws -> [GroupResponse] {
            var view: [GroupResponse] = []
            for group in ["g", "simple"] {
                view.append(.describe(try slot.describe(group)))
                view.append(
                    try slot.ask(
                        .fetchOffsets(GroupRequest.FetchOffsets(groupID: group, topics: nil))))
            }
            view.append(try slot.ask(.list(GroupRequest.List())))
            return view
        }
        let before = try view(&slot)
        slot.restart()
        #expect(try view(&slot) == before)
        // No forced rejoin: members go on where they were.
        for member in members { #expect(try slot.heartbeat(member, generation) == nil) }
        let sync = try slot.syncNow(members[2], generation)
        #expect(sync.assignment == bytes("part of \(members[2])"))
        let next = commit(99, member: members[0], generation: generation, instance: "a")
        #expect(try slot.commitNow(next) == nil)
    }

    @Test("A topic that is deleted while the slot loads leaves no offset to its successor")
    func deletedWhileLoading() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(5, group: "simple")) == nil)
        let log = slot.log
        var next = Slot(loaded: false)
        next.input(.topicsDeleted(["t"]))
        next.input(.load(log))
        next.input(.loaded(epoch: LeaderEpoch(1)))
        next.acknowledgeAll()
        let fetch = try next.ask(
            .fetchOffsets(GroupRequest.FetchOffsets(groupID: "simple", topics: nil)))
        guard case .fetchOffsets(let found) = fetch else {
            Issue.record("not answered")
            return
        }
        #expect(found.topics.isEmpty)
    }

    @Test("After a restart members have one session timeout to be heard of")
    func sessionsRestart() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        slot.advance(milliseconds: 9_000)
        slot.restart()
        slot.advance(milliseconds: 9_000)
        #expect(try slot.heartbeat(members[0], generation) == nil)
        slot.advance(milliseconds: 1_000)
        #expect(try slot.heartbeat(members[0], generation) == .rebalanceInProgress)
        #expect(try slot.heartbeat(members[1], generation) == .unknownMemberID)
    }

    @Test("A restart in the middle of a rebalance falls back to the last stable generation")
    func restartDuringRebalance() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        _ = slot.send(.join(join(members[0])))
        slot.restart()
        #expect(try slot.heartbeat(members[0], generation) == nil)
        #expect(try slot.describe().state == .stable)
    }

    @Test(
        "When the slot moves, whoever waits is sent to the new coordinator; late results go"
    )
    func unload() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        #expect(try slot.commitNow(commit(1, group: "simple")) == nil)
        slot.holdsAppends = true
        let committing = slot.send(commit(1, member: members[0], generation: generation))
        let deleting = slot.send(.delete(GroupRequest.Delete(groupID: "simple")))
        let joining = slot.send(.join(join(members[0])))
        slot.input(.unload)
        #expect(try slot.commitError(committing) == .notCoordinator)
        #expect(slot.replies[deleting] == .delete(.notCoordinator))
        #expect(try slot.joined(joining).error == .notCoordinator)
        #expect(slot.coordinator.groupCount == 0)
        #expect(slot.coordinator.phase == .unloaded)
        slot.acknowledgeAll()
        slot.input(.wake)
        slot.input(.topicsDeleted(["t"]))
        #expect(slot.held.isEmpty)
        #expect(try slot.commitNow(commit(1)) == .notCoordinator)
    }

    @Test("A sync that waits when the slot moves is answered")
    func unloadWhileSyncing() throws {
        var slot = Slot()
        let first = slot.send(.join(join()))
        slot.advance(milliseconds: 200)
        let member = try slot.joined(first).memberID
        slot.holdsAppends = true
        let syncing = slot.sync(member, 1)
        slot.input(.unload)
        #expect(try slot.synced(syncing).error == .notCoordinator)
    }

    @Test("KIP-389: a loaded group over the limit is asked to join again")
    func loadedOverCapacity() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(3)
        var smaller = Slot(loaded: false) { $0.maximumMembersPerGroup = 2 }
        smaller.input(.load(slot.log))
        smaller.input(.loaded(epoch: LeaderEpoch(0)))
        #expect(try smaller.heartbeat(members[0], generation) == .rebalanceInProgress)
        let tokens = members.map { smaller.send(.join(join($0))) }
        #expect(try smaller.joined(tokens[2]).error == .groupMaxSizeReached)
        #expect(try smaller.joined(tokens[0]).generation == generation + 1)
        #expect(try smaller.joined(tokens[0]).members.count == 2)
    }

    @Test("Records of other kinds are passed over, and broken ones are counted")
    func strangeRecords() throws {
        var slot = Slot(loaded: false)
        var newer = ByteBuffer()
        newer.writeInteger(Int16(5))
        newer.writeBytes([1, 2, 3])
        let good = SlotRecord(
            OffsetCommitKey(groupID: "g", topic: "t", partition: PartitionIndex(0)),
            OffsetCommitValue(
                offset: Offset(4), leaderEpoch: .unknown, metadata: "",
                commitTimestamp: Timestamp(milliseconds: Slot.wallStart)))
        slot.input(
            .load([
                SlotRecord(key: newer, value: newer), SlotRecord(key: ByteBuffer(), value: nil),
                SlotRecord(key: good.key, value: newer), good,
            ]))
        slot.input(.loaded(epoch: LeaderEpoch(0)))
        #expect(slot.coordinator.unreadableRecords == 2)
        #expect(try slot.committed() == 4)
    }

    @Test("Tombstones in the log take back what came before them")
    func tombstones() throws {
        let key = OffsetCommitKey(groupID: "g", topic: "t", partition: PartitionIndex(0))
        let value = OffsetCommitValue(
            offset: Offset(4), leaderEpoch: .unknown, metadata: "", commitTimestamp: .none)
        let group = GroupMetadataValue(
            protocolType: "consumer", generation: 4, protocolName: nil, leaderID: nil,
            currentStateTimestamp: .none, members: [])
        var slot = Slot(loaded: false)
        slot.input(
            .load([
                SlotRecord(key, value), SlotRecord(groupID: "g", group),
                SlotRecord(groupID: "h", group), SlotRecord(key, nil),
                SlotRecord(groupID: "g", nil),
            ]))
        slot.input(.loaded(epoch: LeaderEpoch(0)))
        #expect(slot.coordinator.groupCount == 1)
        #expect(try slot.describe("h").state == .empty)
    }
}
