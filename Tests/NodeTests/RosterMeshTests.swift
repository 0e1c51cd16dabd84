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

    /// Registers remember operations and voters ballots: a disk that replaced another one counts
    /// its boots from 1 again, and must not be taken for the process before (seed 1351).
    @Test func aDiskThatReplacedAnotherIsNotTakenForIt() {
        #expect(Mesh.life(BootEpoch(3), nil) == BootEpoch(3))
        #expect(Mesh.life(BootEpoch(3), AdmissionNumber(1)) == BootEpoch(3))
        #expect(
            Mesh.life(BootEpoch(1), AdmissionNumber(2))
                > Mesh.life(BootEpoch(UInt64(UInt32.max)), AdmissionNumber(1)))
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
        while bench.brokers[NodeID(2)]?.mesh.acceptor?.roster == nil { bench.run(milliseconds: 20) }
        let leader = ReplicaID(
            node: NodeID(9), admission: AdmissionNumber(1), logEpoch: BootEpoch(1))
        let held = bench.brokers[NodeID(2)]?.mesh.leaseBook.heldMilliseconds(leader, now: bench.now)
        #expect(held ?? 0 > ReplicationLimits.leaseMilliseconds - 20)
    }

    @Test func anOperatorChangesWhoVotes() throws {
        var bench = try mesh(of: 4)
        bench.tell(4, .changeVoters(token: 1, .add(NodeID(4))))
        guard case .refused(let reason)? = bench.brokers[NodeID(4)]?.voterAnswers[1] else {
            Issue.record("a broker that does not vote changed who votes")
            return
        }
        #expect(reason.contains("ask one that does (1, 2, 3)"))
        bench.tell(2, .changeVoters(token: 2, .remove(NodeID(1))))
        bench.tell(2, .changeVoters(token: 3, .add(NodeID(1))))
        bench.run(milliseconds: 2_000)
        #expect(bench.brokers[NodeID(2)]?.voterAnswers[2] == .begun([2, 3, 4].map { NodeID($0) }))
        guard case .refused? = bench.brokers[NodeID(2)]?.voterAnswers[3] else {
            Issue.record("two changes at a time")
            return
        }
        for node: Int32 in 1...4 { #expect(voters(node, bench) == [2, 3, 4], "as \(node) knows") }
        guard case .settled? = bench.brokers[NodeID(2)]?.mesh.lastRosterOutcome?.outcome else {
            Issue.record("nobody can see what became of it")
            return
        }
    }

    /// Broker 1 was not heard to have stopped, and holds a lease.
    @Test func aDeletionOutlivesNoLeaseThatVotersHonour() throws {
        var bench = try mesh(of: 3)
        let leader = try #require(
            bench.brokers[NodeID(1)]?.mesh.brokers().first { $0.entry.id == NodeID(1) }?.replica)
        func decide(_ number: UInt64, _ operation: RegisterOperation) -> Decision? {
            bench.tell(
                2, .propose(number, [RegisterProposal(key: "topic/a", operation: operation)]))
            bench.run(milliseconds: 300)
            return bench.brokers[NodeID(2)]?.decisions[number]?.first
        }
        _ = decide(1, .createTopic(topic))
        _ = decide(2, .deleteTopic(topic.id))
        let depositions = bench.brokers[NodeID(3)]?.mesh.leaseBook.depositions(of: NodeID(1))
        guard case .held(let milliseconds)? = decide(3, .outlive(topic.id, [leader])) else {
            Issue.record("the voters forgot the lease that they granted")
            return
        }
        #expect(milliseconds > 0)
        bench.kill(1)
        bench.run(milliseconds: 2_000)
        guard case .chosen? = decide(4, .outlive(topic.id, [leader])) else {
            Issue.record("no lease is left to wait for")
            return
        }
        // So its next grant counts only once it has read what it holds.
        let next = bench.brokers[NodeID(3)]?.mesh.leaseBook.depositions(of: NodeID(1))
        #expect((next ?? 0) > (depositions ?? 0))
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
