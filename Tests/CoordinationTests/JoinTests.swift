import Coordination
import Model
import NIOCore
import Testing

@Suite struct JoinTests {
    @Test("A first member waits for the initial delay, then leads generation 1")
    func firstMember() throws {
        var slot = Slot()
        let token = slot.send(.join(join()))
        slot.advance(milliseconds: 149)
        #expect(slot.replies[token] == nil)
        slot.advance(milliseconds: 1)
        let response = try slot.joined(token)
        #expect(response.error == nil)
        #expect(response.generation == 1)
        #expect(response.leaderID == response.memberID)
        #expect(response.memberID.hasPrefix("client-"))
        #expect(response.memberID.utf8.count == "client-".utf8.count + 36)
        #expect(response.protocolType == "consumer")
        #expect(response.protocolName == "range")
        #expect(response.members.map(\.memberID) == [response.memberID])
        #expect(response.members[0].metadata == subscription("t"))
    }

    @Test("Newcomers extend the initial delay, up to the rebalance timeout")
    func initialDelayExtends() throws {
        var slot = Slot()
        let first = slot.send(.join(join(rebalance: 400)))
        slot.advance(milliseconds: 100)
        let second = slot.send(.join(join(rebalance: 400)))
        slot.advance(milliseconds: 100)  // at 200: extended at 150 because of the second
        #expect(slot.replies[first] == nil)
        let third = slot.send(.join(join(rebalance: 400)))
        slot.advance(milliseconds: 150)  // at 350: extended at 300 because of the third
        #expect(slot.replies[first] == nil)
        _ = slot.send(.join(join(rebalance: 400)))
        slot.advance(milliseconds: 50)  // at 400: over, whoever came last
        let generation = try slot.joined(first).generation
        #expect(generation == 1)
        #expect(try slot.joined(second).generation == 1)
        #expect(try slot.joined(third).members.isEmpty)
        #expect(try slot.joined(first).members.count == 4)
    }

    @Test("Without an initial delay one member is served at once")
    func noInitialDelay() throws {
        var slot = Slot { $0.initialRebalanceDelayMilliseconds = 0 }
        let token = slot.send(.join(join()))
        #expect(try slot.joined(token).generation == 1)
    }

    @Test("KIP-394: a dynamic newcomer has to come back with the id it is given")
    func memberIDRequired() throws {
        var slot = Slot()
        let first = try slot.joinNow(join(known: true))
        #expect(first.error == .memberIDRequired)
        #expect(!first.memberID.isEmpty)
        #expect(first.generation == -1)
        #expect(try slot.describe().members.isEmpty)
        let token = slot.send(.join(join(first.memberID, known: true)))
        slot.advance(milliseconds: 200)
        let second = try slot.joined(token)
        #expect(second.error == nil)
        #expect(second.memberID == first.memberID)
    }

    @Test("KIP-394: an id that is not used lapses with the session timeout")
    func pendingMemberLapses() throws {
        var slot = Slot()
        let first = try slot.joinNow(join(known: true))
        slot.advance(milliseconds: 10_000)
        #expect(slot.coordinator.groupCount == 0)
        let token = slot.send(.join(join(first.memberID, known: true)))
        #expect(try slot.joined(token).error == .unknownMemberID)
    }

    @Test("KIP-394: a rebalance waits for promised members until they lapse")
    func rebalanceWaitsForPending() throws {
        var slot = Slot()
        let (members, _) = try slot.stableGroup(1)
        let pending = try slot.joinNow(join(session: 6_000, known: true))
        #expect(pending.error == .memberIDRequired)
        let rejoin = slot.send(.join(join(members[0])))
        #expect(slot.replies[rejoin] == nil)
        slot.advance(milliseconds: 6_000)
        #expect(try slot.joined(rejoin).generation == 2)
    }

    @Test("KIP-394: promised ids are bounded")
    func pendingMembersAreBounded() throws {
        var slot = Slot { $0.maximumPendingMembersPerGroup = 2 }
        var errors: [GroupError?] = []
        for _ in 0..<3 {
            errors.append(try slot.joinNow(join(known: true)).error)
        }
        #expect(errors == [.memberIDRequired, .memberIDRequired, .coordinatorNotAvailable])
    }

    @Test(
        "Session timeouts have bounds",
        arguments: [(5_999, false), (6_000, true), (1_800_000, true), (1_800_001, false)]
            as [(Int32, Bool)])
    func sessionTimeoutBounds(timeout: Int32, isValid: Bool) throws {
        var slot = Slot()
        let response = try slot.joinNow(join(session: timeout, known: true))
        #expect(response.error == (isValid ? .memberIDRequired : .invalidSessionTimeout))
    }

    @Test("The group id must not be empty, and a member id must be known")
    func identifiers() throws {
        var slot = Slot()
        let empty = slot.send(.join(join(group: "")))
        #expect(try slot.joined(empty).error == .invalidGroupID)
        let unknown = slot.send(.join(join("nobody")))
        #expect(try slot.joined(unknown).error == .unknownMemberID)
        #expect(slot.coordinator.groupCount == 0)
        let long = slot.send(.join(join(group: String(repeating: "x", count: 40_000))))
        #expect(try slot.joined(long).error == .invalidGroupID)
    }

    @Test("A member needs a protocol type, a protocol, and one in common with everyone")
    func inconsistentProtocols() throws {
        var slot = Slot()
        let none = slot.send(.join(join(protocols: [])))
        #expect(try slot.joined(none).error == .inconsistentGroupProtocol)
        let typeless = slot.send(.join(join(type: "")))
        #expect(try slot.joined(typeless).error == .inconsistentGroupProtocol)
        #expect(slot.coordinator.groupCount == 0)
        _ = try slot.stableGroup(1)
        let otherType = slot.send(.join(join(type: "connect")))
        #expect(try slot.joined(otherType).error == .inconsistentGroupProtocol)
        let other = [MemberProtocol(name: "sticky", metadata: bytes("x"))]
        let otherName = slot.send(.join(join(protocols: other)))
        #expect(try slot.joined(otherName).error == .inconsistentGroupProtocol)
        #expect(try slot.describe().members.count == 1)
    }

    @Test("The protocol is one that all offer, and the one that most prefer")
    func protocolsAreVotedOn() throws {
        var slot = Slot()
        func offer(_ names: String...) -> [MemberProtocol] {
            names.map { MemberProtocol(name: $0, metadata: bytes($0)) }
        }
        let tokens = [
            slot.send(.join(join(protocols: offer("only", "range", "sticky")))),
            slot.send(.join(join(protocols: offer("sticky", "range")))),
            slot.send(.join(join(protocols: offer("sticky", "range", "sticky")))),
        ]
        slot.advance(milliseconds: 1_000)
        for token in tokens {
            #expect(try slot.joined(token).protocolName == "sticky")
        }
        #expect(
            try slot.joined(tokens[0]).members.map(\.metadata)
                == Array(
                    repeating: bytes("sticky"), count: 3))
    }

    @Test("KIP-389: a full group takes nobody else, but its own members")
    func groupMaximumSize() throws {
        var slot = Slot { $0.maximumMembersPerGroup = 2 }
        let (members, _) = try slot.stableGroup(2)
        let third = slot.send(.join(join()))
        #expect(try slot.joined(third).error == .groupMaxSizeReached)
        let rejoin = slot.send(.join(join(members[0])))
        let other = slot.send(.join(join(members[1])))
        #expect(try slot.joined(rejoin).generation == 2)
        #expect(try slot.joined(other).generation == 2)
    }

    @Test("Groups in a slot and protocols of a member are bounded")
    func bounds() throws {
        var slot = Slot {
            $0.maximumGroups = 1
            $0.maximumProtocolsPerMember = 1
            $0.maximumMemberMetadataBytes = 64
        }
        _ = try slot.stableGroup(1)
        let group = slot.send(.join(join(group: "h")))
        #expect(try slot.joined(group).error == .policyViolation)
        let two = ["range", "sticky"].map { MemberProtocol(name: $0, metadata: bytes("")) }
        let many = slot.send(.join(join(protocols: two)))
        #expect(try slot.joined(many).error == .invalidRequest)
        let large = [
            MemberProtocol(name: "range", metadata: bytes(String(repeating: "x", count: 64)))
        ]
        let huge = slot.send(.join(join(protocols: large)))
        #expect(try slot.joined(huge).error == .invalidRequest)
    }

    @Test(
        "A follower that rejoins unchanged gets the current generation; the leader forces a new one"
    )
    func rejoinOfStableGroup() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        let follower = try slot.joinNow(join(members[1]))
        #expect(follower.generation == generation)
        #expect(follower.members.isEmpty)
        let leader = slot.send(.join(join(members[0])))
        #expect(slot.replies[leader] == nil)
        #expect(try slot.heartbeat(members[1], generation) == .rebalanceInProgress)
        let again = slot.send(.join(join(members[1])))
        #expect(try slot.joined(leader).generation == generation + 1)
        #expect(try slot.joined(again).generation == generation + 1)
    }

    @Test("A follower with new metadata forces a rebalance")
    func changedMetadata() throws {
        var slot = Slot()
        let (members, generation) = try slot.stableGroup(2)
        let wants = [MemberProtocol(name: "range", metadata: subscription("t", "u"))]
        _ = slot.send(.join(join(members[1], protocols: wants)))
        #expect(try slot.describe().state == .preparingRebalance)
        #expect(try slot.heartbeat(members[0], generation) == .rebalanceInProgress)
    }

    @Test("A join repeated before the assignment gets the same generation again")
    func repeatedJoin() throws {
        var slot = Slot()
        let first = slot.send(.join(join()))
        slot.advance(milliseconds: 200)
        let response = try slot.joined(first)
        let again = try slot.joinNow(join(response.memberID))
        #expect(again == response)
    }

    @Test("A join repeated while waiting ends the older wait")
    func supersededJoin() throws {
        var slot = Slot()
        let (members, _) = try slot.stableGroup(2)
        let older = slot.send(.join(join(members[0])))
        let newer = slot.send(.join(join(members[0])))
        #expect(try slot.joined(older).error == .rebalanceInProgress)
        #expect(slot.replies[newer] == nil)
    }

    @Test("Member ids differ, and do not grow with the client id")
    func memberIDs() throws {
        var slot = Slot()
        var request = join(known: true)
        request.clientID = String(repeating: "c", count: 30_000)
        let one = try slot.joinNow(request).memberID
        let two = try slot.joinNow(request).memberID
        #expect(one != two)
        #expect(one.utf8.count == 255 + 37)
    }
}
