import Coordination
import Model
import NIOCore
import Testing

@Suite struct StaticMembershipTests {
    @Test("KIP-345: a restarted member takes its place back without a rebalance")
    func followerRestarts() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2, instances: ["a", "b"])
        let response = try slot.joinNow(join(instance: "b"))
        #expect(response.error == nil)
        #expect(response.generation == generation)
        #expect(response.memberID != members[1])
        #expect(response.memberID.hasPrefix("b-"))
        #expect(response.leaderID == members[0])
        #expect(try slot.describe().state == .stable)
        let sync = try slot.syncNow(response.memberID, generation, instance: "b")
        #expect(sync.assignment == bytes("part of \(members[1])"))
    }

    @Test("KIP-345: the process that was replaced is fenced")
    func fencing() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2, instances: ["a", "b"])
        let new = try slot.joinNow(join(instance: "b")).memberID
        let old = members[1]
        #expect(try slot.heartbeat(old, generation, instance: "b") == .fencedInstanceID)
        #expect(try slot.heartbeat(old, generation) == .unknownMemberID)
        let sync = try slot.syncNow(old, generation, instance: "b")
        #expect(sync.error == .fencedInstanceID)
        #expect(try slot.joinNow(join(old, instance: "b")).error == .fencedInstanceID)
        let refused = commit(1, member: old, generation: generation, instance: "b")
        #expect(try slot.commitNow(refused) == .fencedInstanceID)
        let fenced = MemberIdentity(memberID: old, groupInstanceID: "b")
        #expect(try slot.leave(fenced) == [.fencedInstanceID])
        #expect(try slot.heartbeat(new, generation, instance: "b") == nil)
        #expect(try slot.heartbeat(new, generation, instance: "z") == .unknownMemberID)
    }

    @Test("KIP-345: below version 9 a returning leader is told that it does not lead")
    func leaderRestarts() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2, instances: ["a", "b"])
        let response = try slot.joinNow(join(instance: "a"))
        #expect(response.generation == generation)
        #expect(response.leaderID == members[0])
        #expect(response.members.isEmpty)
        #expect(!response.skipsAssignment)
        // It leads all the same: when it joins again, the group rebalances.
        _ = slot.send(.join(join(response.memberID, instance: "a")))
        #expect(try slot.describe().state == .preparingRebalance)
    }

    @Test("KIP-814: from version 9 on it leads and skips the assignment")
    func leaderSkipsAssignment() throws {
        var slot = Slot()
        let (_, generation) = try slot.stableGroup(2, instances: ["a", "b"])
        let response = try slot.joinNow(join(instance: "a", skips: true))
        #expect(response.generation == generation)
        #expect(response.leaderID == response.memberID)
        #expect(response.skipsAssignment)
        #expect(response.members.map(\.groupInstanceID) == ["b", "a"])
        let follower = try slot.joinNow(join(instance: "b", skips: true))
        #expect(!follower.skipsAssignment)
        #expect(follower.members.isEmpty)
    }

    @Test("KIP-345: the new id is in the log before it is answered, and outlives a restart")
    func newIDIsStored() throws {
        var slot = Slot()
        let (_, generation) = try slot.stableGroup(1, instances: ["a"])
        slot.holdsAppends = true
        let token = slot.send(.join(join(instance: "a")))
        #expect(slot.replies[token] == nil)
        slot.acknowledge()
        let new = try slot.joined(token).memberID
        slot.restart()
        #expect(try slot.heartbeat(new, generation, instance: "a") == nil)
    }

    @Test("KIP-345: if the log refuses the new id, the old one stays")
    func refusedReplacement() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2, instances: ["a", "b"])
        slot.holdsAppends = true
        let token = slot.send(.join(join(instance: "a", session: 20_000)))
        slot.acknowledge(.unavailable)
        #expect(try slot.joined(token).error == .coordinatorNotAvailable)
        #expect(try slot.heartbeat(members[0], generation, instance: "a") == nil)
        #expect(try slot.describe().state == .stable)
        // The leadership is back too.
        _ = slot.send(.join(join(members[0], instance: "a")))
        #expect(try slot.describe().state == .preparingRebalance)
    }

    @Test("A replacement that a rebalance overtakes is answered by the rebalance")
    func overtakenReplacement() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(3, instances: ["a", "b", "c"])
        slot.holdsAppends = true
        let replaced = slot.send(.join(join(instance: "b")))
        let leader = slot.send(.join(join(members[0], instance: "a")))
        slot.acknowledgeAll()
        #expect(slot.replies[replaced] == nil)
        let third = slot.send(.join(join(members[2], instance: "c")))
        for token in [replaced, leader, third] {
            #expect(try slot.joined(token).generation == generation + 1)
        }
        #expect(try slot.describe().state == .completingRebalance)
    }

    @Test("A restart that changes the chosen protocol or the topics rebalances")
    func changedSubscription() throws {
        for wants in [
            [MemberProtocol(name: "range", metadata: subscription("t", "more"))],
            [
                MemberProtocol(name: "sticky", metadata: subscription("t")),
                MemberProtocol(name: "range", metadata: subscription("t")),
            ],
        ] {
            var slot = Slot()
            let both = ["range", "sticky"].map {
                MemberProtocol(name: $0, metadata: subscription("t"))
            }
            let token = slot.send(.join(join(instance: "a", protocols: both)))
            slot.advance(milliseconds: 200)
            let member = try slot.joined(token).memberID
            _ = slot.sync(member, 1)
            let response = try slot.joinNow(join(instance: "a", protocols: wants))
            #expect(response.generation == 2)
        }
    }

    @Test("KIP-345: a static member that is away keeps its place until its session ends")
    func absenceWithinSession() throws {
        var slot = Slot()
        let tokens = ["a", "b"].map {
            slot.send(.join(join(instance: $0, session: 100_000, rebalance: 20_000)))
        }
        slot.advance(milliseconds: 500)
        let members = try tokens.map { try slot.joined($0).memberID }
        for member in members { _ = slot.sync(member, 1) }
        let leader = slot.send(.join(join(members[0], instance: "a")))
        slot.advance(milliseconds: 60_000)  // past the rebalance timeout of both
        let response = try slot.joined(leader)
        #expect(response.generation == 2)
        #expect(response.members.map(\.memberID) == members)
    }

    @Test("KIP-345: a static leader that is away keeps its place, but another member leads")
    func absentLeader() throws {
        var slot = Slot()
        let tokens = ["a", "b"].map {
            slot.send(.join(join(instance: $0, session: 100_000, rebalance: 20_000)))
        }
        slot.advance(milliseconds: 500)
        let members = try tokens.map { try slot.joined($0).memberID }
        for member in members { _ = slot.sync(member, 1) }
        let wants = [MemberProtocol(name: "range", metadata: subscription("t", "u"))]
        let follower = slot.send(
            .join(join(members[1], instance: "b", rebalance: 20_000, protocols: wants)))
        slot.advance(milliseconds: 20_000)
        let response = try slot.joined(follower)
        #expect(response.leaderID == members[1])
        #expect(response.members.map(\.memberID) == members)
    }

    @Test("KIP-345: while no static member comes, the rebalance waits for one or for their ends")
    func allStaticMembersAbsent() throws {
        var slot = Slot()
        let tokens = ["a", "b"].map {
            slot.send(.join(join(instance: $0, session: 100_000, rebalance: 5_000)))
        }
        slot.advance(milliseconds: 500)
        let members = try tokens.map { try slot.joined($0).memberID }
        for member in members { _ = slot.sync(member, 1) }
        let dynamic = slot.send(.join(join(rebalance: 5_000)))
        #expect(try slot.describe().state == .preparingRebalance)
        slot.advance(milliseconds: 6_000)
        #expect(try slot.joined(dynamic).members.count == 3)
        slot.advance(milliseconds: 60_000)  // nobody syncs: the newcomer and both are dropped
        #expect(try slot.describe().state == .empty)
    }

    @Test("KIP-345: a replacement while members gather or assign is part of the next generation")
    func replacementDuringRebalance() throws {
        var slot = Slot()
        let tokens = ["a", "b"].map { slot.send(.join(join(instance: $0))) }
        let again = slot.send(.join(join(instance: "b")))
        #expect(try slot.joined(tokens[1]).error == .fencedInstanceID)
        slot.advance(milliseconds: 500)
        let leader = try slot.joined(tokens[0]).memberID
        let second = try slot.joined(again).memberID
        let waiting = slot.sync(second, 1, instance: "b")
        let third = slot.send(.join(join(instance: "b")))
        #expect(try slot.synced(waiting).error == .fencedInstanceID)
        #expect(try slot.describe().state == .preparingRebalance)
        _ = slot.send(.join(join(leader, instance: "a")))
        #expect(try slot.joined(third).generation == 2)
    }

    @Test("KIP-345: an administrator removes static members by instance id, several at once")
    func batchLeave() throws {
        var slot = Slot()
        let (members, _) = try slot.stableGroup(3, instances: ["a", "b", nil])
        let errors = try slot.leave(
            MemberIdentity(memberID: "", groupInstanceID: "a"),
            MemberIdentity(memberID: "", groupInstanceID: "z"),
            MemberIdentity(memberID: members[1], groupInstanceID: "b"),
            MemberIdentity(memberID: members[2]),
            MemberIdentity(memberID: ""))
        #expect(errors == [nil, .unknownMemberID, nil, nil, .unknownMemberID])
        #expect(try slot.describe().state == .empty)
    }
}
