import Model
import Testing

@testable import Replication

private typealias F = Fixture

/// A lease and its voters, by hand.
private struct Leased {
    typealias Effect = LeaseHolder.Effect
    var holder = LeaseHolder()
    var now: Int64 = 0
    static let mark = LeaseMark(life: BootEpoch(1), depositions: 0)

    init(_ voters: LeaseVoters = LeaseVoters(voters: [1, 2, 3].map { NodeID($0) })) {
        _ = handle(.voters(voters))
    }

    mutating func handle(_ input: LeaseHolder.Input) -> [Effect] {
        var effects: [Effect] = []
        holder.handle(input, now: F.time(now), into: &effects)
        return effects
    }

    mutating func grant(
        _ voter: Int32, _ serial: UInt64, _ mark: LeaseMark = Leased.mark
    ) -> [Effect] {
        handle(.granted(NodeID(voter), serial: serial, mark))
    }

    /// Held since 0, with the grants of voters 1 and 2 confirmed.
    static func held() -> Leased {
        var leased = Leased()
        _ = leased.grant(1, 1)
        _ = leased.grant(2, 1)
        _ = leased.handle(.confirmed(2))
        _ = leased.handle(.confirmed(3))
        return leased
    }
}

@Suite struct LeaseHolderTests {
    @Test("Reference 12, rule 2: from the send time, by a majority, once confirmed")
    func aMajoritysGrantsAreCountedFromTheSendTime() {
        var leased = Leased()
        leased.now = 200
        #expect(leased.grant(1, 1) == [.confirm(2)])
        #expect(leased.grant(2, 1) == [])
        #expect(leased.handle(.confirmed(2)) == [.confirm(3)], "2 granted after that began")
        let effects = leased.handle(.confirmed(3))
        #expect(effects == [.held(until: F.time(1_500)), .wake(at: F.time(1_500))])
        leased.now = 1_499
        #expect(leased.holder.isHeld(at: F.time(1_499)))
        #expect(!leased.holder.isHeld(at: F.time(1_500)))
    }

    @Test func itIsGivenBackToEverybodyForGood() {
        var leased = Leased.held()
        let said = leased.handle(.release)
        #expect(said == [.lapsed] + [1, 2, 3].map { .release(NodeID($0)) })
        #expect(!leased.holder.isHeld(at: F.time(0)))
        leased.now = 300
        #expect(leased.handle(.wake) == [] && leased.grant(1, 1) == [])
        #expect(leased.handle(.voters(LeaseVoters(voters: [NodeID(1)]))) == [])
    }

    @Test func aRenewalExtendsIt() {
        var leased = Leased.held()
        leased.now = 300
        let renewals = leased.handle(.wake)
        #expect(renewals.count == 4)
        guard case .renew(_, let serial) = renewals[0] else { return }
        leased.now = 310
        #expect(leased.grant(3, serial) == [.confirm(serial + 1)], "a voter not heard of before")
        #expect(leased.grant(1, serial) == [], "2 granted at 0 and no later")
        let extended = leased.grant(2, serial)
        #expect(extended.first == .held(until: F.time(1_800)))
    }

    @Test func aLapsedLeaseIsHeldAgainOnlyOnceLeadershipsAreConfirmed() {
        var leased = Leased.held()
        leased.now = 1_600
        let effects = leased.handle(.wake)
        #expect(effects.contains(.lapsed))
        guard case .renew(_, let serial) = effects[1] else { return }
        leased.now = 1_610
        _ = leased.grant(1, serial)
        let second = leased.grant(2, serial)
        #expect(second == [])
        #expect(!leased.holder.isHeld(at: F.time(1_610)))
    }

    @Test func aVoterThatAcceptedASuccessorCountsOnlyOnceThatWasLookedAt() {
        var leased = Leased.held()
        leased.now = 300
        guard case .renew(_, let serial) = leased.handle(.wake)[0] else { return }
        _ = leased.grant(1, serial)
        let mark = LeaseMark(life: BootEpoch(1), depositions: 1)
        #expect(leased.grant(2, serial, mark) == [.confirm(serial + 1)])
        #expect(leased.holder.until == F.time(1_500), "what was granted before lasts")
        let confirmed = leased.handle(.confirmed(serial + 1))
        #expect(confirmed.first == .held(until: F.time(1_800)))
    }

    @Test("Reference 12, rule 4: renewals follow the joint quorum")
    func bothRostersHaveToGrant() {
        let joint = LeaseVoters(
            voters: [1, 2, 3].map { NodeID($0) }, next: [3, 4, 5].map { NodeID($0) })
        var leased = Leased(joint)
        for voter in [1, 2] as [Int32] { _ = leased.grant(voter, 1) }
        _ = leased.handle(.confirmed(2))
        #expect(leased.handle(.confirmed(3)) == [], "no majority of the next ones")
        for voter in [4, 5] as [Int32] { _ = leased.grant(voter, 1) }
        _ = leased.handle(.confirmed(4))
        #expect(leased.handle(.confirmed(5)).first == .held(until: F.time(1_500)))
    }

    @Test func aLateAnswerSaysNothingNew() {
        var leased = Leased.held()
        leased.now = 300
        guard case .renew(_, let serial) = leased.handle(.wake)[0] else { return }
        _ = leased.grant(1, serial)
        _ = leased.grant(2, serial)
        #expect(leased.grant(2, 1) == [])
        #expect(leased.grant(2, 99) == [], "a renewal that was never sent")
        #expect(leased.holder.until == F.time(1_800))
    }
}

@Suite struct LeaseBookTests {
    private let one = F.id(1)

    private func book() -> LeaseBook {
        LeaseBook(life: BootEpoch(1), startedAt: F.time(-10_000))
    }

    private func renew(_ book: inout LeaseBook, boot: UInt64 = 1, at: Int64) -> LeaseAnswer {
        book.renew(one, boot: BootEpoch(boot), now: F.time(at))
    }

    @Test func aLeaseIsHonouredLongerThanItsHolderCountsOn() {
        var book = book()
        #expect(book.heldMilliseconds(one, now: F.time(0)) == 0)
        _ = renew(&book, at: 0)
        #expect(book.heldMilliseconds(one, now: F.time(0)) == 1_535)
        #expect(book.heldMilliseconds(one, now: F.time(1_534)) == 1)
        #expect(book.heldMilliseconds(one, now: F.time(1_535)) == 0)
    }

    @Test("Reference 12, rule 6: after its start a voter waits one lease for everybody")
    func aVoterThatStartedWaits() {
        let book = LeaseBook(life: BootEpoch(2), startedAt: F.time(0))
        #expect(book.heldMilliseconds(one, now: F.time(100)) == 1_435)
    }

    @Test("Reference 12, rule 4: a new voter waits one lease for everybody")
    func aVoterThatIsBroughtInWaitsAsLong() {
        var book = LeaseBook(life: BootEpoch(1), startedAt: F.time(0))
        _ = book.renew(F.id(1), boot: BootEpoch(1), now: F.time(2_000))
        book.release(NodeID(1), boot: BootEpoch(1))
        #expect(book.heldMilliseconds(F.id(1), now: F.time(5_000)) == 0)
        book.beginVoting(now: F.time(5_000))
        let whole = ReplicationLimits.leaseHonouredMilliseconds
        for node: Int32 in [1, 2] {
            #expect(book.heldMilliseconds(F.id(node), now: F.time(5_000)) == whole)
            #expect(book.heldMilliseconds(F.id(node), now: F.time(5_000 + whole)) == 0)
        }
    }

    /// A leader that has not heard of the roster may count voters that are none any more, and those
    /// that took their place have waited already.
    @Test("Whoever renews after a change of the roster has to ask whether it leads")
    func aNewRosterMarksEveryGrant() {
        var book = book()
        let before = renew(&book, at: 0)
        #expect(renew(&book, at: 100) == before)
        book.beginVoting(now: F.time(200))
        let after = renew(&book, at: 300)
        #expect(after != before)
        #expect(renew(&book, at: 400) == after)
    }

    @Test func anOlderBootGetsNothingAndALeaseIsGivenBackByItsOwnBoot() {
        var book = book()
        _ = renew(&book, boot: 2, at: 0)
        #expect(renew(&book, boot: 1, at: 0) == .outdated)
        book.release(one.node, boot: BootEpoch(1))
        #expect(book.heldMilliseconds(one, now: F.time(1)) > 0)
        book.release(one.node, boot: BootEpoch(2))
        #expect(book.heldMilliseconds(one, now: F.time(1)) == 0)
    }

    @Test("Reference 12, rule 4: the consent or the lapse")
    func theGuardOfTheAcceptor() throws {
        var book = book()
        _ = renew(&book, at: 0)
        let state = F.state()
        #expect(book.heldMilliseconds(state, now: F.time(1)) == 0, "nobody is deposed")
        let members = [F.member(F.id(1), alive: false), F.member(F.id(2))]
        let elected = try state.elected(F.id(2), members).get()
        #expect(book.heldMilliseconds(elected, now: F.time(1)) == 1_534)
        let given = try state.transfer(
            to: NodeID(2), from: one.node, leaderEpoch: state.leaderEpoch, expecting: .initial
        ).get()
        #expect(book.heldMilliseconds(given, now: F.time(1)) == 0)
    }

    @Test func theLeaseOfALaterCopyProtectsNothingOfTheEarlierOne() {
        var book = book()
        _ = renew(&book, at: 0)
        let answer = book.renew(F.id(1, 2), boot: BootEpoch(2), now: F.time(1_000))
        #expect(answer != .outdated)
        #expect(book.heldMilliseconds(one, now: F.time(1_534)) == 1, "what it had itself")
        #expect(book.heldMilliseconds(one, now: F.time(1_535)) == 0)
        #expect(book.heldMilliseconds(F.id(1, 2), now: F.time(1_535)) == 1_000)
    }

    @Test func whatWasAcceptedAgainstABrokerIsInItsNextGrant() {
        var book = book()
        _ = renew(&book, at: 0)
        book.noteDeposition(of: one)
        #expect(
            renew(&book, at: 1) == .granted(LeaseMark(life: BootEpoch(1), depositions: 1)))
    }
}

@Suite struct CompleteSetLeaseTests {
    @Test("Reference 12, rule 5: every other member has to promise")
    func theSlowestMemberDecides() {
        var lease = CompleteSetLease()
        lease.require(F.state(), proposed: [F.id(1), F.id(2)], by: NodeID(1))
        lease.promised(by: F.id(2), LeaderEpoch(0), sentAt: F.time(100))
        #expect(lease.until == nil)
        lease.promised(by: F.id(3), LeaderEpoch(0), sentAt: F.time(50))
        #expect(lease.until == F.time(1_550))
        lease.promised(by: F.id(3), LeaderEpoch(1), sentAt: F.time(500))
        #expect(lease.until == F.time(1_550), "another epoch")
        lease.require(F.state().altered(to: [F.id(1)]), proposed: [], by: NodeID(1))
        #expect(lease.until == F.time(1_550), "who is last eligible counts on")
    }

    @Test func aPromiseBindsLongerThanTheLeaderCountsOn() {
        var promise = CampaignPromise(startedAt: F.time(-10_000))
        let epoch = LeaderEpoch(3)
        let refused = promise.promise(epoch, known: LeaderEpoch(4), now: F.time(0))
        #expect(!refused)
        #expect(promise.remainingMilliseconds(now: F.time(0)) == 0)
        let granted = promise.promise(epoch, known: epoch, now: F.time(0))
        #expect(granted)
        #expect(promise.remainingMilliseconds(now: F.time(0)) == 1_535)
        for other in [2, 4] as [Int32] { promise.release(LeaderEpoch(other)) }
        #expect(promise.remainingMilliseconds(now: F.time(0)) == 1_535)
        promise.release(epoch)
        #expect(promise.remainingMilliseconds(now: F.time(0)) == 0)
    }

    @Test func aBrokerThatStartedWaitsAsLong() {
        let promise = CampaignPromise(startedAt: F.time(0))
        #expect(promise.remainingMilliseconds(now: F.time(35)) == 1_500)
        var released = promise
        released.release(.unknown)
        #expect(released == promise, "nobody knows whom it promised what")
    }

    /// The process before may have promised to the successor of the one that consents now, whose
    /// question came late.
    @Test func aConsentDoesNotFreeFromWhatAnEarlierProcessPromised() {
        var promise = CampaignPromise(startedAt: F.time(0))
        let epoch = LeaderEpoch(3)
        let isGiven = promise.promise(epoch, known: epoch, now: F.time(500))
        #expect(isGiven)
        promise.release(epoch)
        #expect(promise.remainingMilliseconds(now: F.time(500)) == 1_035)
        #expect(promise.remainingMilliseconds(now: F.time(1_535)) == 0)
    }

    @Test func whoServedAndStoppedFreesItsSuccessorOfAllThatWasPromisedBefore() throws {
        var promise = CampaignPromise(startedAt: F.time(0))
        func given(_ consent: Consent) throws -> PartitionState {
            try F.state().transfer(
                to: NodeID(2), from: NodeID(1), leaderEpoch: F.state().leaderEpoch,
                expecting: F.state().partitionEpoch, consent: consent
            ).get()
        }
        let (served, stopped) = (try given(.served), try given(.stopped))
        let rules = ReplicationRules()
        #expect(promise.remainingMilliseconds(serving: served, now: F.time(35), rules: rules) == 0)
        #expect(
            promise.remainingMilliseconds(serving: stopped, now: F.time(35), rules: rules) == 1_500)
        #expect(promise.remainingMilliseconds(now: F.time(35)) == 1_500, "campaigns wait")
        let later = served.leaderEpoch
        let granted = promise.promise(later, known: later, now: F.time(35))
        #expect(granted)
        #expect(
            promise.remainingMilliseconds(serving: served, now: F.time(35), rules: rules) == 1_535)
    }

    @Test func aCopyThatStartedUncleanlyDoesNotSpeakForTheOneThatWasElected() {
        var lease = CompleteSetLease()
        lease.require(F.state(), proposed: [], by: NodeID(1))
        lease.promised(by: F.id(2), LeaderEpoch(0), sentAt: F.time(100))
        let restarted = ReplicaID(
            node: NodeID(3), admission: F.id(3).admission, logEpoch: BootEpoch(77))
        lease.promised(by: restarted, LeaderEpoch(0), sentAt: F.time(100))
        #expect(lease.until == nil)
    }

    @Test("With nobody else there is nobody who would decline; only a sole copy needs nobody")
    func aloneInSyncIsNoCompleteSet() throws {
        var lease = CompleteSetLease()
        let state = F.state()
        let alone = try state.alterInSync(
            to: [F.id(1)], by: NodeID(1), leaderEpoch: state.leaderEpoch,
            expecting: state.partitionEpoch, minInSync: 1
        ).get()
        #expect(alone.electable == [F.id(1)])
        lease.require(alone, proposed: [], by: NodeID(1))
        #expect(lease.until == nil)
        lease.require(.initial(placement: [F.id(1)]), proposed: [], by: NodeID(1))
        #expect(lease.isHeld(at: F.time(1 << 40)))
    }
}

@Suite struct CampaignTests {
    private func run(
        _ campaign: inout Campaign, _ input: Campaign.Input, at: Int64
    ) -> [Campaign.Effect] {
        var effects: [Campaign.Effect] = []
        campaign.handle(input, now: F.time(at), into: &effects)
        return effects
    }

    private func campaign(rank: Int) -> (Campaign, [Campaign.Effect]) {
        var campaign = Campaign(
            against: NodeID(1), LeaderEpoch(4), rank: rank, jitter: 10, now: F.time(0))
        var effects: [Campaign.Effect] = []
        campaign.open(into: &effects)
        return (campaign, effects)
    }

    @Test("Reference 10: rank r waits r * 75 ms and a jitter, once no lease can be left")
    func theFirstProposesAtOnce() {
        #expect(campaign(rank: 0).1 == [.wake(at: F.time(0))])
        #expect(campaign(rank: 2).1 == [.wake(at: F.time(1_535 + 160))])
        var leaderless = Campaign(
            against: nil, LeaderEpoch(4), rank: 2, jitter: 10, now: F.time(0))
        var effects: [Campaign.Effect] = []
        leaderless.open(into: &effects)
        #expect(effects == [.wake(at: F.time(160))], "nobody has a lease on it")
    }

    @Test func whoMovesUpDoesNotWaitForTheTurnThatItHad() {
        var (campaign, _) = campaign(rank: 2)
        #expect(run(&campaign, .rank(1), at: 100) == [.wake(at: F.time(1_535 + 85))])
        #expect(run(&campaign, .rank(0), at: 200) == [.wake(at: F.time(200))])
        #expect(run(&campaign, .wake, at: 200) == [.propose])
        #expect(run(&campaign, .rank(1), at: 201) == [], "one that is proposing waits for that")
    }

    @Test("Reference 13: a refusal carries what is left of the lease")
    func waitsForTheRestOfTheLease() {
        var (campaign, _) = campaign(rank: 0)
        #expect(run(&campaign, .wake, at: 0) == [.propose])
        #expect(run(&campaign, .wake, at: 0) == [], "one proposal at a time")
        #expect(run(&campaign, .held(milliseconds: 900), at: 5) == [.wake(at: F.time(905))])
        #expect(run(&campaign, .wake, at: 904) == [])
        #expect(run(&campaign, .wake, at: 905) == [.propose])
        #expect(run(&campaign, .failed, at: 910) == [.wake(at: F.time(995))])
    }

    @Test func endsWithALeaderOrARefutation() {
        var (campaign, _) = campaign(rank: 1)
        #expect(run(&campaign, .decided(NodeID(1), LeaderEpoch(4)), at: 1) == [])
        #expect(run(&campaign, .decided(nil, LeaderEpoch(5)), at: 1) == [], "nobody leads")
        #expect(run(&campaign, .decided(NodeID(2), LeaderEpoch(5)), at: 1) == [.ended])
        #expect(run(&campaign, .wake, at: 999) == [])
        var (other, _) = self.campaign(rank: 1)
        #expect(run(&other, .refuted, at: 1) == [.ended])
    }
}
