import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// One machine's members: admission, records, order of what is believed.
@Suite struct MembershipTests {
    @Test("Nobody can forge another's address or goodbye")
    func forgedRecordsAreRefused() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.checksSignatures, isOn))
            let goodbye = Fixture.record(3, incarnation: 1, isLeaving: true, by: 2)
            fixture.hear(.record(goodbye), from: 2)
            #expect(fixture.status(3) == (isOn ? .alive : .left))
            #expect(fixture.machine.counters.forged == (isOn ? 1 : 0))
        }
    }

    @Test("Suspicions are signed by the accuser, so that confirmations cannot be fabricated")
    func forgedAccusationsAreRefused() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.checksSignatures, isOn))
            let forged = Fixture.accusation(of: 3, by: 4, signedBy: 2)
            fixture.hear(.accusation(forged), from: 2)
            #expect(fixture.status(3) == (isOn ? .alive : .suspect))
        }
    }

    @Test("memberlist: a remote \"dead\" in an exchange of states only starts a suspicion")
    func remoteDeathsAreHeardOut() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.remoteDeadIsSuspect, isOn))
            let state = MemberState(
                status: .dead, record: Fixture.record(3),
                evidence: [Fixture.accusation(.dead, of: 3, by: 2)])
            fixture.message(.members(leaves: [], wantsAnswer: false, [state]), from: 2)
            #expect(fixture.status(3) == (isOn ? .suspect : .dead))
        }
    }

    @Test("A leaving member goes when three have heard it, and after a second in any case")
    func goodbyesEnd() throws {
        func hasLeft(_ effects: [GossipEffect]) -> Bool {
            effects.contains { if case .left = $0 { true } else { false } }
        }
        var fixture = try Fixture(members: 8)
        let effects = fixture.give(.leave)
        var asked: [(to: NodeID, id: UInt64)] = []
        for sent in effects.packets {
            if case .ping(let id) = sent.packet.kind { asked.append((sent.to, id)) }
        }
        #expect(asked.count == 5 && Set(asked.map(\.to)).count == 5)
        for (place, ping) in asked.enumerated() {
            let answer = Fixture.packet(.ack(ping.id))
            // From somebody else, or twice, it counts for nothing.
            let other = asked[(place + 1) % 5].to
            #expect(!hasLeft(fixture.give(.datagram(from: other, answer))))
            #expect(hasLeft(fixture.give(.datagram(from: ping.to, answer))) == (place == 2))
            #expect(!hasLeft(fixture.give(.datagram(from: ping.to, answer))))
        }
        var silent = try Fixture(members: 8)
        silent.give(.leave)
        let again = silent.pass(900)
        #expect(!hasLeft(again))
        #expect(again.packets.count { if case .ping = $0.packet.kind { true } else { false } } > 20)
        #expect(hasLeft(silent.pass(101)))
        var alone = try Fixture(members: 1)
        #expect(hasLeft(alone.give(.leave)))
    }

    @Test("A higher boot takes over at once; a record of an older boot is history")
    func bootsOrder() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.ordersBoots, isOn))
            fixture.hearOfDeath(of: 3, by: 2)
            #expect(fixture.status(3) == .dead)
            fixture.hear(.record(Fixture.record(3, boot: 2, host: "new")), from: 3)
            #expect(fixture.status(3) == .alive)
            fixture.hear(.record(Fixture.record(3, boot: 1, incarnation: 9, host: "old")), from: 4)
            let host = fixture.machine.member(NodeID(3))?.description?.addresses.first?.host
            #expect(host == (isOn ? "new" : "old"))
        }
    }

    @Test("SWIM 4.2: alive(i) < suspect(i) < alive(i+1); and, as in memberlist, over dead(i)")
    func beliefsOnlyGrow() throws {
        var fixture = try Fixture(members: 4)
        fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
        fixture.hear(.record(Fixture.record(3)), from: 4)
        #expect(fixture.status(3) == .suspect)
        fixture.hear(.record(Fixture.record(3, incarnation: 1)), from: 4)
        #expect(fixture.status(3) == .alive)
        fixture.hear(.accusation(Fixture.accusation(.dead, of: 3, by: 2)), from: 2)
        #expect(fixture.status(3) == .alive)
        fixture.hearOfDeath(of: 3, incarnation: 1, by: 2)
        #expect(fixture.status(3) == .dead)
        fixture.hear(.record(Fixture.record(3, incarnation: 1)), from: 4)
        #expect(fixture.status(3) == .dead)
        fixture.hear(.record(Fixture.record(3, incarnation: 2)), from: 4)
        #expect(fixture.status(3) == .alive)
    }

    @Test("Identity is a key: a record of another key for the id is refused until it is admitted")
    func identityIsAKey() throws {
        var fixture = try Fixture(members: 3)
        fixture.hear(.record(Fixture.record(3, boot: 9, by: 8)), from: 2)
        #expect(fixture.machine.member(NodeID(3))?.life.boot == BootEpoch(1))
        let admission = AdmissionRecord(
            node: NodeID(3), key: SimulatedSigner.key(of: NodeID(8)),
            store: StoreID(high: 9, low: 9), number: AdmissionNumber(2))
        let value = ChosenValue(
            key: admission.registerKey, ballot: Fixture.value("", 50, nil).ballot,
            value: admission.encoded())
        fixture.hear(.value(value), from: 2)
        #expect(fixture.status(3) == .unheard)
        fixture.hear(.record(Fixture.record(3, boot: 9, by: 8)), from: 2)
        #expect(fixture.status(3) == .alive)
    }

    @Test func aRecordWaitsForItsAdmission() throws {
        var fixture = try Fixture(members: 3)
        fixture.hear(.record(Fixture.record(4)), from: 2)
        #expect(fixture.status(4) == nil)
        fixture.hear(.value(GossipMesh.admission(3)), from: 2)
        #expect(fixture.status(4) == .alive)
    }

    @Test("A revoked member is dropped at once")
    func revocationDrops() throws {
        var fixture = try Fixture(members: 4)
        let effects = fixture.hear(
            .value(GossipMesh.admission(2, number: 2, isRevoked: true)), from: 2)
        let removed = effects.contains {
            if case .memberRemoved(NodeID(3)) = $0 { return true }
            return false
        }
        #expect(removed)
        #expect(fixture.status(3) == nil)
        #expect(fixture.machine.presentMembers == 3)
        fixture.hear(.record(Fixture.record(3, boot: 7)), from: 2)
        #expect(fixture.status(3) == nil)
        let ping = Fixture.packet(.ping(1), [.value(Fixture.value("topic/a", 9, "x"))])
        let answer = fixture.give(.datagram(from: NodeID(3), ping))
        #expect(answer.packets.isEmpty && answer.messages.isEmpty)
        #expect(fixture.machine.value("topic/a") == nil)
    }

    @Test("A stranger that is not admitted yet may fetch the table, and is no member")
    func aStrangerMayJoin() throws {
        var fixture = try Fixture(members: 3)
        let effects = fixture.give(.linkOpened(LinkUp(peer: NodeID(9), boot: BootEpoch(1))))
        guard case .hello? = effects.messages.first?.message else {
            Issue.record("no greeting")
            return
        }
        let branches = LinkMessage.branches(.table, [UInt64](repeating: 0, count: 32))
        let answer = fixture.message(branches, from: 9)
        #expect(answer.messages.map(\.to) == [NodeID(9)])
        #expect(fixture.status(9) == nil)
    }

    @Test("Accusations of one accuser are capped, whatever it says")
    func accusersAreCapped() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 80, rules: .with(\.capsSuspicions, isOn))
            for subject in Int32(3)...80 {
                fixture.hear(.accusation(Fixture.accusation(of: subject, by: 2)), from: 2)
            }
            let suspects = (3...80).filter { fixture.status(Int32($0)) == .suspect }.count
            #expect(suspects == (isOn ? 24 : 78))
        }
    }

    @Test func aMalformedAdmissionIsAlarmed() throws {
        var fixture = try Fixture(members: 4)
        let effects = fixture.hear(.value(Fixture.value("members/9", 9, "x")), from: 2)
        #expect(effects.alarms == [.malformedAdmission(key: "members/9")])
    }

    @Test func forcingOutIsForTheDeadOnly() throws {
        var fixture = try Fixture(members: 4)
        fixture.give(.forceLeave(NodeID(3)))
        #expect(fixture.status(3) == .alive)
        fixture.hear(.accusation(Fixture.accusation(.forcedOut, of: 3, by: 2)), from: 2)
        #expect(fixture.status(3) == .suspect)
        fixture.hear(.accusation(Fixture.accusation(.dead, of: 3, by: 2)), from: 2)
        fixture.give(.forceLeave(NodeID(3)))
        #expect(fixture.status(3) == .left)
    }

    @Test("Seeds are contacted for ever while they are not among the living")
    func seedsAreContactedForEver() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(
                members: 1, rules: .with(\.contactsSeeds, isOn), seeds: [Fixture.address(9)])
            let contacts = fixture.pass(120_000).filter {
                if case .contactSeeds = $0 { return true }
                return false
            }
            #expect(isOn ? (12...24).contains(contacts.count) : contacts.isEmpty)
        }
    }

    @Test func aSeedAmongTheLivingIsLeftAlone() throws {
        var fixture = try Fixture(members: 2, seeds: [Fixture.address(2)])
        fixture.give(
            .linkOpened(
                LinkUp(peer: NodeID(2), boot: BootEpoch(1), dialled: Fixture.address(2))))
        fixture.machine.generator = SeededGenerator(seed: 1)
        let contacts = fixture.pass(500).filter {
            if case .contactSeeds = $0 { return true }
            return false
        }
        #expect(contacts.isEmpty)
    }

    @Test func whatIsPersistedHoldsTheDeadToo() throws {
        var fixture = try Fixture(members: 4)
        fixture.hearOfDeath(of: 3, by: 2)
        let persisted = fixture.machine.persistedMembers
        #expect(persisted.map { $0.status == .dead } == [false, true, false])
    }
}
