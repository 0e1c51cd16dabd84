import Gossip
import Model
import NIOCore
import Simulation
import Testing

/// What holds of a whole mesh on a simulated network.
@Suite struct MeshTests {
    static func views(_ mesh: GossipMesh, of index: Int) -> [MemberStatus?] {
        let node = mesh.nodes[index].node
        return mesh.nodes.indices.filter { $0 != index && mesh.nodes[$0].isUp }
            .map { mesh.nodes[$0].machine?.status(of: node) }
    }

    static func value(_ key: String, _ counter: UInt64, _ text: String?) -> ChosenValue {
        ChosenValue(
            key: key, ballot: Ballot(counter: counter, proposer: NodeID(1), boot: BootEpoch(1)),
            value: text.map { ByteBuffer(string: $0) })
    }

    static func warm(
        _ count: Int, seed: UInt64 = 1, loss: Double = 0, rules: GossipRules = GossipRules(),
        table: [ChosenValue] = []
    ) -> GossipMesh {
        var configuration = GossipConfiguration()
        configuration.rules = rules
        var mesh = GossipMesh(
            count: count, configuration: configuration, faults: NetworkFaults(datagramLoss: loss),
            seed: seed)
        mesh.startWarm(table: table)
        return mesh
    }

    @Test func fiveMembersJoinThroughOneSeed() {
        var mesh = GossipMesh(count: 5, seed: 1)
        let table = (0..<5).map { GossipMesh.admission($0) }
        mesh.start(0, table: table)
        for index in 1..<5 { mesh.start(index, seeds: [0], table: [GossipMesh.admission(index)]) }
        mesh.run(milliseconds: 1_000)
        for member in mesh.nodes {
            #expect(member.machine?.presentMembers == 5)
            #expect(member.machine?.tableCount == 5)
        }
        #expect(Set(mesh.nodes.map { $0.machine?.membersRoot }).count == 1)
    }

    @Test func thirtyMembersJoinAtOnceThroughOneSeed() {
        var mesh = GossipMesh(
            count: 30, faults: NetworkFaults(datagramLoss: 0.05), seed: 3)
        let table = (0..<30).map { GossipMesh.admission($0) }
        mesh.start(0, table: table)
        for index in 1..<30 { mesh.start(index, seeds: [0]) }
        mesh.run(milliseconds: 10_000)
        #expect(mesh.nodes.allSatisfy { $0.machine?.presentMembers == 30 })
        #expect(Set(mesh.nodes.map { $0.machine?.tableRoot }).count == 1)
    }

    @Test func aNewcomerFetchesALargeTable() {
        let topics = (0..<20_000).map { Self.value("topic/number-\($0)", UInt64($0 + 2), "v") }
        let large = Self.value("topic/large", 9, String(repeating: "x", count: 4_000_000))
        var mesh = GossipMesh(count: 2, seed: 3)
        let table = (0..<2).map { GossipMesh.admission($0) } + topics + [large]
        mesh.start(0, table: table)
        mesh.start(1, seeds: [0])
        mesh.run(milliseconds: 60_000)
        #expect(mesh.nodes[1].machine?.tableCount == table.count)
        #expect(mesh.nodes[1].machine?.tableRoot == mesh.nodes[0].machine?.tableRoot)
    }

    @Test func aCrashIsKnownToAllWithinThreeSeconds() {
        var mesh = Self.warm(10)
        mesh.run(milliseconds: 5_000)
        mesh.crash(3)
        mesh.run(milliseconds: 5_000)
        #expect(Self.views(mesh, of: 3).allSatisfy { $0 == .dead })
    }

    @Test func aQuietMeshStaysWithinItsBudget() {
        var mesh = Self.warm(30)
        mesh.run(milliseconds: 10_000)
        let before = mesh.traffic
        mesh.run(milliseconds: 60_000)
        let packets = Double(mesh.traffic.datagrams - before.datagrams) / 30 / 60
        let bytes = Double(mesh.traffic.datagramBytes - before.datagramBytes) / 30 / 60
        #expect(packets <= 10 && bytes <= 1_500, "\(packets) packets/s, \(bytes) bytes/s")
        #expect(mesh.traffic.messages == before.messages)
    }

    @Test func aChosenValueReachesAll() {
        var mesh = Self.warm(30, loss: 0.05)
        mesh.run(milliseconds: 3_000)
        mesh.choose(Self.value("topic/a", 7, "x"), at: 4)
        mesh.run(milliseconds: 1_000)
        let reached = mesh.nodes.filter { $0.machine?.value("topic/a") != nil }.count
        #expect(reached == 30)
    }

    @Test func aLargeValueIsPulledByAll() {
        var mesh = Self.warm(10)
        mesh.run(milliseconds: 3_000)
        let text = String(repeating: "x", count: 100_000)
        mesh.choose(Self.value("topic/a", 7, text), at: 4)
        mesh.run(milliseconds: 1_000)
        #expect(mesh.nodes.filter { $0.machine?.value("topic/a") != nil }.count == 10)
    }

    @Test func aStoppedMemberComesBack() {
        var mesh = Self.warm(8)
        mesh.run(milliseconds: 3_000)
        mesh.freeze(2, .process, until: mesh.now.advanced(byMilliseconds: 20_000))
        mesh.run(milliseconds: 15_000)
        #expect(Self.views(mesh, of: 2).allSatisfy { $0 == .dead })
        mesh.run(milliseconds: 20_000)
        #expect(Self.views(mesh, of: 2).allSatisfy { $0 == .alive })
        for index in mesh.nodes.indices {
            #expect(Self.views(mesh, of: index).allSatisfy { $0 == .alive })
        }
    }
}
