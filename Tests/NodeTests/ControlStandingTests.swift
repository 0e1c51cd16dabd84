import Model
import NIOCore
import Replication
import Testing

@testable import Node

/// What whole meshes under one seed found in the control machine, each as it happens there.
@Suite struct ControlStandingTests {
    private let copies = (1...3).map(ControlMesh.copy)

    private func members(_ nodes: [Int32], epoch: Int32 = 0) -> [BrokerMember] {
        nodes.map {
            BrokerMember(
                entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                epoch: LeaderEpoch(epoch))
        }
    }

    /// Broker 1 with a topic of its own and what the register of each partition says.
    private func bench(
        _ placement: [[ReplicaID]], epoch: Int32 = 0
    ) -> ControlBench {
        var bench = ControlBench(epoch: epoch)
        bench.handle(.members(members([1, 2, 3], epoch: epoch)))
        let record = TopicRecord(id: ControlMesh.id, placement: placement, overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        return bench
    }

    /// Answers what was asked of the voters first, the same for each register.
    private func answer(
        _ bench: inout ControlBench, _ decision: Decision,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .propose(let number, let proposals)? = bench.writes.first else {
            Issue.record("nothing was proposed", sourceLocation: sourceLocation)
            return
        }
        bench.writes.removeFirst()
        bench.handle(.decided(number, proposals.map { _ in decision }))
    }

    /// Seed 6: nothing was left to confirm, and the moment to confirm it stayed.
    @Test func aBrokerThatStopsAsksForNoMomentThatIsPast() {
        var bench = bench([copies])
        bench.openAll()
        answer(&bench, .unknown("no majority"))
        #expect(!bench.take().wakes.isEmpty, "it is to be asked for again")
        bench.handle(.handOver)
        bench.effects = []
        for _ in 0..<3 {
            bench.pass(milliseconds: 250)
            let past = bench.take().wakes.filter { $0 <= bench.now.instant }
            #expect(past.isEmpty)
        }
    }

    /// Seeds 75 and 92: all copies had lost something, both that the state named had answered, and
    /// then a newer state was learned whose set has a third one.
    @Test func thoseWhoAreNewInALostSetAreAskedToo() throws {
        var bench = bench([[copies[1], copies[0], copies[2]]], epoch: 7)
        bench.openAll()
        bench.writes = []
        let initial = PartitionState.initial(placement: [copies[1], copies[0], copies[2]])
        var state = initial
        func learn(inSync: [ReplicaID]) throws {
            let change = PartitionChange(
                .alterInSync(inSync, by: NodeID(2), epoch: LeaderEpoch(0)), initial: initial,
                expecting: state.partitionEpoch, minInSync: 1)
            let decision = bench.registers.decide(
                RegisterProposal(
                    key: PartitionRegister.key(ControlMesh.partition()),
                    operation: .partition(change)))
            let chosen = try #require(decision.chosen)
            state = try PartitionState(decoding: try #require(chosen.value))
            bench.handle(.learned([chosen]))
        }
        func asked() -> [Int32] {
            bench.take().compactMap { effect in
                if case .inquire(let node, _) = effect { node.rawValue } else { nil }
            }.sorted()
        }
        try learn(inSync: [copies[1], copies[0]])
        bench.effects = []
        bench.pass(milliseconds: 600)
        #expect(asked() == [1, 2])
        for (node, end) in [(1, 5), (2, 9)] as [(Int32, Int64)] {
            let holding = Holding(
                partition: ControlMesh.partition(), lastEpoch: LeaderEpoch(0), end: Offset(end))
            bench.handle(.holdings(members([node], epoch: 7)[0].replica, [holding]))
        }
        bench.pass(milliseconds: 600)
        #expect(asked() == [], "all have answered, and the other one has the longer log")
        try learn(inSync: [copies[1], copies[0], copies[2]])
        bench.pass(milliseconds: 1)
        #expect(asked() == [3])
    }

    /// Seed 100: at the end of its handover a shard had stood down, and then a proposal of before
    /// was held back; the broker waited for it to stand down once more.
    @Test func aStopWaitsForNoShardTwice() {
        var bench = bench([copies, copies])
        bench.settle()
        bench.handle(
            .proposeInSync(
                InSyncWish(
                    partition: ControlMesh.partition(0), state: .initial(placement: copies),
                    inSync: [copies[0], copies[1]], serial: 1)))
        bench.pass(milliseconds: 5)
        bench.handle(.members(members([1])))
        bench.handle(.handOver)
        bench.handle(.stoodDown(ControlMesh.partition(0), LeaderEpoch(0)))
        answer(&bench, .held(milliseconds: 5))
        #expect(bench.writes.isEmpty, "it agrees to nothing any more: its lease ends")
        #expect(!bench.take().isOver, "the other one has not stood down")
        bench.handle(.stoodDown(ControlMesh.partition(1), LeaderEpoch(0)))
        #expect(bench.take().isOver)
    }

    /// A register names an earlier life of this broker, which lost something since: its shard leads
    /// nothing that it could give up first, so the rival's election is agreed to at once.
    @Test func whoServesNothingAgreesWithoutItsShard() {
        var bench = bench([copies], epoch: 7)
        bench.settle()
        bench.handle(.members(members([1], epoch: 7)))
        bench.handle(.confirmLeaderships(9))
        while case .read? = bench.writes.first { bench.persist() }
        answer(&bench, .held(milliseconds: 5))
        let agreed = bench.writes.contains { write in
            guard case .propose(_, let proposals) = write,
                case .partition(let change)? = proposals.first?.operation,
                case .agree = change.operation
            else { return false }
            return true
        }
        #expect(agreed)
    }
}

extension [Control.Effect] {
    fileprivate var isOver: Bool {
        contains { if case .handedOver = $0 { true } else { false } }
    }
}
