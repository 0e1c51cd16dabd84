import Model
import Replication
import Testing

private typealias F = Fixture

/// A leader with two followers, and short ways to talk to it.
private struct Led {
    /// What the machine said, without the serials of proposals.
    enum Effect: Equatable {
        case acknowledge(UInt64)
        case refuse(UInt64, PartitionMachine.Refusal)
        case highWatermark(Offset)
        case sync
        case propose([ReplicaID])

        init(_ effect: PartitionMachine.Effect) {
            switch effect {
            case .acknowledge(let token): self = .acknowledge(token)
            case .refuse(let token, let refusal): self = .refuse(token, refusal)
            case .highWatermark(let mark): self = .highWatermark(mark)
            case .sync: self = .sync
            case .proposeInSync(let ids, _): self = .propose(ids)
            }
        }
    }

    var machine: PartitionMachine
    var state: PartitionState

    init(
        _ state: PartitionState = F.state(), end: Int64 = 0, watermark: Int64 = 0,
        minInSync: Int = 2, sync: Bool = false
    ) {
        machine = PartitionMachine(syncRequired: sync)
        self.state = state
        let log = LogPosition(
            end: Offset(end), synced: Offset(end), highWatermark: Offset(watermark))
        _ = handle(.leadReplicas(state, self: F.id(1), log: log, minInSync: minInSync))
        _ = tick(0)
    }

    mutating func handle(_ input: PartitionMachine.Input) -> [Effect] {
        var effects: [PartitionMachine.Effect] = []
        machine.handle(input, into: &effects)
        return effects.map { Effect($0) }
    }

    mutating func attach(_ node: Int32, _ end: Int64, logEpoch: UInt64 = 1) -> [Effect] {
        handle(.followerAttached(F.id(node, logEpoch), state.leaderEpoch, end: Offset(end)))
    }

    mutating func ack(_ node: Int32, _ end: Int64, epoch: Int32 = 0) -> [Effect] {
        handle(.followerAcked(F.id(node), LeaderEpoch(epoch), end: Offset(end)))
    }

    mutating func append(_ end: Int64) -> [Effect] { handle(.appended(end: Offset(end))) }
    mutating func tick(_ at: Int64) -> [Effect] { handle(.tick(F.time(at))) }

    mutating func wait(_ token: UInt64, _ end: Int64) -> [Effect] {
        handle(
            .await(
                PartitionMachine.Waiter(
                    token: token, end: Offset(end), acknowledgement: .all,
                    deadline: F.time(10_000))))
    }

    mutating func chosen(_ ids: [ReplicaID], minInSync: Int = 2) -> [Effect] {
        state = state.altered(to: ids, minInSync: minInSync)
        return handle(.stateChanged(state))
    }

    /// Both followers attached and level, at a log end of 10.
    static func level(sync: Bool = false) -> Led {
        var led = Led(end: 10, watermark: 10, sync: sync)
        _ = led.attach(2, 10)
        _ = led.attach(3, 10)
        return led
    }
}

@Suite struct HighWatermarkTests {
    @Test func everyInSyncMemberHasToHoldIt() {
        var led = Led.level()
        #expect(led.append(12) == [])
        #expect(led.wait(1, 12) == [])
        #expect(led.ack(2, 12) == [])
        #expect(led.ack(3, 11) == [.highWatermark(Offset(11))])
        #expect(led.ack(3, 12) == [.highWatermark(Offset(12)), .acknowledge(1)])
    }

    @Test("KIP-207: until its first offset is committed an end is not told")
    func aNewLeaderBeginsWhereItKnewAsAFollower() {
        var led = Led(end: 10, watermark: 7)
        #expect(led.machine.highWatermark == Offset(7))
        #expect(!led.machine.hasCommittedOwnEpoch)
        #expect(led.attach(2, 10) == [], "3 has not said what it holds")
        #expect(led.attach(3, 9) == [.highWatermark(Offset(9))])
        #expect(!led.machine.hasCommittedOwnEpoch)
        #expect(led.ack(3, 10) == [.highWatermark(Offset(10))])
        #expect(led.machine.hasCommittedOwnEpoch)
    }

    @Test("Reference 11: the union counts until the outcome is known")
    func bothSetsCountWhileAChangeIsUndecided() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.ack(2, 11)
        #expect(led.tick(900) == [])
        _ = led.ack(2, 11)
        let without3 = [F.id(1), F.id(2)]
        #expect(led.tick(1_100) == [.propose(without3)])
        #expect(led.machine.highWatermark == Offset(10), "3 counts still")
        #expect(led.handle(.proposalUnknown(1)) == [])
        #expect(led.machine.highWatermark == Offset(10))
        #expect(led.tick(1_300) == [.propose(without3)], "asked again, the same")
        #expect(led.chosen(without3) == [.highWatermark(Offset(11))])
    }

    @Test func aFailureSaysNothingOfAnEarlierAttempt() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.ack(2, 11)
        #expect(led.tick(1_100) == [.propose([F.id(1), F.id(2)])])
        _ = led.handle(.proposalUnknown(1))
        #expect(led.tick(1_300) == [.propose([F.id(1), F.id(2)])])
        #expect(led.handle(.proposalFailed(1)) == [])
        #expect(led.handle(.proposalFailed(2)) == [])
        #expect(led.machine.proposal?.inSync == [F.id(1), F.id(2)], "the first may be chosen yet")
    }

    @Test func aProposalThatFailedIsForgotten() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.ack(2, 11)
        #expect(led.tick(1_100).count == 1)
        #expect(led.handle(.proposalFailed(1)) == [])
        #expect(led.ack(3, 11) == [.highWatermark(Offset(11))])
    }

    @Test("Design 5: flush sync waits for the device on leader and followers")
    func theLeadersOwnEndIsWhatIsSynced() {
        var led = Led.level(sync: true)
        #expect(led.append(11) == [.sync])
        #expect(led.ack(2, 11) == [])
        #expect(led.ack(3, 11) == [])
        #expect(led.handle(.synced(upTo: Offset(11))) == [.highWatermark(Offset(11))])
    }

    @Test("Reference 12, rule 1: acknowledgements of another epoch or copy count for nothing")
    func acknowledgementsAreFenced() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.ack(2, 11)
        #expect(led.ack(3, 11, epoch: 1) == [])
        let other = PartitionMachine.Input.followerAcked(
            F.id(3, 2), LeaderEpoch(0), end: Offset(11))
        #expect(led.handle(other) == [])
        #expect(led.machine.highWatermark == Offset(10))
    }
}

@Suite struct InSyncSetTests {
    @Test("KIP-966: nothing is committed below min.insync.replicas")
    func aSetThatIsTooSmallCommitsNothing() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.wait(1, 11)
        #expect(led.tick(1_100) == [.propose([F.id(1)])])
        #expect(led.machine.refusal(of: .all) == .notEnoughReplicas)
        #expect(led.machine.refusal(of: .leader) == nil)
        #expect(led.chosen([F.id(1)]) == [], "who waits waits on, until its own timeout")
        #expect(led.state.lastEligible == [F.id(2), F.id(3)])
        #expect(led.wait(2, 10) == [.refuse(2, .notEnoughReplicasAfterAppend)])
        _ = led.tick(1_500)
        #expect(led.ack(2, 11) == [.propose([F.id(1), F.id(2)])])
        let effects = led.chosen([F.id(1), F.id(2)])
        #expect(effects == [.highWatermark(Offset(11)), .acknowledge(1)])
    }

    @Test func whoWasLastEligibleIsClearedBeforeAnythingIsCommitted() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.tick(1_100)
        _ = led.chosen([F.id(1)])
        #expect(led.handle(.minInSyncChanged(1)) == [], "2 and 3 may be elected still")
        #expect(led.tick(1_500) == [.propose([F.id(1)])])
        #expect(led.chosen([F.id(1)], minInSync: 1) == [.highWatermark(Offset(11))])
    }

    @Test func aFollowerThatIsBehindForASecondLeaves() {
        var led = Led.level()
        _ = led.append(11)
        _ = led.ack(2, 11)
        #expect(led.tick(999) == [])
        #expect(led.tick(1_000) == [.propose([F.id(1), F.id(2)])])
    }

    @Test func oneWhoseLinkBrokeLeavesAfterHalfOfThatUnlessItIsBack() {
        var led = Led.level()
        _ = led.handle(.followerLost(NodeID(3)))
        #expect(led.tick(400) == [])
        #expect(led.attach(3, 10) == [])
        #expect(led.tick(800) == [], "it was back in time")
        _ = led.handle(.followerLost(NodeID(3)))
        #expect(led.tick(1_299) == [])
        #expect(led.tick(1_300) == [.propose([F.id(1), F.id(2)])])
    }

    @Test func aFollowerThatKeepsUpWithASecondAgoStays() {
        var led = Led.level()
        for step in 1...40 as ClosedRange<Int64> {
            _ = led.append(10 + step)
            _ = led.ack(2, 10 + step)
            _ = led.ack(3, 10 + max(0, step - 4))
            #expect(led.tick(step * 200) == [], "800 ms behind")
        }
    }

    @Test func aFollowerThatComesBackAfterAnUncleanStartLeavesAtOnce() {
        var led = Led.level()
        _ = led.handle(.followerLost(NodeID(3)))
        #expect(led.attach(3, 4, logEpoch: 2) == [.propose([F.id(1), F.id(2)])])
    }

    @Test("KAFKA-7128: the high watermark is not enough in a new epoch")
    func aFollowerJoinsAtTheStartOfTheEpoch() {
        let state = F.state().altered(to: [F.id(1), F.id(2)])
        var led = Led(state, end: 10, watermark: 7)
        #expect(led.attach(3, 8) == [])
        #expect(led.ack(3, 9) == [])
        #expect(led.ack(3, 10) == [.propose([F.id(1), F.id(2), F.id(3)])])
    }

    @Test func whoFallsOutAgainAndAgainWaitsLonger() {
        var led = Led.level()
        var waits: [Int64] = []
        var now: Int64 = 0
        for _ in 1...4 {
            _ = led.handle(.followerLost(NodeID(3)))
            var effects: [Led.Effect] = []
            while effects.isEmpty {
                now += 50
                effects = led.tick(now)
            }
            _ = led.chosen([F.id(1), F.id(2)])
            let left = now
            _ = led.attach(3, 10)
            effects = []
            while effects.isEmpty {
                now += 50
                effects = led.tick(now)
            }
            waits.append(now - left)
            _ = led.chosen([F.id(1), F.id(2), F.id(3)])
        }
        #expect(waits == [100, 200, 400, 800])
    }

    @Test func theLeaderTellsWhatEachCopyLacks() {
        var led = Led(end: 10, watermark: 10)
        #expect(led.machine.copies.map(\.isAttached) == [false, false])
        _ = led.attach(2, 10)
        _ = led.attach(3, 4)
        _ = led.append(12)
        _ = led.ack(2, 12)
        _ = led.tick(100)
        let copies = led.machine.copies
        #expect(copies.map(\.node.rawValue) == [2, 3])
        #expect(copies.map(\.end) == [Offset(12), Offset(4)])
        #expect(copies.map(\.isInSync) == [true, true])
        #expect(copies[0].behindMilliseconds == 0)
        #expect(copies[1].behindMilliseconds > 0)
        #expect(!led.machine.isChangingInSync)
        _ = led.tick(2_000)
        #expect(led.machine.isChangingInSync, "the one that is behind is to leave")
        _ = led.handle(.resign)
        #expect(led.machine.copies.isEmpty)
    }

    @Test func aNewerEpochEndsTheLeadership() throws {
        var led = Led.level()
        _ = led.append(11)
        _ = led.wait(1, 11)
        let next = try led.state.elected(
            F.id(2), [F.member(F.id(2)), F.member(F.id(1), alive: false)]
        ).get()
        #expect(led.handle(.stateChanged(next)) == [.refuse(1, .notLeader)])
        #expect(led.machine.refusal(of: .leader) == .notLeader)
        #expect(led.ack(2, 11) == [])
    }
}
