import Gossip
import Model
import NIOCore
import Node
import Paxos
import Testing

/// Who is admitted to a mesh, and under which id.
@Suite struct MeshJoiningTests {
    private func mesh(of count: Int32) throws -> MeshBench { try MeshBench.formed(of: count) }

    private func broker(_ node: Int32, of bench: MeshBench) throws -> MeshBench.Broker {
        try #require(bench.brokers[NodeID(node)])
    }

    @Test func aNodeIDIsGivenOnce() throws {
        var bench = try mesh(of: 2)
        func ask(_ token: UInt64, key: PublicKey, store: UInt64, node: Int32?) {
            bench.tell(
                1,
                .join(
                    token: token,
                    JoinClaim(
                        key: key, store: StoreID(high: 9, low: store), boot: BootEpoch(1),
                        node: node.map { NodeID($0) })))
            bench.run(milliseconds: 100)
        }
        ask(100, key: MeshBench.key(2, 1), store: 1, node: 2)
        guard case .refused(let reason, canRetry: false)? = try broker(1, of: bench).joins[100]
        else {
            Issue.record("a second broker 2 was let in")
            return
        }
        #expect(reason.contains("node id 2"))
        ask(101, key: MeshBench.key(9), store: 2, node: nil)
        guard case .admitted(let node, "cluster", let values)? = try broker(1, of: bench).joins[101]
        else {
            Issue.record("not admitted")
            return
        }
        #expect(node == NodeID(3), "the lowest that was never given")
        #expect(values.map(\.key).sorted() == ["members/1", "members/2", "members/3", "roster"])
        ask(102, key: MeshBench.key(9), store: 2, node: nil)
        guard case .admitted(NodeID(3), _, _)? = try broker(1, of: bench).joins[102] else {
            Issue.record("a question that is asked again has the same answer")
            return
        }
    }

    @Test func theIDOfTheDeadIsGivenToAWipedDiskUnderAHigherNumber() throws {
        var bench = try mesh(of: 3)
        bench.kill(3)
        bench.run(milliseconds: 5_000)
        bench.tell(
            1,
            .join(
                token: 50,
                JoinClaim(
                    key: MeshBench.key(3, 1), store: StoreID(high: 1, low: 1), boot: BootEpoch(1),
                    node: NodeID(3))))
        bench.run(milliseconds: 1_000)
        guard case .admitted(NodeID(3), _, _)? = try broker(1, of: bench).joins[50] else {
            Issue.record("\(String(describing: try broker(1, of: bench).joins[50]))")
            return
        }
        let record = try broker(2, of: bench).mesh.admission(of: NodeID(3))
        #expect(record?.number == AdmissionNumber(2) && record?.key == MeshBench.key(3, 1))
    }

    /// Else a blank broker with a copied `--node-id` could take the place of one that restarts; but
    /// a disk may be exchanged while its broker is stopped (seed 1266 of whole meshes).
    @Test func theIDOfOneThatLeftIsKeptForItForAWhile() throws {
        var bench = try mesh(of: 3)
        bench.tell(3, .leave)
        bench.run(milliseconds: 1_500)
        bench.kill(3)
        func ask(_ token: UInt64) throws -> JoinAnswer? {
            bench.tell(
                1,
                .join(
                    token: token,
                    JoinClaim(
                        key: MeshBench.key(3, 1), store: StoreID(high: 1, low: 1),
                        boot: BootEpoch(1), node: NodeID(3))))
            bench.run(milliseconds: 1_000)
            return try broker(1, of: bench).joins[token]
        }
        guard case .refused(let reason, canRetry: true)? = try ask(80) else {
            Issue.record("it may be back in a moment")
            return
        }
        #expect(reason.contains("node id 3") && reason.contains("10 s"), "\(reason)")
        bench.run(milliseconds: 10_000)
        guard case .admitted(NodeID(3), _, _)? = try ask(81) else {
            Issue.record("its disk was exchanged")
            return
        }
        #expect(
            try broker(2, of: bench).mesh.admission(of: NodeID(3))?.number == AdmissionNumber(2))
    }

    /// Nobody can admit a broker without the voters: it is told so at once.
    @Test func whoAsksWithoutAMajorityOfTheVotersHearsWhy() throws {
        var bench = try mesh(of: 2)
        bench.kill(1)
        bench.run(milliseconds: 5_000)
        for (token, node, words) in [
            (70, 1, "voter 1, whose disk is gone,"), (71, 9, "(away: 1)"),
        ] as [(UInt64, Int32, String)] {
            bench.tell(
                2,
                .join(
                    token: token,
                    JoinClaim(
                        key: MeshBench.key(node, 1), store: StoreID(high: 1, low: 1),
                        boot: BootEpoch(1), node: NodeID(node))))
            guard case .refused(let reason, canRetry: true)? = try broker(2, of: bench).joins[token]
            else {
                Issue.record("not refused")
                return
            }
            #expect(reason.contains(words), "\(reason)")
        }
    }

    @Test func whoVotesOrLeftAMomentAgoIsNotReplaced() throws {
        var bench = try mesh(of: 3)
        bench.tell(3, .leave)
        bench.run(milliseconds: 1_500)
        bench.kill(3)
        bench.kill(1)
        bench.run(milliseconds: 5_000)
        func ask(_ token: UInt64, for node: Int32) {
            bench.tell(
                2,
                .join(
                    token: token,
                    JoinClaim(
                        key: MeshBench.key(node, 1), store: StoreID(high: 1, low: 1),
                        boot: BootEpoch(1), node: NodeID(node))))
        }
        ask(60, for: 1)
        ask(61, for: 3)
        try bench.start(1, boot: 2, isFounder: true, seeds: [2], bench.memory(of: 1))
        bench.run(milliseconds: 12_000)
        for token: UInt64 in 60...61 {
            guard case .refused? = try broker(2, of: bench).joins[token] else {
                Issue.record(
                    "replaced: \(String(describing: try broker(2, of: bench).joins[token]))")
                return
            }
        }
        for node: Int32 in [1, 3] {
            #expect(
                try broker(2, of: bench).mesh.admission(of: NodeID(node))?.key
                    == MeshBench.key(node))
        }
    }
}
