import Coordination
import Model
import NIOCore
import Replication
import Testing

@testable import Node

/// What the control machine makes of registers of partitions: many at once, late ones, and those of
/// topics that are gone.
@Suite struct ControlReplicaTests {
    private let id = TopicID(high: 3, low: 3)
    private let copies = (1...3).map {
        ReplicaID(node: NodeID($0), admission: AdmissionNumber(1), logEpoch: BootEpoch(0))
    }

    private func partition(_ index: Int32 = 0) -> TopicPartition {
        TopicPartition(topic: id, index: PartitionIndex(index))
    }

    private func members(_ nodes: [Int32], doubting doubted: Int32? = nil) -> [BrokerMember] {
        nodes.map {
            BrokerMember(
                entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                epoch: LeaderEpoch(0), isDoubted: $0 == doubted)
        }
    }

    /// A broker that has a copy of each partition of the topic `t`.
    private func bench(
        node: Int32 = 1, placement: [[Int]], members present: [Int32] = [1, 2, 3]
    ) -> ControlBench {
        var bench = ControlBench(node: node)
        bench.handle(.members(members(present)))
        let record = TopicRecord(
            id: id, placement: placement.map { $0.map { copies[$0 - 1] } }, overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.openAll()
        bench.effects = []
        return bench
    }

    private func leads(_ effects: [Control.Effect]) -> [LeaderEpoch] {
        effects.compactMap {
            if case .assume(_, .leads(let state, _, _)) = $0 { state.leaderEpoch } else { nil }
        }
    }

    private func proposals(_ bench: ControlBench) -> [[RegisterProposal]] {
        bench.writes.compactMap { if case .propose(_, let all) = $0 { all } else { nil } }
    }

    // MARK: What was begun before

    /// The lease lapsed and was confirmed anew while the election was on its way: a rival may have
    /// ended it meanwhile, and what the lease confirmed does not say so.
    @Test func anElectionFromBeforeTheLeaseIsReadAgain() {
        var bench = bench(placement: [[2, 1, 3]])
        bench.handle(.members(members([1, 2, 3], doubting: 2)))
        bench.pass(milliseconds: 5)
        guard case .propose(let number, let first)? = bench.writes.first else {
            Issue.record("no campaign")
            return
        }
        bench.writes = []
        bench.handle(.confirmLeaderships(9))
        let decision = bench.registers.decide(first[0])
        bench.handle(.learned([decision.chosen].compactMap(\.self)))
        bench.handle(.decided(number, [decision]))
        #expect(leads(bench.take()).isEmpty)
        #expect(proposals(bench).last?.map(\.operation) == [.confirm])
        bench.settle()
        #expect(leads(bench.take()).contains(LeaderEpoch(1)))
    }

    /// Leadership of a slot goes and comes back while its log is being read.
    @Test func twoReadingsOfASlotAreToldApart() throws {
        var bench = ControlBench()
        bench.request(1, .coordinators(groups: ["g"]))
        bench.settle()
        let first = try #require(bench.take().loads.first)
        bench.handle(.opened(first.partition, failure: nil))
        let second = try #require(bench.take().loads.first)
        #expect(first.partition == second.partition && first != second)
        func phase() -> GroupCoordinator.Phase {
            bench.control.slots[Int(first.partition.index.rawValue)].coordinator.phase
        }
        bench.handle(.slotRecords(first, []))
        bench.handle(.slotEnd(first))
        #expect(phase() == .loading)
        bench.handle(.slotRecords(second, []))
        bench.handle(.slotEnd(second))
        guard case .active = phase() else {
            Issue.record("\(phase())")
            return
        }
    }

    // MARK: Many at once

    @Test func inSyncSetsAreDecidedTogether() {
        let placement = Array(repeating: [1, 2, 3], count: 300)
        var bench = bench(placement: placement)
        bench.settle()
        bench.effects = []
        let states = bench.view?.topic(named: "t")?.partitions ?? []
        for (index, state) in states.enumerated() {
            let wish = InSyncWish(
                partition: partition(Int32(index)), state: state, inSync: [copies[0], copies[1]],
                serial: 1)
            bench.handle(.proposeInSync(wish))
        }
        bench.pass(milliseconds: 1)
        #expect(proposals(bench).map(\.count) == [256, 44])
        bench.settle()
        let after = bench.view?.topic(named: "t")?.partitions ?? []
        #expect(after.allSatisfy { $0.inSync.count == 2 })
    }

    @Test func aChangeOfOnePartitionIsAChangeOfItAlone() {
        var bench = bench(placement: [[2, 1], [3, 1], [2, 1]])
        #expect(bench.view?.leads(of: NodeID(2)) == 2)
        bench.handle(.members(members([1, 2, 3], doubting: 3)))
        bench.pass(milliseconds: 5)
        bench.settle()
        let states = bench.view?.topic(named: "t")?.partitions ?? []
        #expect(states.map(\.leader) == [NodeID(2), NodeID(1), NodeID(2)])
        for (node, count) in [(1, 1), (2, 2), (3, 0)] as [(Int32, Int)] {
            #expect(bench.view?.leads(of: NodeID(node)) == count)
        }
    }

    /// Its proposal would be refused, and its ballot be in the way of the one who is elected.
    @Test func onlyTheFirstEligibleReplicaProposesItself() {
        var bench = bench(node: 3, placement: [[2, 1, 3]])
        bench.handle(.members(members([1, 2, 3], doubting: 2)))
        for _ in 0..<20 {
            bench.pass(milliseconds: 200)
        }
        #expect(proposals(bench).isEmpty)
        bench.handle(.members(members([2, 3], doubting: 2)))
        bench.pass(milliseconds: 50)
        #expect(proposals(bench).count == 1, "it is the first now, and does not wait")
    }

    // MARK: What is gone

    @Test func campaignsEndWithTheirTopic() {
        var bench = bench(placement: [[2, 1, 3]])
        bench.handle(.members(members([1, 2, 3], doubting: 2)))
        bench.pass(milliseconds: 5)
        bench.persist(failure: "no majority")
        #expect(!bench.effects.wakes.isEmpty)
        bench.handle(.learned([bench.registers.put("topic/t", nil)]))
        bench.effects = []
        for _ in 0..<5 {
            bench.pass(milliseconds: 700)
        }
        #expect(bench.effects.wakes.isEmpty)
    }

    /// A broker that was cut off hears of a topic after its leader's death.
    @Test func aTopicWhoseLeaderIsGoneAlreadyIsLedToo() {
        var bench = bench(placement: [[2, 1, 3]], members: [1, 3])
        bench.pass(milliseconds: 5)
        bench.settle()
        #expect(leads(bench.take()) == [LeaderEpoch(1)])
    }

    /// One copy is left, and its broker lost something: nobody has more.
    @Test func theOnlyCopyIsElectedAgainAfterAnUncleanStart() {
        var bench = bench(placement: [[1]])
        let record = TopicRecord(id: id, placement: [[copies[0]]], overrides: [:])
        let former = ReplicaID(
            node: NodeID(1), admission: AdmissionNumber(1), logEpoch: BootEpoch(7))
        let state = PartitionState.initial(placement: [former], epoch: LeaderEpoch(4))
        let key = PartitionRegister.key(partition())
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.handle(.learned([bench.registers.put(key, state.encoded())]))
        // Its own store is asked, like any other.
        bench.handle(.wake)
        bench.handle(
            .holdings(
                copies[0],
                [Holding(partition: partition(), lastEpoch: LeaderEpoch(4), end: Offset(9))]))
        bench.pass(milliseconds: 5)
        bench.settle()
        #expect(leads(bench.take()) == [LeaderEpoch(5)])
    }
}
