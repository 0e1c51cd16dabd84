import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// Members that are slow and networks that lose: what is waited for, and what is not.
@Suite struct StallTests {
    /// Milliseconds until a silent member is suspected.
    private func firstSuspicion(
        patience: Bool, helped: UInt16 = 0b111, linkFails: Bool = false
    ) throws -> Int64 {
        var fixture = try Fixture(members: 2, rules: .with(\.lossPatience, patience))
        fixture.machine.helpedProbes = helped
        for step in 1...200 {
            let isProbed = !fixture.pass(10).messages.isEmpty
            if isProbed, linkFails { fixture.give(.linkFailed(NodeID(2), .refused)) }
            if fixture.status(2) == .suspect { return Int64(step) * 10 }
        }
        return .max
    }

    @Test("On a network that loses datagrams the probe over TCP gets another period")
    func lossBuysTime() throws {
        let plain = try firstSuspicion(patience: false)
        #expect(try firstSuspicion(patience: true) == plain + 300)
        #expect(try firstSuspicion(patience: true, helped: 0b11) == plain)
        #expect(try firstSuspicion(patience: true, linkFails: true) == plain)
    }

    @Test func anAnswerInOvertimeCounts() throws {
        var fixture = try Fixture(members: 2)
        fixture.machine.helpedProbes = 0b111
        while fixture.machine.overtime == nil { fixture.pass(10) }
        let id = try #require(fixture.machine.overtime?.id)
        let answer = LinkMessage.wrap(Fixture.packet(.ack(id)))
        fixture.give(.message(from: NodeID(2), answer))
        fixture.pass(310)
        #expect(fixture.status(2) == .alive)
    }

    @Test("A thousand seconds of probes at 25 % loss: less than a quarter of the suspicions")
    func patienceSparesSuspicions() {
        var suspicions: [Int] = []
        for isOn in [true, false] {
            var mesh = MeshTests.warm(30, loss: 0.25, rules: .with(\.lossPatience, isOn))
            mesh.run(milliseconds: 33_000)
            suspicions.append(
                mesh.nodes.reduce(0) { $0 + Int($1.machine?.counters.refutations ?? 0) })
        }
        #expect(suspicions[0] * 4 < suspicions[1])
    }

    @Test("A confirmation is passed on a quarter as often as what it confirms")
    func confirmationsAreSpared() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 100, rules: .with(\.sparesConfirmations, isOn))
            fixture.pass(1_000)
            let sent =
                fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
                + fixture.hear(.accusation(Fixture.accusation(of: 3, by: 4)), from: 4)
                + fixture.pass(1_700)
            var counts: [NodeID: Int] = [:]
            for part in sent.packets.flatMap(\.packet.parts) {
                if case .accusation(let accusation) = part, accusation.subject == NodeID(3) {
                    counts[accusation.accuser, default: 0] += 1
                }
            }
            #expect(counts[NodeID(2)] == 16)
            #expect(counts[NodeID(4)] == (isOn ? 4 : 16))
        }
    }

    @Test("Gossip peers are dealt out in rounds, not drawn")
    func gossipPeersAreDealt() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 10, rules: .with(\.dealsGossipPeers, isOn))
            var counts: [NodeID: Int] = [:]
            for number in 0..<27 {
                fixture.give(.chosen([Fixture.value("topic/\(number)", 9, "x")]))
                for sent in fixture.pass(100).packets where sent.packet.kind == .gossip {
                    counts[sent.to, default: 0] += 1
                }
            }
            let most = counts.values.max() ?? 0
            let least = counts.count < 9 ? 0 : counts.values.min() ?? 0
            // A round that was begun before and one that is not over make two.
            #expect((most - least <= 2) == isOn)
        }
    }

    @Test("Lifeguard V: a stalled member is stuck in one probe, and its suspicions run out")
    func aStallHoldsWhatSends() throws {
        var fixture = try Fixture(members: 5, rules: .with(\.distrustsLateTimers, false))
        let before = fixture.machine.counters.probes
        fixture.machine.stallSends()
        fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
        fixture.hear(.accusation(Fixture.accusation(of: 3, by: 4)), from: 4)
        fixture.pass(2_900)
        #expect(fixture.machine.counters.probes == before + 1)
        #expect(fixture.status(3) == .dead)
        var effects: [GossipEffect] = []
        fixture.machine.resumeSends(now: fixture.now, into: &effects)
        let failed = effects.events.contains {
            if case .probeFailed = $0 { return true }
            return false
        }
        #expect(failed)
        #expect(fixture.machine.counters.probes == before + 2)
    }

    @Test func aStalledMemberIsSuspectedAndComesBack() {
        var mesh = MeshTests.warm(8)
        mesh.run(milliseconds: 3_000)
        let end = mesh.now.advanced(byMilliseconds: 20_000)
        mesh.stall(2, durationMilliseconds: 3_000, intervalMilliseconds: 500, until: end)
        mesh.run(milliseconds: 2_000)
        #expect(MeshTests.views(mesh, of: 2).allSatisfy { $0 == .suspect || $0 == .dead })
        mesh.run(milliseconds: 40_000)
        #expect(MeshTests.views(mesh, of: 2).allSatisfy { $0 == .alive })
    }

    @Test func aSocketIsChargedAsTheKernelDoes() {
        #expect(ReceiveBuffer.charge(payload: 50) == 768)
        #expect(ReceiveBuffer.charge(payload: 300) == 1_280)
        #expect(ReceiveBuffer.charge(payload: 1_300) == 2_304)
    }
}
