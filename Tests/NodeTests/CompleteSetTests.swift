import Model
import NIOCore
import Replication
import Testing

@testable import Node

/// A leader that serves without the voters, as its shard does it.
@Suite struct ShardPromiseTests {
    private let id = ShardPair.id

    /// A pair whose leader has so much left of its lease.
    private func pair(leaseMilliseconds: Int64) -> ShardPair {
        var pair = ShardPair()
        pair.settle()
        pair.leader.handle(.lease(until: pair.leader.deadline(leaseMilliseconds)))
        return pair
    }

    /// What the leader asks at its next tick.
    private func asked(_ pair: inout ShardPair) -> [(serial: UInt64, claims: [LeadershipClaim])] {
        pair.leader.handle(.tick)
        return pair.leader.takeSent(to: ShardPair.followerID).compactMap {
            if case .recognise(let serial, let claims) = $0 { (serial, claims) } else { nil }
        }
    }

    private func answer(
        _ pair: inout ShardPair, _ serial: UInt64, as copy: ReplicaID,
        declined: [TopicPartition] = []
    ) {
        pair.leader.handle(
            .replication(from: copy.node, .recognised(serial, copy, declined: declined)))
    }

    private func isServed(_ pair: inout ShardPair) -> Bool {
        pair.produce(99, "v", .leader)
        pair.leader.endTurn()
        let result = pair.leader.take().produced.last?.results.first
        return result != nil && result?.error == nil
    }

    @Test("Nobody is asked while the voters renew the lease")
    func asksOnlyWhenTheLeaseRunsOut() {
        var steady = pair(leaseMilliseconds: 1_200)
        #expect(asked(&steady).isEmpty)
        var pair = pair(leaseMilliseconds: 900)
        let first = asked(&pair)
        #expect(
            first.map(\.claims) == [[LeadershipClaim(partition: id, leaderEpoch: LeaderEpoch(0))]])
        pair.advance(milliseconds: 100)
        #expect(asked(&pair).isEmpty, "two tries fit in a lease beside the first")
        pair.advance(milliseconds: ReplicationLimits.promiseMilliseconds - 100)
        #expect(asked(&pair).count == 1)
    }

    @Test("Design, section 5: a leader with a complete set serves on while voters are down")
    func servesWithoutTheVoters() throws {
        var pair = pair(leaseMilliseconds: 100)
        let serial = try #require(asked(&pair).first).serial
        pair.advance(milliseconds: 99)
        #expect(isServed(&pair))
        pair.advance(milliseconds: 1)
        #expect(!isServed(&pair), "the lease has lapsed and nobody has promised")
        answer(&pair, serial, as: copy(2))
        #expect(isServed(&pair))
        pair.advance(milliseconds: ReplicationLimits.leaseMilliseconds - 101)
        #expect(isServed(&pair), "a lease long from when it was asked")
        pair.advance(milliseconds: 1)
        #expect(!isServed(&pair))
    }

    @Test func controlHearsUntilWhenASlotIsLed() throws {
        var pair = pair(leaseMilliseconds: 0)
        let at = pair.leader.now.instant
        let serial = try #require(asked(&pair).first).serial
        answer(&pair, serial, as: copy(2))
        let standings = pair.leader.take().flatMap { effect -> [Standing] in
            if case .standing(let list) = effect { list } else { [] }
        }
        let until = at.advanced(byMilliseconds: ReplicationLimits.leaseMilliseconds)
        #expect(standings == [Standing(partition: id, epoch: LeaderEpoch(0), until: until)])
    }

    @Test("An answer counts for what was asked, of whom it was asked, as the copy that it was")
    func onlyTheCopyThatWasAskedPromises() throws {
        var pair = pair(leaseMilliseconds: 0)
        let serial = try #require(asked(&pair).first).serial
        answer(&pair, serial + 1, as: copy(2))
        pair.leader.handle(
            .replication(from: NodeID(3), .recognised(serial, copy(2), declined: [])))
        answer(&pair, serial, as: copy(3))
        #expect(!isServed(&pair))
        let restarted = ReplicaID(
            node: NodeID(2), admission: copy(2).admission, logEpoch: BootEpoch(9))
        answer(&pair, serial, as: restarted)
        #expect(!isServed(&pair), "it may have forgotten what it knew")
        pair.advance(milliseconds: ReplicationLimits.promiseMilliseconds)
        let next = try #require(asked(&pair).first).serial
        answer(&pair, next, as: copy(2), declined: [id])
        #expect(!isServed(&pair), "it said no")
    }

    @Test("With nobody else in the set there is nobody who would decline")
    func aloneInSyncItIsNotServed() throws {
        var pair = pair(leaseMilliseconds: 0)
        let serial = try #require(asked(&pair).first).serial
        answer(&pair, serial, as: copy(2))
        #expect(isServed(&pair))
        let alone = try pair.state.alterInSync(
            to: [copy(1)], by: NodeID(1), leaderEpoch: LeaderEpoch(0),
            expecting: pair.state.partitionEpoch, minInSync: 1
        ).get()
        pair.leader.handle(.assume(id, .leads(alone, as: copy(1), minInSync: 1)))
        #expect(!isServed(&pair))
    }
}

/// What a broker promises, and what that keeps it from, as its control machine does it.
@Suite struct ControlPromiseTests {
    private let id = TopicID(high: 3, low: 3)
    private var partition: TopicPartition { TopicPartition(topic: id, index: PartitionIndex(0)) }
    private let copies = (1...3).map {
        ReplicaID(node: NodeID($0), admission: AdmissionNumber(1), logEpoch: BootEpoch(0))
    }

    private func members(doubting doubted: Int32? = nil) -> [BrokerMember] {
        (1...3).map {
            BrokerMember(
                entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                epoch: LeaderEpoch(0), isDoubted: $0 == doubted)
        }
    }

    /// Broker 1, which backs up what broker 2 leads in epoch 0.
    private func following(startedAt: Instant = ControlBench.longAgo) -> ControlBench {
        var bench = ControlBench(startedAt: startedAt)
        bench.handle(.members(members()))
        let record = TopicRecord(
            id: id, placement: [[copies[1], copies[0], copies[2]]], overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.openAll()
        bench.effects = []
        return bench
    }

    /// What is declined of one claim.
    private func ask(_ bench: inout ControlBench, _ leader: Int32, epoch: Int32) -> [TopicPartition]
    {
        bench.effects = []
        let claim = LeadershipClaim(partition: partition, leaderEpoch: LeaderEpoch(epoch))
        bench.handle(.recognise(from: NodeID(leader), 7, [claim]))
        for case .recognised(let node, 7, let copy, let declined) in bench.take() {
            #expect(node == NodeID(leader) && copy == copies[0])
            return declined
        }
        Issue.record("no answer")
        return []
    }

    private func proposals(_ bench: ControlBench) -> Int {
        bench.writes.count { if case .propose = $0 { true } else { false } }
    }

    private func leads(_ bench: inout ControlBench) -> Bool {
        bench.take().contains {
            if case .assume(_, .leads) = $0 { true } else { false }
        }
    }

    @Test func onlyTheLeaderOfTheNewestEpochIsPromised() {
        var bench = following()
        #expect(ask(&bench, 2, epoch: 0) == [])
        #expect(ask(&bench, 3, epoch: 0) == [partition], "2 leads in epoch 0")
        #expect(ask(&bench, 3, epoch: 1) == [], "news that this broker has not heard")
        #expect(ask(&bench, 2, epoch: 0) == [partition], "3 was promised a later epoch")
        let unknown = LeadershipClaim(
            partition: TopicPartition(topic: TopicID(high: 9, low: 9), index: PartitionIndex(0)),
            leaderEpoch: LeaderEpoch(0))
        bench.handle(.recognise(from: NodeID(2), 8, [unknown]))
        guard case .recognised(_, 8, _, [unknown.partition])? = bench.take().last else {
            Issue.record("nothing is known of that topic, which may be deleted")
            return
        }
    }

    /// An epoch out of nowhere would refuse the true leader's.
    @Test func nothingIsPromisedToWhoCanNotLead() {
        var bench = following()
        #expect(ask(&bench, 9, epoch: 5) == [partition], "it has no copy")
        #expect(
            ask(&bench, 3, epoch: 65) == [partition] && ask(&bench, 3, epoch: .max) == [partition])
        #expect(ask(&bench, 2, epoch: 0) == [])
        #expect(ask(&bench, 3, epoch: 64) == [], "far, and possible")
    }

    @Test func whoPromisedDoesNotCampaign() {
        var bench = following()
        _ = ask(&bench, 2, epoch: 0)
        bench.handle(.members(members(doubting: 2)))
        bench.pass(milliseconds: 5)
        #expect(proposals(bench) == 0)
        bench.pass(milliseconds: ReplicationLimits.leaseHonouredMilliseconds - 10)
        #expect(proposals(bench) == 0)
        for _ in 0..<4 { bench.pass(milliseconds: 5) }
        #expect(proposals(bench) == 1)
    }

    @Test("A broker that starts does not know what it promised before")
    func whoStartedDoesNotCampaignEither() {
        let start = ControlBench().now.instant
        var bench = following(startedAt: start)
        bench.handle(.members(members(doubting: 2)))
        bench.pass(milliseconds: 5)
        #expect(proposals(bench) == 0)
        bench.pass(milliseconds: ReplicationLimits.leaseHonouredMilliseconds)
        bench.pass(milliseconds: 5)
        #expect(proposals(bench) == 1)
    }

    @Test("A proposal that was on its way elects it: it serves once its promise has lapsed")
    func whoIsElectedInSpiteOfAPromiseWaits() {
        var bench = following()
        bench.handle(.members(members(doubting: 2)))
        bench.pass(milliseconds: 5)
        #expect(proposals(bench) == 1)
        #expect(ask(&bench, 2, epoch: 0) == [])
        bench.settle()
        #expect(bench.view?.topic(named: "t")?.state(0)?.leader == NodeID(1))
        #expect(!leads(&bench))
        #expect(ask(&bench, 2, epoch: 0) == [partition], "it knows better by now")
        bench.pass(milliseconds: ReplicationLimits.leaseHonouredMilliseconds - 1)
        #expect(!leads(&bench))
        bench.pass(milliseconds: 1)
        #expect(leads(&bench))
    }

    @Test("Who is given a leadership by the very leader that it promised to is free at once")
    func consentReleases() throws {
        var bench = following()
        _ = ask(&bench, 2, epoch: 0)
        let state = PartitionState.initial(placement: [copies[1], copies[0], copies[2]])
        let next = try state.transfer(
            to: NodeID(1), from: NodeID(2), leaderEpoch: LeaderEpoch(0),
            expecting: state.partitionEpoch
        ).get()
        bench.handle(
            .learned([bench.registers.put(PartitionRegister.key(partition), next.encoded())]))
        bench.settle()
        #expect(leads(&bench))
    }

    @Test(
        "Nor is one that started bound, where the leader before had served",
        arguments: [Consent.served, .stopped])
    func consentOfAServerReleasesAll(consent: Consent) throws {
        var bench = following(startedAt: ControlBench().now.instant)
        let state = PartitionState.initial(placement: [copies[1], copies[0], copies[2]])
        let next = try state.transfer(
            to: NodeID(1), from: NodeID(2), leaderEpoch: LeaderEpoch(0),
            expecting: state.partitionEpoch, consent: consent
        ).get()
        bench.handle(
            .learned([bench.registers.put(PartitionRegister.key(partition), next.encoded())]))
        bench.settle()
        #expect(leads(&bench) == (consent == .served))
    }

    /// The register forgets the consent with the next change in the epoch (seed 33).
    @Test func whoServesByConsentServesOn() throws {
        var bench = following(startedAt: ControlBench().now.instant)
        let state = PartitionState.initial(placement: [copies[1], copies[0], copies[2]])
        let next = try state.transfer(
            to: NodeID(1), from: NodeID(2), leaderEpoch: LeaderEpoch(0),
            expecting: state.partitionEpoch, consent: .served
        ).get()
        let key = PartitionRegister.key(partition)
        bench.handle(.learned([bench.registers.put(key, next.encoded())]))
        bench.settle()
        #expect(leads(&bench))
        let later = try next.alterInSync(
            to: [copies[0], copies[1]], by: NodeID(1), leaderEpoch: next.leaderEpoch,
            expecting: next.partitionEpoch, minInSync: 2
        ).get()
        bench.handle(.learned([bench.registers.put(key, later.encoded())]))
        bench.handle(.confirmLeaderships(7))
        bench.settle()
        let waits = bench.take().contains {
            if case .assume(_, .waits) = $0 { true } else { false }
        }
        #expect(!waits)
    }
}
