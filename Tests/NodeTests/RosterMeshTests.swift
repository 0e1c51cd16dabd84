import Model
import Paxos
import Replication
import Testing

@testable import Node

/// Who votes in a mesh that grows and loses brokers, without anybody's doing.
@Suite struct RosterMeshTests {
    private let topic = TopicRecord(
        id: TopicID(high: 1, low: 1), placement: [[copy(2)]], overrides: [:])

    private func mesh(of count: Int32) throws -> MeshBench {
        var bench = MeshBench()
        bench.promotesVoters = true
        try bench.start(1, isFounder: true)
        bench.run(milliseconds: 100)
        for node in 2...count { _ = try bench.join(node, at: 1, seeds: [1]) }
        bench.run(milliseconds: 3_000)
        return bench
    }

    private func voters(_ node: Int32, _ bench: MeshBench) -> [Int32]? {
        bench.brokers[NodeID(node)]?.mesh.proposer.roster?.voters.map(\.node.rawValue)
    }

    @Test func theThirdBrokerMakesThreeVoters() throws {
        let two = try mesh(of: 2)
        #expect(voters(1, two) == [1])
        let bench = try mesh(of: 4)
        for node: Int32 in 1...4 {
            #expect(voters(node, bench)?.count == 3, "as \(node) knows it")
            #expect(bench.brokers[NodeID(node)]?.mesh.proposer.roster?.next == nil)
        }
        #expect(voters(1, bench) == voters(4, bench))
    }

    /// Those who voted before have granted leases of which the new voters have not heard.
    @Test func newVotersHonourLeasesThatOthersGranted() throws {
        var bench = try mesh(of: 2)
        _ = try bench.join(3, at: 1, seeds: [1])
        while bench.brokers[NodeID(2)]?.mesh.isVoting != true { bench.run(milliseconds: 20) }
        let leader = ReplicaID(
            node: NodeID(9), admission: AdmissionNumber(1), logEpoch: BootEpoch(1))
        let held = bench.brokers[NodeID(2)]?.mesh.leaseBook.heldMilliseconds(leader, now: bench.now)
        #expect(held ?? 0 > ReplicationLimits.leaseMilliseconds - 20)
    }

    @Test func oneOfThreeVotersMayDie() throws {
        var bench = try mesh(of: 3)
        bench.kill(1)
        bench.tell(
            2, .propose(1, [RegisterProposal(key: "topic/a", operation: .createTopic(topic))]))
        bench.run(milliseconds: 2_000)
        guard case .chosen? = bench.brokers[NodeID(2)]?.decisions[1]?.first else {
            Issue.record("not decided by two of three voters")
            return
        }
        #expect(bench.brokers[NodeID(3)]?.chosen["topic/a"] != nil)
    }
}
