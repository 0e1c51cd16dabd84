import Coordination
import Model
import NIOCore
import Testing

@Suite struct MembershipTests {
    @Test("Heartbeats keep a member; silence for the session timeout removes it")
    func sessionTimeout() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        for _ in 0..<5 {
            slot.advance(milliseconds: 9_000)
            #expect(try slot.heartbeat(members[0], generation) == nil)
            #expect(try slot.heartbeat(members[1], generation) == nil)
        }
        slot.advance(milliseconds: 9_999)
        #expect(try slot.heartbeat(members[0], generation) == nil)
        slot.advance(milliseconds: 1)
        #expect(try slot.heartbeat(members[1], generation) == .unknownMemberID)
        #expect(try slot.heartbeat(members[0], generation) == .rebalanceInProgress)
        let alone = try slot.joinNow(join(members[0]))
        #expect(alone.generation == generation + 1)
        #expect(alone.members.map(\.memberID) == [members[0]])
    }

    @Test("Heartbeats are checked for member and generation")
    func heartbeatFencing() throws {
        var slot = Slot()
        #expect(try slot.heartbeat("nobody", 1) == .unknownMemberID)
        let (members, generation) = try slot.stableGroup(1)
        #expect(try slot.heartbeat(members[0], generation + 1) == .illegalGeneration)
        #expect(try slot.heartbeat(members[0], generation - 1) == .illegalGeneration)
        #expect(try slot.heartbeat("nobody", generation) == .unknownMemberID)
    }

    @Test("Who does not rejoin within the rebalance timeout is out, though it sends heartbeats")
    func rebalanceTimeout() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        let leader = slot.send(.join(join(members[0])))
        for _ in 0..<7 {
            slot.advance(milliseconds: 8_000)
            #expect(try slot.heartbeat(members[1], generation) == .rebalanceInProgress)
        }
        #expect(slot.replies[leader] == nil)
        slot.advance(milliseconds: 4_000)
        let response = try slot.joined(leader)
        #expect(response.generation == generation + 1)
        #expect(response.members.map(\.memberID) == [members[0]])
        #expect(try slot.heartbeat(members[1], generation) == .unknownMemberID)
    }

    @Test("A member that waits in a join does not expire; a new one does after five minutes")
    func waitingMembers() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        let rejoin = slot.send(.join(join(members[0], rebalance: 1_000_000)))
        let newcomer = slot.send(.join(join(rebalance: 1_000_000)))
        for _ in 0..<60 {
            slot.advance(milliseconds: 5_000)
            #expect(try slot.heartbeat(members[1], generation) == .rebalanceInProgress)
        }
        #expect(try slot.joined(newcomer).error == .unknownMemberID)
        #expect(slot.replies[rejoin] == nil)
    }

    @Test("A member that leaves makes room at once")
    func leaving() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        #expect(try slot.leave(MemberIdentity(memberID: members[1])) == [nil])
        #expect(try slot.leave(MemberIdentity(memberID: members[1])) == [.unknownMemberID])
        #expect(try slot.heartbeat(members[0], generation) == .rebalanceInProgress)
        #expect(try slot.joinNow(join(members[0])).generation == generation + 1)
    }

    @Test("The last member leaves an empty group, whose next generation is higher")
    func lastMember() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        #expect(try slot.leave(MemberIdentity(memberID: members[0])) == [nil])
        #expect(try slot.describe().state == .empty)
        #expect(try slot.describe().protocolType == "consumer")
        let token = slot.send(.join(join()))
        slot.advance(milliseconds: 1_000)
        #expect(try slot.joined(token).generation > generation)
    }

    @Test("A promised member (KIP-394) can leave before it joined, which frees the rebalance")
    func pendingLeaves() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(1)
        let pending = try slot.joinNow(join(known: true)).memberID
        let rejoin = slot.send(.join(join(members[0])))
        #expect(slot.replies[rejoin] == nil)
        #expect(try slot.leave(MemberIdentity(memberID: pending)) == [nil])
        #expect(try slot.joined(rejoin).generation == generation + 1)
    }

    @Test("A leader that waits in a join and leaves is answered, and another one leads")
    func leaderLeavesWhileJoining() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(3)
        let waiting = slot.send(.join(join(members[0])))
        #expect(try slot.leave(MemberIdentity(memberID: members[0])) == [nil])
        #expect(try slot.joined(waiting).error == .unknownMemberID)
        let second = slot.send(.join(join(members[1])))
        let third = slot.send(.join(join(members[2])))
        #expect(try slot.joined(second).generation == generation + 1)
        #expect(try slot.joined(second).leaderID == members[1])
        #expect(try slot.joined(third).leaderID == members[1])
    }

    @Test("Early, late and repeated wakes are harmless")
    func strayWakes() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        for _ in 0..<10 { slot.input(.wake) }
        #expect(try slot.heartbeat(members[0], generation) == nil)
        #expect(try slot.leave(MemberIdentity(memberID: members[1])) == [nil])
        slot.milliseconds += 9_000
        slot.input(.wake)
        #expect(try slot.heartbeat(members[0], generation) == .rebalanceInProgress)
    }

    @Test("A rebalance timeout of zero does not spin")
    func zeroRebalanceTimeout() throws {
        var slot = Slot()
        let token = slot.send(.join(join(instance: "a", rebalance: 0)))
        slot.advance(milliseconds: 200)
        let member = try slot.joined(token).memberID
        _ = slot.sync(member, 1, instance: "a")
        _ = slot.send(.join(join(rebalance: 0, known: true)))
        var wakes = 0
        let end = slot.milliseconds + 60_000
        while let moment = slot.wakeAt, moment.nanoseconds <= end * 1_000_000, wakes < 1_000 {
            slot.milliseconds = moment.nanoseconds / 1_000_000
            slot.wakeAt = nil
            slot.input(.wake)
            wakes += 1
        }
        #expect(wakes < 100)
    }

    @Test("Timer entries stay in proportion to the groups, whatever timeouts clients choose")
    func timersAreBounded() throws {
        var slot = Slot()
        for timeout in stride(from: Int32(1_800_000), to: 6_000, by: -1_000) {
            _ = slot.send(.join(join(session: timeout, known: true)))
        }
        #expect(slot.timerCount <= 2 * 1 + 64)
    }
}
