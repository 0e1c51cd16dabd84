import Model
import NIOCore
import Replication
import Testing

@testable import Node

/// When a broker leads in another's place, as the control machine decides it.
@Suite struct ControlElectionTests {
    private let id = TopicID(high: 3, low: 3)
    private var partition: TopicPartition { TopicPartition(topic: id, index: PartitionIndex(0)) }
    private let copies = (1...3).map {
        ReplicaID(node: NodeID($0), admission: AdmissionNumber(1), logEpoch: BootEpoch(0))
    }

    private func members(doubting doubted: Int32?) -> [BrokerMember] {
        (1...3).map {
            BrokerMember(
                entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                epoch: LeaderEpoch(0), isDoubted: $0 == doubted)
        }
    }

    /// Broker 1, which backs up what broker 2 leads, and has just begun to doubt it.
    private func doubting() -> ControlBench {
        var bench = ControlBench()
        bench.handle(.members(members(doubting: nil)))
        let record = TopicRecord(
            id: id, placement: [[copies[1], copies[0], copies[2]]], overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.openAll()
        bench.effects = []
        bench.handle(.members(members(doubting: 2)))
        bench.pass(milliseconds: 5)
        return bench
    }

    private func roles(_ effects: [Control.Effect]) -> [PartitionRole] {
        effects.compactMap { if case .assume(_, let role) = $0 { role } else { nil } }
    }

    @Test func theFirstInSyncReplicaLeadsWhereTheLeaderIsDoubted() throws {
        var bench = doubting()
        bench.settle()
        let state = try #require(bench.view?.topic(named: "t")?.state(0))
        #expect(state.leader == NodeID(1) && state.leaderEpoch == LeaderEpoch(1))
        guard case .leads(_, let copy, _)? = roles(bench.take()).last else {
            Issue.record("it was elected and does not lead")
            return
        }
        #expect(copy == copies[0])
    }

    @Test func operatorsAreToldOnceHowMuchIsLedInPlaceOfWhom() {
        var bench = doubting()
        bench.settle()
        func notices() -> [String] {
            bench.take().compactMap { if case .notice(let text) = $0 { text } else { nil } }
        }
        #expect(notices().isEmpty, "more may follow")
        bench.pass(milliseconds: 1_000)
        #expect(
            notices() == ["leads a partition in place of broker 2, which is silent"])
        bench.pass(milliseconds: 5_000)
        #expect(notices().isEmpty)
    }

    @Test func operatorsAreToldWhatACopyIsNow() throws {
        var bench = doubting()
        let state = try #require(bench.view?.topic(named: "t")?.state(0))
        func standings() -> [ReplicaStanding] { copies.map { bench.control.standing(of: $0) } }
        #expect(standings() == [.current, .doubted, .current])
        #expect(bench.control.successors(of: state).map(\.rawValue) == [1, 3])
        let restarted = BrokerMember(
            entry: ControlBench.broker(3), admission: AdmissionNumber(1), epoch: LeaderEpoch(7))
        bench.handle(.members([members(doubting: nil)[0], restarted]))
        #expect(standings() == [.current, .away, .restarted])
        #expect(bench.control.successors(of: state).map(\.rawValue) == [1])
    }

    /// A leader that gave way to an election that never was tells nobody by that: whoever is first
    /// in line sees a leader, and it may not elect itself before that one. So it gives it away.
    @Test func whoGaveWayForNothingGivesTheLeadershipAway() throws {
        var bench = doubting()
        bench.settle()
        bench.handle(.members(members(doubting: nil)))
        func wish(_ inSync: [ReplicaID], _ serial: UInt64) throws {
            let state = try #require(bench.view?.topic(named: "t")?.state(0))
            bench.handle(
                .proposeInSync(
                    InSyncWish(
                        partition: partition, state: state, inSync: inSync, serial: serial)))
            bench.pass(milliseconds: 1)
        }
        try wish([copies[1], copies[0], copies[2]], 1)
        bench.settle()
        try wish([copies[1], copies[0]], 2)
        guard case .propose(let number, _)? = bench.writes.first else {
            Issue.record("no proposal")
            return
        }
        bench.writes = []
        bench.handle(.decided(number, [.held(milliseconds: 5)]))
        bench.handle(.stoodDown(partition, LeaderEpoch(1)))
        bench.settle()
        let between = try #require(bench.view?.topic(named: "t")?.state(0))
        #expect(between.leader == NodeID(1) && between.inSync.count == 3)
        bench.pass(milliseconds: 50)
        bench.settle()
        let state = try #require(bench.view?.topic(named: "t")?.state(0))
        #expect(state.leader == NodeID(2) && state.leaderEpoch == LeaderEpoch(2))
    }

    /// While the leader is doubted, clients are sent to the replica whose turn it is.
    @Test func clientsAreSentToTheSuccessor() throws {
        var bench = doubting()
        let view = try #require(bench.view)
        let state = try #require(view.topic(named: "t")?.state(0))
        #expect(state.leader == NodeID(2) && view.leader(of: state)?.id == NodeID(1))
        bench.handle(.members(members(doubting: nil)))
        let later = try #require(bench.view)
        #expect(later.leader(of: state)?.id == NodeID(2), "it is not doubted any more")
    }

    /// Whoever sees nobody else is the one that is cut off, most likely.
    @Test func nobodyIsSentToABrokerThatIsAlone() throws {
        var bench = doubting()
        let state = try #require(bench.view?.topic(named: "t")?.state(0))
        bench.handle(
            .members(
                members(doubting: nil).map { member in
                    BrokerMember(
                        entry: member.entry, admission: member.admission, epoch: member.epoch,
                        isDoubted: member.entry.id != NodeID(1))
                }))
        #expect(bench.view?.leader(of: state)?.id == NodeID(2))
    }

    /// A follower that falls silent falls out of all sets at once: one proposal, not a thousand.
    @Test func inSyncSetsAreProposedTogether() throws {
        var bench = ControlBench()
        bench.handle(.members(members(doubting: nil)))
        let record = TopicRecord(
            id: id, placement: Array(repeating: copies, count: 300), overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.openAll()
        bench.settle()
        bench.writes = []
        for index in 0..<300 as Range<Int32> {
            let partition = TopicPartition(topic: id, index: PartitionIndex(index))
            let state = try #require(bench.view?.topic(named: "t")?.state(index))
            bench.handle(
                .proposeInSync(
                    InSyncWish(
                        partition: partition, state: state, inSync: [copies[0], copies[1]],
                        serial: UInt64(index))))
        }
        bench.pass(milliseconds: 1)
        let sizes = bench.writes.map { write in
            if case .propose(_, let proposals) = write { proposals.count } else { 0 }
        }
        #expect(sizes == [256, 44])
        bench.settle()
        let states = try #require(bench.view?.topic(named: "t")?.partitions)
        #expect(states.allSatisfy { $0.inSync == [copies[0], copies[1]] })
    }

    /// Voters held the first proposal back after some had accepted it. The next one settles it and
    /// is refused, because it finds itself elected; or a rival's does, while the next one is held.
    @Test(arguments: [
        Decision.refused(.partition(.changed(PartitionEpoch(1))), current: nil),
        .held(milliseconds: 5), .unknown("no answer"), .notChosen("no majority"),
    ])
    func anElectionThatAnotherProposalSettlesIsLedToo(decision: Decision) throws {
        var bench = doubting()
        guard case .propose(let number, let proposals)? = bench.writes.first else {
            Issue.record("no campaign")
            return
        }
        bench.writes = []
        let first = bench.registers.decide(proposals[0])
        let elected = try #require(first.chosen)
        bench.handle(.learned([elected]))
        bench.handle(.decided(number, [decision]))
        bench.settle()
        guard case .leads(let state, _, _)? = roles(bench.take()).last else {
            Issue.record("it is named and does not lead")
            return
        }
        #expect(state.leaderEpoch == LeaderEpoch(1))
    }
}
