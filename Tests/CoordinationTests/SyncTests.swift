import Coordination
import Model
import NIOCore
import Testing

@Suite struct SyncTests {
    /// Two members of generation 1, nobody synced yet; the first leads.
    private func completing(_ slot: inout Slot) throws -> [String] {
        let tokens = [slot.send(.join(join())), slot.send(.join(join()))]
        slot.advance(milliseconds: 1_000)
        return try tokens.map { try slot.joined($0).memberID }
    }

    @Test("The assignment is given out once it is in the log, and not before")
    func assignment() throws {
        var slot = Slot()
        let members = try completing(&slot)
        slot.holdsAppends = true
        let follower = slot.sync(members[1], 1)
        #expect(slot.held.isEmpty)
        let leader = slot.sync(members[0], 1, assign: [members[0]: "a", members[1]: "b"])
        #expect(slot.held.count == 1)
        #expect(slot.replies[leader] == nil)
        #expect(slot.replies[follower] == nil)
        #expect(try slot.describe().state == .completingRebalance)
        slot.acknowledge()
        #expect(try slot.synced(leader).assignment == bytes("a"))
        #expect(try slot.synced(follower).assignment == bytes("b"))
        #expect(try slot.synced(follower).protocolType == "consumer")
        #expect(try slot.synced(follower).protocolName == "range")
        let described = try slot.describe()
        #expect(described.state == .stable)
        #expect(described.protocolName == "range")
        #expect(described.members.map(\.assignment) == [bytes("a"), bytes("b")])
        #expect(described.members[0].clientHost == "/127.0.0.1")
    }

    @Test("A late follower is answered from the stable group; a forgotten one gets nothing to do")
    func lateFollower() throws {
        var slot = Slot()
        let members = try completing(&slot)
        _ = slot.sync(members[0], 1, assign: [members[0]: "all", "invented": "x"])
        let late = try slot.syncNow(members[1], 1)
        #expect(late.error == nil)
        #expect(late.assignment.readableBytes == 0)
    }

    @Test("Generation, member, and state are checked")
    func fencing() throws {
        var slot = Slot()
        let members = try completing(&slot)
        #expect(try slot.syncNow(members[0], 2).error == .illegalGeneration)
        #expect(try slot.syncNow(members[0], 0).error == .illegalGeneration)
        #expect(try slot.syncNow("nobody", 1).error == .unknownMemberID)
        _ = slot.send(.join(join()))
        #expect(try slot.syncNow(members[0], 1).error == .rebalanceInProgress)
    }

    @Test("KIP-559: a sync that names another protocol is refused")
    func protocolNames() throws {
        var slot = Slot()
        let members = try completing(&slot)
        func error(type: String?, name: String?) throws -> GroupError? {
            let request = GroupRequest.Sync(
                groupID: "g", generation: 1, memberID: members[0], protocolType: type,
                protocolName: name)
            let token = slot.send(.sync(request))
            return slot.replies[token] == nil ? nil : try slot.synced(token).error
        }
        #expect(try error(type: "connect", name: "range") == .inconsistentGroupProtocol)
        #expect(try error(type: "consumer", name: "sticky") == .inconsistentGroupProtocol)
        #expect(try error(type: "consumer", name: "range") == nil)
    }

    @Test("A rebalance cancels the syncs that wait, and the append in flight changes nothing")
    func rebalanceDuringSync() throws {
        var slot = Slot()
        let members = try completing(&slot)
        slot.holdsAppends = true
        let leader = slot.sync(members[0], 1, assign: [members[0]: "old"])
        let third = slot.send(.join(join()))
        #expect(try slot.synced(leader).error == .rebalanceInProgress)
        slot.acknowledge()
        #expect(try slot.describe().state == .preparingRebalance)
        let others = [slot.send(.join(join(members[0]))), slot.send(.join(join(members[1])))]
        #expect(try slot.joined(third).generation == 2)
        #expect(try slot.joined(others[0]).generation == 2)
        #expect(try slot.describe().state == .completingRebalance)
    }

    @Test(
        "A refused append fails the syncs, and everyone rebalances",
        arguments: [
            (.notLeader, .notCoordinator), (.unavailable, .coordinatorNotAvailable),
            (.timedOut, .rebalanceInProgress), (.tooLarge, .unknownServerError),
        ] as [(AppendError, GroupError)])
    func refusedAppend(refusal: AppendError, error: GroupError) throws {
        var slot = Slot()
        let members = try completing(&slot)
        slot.holdsAppends = true
        let tokens = [slot.sync(members[0], 1), slot.sync(members[1], 1)]
        slot.acknowledge(refusal)
        for token in tokens { #expect(try slot.synced(token).error == error) }
        #expect(try slot.describe().state == .preparingRebalance)
    }

    @Test("A leader that repeats its sync writes once, and its older wait ends")
    func repeatedSync() throws {
        var slot = Slot()
        let members = try completing(&slot)
        slot.holdsAppends = true
        let older = slot.sync(members[0], 1, assign: [members[0]: "first"])
        let newer = slot.sync(members[0], 1, assign: [members[0]: "second"])
        #expect(slot.held.count == 1)
        #expect(try slot.synced(older).error == .rebalanceInProgress)
        slot.acknowledge()
        #expect(try slot.synced(newer).assignment == bytes("first"))
    }

    @Test("Members that join and never sync are dropped at the rebalance timeout")
    func syncTimeout() throws {
        var slot = Slot()
        let tokens = [slot.send(.join(join())), slot.send(.join(join()))]
        slot.advance(milliseconds: 1_000)
        let members = try tokens.map { try slot.joined($0).memberID }
        _ = slot.sync(members[0], 1)
        for _ in 0..<12 {  // both show life, so that only the missing sync counts
            slot.advance(milliseconds: 4_900)
            #expect(try slot.heartbeat(members[0], 1) == nil)
            #expect(try slot.heartbeat(members[1], 1) == nil)
        }
        slot.advance(milliseconds: 1_500)
        #expect(try slot.heartbeat(members[0], 1) == .rebalanceInProgress)
        #expect(try slot.heartbeat(members[1], 1) == .unknownMemberID)
    }

    @Test("A member that waits in a sync does not expire, however long the leader takes")
    func waitingForLeader() throws {
        var slot = Slot()
        let members = try completing(&slot)
        let follower = slot.sync(members[1], 1)
        for _ in 0..<5 {
            slot.advance(milliseconds: 8_000)
            #expect(try slot.heartbeat(members[0], 1) == nil)
        }
        #expect(slot.replies[follower] == nil)
        _ = slot.sync(members[0], 1, assign: [members[1]: "late"])
        #expect(try slot.synced(follower).assignment == bytes("late"))
    }

    @Test("A group whose leader dies before its sync starts over without it")
    func leaderDiesBeforeSync() throws {
        var slot = Slot()
        let members = try completing(&slot)
        let follower = slot.sync(members[1], 1)
        slot.advance(milliseconds: 10_000)
        #expect(try slot.synced(follower).error == .rebalanceInProgress)
        let response = try slot.joinNow(join(members[1]))
        #expect(response.generation == 2)
        #expect(response.leaderID == members[1])
    }

    @Test("Cooperative rebalancing: a second generation follows as soon as all rejoin")
    func cooperative() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        for round in 1...2 as ClosedRange<Int32> {
            let wants = [
                MemberProtocol(name: "range", metadata: subscription("t", "round\(round)"))
            ]
            let tokens = members.map { slot.send(.join(join($0, protocols: wants))) }
            #expect(try slot.joined(tokens[0]).generation == generation + round)
            for member in members.reversed() { _ = slot.sync(member, generation + round) }
            #expect(try slot.describe().state == .stable)
        }
    }
}
