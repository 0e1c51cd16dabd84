import Model
import Replication
import Testing

@testable import Node

/// `placement: masterBackup`: a partition's two copies on one pair, the master's first.
@Suite struct BrokerPairTests {
    private func pairs(_ nodes: [Int32], loads: [Int32: Int] = [:]) -> BrokerPairs {
        BrokerPairs(
            nodes.map { Placement.Site(node: NodeID($0), rack: "", load: loads[$0] ?? 0) })
    }

    private func placed(_ pairs: BrokerPairs, _ count: Int, _ replicas: Int) -> [[Int32]] {
        pairs.partitions(first: 0, count: count, replicas: replicas).map { $0.map(\.rawValue) }
    }

    @Test func bothCopiesAreOnOnePairAndMastersLead() {
        #expect(placed(pairs([4, 2, 1, 3]), 4, 2) == [[1, 2], [3, 4], [1, 2], [3, 4]])
        #expect(placed(pairs([1, 2, 3, 4], loads: [1: 5]), 2, 2) == [[3, 4], [1, 2]])
        #expect(placed(pairs([1, 2, 3, 4]), 3, 1) == [[1], [3], [1]], "one copy is a master's")
    }

    @Test func aPairThatIsNotWholeGetsNothing() {
        #expect(placed(pairs([1, 2, 3, 6]), 2, 2) == [[1, 2], [1, 2]])
        #expect(pairs([1, 4, 6]).copies == 1)
        #expect(placed(pairs([2, 4]), 2, 1) == [[2], [4]], "better there than nowhere")
    }

    @Test func theIdsAloneSayWhoIsWhosePartner() {
        #expect(
            [1, 2, 7, 8].map { BrokerPairs.partner(of: NodeID($0))?.rawValue } == [2, 1, 8, 7])
        #expect(BrokerPairs.partner(of: NodeID(0)) == nil)
        #expect(BrokerPairs.partner(of: NodeID(.max)) == nil)
    }

    private func bench(_ nodes: [Int32]) -> ControlBench {
        var bench = ControlBench(placement: .masterBackup)
        bench.handle(
            .members(
                nodes.map {
                    BrokerMember(
                        entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                        epoch: LeaderEpoch(0))
                }))
        return bench
    }

    private func create(_ bench: inout ControlBench, replicas: Int16) -> TopicOutcome? {
        bench.effects = []
        bench.request(
            5,
            .createTopics(
                [NewTopic(name: "t", partitions: 4, replicas: replicas)], validateOnly: true))
        return bench.outcomes().first
    }

    @Test func aTopicIsMadeOnPairs() {
        var bench = bench([1, 2, 3, 4])
        let sets = create(&bench, replicas: 2)?.entry?.placement.map { $0.map(\.node.rawValue) }
        #expect(sets == [[1, 2], [3, 4], [1, 2], [3, 4]])
        #expect(create(&bench, replicas: 3)?.error == .invalidReplicationFactor)
        var broken = self.bench([1, 4])
        let outcome = create(&broken, replicas: 2)
        #expect(outcome?.error == .invalidReplicationFactor)
        #expect(outcome?.message?.contains("brokers that hold data: 1, 4") == true)
    }
}
