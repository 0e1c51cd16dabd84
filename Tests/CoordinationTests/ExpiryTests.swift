import Coordination
import Model
import NIOCore
import Testing

/// KIP-211 and what else makes offsets go.
@Suite struct ExpiryTests {
    static let day: Int64 = 24 * 60 * 60 * 1_000

    @Test("KIP-211: a simple consumer's offset goes seven days after its commit, and its group too")
    func simpleConsumer() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1)) == nil)
        slot.advance(milliseconds: 7 * Self.day - 1_000)
        #expect(try slot.committed() == 1)
        slot.advance(milliseconds: 20 * 60 * 1_000)
        #expect(try slot.committed() == nil)
        #expect(slot.coordinator.groupCount == 0)
        slot.restart()
        #expect(try slot.committed() == nil)
        #expect(slot.coordinator.groupCount == 0)
    }

    @Test("KIP-211: a group's offsets stay while it has members, and seven days longer")
    func emptyGroup() throws {
        var slot = Slot()
        let token = slot.send(.join(join(session: 1_800_000)))
        slot.advance(milliseconds: 200)
        let member = try slot.joined(token).memberID
        _ = slot.sync(member, 1)
        #expect(try slot.commitNow(commit(1, member: member, generation: 1)) == nil)
        for _ in 0..<(10 * 48) {
            slot.advance(milliseconds: Self.day / 48 - 1)
            #expect(try slot.heartbeat(member, 1) == nil)
        }
        #expect(try slot.committed() == 1)
        #expect(try slot.leave(MemberIdentity(memberID: member)) == [nil])
        slot.advance(milliseconds: 6 * Self.day)
        slot.restart()  // the moment it became empty is in the log
        slot.advance(milliseconds: Self.day - 60_000)
        #expect(try slot.committed() == 1)
        slot.advance(milliseconds: 30 * 60 * 1_000)
        #expect(try slot.committed() == nil)
        #expect(slot.coordinator.groupCount == 0)
        slot.restart()
        #expect(slot.coordinator.groupCount == 0)
    }

    @Test("KIP-211: a stable group loses the offsets of topics that nobody subscribes to")
    func unsubscribedTopic() throws {
        var slot = Slot()
        let token = slot.send(.join(join(session: 1_800_000)))
        slot.advance(milliseconds: 200)
        let member = try slot.joined(token).memberID
        _ = slot.sync(member, 1)
        for topic in ["t", "former"] {
            let request = commit(1, member: member, generation: 1, topic: topic)
            #expect(try slot.commitNow(request) == nil)
        }
        for _ in 0..<(8 * 48) {
            slot.advance(milliseconds: Self.day / 48 - 1)
            #expect(try slot.heartbeat(member, 1) == nil)
        }
        #expect(try slot.committed(topic: "t") == 1)
        #expect(try slot.committed(topic: "former") == nil)
    }

    @Test("A retention that the commit brings along has precedence, also after a restart")
    func explicitRetention() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1, retention: Self.day)) == nil)
        #expect(try slot.commitNow(commit(2, partition: 1)) == nil)
        slot.restart()
        slot.advance(milliseconds: Self.day + 20 * 60 * 1_000)
        #expect(try slot.committed(partition: 0) == nil)
        #expect(try slot.committed(partition: 1) == 2)
        // A retention beyond the end of time is none.
        #expect(try slot.commitNow(commit(3, retention: Int64.max)) == nil)
        #expect(try slot.committed() == 3)
    }

    @Test("The offsets of deleted topics get tombstones, also those on their way")
    func deletedTopics() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1, topic: "gone")) == nil)
        #expect(try slot.commitNow(commit(2, topic: "kept")) == nil)
        slot.holdsAppends = true
        let pending = slot.send(commit(3, topic: "gone", partition: 1))
        slot.input(.topicsDeleted(["gone", "never-was"]))
        slot.acknowledgeAll()
        #expect(try slot.commitError(pending) == nil)
        for _ in 0..<2 {
            #expect(try slot.committed(topic: "gone") == nil)
            #expect(try slot.committed(topic: "gone", partition: 1) == nil)
            #expect(try slot.committed(topic: "kept") == 2)
            slot.restart()
        }
    }

    @Test("A commit after the deletion, to a topic of the same name, stays")
    func recreatedTopic() throws {
        var slot = Slot()
        #expect(try slot.commitNow(commit(1)) == nil)
        slot.holdsAppends = true
        slot.input(.topicsDeleted(["t"]))
        _ = slot.send(commit(2))
        slot.acknowledgeAll()
        #expect(try slot.committed() == 2)
        slot.restart()
        #expect(try slot.committed() == 2)
    }

    @Test("A group that never got further than its first join leaves nothing in the log")
    func abandonedGroup() throws {
        var slot = Slot()
        _ = try slot.joinNow(join(known: true))
        slot.advance(milliseconds: 60 * 60 * 1_000)
        #expect(slot.log.isEmpty)
        #expect(slot.coordinator.groupCount == 0)
    }
}
