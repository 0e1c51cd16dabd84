import Gossip
import Model
import NIOCore
import Simulation
import Testing

/// A mesh under faults: what it sees, and that it comes back by itself.
@Suite struct FaultTests {
    private func allAlive(_ mesh: GossipMesh) -> Bool {
        mesh.nodes.indices.allSatisfy { index in
            MeshTests.views(mesh, of: index).allSatisfy { $0 == .alive }
        }
    }

    /// Counts suspicions and deaths of one member.
    private final class Watch {
        var suspicions = 0
        var deaths = 0
        var flags = 0
        var departures = 0

        func observe(_ effect: GossipEffect, _ subject: NodeID) {
            guard case .event(let event) = effect else { return }
            switch event {
            case .suspected(subject, _, _, _): suspicions += 1
            case .declaredDead(subject, _, _, _): deaths += 1
            case .datagramsBlocked(subject, true): flags += 1
            case .departed(subject, _): departures += 1
            default: break
            }
        }
    }

    private func watch(_ mesh: inout GossipMesh, _ index: Int) -> Watch {
        let watch = Watch()
        let subject = mesh.nodes[index].node
        mesh.observe = { _, effect, _ in watch.observe(effect, subject) }
        return watch
    }

    @Test("Datagrams blocked and TCP open: flagged, never dead; without the fallback, dead")
    func aDatagramHole() {
        for isOn in [true, false] {
            var mesh = MeshTests.warm(6, rules: .with(\.linkFallback, isOn))
            mesh.run(milliseconds: 3_000)
            let watch = watch(&mesh, 5)
            for peer in 0..<5 {
                mesh.network.cut(.datagrams, from: peer, to: 5)
                mesh.network.cut(.datagrams, from: 5, to: peer)
            }
            mesh.run(milliseconds: 30_000)
            #expect((watch.deaths == 0) == isOn)
            guard isOn else { continue }
            #expect(watch.flags == 5)
            #expect(mesh.nodes[0].machine?.member(NodeID(6))?.isDatagramBlocked == true)
            mesh.choose(MeshTests.value("topic/a", 9, "x"), at: 0)
            mesh.run(milliseconds: 2_000)
            #expect(mesh.nodes[5].machine?.value("topic/a") != nil)
            mesh.network.healAll()
            mesh.run(milliseconds: 10_000)
            #expect(mesh.nodes[0].machine?.member(NodeID(6))?.isDatagramBlocked == false)
        }
    }

    @Test("SWIM 3.1: a broken path between two members is bridged by helpers")
    func aBrokenPath() {
        for isOn in [true, false] {
            var rules = GossipRules.with(\.indirectProbes, isOn)
            rules.linkFallback = false
            var mesh = MeshTests.warm(6, rules: rules)
            mesh.run(milliseconds: 3_000)
            let watch = watch(&mesh, 5)
            mesh.network.cut(.all, from: 0, to: 5)
            mesh.run(milliseconds: 30_000)
            #expect((watch.suspicions == 0) == isOn)
            #expect(watch.deaths == 0)
        }
    }

    /// It died to one member, which ended before anybody else heard of it.
    @Test func whoIsDeadInAMemoryAloneComesBack() {
        var mesh = MeshTests.warm(5)
        mesh.run(milliseconds: 3_000)
        let table = (0..<5).map { GossipMesh.admission($0) }
        let remembered = mesh.persisted(2).map { member in
            member.record.node == NodeID(5)
                ? PersistedMember(status: .dead, record: member.record) : member
        }
        mesh.crash(2)
        mesh.run(milliseconds: 200)
        mesh.start(2, remembering: remembered, table: table)
        mesh.run(milliseconds: 30_000)
        #expect(allAlive(mesh))
    }

    @Test func aShortPauseIsRefuted() {
        var mesh = MeshTests.warm(8)
        mesh.run(milliseconds: 3_000)
        let watch = watch(&mesh, 2)
        mesh.freeze(2, .process, until: mesh.now.advanced(byMilliseconds: 1_000))
        mesh.run(milliseconds: 10_000)
        #expect(watch.deaths == 0)
        #expect(allAlive(mesh))
    }

    @Test("A quick restart with a higher boot takes over at once, at another address too")
    func aQuickRestart() {
        for moves in [false, true] {
            var mesh = MeshTests.warm(6)
            mesh.run(milliseconds: 3_000)
            let watch = watch(&mesh, 2)
            let remembered = mesh.persisted(2)
            let table = (0..<6).map { GossipMesh.admission($0) }
            mesh.crash(2)
            if moves { mesh.move(2, to: MeshAddress(host: "10.9.9.9", port: 7_946)) }
            mesh.run(milliseconds: 200)
            mesh.start(2, remembering: remembered, table: table)
            mesh.run(milliseconds: 1_500)
            #expect(watch.deaths == 0)
            for index in [0, 1, 3, 4, 5] {
                let seen = mesh.nodes[index].machine?.member(NodeID(3))
                #expect(seen?.life.boot == BootEpoch(2))
                #expect(seen?.description?.addresses == [mesh.nodes[2].address])
            }
            mesh.run(milliseconds: 5_000)
            #expect(allAlive(mesh))
        }
    }

    @Test("A partition of minutes heals by itself, without seeds (memberlist#222)")
    func aLongPartition() {
        for isOn in [true, false] {
            var mesh = MeshTests.warm(8, rules: .with(\.contactsDead, isOn))
            mesh.run(milliseconds: 3_000)
            mesh.partition(0..<3, 3..<8)
            mesh.run(milliseconds: 180_000)
            #expect(mesh.nodes[0].machine?.presentMembers == 3)
            #expect(mesh.nodes[7].machine?.presentMembers == 5)
            mesh.choose(MeshTests.value("topic/there", 9, "x"), at: 7)
            mesh.network.healAll()
            mesh.run(milliseconds: 30_000)
            #expect(allAlive(mesh) == isOn)
            #expect((mesh.nodes[0].machine?.value("topic/there") != nil) == isOn)
        }
    }

    @Test("Anti-entropy finds what every rumour missed")
    func digestsFindWhatRumoursMissed() {
        for isOn in [true, false] {
            var mesh = MeshTests.warm(6, rules: .with(\.antiEntropy, isOn))
            mesh.run(milliseconds: 3_000)
            mesh.network.faults.datagramLoss = 0.999
            mesh.choose(MeshTests.value("topic/a", 9, "x"), at: 0)
            mesh.run(milliseconds: 2_500)
            mesh.network.faults.datagramLoss = 0
            mesh.run(milliseconds: 25_000)
            let reached = mesh.nodes.filter { $0.machine?.value("topic/a") != nil }.count
            #expect(isOn ? reached == 6 : reached < 6)
            #expect((Set(mesh.nodes.map { $0.machine?.membersRoot }).count == 1) || !isOn)
        }
    }

    @Test("A whole mesh that was down finds itself from what it remembers (serf#333)")
    func aWholeMeshRestarts() {
        var mesh = MeshTests.warm(7)
        mesh.run(milliseconds: 5_000)
        let remembered = mesh.nodes.indices.map { mesh.persisted($0) }
        let table = (0..<7).map { GossipMesh.admission($0) }
        for index in mesh.nodes.indices { mesh.crash(index) }
        mesh.run(milliseconds: 10_000)
        for index in mesh.nodes.indices {
            mesh.start(index, remembering: remembered[index], table: table)
            mesh.run(milliseconds: 700)
        }
        mesh.run(milliseconds: 15_000)
        #expect(allAlive(mesh))
        #expect(mesh.nodes.allSatisfy { $0.machine?.presentMembers == 7 })
    }

    @Test func aGoodbyeIsBelievedAtOnce() {
        var mesh = MeshTests.warm(8)
        mesh.run(milliseconds: 3_000)
        let watch = watch(&mesh, 4)
        mesh.handle(.leave, at: 4)
        mesh.run(milliseconds: 1_100)
        mesh.crash(4)
        mesh.run(milliseconds: 10_000)
        #expect(watch.departures == 7)
        #expect(watch.suspicions == 0)
        #expect(MeshTests.views(mesh, of: 4).allSatisfy { $0 == .left })
    }

    /// It ends at the third answer, and all the others hear of it from those who gave one.
    @Test func aGoodbyeEndsOnceOthersHaveIt() {
        var mesh = MeshTests.warm(12)
        mesh.run(milliseconds: 3_000)
        let watch = watch(&mesh, 4)
        mesh.handle(.leave, at: 4)
        mesh.run(milliseconds: 20)
        mesh.crash(4)
        mesh.run(milliseconds: 10_000)
        #expect(watch.departures == 11)
        #expect(MeshTests.views(mesh, of: 4).allSatisfy { $0 == .left })
    }

    @Test func aForcedLeaveReachesAll() {
        var mesh = MeshTests.warm(6)
        mesh.run(milliseconds: 3_000)
        mesh.crash(4)
        mesh.run(milliseconds: 6_000)
        mesh.handle(.forceLeave(NodeID(5)), at: 0)
        mesh.run(milliseconds: 2_000)
        #expect(MeshTests.views(mesh, of: 4).allSatisfy { $0 == .left })
    }

    @Test func aRevocationReachesAll() {
        var mesh = MeshTests.warm(6)
        mesh.run(milliseconds: 3_000)
        mesh.choose(GossipMesh.admission(4, number: 2, isRevoked: true), at: 0)
        mesh.run(milliseconds: 1_000)
        for index in 0..<4 { #expect(mesh.nodes[index].machine?.status(of: NodeID(5)) == nil) }
    }

    @Test func aTraceIsSeenAtEveryMember() {
        var mesh = MeshTests.warm(20)
        mesh.run(milliseconds: 3_000)
        var firsts: [Int: UInt8] = [:]
        let box = TraceBox()
        mesh.observe = { member, effect, _ in
            if case .event(.traced(let trace, _, true)) = effect { box.hops[member] = trace.hop }
        }
        mesh.handle(.trace(id: 42), at: 3)
        mesh.run(milliseconds: 1_000)
        firsts = box.hops
        #expect(firsts.count == 20)
        #expect(firsts[3] == 0)
        #expect((1...8).contains(firsts.values.max() ?? 0))
    }

    private final class TraceBox {
        var hops: [Int: UInt8] = [:]
    }

    @Test func heavyLossKillsNobody() {
        var mesh = MeshTests.warm(12, loss: 0.25)
        let box = TraceBox()
        mesh.observe = { member, effect, _ in
            if case .event(.declaredDead) = effect { box.hops[member] = 1 }
        }
        mesh.run(milliseconds: 40_000)
        #expect(box.hops.isEmpty)
        #expect(allAlive(mesh))
    }

    @Test("The same seed gives the same run", arguments: [1, 2, 3] as [UInt64])
    func runsRepeat(seed: UInt64) {
        func hash() -> UInt64 {
            var mesh = MeshTests.warm(12, seed: seed, loss: 0.1)
            mesh.run(milliseconds: 2_000)
            mesh.crash(3)
            mesh.choose(MeshTests.value("topic/a", 9, "x"), at: 0)
            mesh.run(milliseconds: 8_000)
            return mesh.traceHash
        }
        #expect(hash() == hash())
    }
}
