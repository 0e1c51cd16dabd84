import Model
import Testing

@testable import Replication

private typealias F = Fixture

/// A follower with short ways to talk to it.
private struct Copier {
    typealias Effect = FollowerMachine.Effect
    var machine: FollowerMachine
    var now: Int64 = 0

    init(_ position: FollowerPosition = FollowerPosition(), sync: Bool = false) {
        machine = FollowerMachine(id: F.id(2), boot: BootEpoch(1), syncRequired: sync)
        _ = handle(.opened(position))
    }

    mutating func handle(_ input: FollowerMachine.Input) -> [Effect] {
        var effects: [Effect] = []
        machine.handle(input, now: F.time(now), into: &effects)
        return effects
    }

    mutating func follow(_ epoch: Int32, leader: Int32 = 1) -> [Effect] {
        let effects = handle(.follow(NodeID(leader), LeaderEpoch(epoch), isUnclean: false))
        return effects + handle(.linkUp(NodeID(leader)))
    }

    mutating func answer(
        _ agreement: LogAgreement, watermark: Int64 = 0, ownEnd: Int64? = nil
    ) -> [Effect] {
        let progress = LeaderProgress(highWatermark: Offset(watermark), logStart: .zero)
        return handle(
            .attached(machine.session, agreement, progress, ownEnd: ownEnd.map { Offset($0) }))
    }

    mutating func records(_ base: Int64, to end: Int64, epoch: Int32, watermark: Int64) -> [Effect]
    {
        let progress = LeaderProgress(highWatermark: Offset(watermark), logStart: .zero)
        let input = FollowerMachine.Input.records(
            machine.session, LeaderEpoch(epoch), base: Offset(base), progress)
        let effects = handle(input)
        guard effects.contains(.append) else { return effects }
        return effects + handle(.appended(end: Offset(end), lastEpoch: LeaderEpoch(epoch)))
    }

    /// Attached to the leader of epoch 3 with a log that ends at 10.
    static func following(sync: Bool = false) -> Copier {
        var copier = Copier(
            FollowerPosition(
                end: Offset(10), synced: Offset(10), lastEpoch: LeaderEpoch(2),
                highWatermark: Offset(5)), sync: sync)
        _ = copier.follow(3)
        _ = copier.answer(.agreed(from: Offset(10)), watermark: 8)
        return copier
    }
}

@Suite struct FollowerTests {
    @Test func attachesWithWhatItHoldsAndTakesBatchesInOrder() {
        var copier = Copier.following()
        #expect(copier.machine.isFollowing)
        #expect(copier.machine.position.highWatermark == Offset(8))
        #expect(
            copier.records(10, to: 12, epoch: 3, watermark: 11) == [
                .append, .highWatermark(Offset(11)), .acknowledge,
            ])
        #expect(copier.records(12, to: 13, epoch: 3, watermark: 11) == [.append])
        let taken = copier.machine.takeAcknowledgement()
        #expect(taken?.epoch == LeaderEpoch(3) && taken?.end == Offset(13), "coalesced")
        #expect(copier.machine.takeAcknowledgement() == nil)
        let progress = LeaderProgress(highWatermark: Offset(99), logStart: .zero)
        let effects = copier.handle(.progress(copier.machine.session, progress))
        #expect(effects == [.highWatermark(Offset(13))], "never above its own end")
    }

    @Test("Design 5: with flush sync only what is synced is acknowledged")
    func acknowledgesItsSyncedEnd() {
        var copier = Copier.following(sync: true)
        #expect(copier.records(10, to: 12, epoch: 3, watermark: 8) == [.append, .sync])
        #expect(copier.machine.takeAcknowledgement() == nil)
        #expect(copier.handle(.synced(upTo: Offset(12))) == [.acknowledge])
        #expect(copier.machine.takeAcknowledgement()?.end == Offset(12))
    }

    @Test func whatIsSyncedWhileItAttachesIsAcknowledgedAfterwards() {
        var copier = Copier(
            FollowerPosition(end: Offset(10), synced: Offset(4), lastEpoch: LeaderEpoch(2)),
            sync: true)
        _ = copier.follow(3)
        #expect(copier.handle(.synced(upTo: Offset(10))) == [])
        #expect(copier.answer(.agreed(from: Offset(10))) == [.acknowledge])
        #expect(copier.machine.takeAcknowledgement()?.end == Offset(10))
    }

    @Test("Reference 12, rule 1: a lower epoch, another session and a gap are refused")
    func takesNothingElse() {
        var copier = Copier.following()
        #expect(copier.records(10, to: 11, epoch: 2, watermark: 8) == [])
        let progress = LeaderProgress(highWatermark: Offset(8), logStart: .zero)
        let old = FollowerMachine.Input.records(
            AttachSession(1), LeaderEpoch(3), base: Offset(10), progress)
        #expect(copier.handle(old) == [])
        #expect(copier.handle(.follow(NodeID(4), LeaderEpoch(2), isUnclean: false)) == [])
        #expect(copier.machine.leader == NodeID(1))
        #expect(copier.records(11, to: 12, epoch: 3, watermark: 8) == [.wake(at: F.time(20))])
        #expect(!copier.machine.isFollowing, "it attaches again after a gap")
    }

    @Test("KIP-279: logs are cut by epoch until they agree")
    func cutsUntilBothAgree() {
        var copier = Copier(
            FollowerPosition(
                end: Offset(20), synced: Offset(20), lastEpoch: LeaderEpoch(4),
                highWatermark: Offset(6)))
        _ = copier.follow(7)
        let answer = LogAgreement.truncate(epoch: LeaderEpoch(2), end: Offset(15))
        #expect(copier.answer(answer, ownEnd: 9) == [.truncate(to: Offset(9))])
        let again = copier.handle(.truncated(end: Offset(9), lastEpoch: LeaderEpoch(1)))
        guard case .attach(_, let request) = again.first else {
            Issue.record("it asks again")
            return
        }
        #expect(request.lastEpoch == LeaderEpoch(1) && request.end == Offset(9))
        let second = LogAgreement.truncate(epoch: LeaderEpoch(1), end: Offset(8))
        #expect(copier.answer(second, ownEnd: 9) == [.truncate(to: Offset(8))])
    }

    @Test func aCutBelowTheWatermarkIsAnAlarm() {
        var copier = Copier(
            FollowerPosition(
                end: Offset(20), lastEpoch: LeaderEpoch(4), highWatermark: Offset(10)))
        _ = copier.follow(7)
        let answer = LogAgreement.truncate(epoch: LeaderEpoch(4), end: Offset(9))
        let alarm = ReplicationAlarm(
            leader: NodeID(1), leaderEpoch: LeaderEpoch(7), cut: Offset(9),
            highWatermark: Offset(10))
        #expect(copier.answer(answer, ownEnd: 20) == [.alarm(alarm), .truncate(to: Offset(9))])
    }

    @Test func startsOverWhereTheLeaderHasNoMoreOfIt() {
        var copier = Copier()
        _ = copier.follow(1)
        #expect(copier.answer(.startOver(at: Offset(50))) == [.startOver(at: Offset(50))])
        _ = copier.handle(.truncated(end: Offset(50), lastEpoch: .unknown))
        let position = copier.machine.position
        #expect(position.logStart == Offset(50) && position.end == Offset(50))
    }

    @Test func attachesAgainWithBackoffOnTheVirtualClock() {
        var copier = Copier()
        _ = copier.follow(1)
        for delay in [20, 40, 80, 160, 320, 640, 1_000, 1_000] as [Int64] {
            let refused = copier.handle(.refused(copier.machine.session, .notLeader))
            copier.now += delay
            #expect(refused == [.wake(at: F.time(copier.now))])
            copier.now -= 1
            #expect(copier.handle(.wake) == [], "not before")
            copier.now += 1
            #expect(copier.handle(.wake).count == 2)
        }
        copier.now += 500
        #expect(copier.handle(.wake).count == 1, "an answer that does not come is not waited for")
        #expect(copier.handle(.linkDown(NodeID(1))) == [])
        #expect(copier.handle(.linkUp(NodeID(1))).count == 2)
    }

    @Test func aNewEpochIsRecordedAndAttachedTo() {
        var copier = Copier.following()
        let effects = copier.follow(5, leader: 3)
        #expect(effects.first == .recordEpoch(LeaderEpoch(5)))
        #expect(effects.count == 3, "attach and its timeout")
    }
}

/// The leader's side of a link.
@Suite struct FollowerStreamTests {
    private func request(
        _ end: Int64, epoch: Int32, logStart: Int64 = 0
    ) -> AttachRequest {
        AttachRequest(
            session: AttachSession(1), leaderEpoch: LeaderEpoch(9), replica: F.id(2),
            lastEpoch: LeaderEpoch(epoch), end: Offset(end), vouchedEnd: Offset(end),
            logStart: Offset(logStart))
    }

    private func answer(
        _ request: AttachRequest, start: Int64 = 5, end: Int64 = 30,
        found: (Int32, Int64)?
    ) -> LogAgreement {
        FollowerStream.answer(
            request, logStart: Offset(start), logEnd: Offset(end),
            found: found.map { (LeaderEpoch($0.0), Offset($0.1)) })
    }

    @Test("KIP-101, KIP-279")
    func logsAreComparedByTheirLastEpoch() {
        #expect(answer(request(20, epoch: 3), found: (3, 25)) == .agreed(from: Offset(20)))
        #expect(
            answer(request(28, epoch: 3), found: (3, 25))
                == .truncate(epoch: LeaderEpoch(3), end: Offset(25)))
        #expect(
            answer(request(28, epoch: 3), found: (2, 10))
                == .truncate(epoch: LeaderEpoch(2), end: Offset(10)))
        #expect(
            answer(request(28, epoch: 0), found: nil)
                == .truncate(epoch: .unknown, end: Offset(5)), "this log's start is newer")
        #expect(answer(request(4, epoch: 3), found: (3, 25)) == .startOver(at: Offset(5)))
        #expect(answer(request(5, epoch: 0), found: nil) == .agreed(from: Offset(5)))
        #expect(
            answer(request(9, epoch: -1, logStart: 9), found: nil) == .agreed(from: Offset(9)),
            "an empty log")
        #expect(
            answer(request(40, epoch: -1, logStart: 40), found: nil)
                == .startOver(at: Offset(5)))
    }

    @Test func oneReadAtATimeWithinItsCredit() {
        let credit = ReplicationLimits.streamBytesInFlight
        var stream = FollowerStream(request(10, epoch: 3))
        let first = stream.read(logEnd: Offset(30), hotFrom: Offset(20))
        #expect(first == .init(from: Offset(10), maxBytes: credit, isCatchUp: true))
        #expect(stream.read(logEnd: Offset(30), hotFrom: Offset(20)) == nil)
        func sent(_ end: Int64, _ bytes: Int) {
            stream.sent(
                through: Offset(end), bytes: bytes, highWatermark: .zero, logStart: .zero)
        }
        sent(20, credit - 100)
        let second = stream.read(logEnd: Offset(30), hotFrom: Offset(20))
        #expect(second == .init(from: Offset(20), maxBytes: 100, isCatchUp: false))
        sent(25, 500)
        #expect(stream.read(logEnd: Offset(30), hotFrom: Offset(20)) == nil, "no credit")
        stream.acknowledge(Offset(20))
        #expect(stream.bytesInFlight == 500)
        #expect(stream.read(logEnd: Offset(30), hotFrom: Offset(20))?.from == Offset(25))
        stream.readFailed()
        #expect(stream.read(logEnd: Offset(25), hotFrom: Offset(20)) == nil, "level")
    }

    @Test func manySmallSendsAreToldApartUpToABound() {
        var stream = FollowerStream(request(0, epoch: 3))
        for step in 1...200 as ClosedRange<Int64> {
            _ = stream.read(logEnd: Offset(step), hotFrom: .zero)
            stream.sent(
                through: Offset(step), bytes: 10, highWatermark: .zero, logStart: .zero)
        }
        #expect(stream.bytesInFlight == 2_000)
        stream.acknowledge(Offset(199))
        #expect(stream.bytesInFlight == 1_370)
        stream.acknowledge(Offset(200))
        #expect(stream.bytesInFlight == 0)
    }

    @Test func aWatermarkIsToldOnceWhereNoRecordsCarriedIt() {
        var stream = FollowerStream(request(0, epoch: 3))
        let first = stream.tell(highWatermark: Offset(3), logStart: .zero)
        let second = stream.tell(highWatermark: Offset(3), logStart: .zero)
        let third = stream.tell(highWatermark: Offset(3), logStart: Offset(1))
        #expect(first && !second && third)
    }
}
