import Gossip
import Model
import NIOCore
import Paxos
import Replication
import Testing

@testable import Node

/// Registers of deleted topics leave the voters and the tables, and nobody brings them back.
@Suite struct SweepingTests {
    private let topic = TopicRecord(
        id: TopicID(high: 1, low: 1), placement: [[copy(2), copy(3)]], overrides: [:])

    /// Three voters, and as many brokers as that.
    private func mesh(of count: Int32) throws -> MeshBench {
        var bench = MeshBench()
        bench.promotesVoters = true
        try bench.start(1, isFounder: true)
        bench.run(milliseconds: 100)
        for node in 2...count { _ = try bench.join(node, at: 1, seeds: [1]) }
        bench.run(milliseconds: 3_000)
        return bench
    }

    private func propose(
        _ number: UInt64, _ proposals: [(String, RegisterOperation)], _ bench: inout MeshBench
    ) {
        let proposals = proposals.map { RegisterProposal(key: $0.0, operation: $0.1) }
        bench.tell(2, .propose(number, proposals))
        bench.run(milliseconds: 500)
        for decision in bench.brokers[NodeID(2)]?.decisions[number] ?? [] {
            guard case .chosen = decision else {
                Issue.record("\(decision)")
                continue
            }
        }
        #expect(bench.brokers[NodeID(2)]?.decisions[number]?.count == proposals.count)
    }

    private let names = (0..<100).map { "topic/t\($0)" }
    private let partitions = (0..<3).flatMap { topic in
        (0..<100).map { "partition/\(String(repeating: "a", count: 31))\(topic)/\($0)" }
    }

    private func create(_ bench: inout MeshBench) {
        propose(1, names.map { ($0, .createTopic(topic)) }, &bench)
        propose(2, partitions.map { ($0, .begin(ByteBuffer(string: "state"))) }, &bench)
    }

    private func delete(_ bench: inout MeshBench) {
        propose(3, names.map { ($0, .deleteTopic(topic.id)) }, &bench)
        propose(4, partitions.map { ($0, .bury) }, &bench)
        propose(5, names.map { ($0, .freeName(topic.id)) }, &bench)
    }

    private func counts(_ bench: MeshBench, _ nodes: ClosedRange<Int32>) -> [Int] {
        nodes.flatMap { node -> [Int] in
            let broker = bench.brokers[NodeID(node)]
            let voter = broker?.mesh.acceptor?.registerCount ?? 0
            return [
                voter, broker?.mesh.gossip.tableCount ?? 0,
                broker?.chosen.values.count { $0.value == nil } ?? 0,
            ]
        }
    }

    @Test func whatIsDeletedLeavesVotersTablesAndDisks() throws {
        var bench = try mesh(of: 4)
        let before = counts(bench, 1...4)
        create(&bench)
        bench.run(milliseconds: 5_000)
        let full = counts(bench, 1...4)
        #expect(full[1] == before[1] + 400)
        delete(&bench)
        bench.run(milliseconds: 60_000)
        // One register more: the floor, at voters and in tables.
        let after = counts(bench, 1...4)
        for (place, count) in after.enumerated() {
            #expect(count <= before[place] + 1, "\(after) of \(before)")
        }
        for node: Int32 in 1...4 {
            let mesh = try #require(bench.brokers[NodeID(node)]?.mesh)
            #expect(mesh.gossip.currentFloor > .zero)
            #expect(mesh.sweepProgress.waiting == 0, "at \(node)")
            // A voter keeps in mind what it holds, through several floors.
            let erased = try #require(bench.brokers[NodeID(node)]?.erased)
            #expect(erased.count >= 400 && erased.values.max() == 1, "at \(node)")
        }
    }

    @Test func aVoterThatIsAwayDelaysIt() throws {
        var bench = try mesh(of: 3)
        create(&bench)
        bench.run(milliseconds: 2_000)
        bench.kill(3)
        delete(&bench)
        bench.run(milliseconds: 60_000)
        #expect(bench.brokers[NodeID(1)]?.mesh.gossip.currentFloor == .zero)
        let held = bench.brokers[NodeID(1)]?.mesh.acceptor?.registerCount ?? 0
        #expect(held > 400)
        try bench.start(3, boot: 2, seeds: [1], bench.memory(of: 3))
        bench.run(milliseconds: 60_000)
        for node: Int32 in 1...3 {
            let mesh = try #require(bench.brokers[NodeID(node)]?.mesh)
            #expect(mesh.acceptor?.registerCount ?? 0 < 50)
            #expect(mesh.gossip.value("topic/t0") == nil)
        }
    }

    /// It knows the topics as they were, and comes back when nobody else knows that they ended.
    @Test func whoeverWasAwayForLongRevivesNothing() throws {
        var bench = try mesh(of: 4)
        create(&bench)
        bench.run(milliseconds: 5_000)
        let memory = bench.memory(of: 4)
        #expect(memory.chosen.contains { $0.key == "topic/t7" && $0.value != nil })
        bench.kill(4)
        bench.run(milliseconds: 10_000)
        delete(&bench)
        bench.run(milliseconds: 60_000)
        try bench.start(4, boot: 2, seeds: [1], memory)
        bench.run(milliseconds: 20_000)
        for node: Int32 in 1...4 {
            let broker = try #require(bench.brokers[NodeID(node)])
            #expect(broker.mesh.gossip.value("topic/t7")?.value == nil, "at \(node)")
        }
        let heard = bench.brokers[NodeID(4)]?.learned.contains {
            $0.key == "topic/t7" && $0.value == nil
        }
        #expect(heard == true, "it lets go of the topic")
    }

    /// Rumours may take long to reach it, and it serves once it has read what it holds.
    @Test func whoeverReadsWhatIsSweptLearnsThatItEnded() throws {
        var bench = try mesh(of: 4)
        create(&bench)
        bench.run(milliseconds: 5_000)
        let memory = bench.memory(of: 4)
        bench.kill(4)
        bench.run(milliseconds: 10_000)
        delete(&bench)
        bench.run(milliseconds: 60_000)
        #expect(bench.brokers[NodeID(1)]?.mesh.gossip.value("topic/t7") == nil)
        try bench.start(4, boot: 2, seeds: [1], memory)
        bench.tell(4, .read(9, ["topic/t7", "topic/t8"]))
        bench.run(milliseconds: 20)
        let broker = try #require(bench.brokers[NodeID(4)])
        #expect(broker.decisions[9]?.count == 2)
        #expect(broker.mesh.gossip.value("topic/t7")?.value == nil)
        for key in ["topic/t7", "topic/t8"] {
            #expect(broker.learned.contains { $0.key == key && $0.value == nil })
        }
    }
}
