import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// One machine's failure detector, sentence by sentence.
@Suite struct DetectorTests {
    private func pings(_ effects: [GossipEffect]) -> [NodeID] {
        effects.packets.compactMap {
            if case .ping = $0.packet.kind { return $0.to }
            return nil
        }
    }

    @Test("SWIM 4.3: a round pings every member once, in an order that is shuffled anew")
    func roundsAreShuffled() throws {
        var fixture = try Fixture(members: 6)
        var probed: [NodeID] = []
        while probed.count < 15 {
            for case .sendDatagram(let to, let bytes) in fixture.pass(10) {
                guard case .ping(let id)? = try? Packet(decoding: bytes).kind else { continue }
                probed.append(to)
                fixture.give(.datagram(from: to, Fixture.packet(.ack(id))))
            }
        }
        #expect(probed[0..<5].sorted() == (2...6).map { NodeID($0) })
        #expect(probed[5..<10].sorted() == (2...6).map { NodeID($0) })
        #expect(probed[0..<5] != probed[5..<10] || probed[5..<10] != probed[10..<15])
    }

    @Test("SWIM 3.1: without an ack in time, k members are asked to ping in its place")
    func helpersAreAsked() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 6, rules: .with(\.indirectProbes, isOn))
            let asked = fixture.pass(450).packets.filter {
                if case .pingRequest = $0.packet.kind { return true }
                return false
            }
            #expect(asked.count == (isOn ? 3 : 0))
            #expect(Set(asked.map(\.to)).count == asked.count)
        }
    }

    @Test("A probe over TCP goes out beside the indirect ones")
    func theLinkIsAFallback() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 6, rules: .with(\.linkFallback, isOn))
            let probes = fixture.pass(450).messages.filter {
                if case .packet(let packet) = $0.message, case .ping = packet.kind { return true }
                return false
            }
            #expect(probes.count == (isOn ? 1 : 0))
        }
    }

    @Test("No datagram precedes a handshake: without keys the handshake is the probe")
    func withoutKeysAHandshakeIsTheProbe() throws {
        var fixture = try Fixture(members: 2, isKeyed: false)
        let effects = fixture.pass(310)
        #expect(pings(effects).isEmpty)
        let connects = effects.filter {
            if case .connect(NodeID(2), [Fixture.address(2)]) = $0 { return true }
            return false
        }
        #expect(connects.count == 1)
        fixture.give(.linkOpened(LinkUp(peer: NodeID(2), boot: BootEpoch(1))))
        fixture.pass(250)
        #expect(fixture.status(2) == .alive)
    }

    @Test("Lifeguard IV.A: ProbeInterval and ProbeTimeout grow with the local health multiplier")
    func healthScalesProbes() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 2, rules: .with(\.healthScaling, isOn))
            for _ in 0..<3 { fixture.give(.slowDisk) }
            #expect(fixture.machine.healthMultiplier == 3)
            #expect(fixture.machine.scaled(300) == (isOn ? 1_200 : 300))
            #expect(fixture.machine.scaled(100) == (isOn ? 400 : 100))
        }
    }

    @Test("Lifeguard IV.A: the multiplier stays within 0 and 8")
    func healthIsBounded() throws {
        var fixture = try Fixture(members: 2)
        for _ in 0..<20 { fixture.give(.slowDisk) }
        #expect(fixture.machine.healthMultiplier == 8)
    }

    @Test("Lifeguard IV.A: a helper that hears nothing says nack before the asker gives up")
    func helpersSayNo() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.nacks, isOn))
            fixture.give(
                .datagram(
                    from: NodeID(2), Fixture.packet(.pingRequest(99, target: NodeID(3)))))
            let nacks = fixture.pass(90).packets.filter { $0.packet.kind == .nack(99) }
            #expect(nacks.map(\.to) == (isOn ? [NodeID(2)] : []))
        }
    }

    @Test("SWIM 3.1: a helper passes on the ack of the member that it pinged")
    func helpersPassOnAcks() throws {
        var fixture = try Fixture(members: 4)
        let effects = fixture.give(
            .datagram(from: NodeID(2), Fixture.packet(.pingRequest(99, target: NodeID(3)))))
        let ping = try #require(effects.packets.first { $0.to == NodeID(3) })
        guard case .ping(let id) = ping.packet.kind else { return }
        let answer = fixture.give(.datagram(from: NodeID(3), Fixture.packet(.ack(id))))
        #expect(answer.packets.contains { $0.to == NodeID(2) && $0.packet.kind == .ack(99) })
    }

    @Test("Lifeguard IV.B: a suspicion lasts its maximum until others confirm it")
    func suspicionsBeginLong() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.dynamicSuspicion, isOn))
            fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
            let deadline = try #require(fixture.machine.member(NodeID(3))?.deadline)
            #expect(deadline.milliseconds(since: fixture.now) == (isOn ? 3_600 : 900))
            fixture.hear(.accusation(Fixture.accusation(of: 3, by: 4)), from: 4)
            let next = try #require(fixture.machine.member(NodeID(3))?.deadline)
            #expect(next.milliseconds(since: fixture.now) == 900)
        }
    }

    @Test("Lifeguard IV.B: confirmations count once for each accuser")
    func accusersCountOnce() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.countsAccusersOnce, isOn))
            for _ in 0..<2 {
                fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
            }
            let deadline = try #require(fixture.machine.member(NodeID(3))?.deadline)
            #expect(deadline.milliseconds(since: fixture.now) == (isOn ? 3_600 : 900))
        }
    }

    @Test("A member's accusation of itself is never counted")
    func nobodyAccusesItself() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.ignoresSelfAccusation, isOn))
            fixture.hear(.accusation(Fixture.accusation(of: 3, by: 3)), from: 3)
            #expect(fixture.status(3) == (isOn ? .alive : .suspect))
        }
    }

    @Test("Lifeguard IV.C: the ping to a suspect tells it of the suspicion")
    func theSuspectHearsFirst() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 2, rules: .with(\.buddy, isOn))
            fixture.pass(650)
            #expect(fixture.status(2) == .suspect)
            fixture.machine.memberRumours = RumourQueue(capacity: 10)
            let sent = fixture.pass(800).packets.filter {
                if case .ping = $0.packet.kind { return true }
                return false
            }
            let told = sent.filter {
                $0.packet.parts.contains {
                    if case .accusation(let accusation) = $0 {
                        return accusation.subject == NodeID(2)
                    }
                    return false
                }
            }
            #expect(!sent.isEmpty)
            #expect(told.isEmpty != isOn)
        }
    }

    @Test("SWIM 4.2: the accused refutes with a higher incarnation; here past the accusation")
    func theAccusedRefutes() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.refutation, isOn))
            let accusation = Fixture.accusation(of: 1, boot: 5, incarnation: 7, by: 2)
            fixture.hear(.accusation(accusation), from: 2)
            #expect(fixture.machine.ownRecord.life == Fixture.life(5, isOn ? 8 : 0))
            #expect(fixture.machine.healthMultiplier == (isOn ? 1 : 0))
        }
    }

    @Test("memberlist: a record about me that is ahead of mine is refuted too")
    func aStaleAliveIsRefuted() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.refutesStaleAlive, isOn))
            fixture.hear(.record(Fixture.record(1, boot: 5, incarnation: 3)), from: 2)
            #expect(fixture.machine.ownRecord.life == Fixture.life(5, isOn ? 4 : 0))
        }
    }

    @Test("Accusations of an older boot are history and never about me")
    func olderBootsAreHistory() throws {
        var fixture = try Fixture(members: 4)
        fixture.hear(.accusation(Fixture.accusation(.dead, of: 1, boot: 4, by: 2)), from: 2)
        #expect(fixture.machine.ownRecord.life == Fixture.life(5, 0))
    }

    @Test("A record about me from a later boot is somebody else with my key")
    func aCloneIsAlarmed() throws {
        var fixture = try Fixture(members: 4)
        let effects = fixture.hear(.record(Fixture.record(1, boot: 6)), from: 2)
        #expect(effects.alarms == [.duplicateIdentity(Fixture.life(6, 0))])
    }

    @Test("A member that sees a third gone and hears no voters assumes that it is the sick one")
    func theSickOneStopsDeclaring() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.selfIsolation, isOn))
            fixture.give(.voterAnswers(at: fixture.now))
            let effects = fixture.pass(30_000)
            let isolated = effects.contains {
                if case .selfIsolated(true) = $0 { return true }
                return false
            }
            #expect(isolated == isOn)
            #expect((2...4).contains { fixture.status($0) == .dead } != isOn)
            guard isOn else { continue }
            fixture.give(.voterAnswers(at: fixture.now))
            #expect(!fixture.machine.isSelfIsolated)
        }
    }

    @Test("Whoever hears somebody again begins its suspicions anew, and asks whom it suspects")
    func isolationProvesNothing() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.restartsSuspicions, isOn))
            fixture.give(.voterAnswers(at: fixture.now))
            while !fixture.machine.isSelfIsolated { fixture.pass(50) }
            fixture.pass(5_000)
            let suspects = (2...4).filter { fixture.status($0) == .suspect }.map { NodeID($0) }
            #expect(suspects.count >= 2)
            let effects = fixture.give(.voterAnswers(at: fixture.now))
            #expect(!fixture.machine.isSelfIsolated)
            #expect(isOn ? pings(effects) == suspects : pings(effects).isEmpty)
            let told = effects.packets.filter { sent in
                sent.packet.parts.contains {
                    if case .accusation(let word) = $0 { return word.subject == sent.to }
                    return false
                }
            }
            #expect(told.map(\.to) == (isOn ? suspects : []))
            // The one that is heard last answers after some seconds, when its link is back.
            for _ in 0..<34 {
                fixture.pass(100)
                fixture.give(.voterAnswers(at: fixture.now))
            }
            #expect(suspects.allSatisfy { fixture.machine.status(of: $0) != .dead } == isOn)
            for suspect in suspects {
                fixture.hear(
                    .record(Fixture.record(suspect.rawValue, incarnation: 9)),
                    from: suspect.rawValue)
            }
            #expect(suspects.allSatisfy { fixture.machine.status(of: $0) == .alive })
        }
    }

    @Test("A verdict about whom this member heard is a suspicion, the shortest, and a question")
    func verdictsAreDoubted() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 5, rules: .with(\.doubtsDeaths, isOn))
            let verdict = Fixture.accusation(.dead, of: 3, by: 2)
            let effects = fixture.hear(.accusation(verdict), from: 2)
            #expect(fixture.status(3) == (isOn ? .suspect : .dead))
            #expect(pings(effects) == (isOn ? [NodeID(3)] : []))
            guard isOn else { continue }
            let deadline = try #require(fixture.machine.member(NodeID(3))?.deadline)
            #expect(deadline.milliseconds(since: fixture.now) == 900)
            let passedOn = fixture.pass(200).packets.filter { sent in
                sent.to != NodeID(3)
                    && sent.packet.parts.contains { $0 == .accusation(verdict) }
            }
            #expect(passedOn.isEmpty)
            // The healthy one answers; another one that says the same is no news then.
            fixture.hear(.record(Fixture.record(3, incarnation: 1)), from: 3)
            fixture.hear(.accusation(Fixture.accusation(.dead, of: 3, by: 4)), from: 4)
            #expect(fixture.status(3) == .alive)
            // One that is dead answers nothing.
            fixture.hear(.accusation(Fixture.accusation(.dead, of: 4, by: 2)), from: 2)
            fixture.pass(950)
            #expect(fixture.status(4) == .dead)
        }
    }

    @Test("A verdict on a suspect that was not heard since counts once it could have answered")
    func verdictsOnSuspects() throws {
        for (isHeard, age) in [
            (true, Fixture.answerMilliseconds), (false, Fixture.answerMilliseconds), (false, 10),
        ] {
            var fixture = try Fixture(members: 5)
            fixture.pass(10)
            fixture.hear(.accusation(Fixture.accusation(of: 3, by: 2)), from: 2)
            fixture.pass(age)
            if isHeard { fixture.give(.datagram(from: NodeID(3), Fixture.packet(.gossip))) }
            fixture.hear(.accusation(Fixture.accusation(.dead, of: 3, by: 2)), from: 2)
            let isDead = !isHeard && age == Fixture.answerMilliseconds
            #expect(fixture.status(3) == (isDead ? .dead : .suspect))
        }
    }

    @Test("consul#5567: one member's fresh suspicions are capped")
    func suspicionsAreCapped() throws {
        for isOn in [true, false] {
            var rules = GossipRules.with(\.capsSuspicions, isOn)
            rules.healthScaling = false
            var profile = GossipProfile.lan
            profile.probeIntervalMilliseconds = 50
            profile.probeTimeoutMilliseconds = 20
            var fixture = try Fixture(members: 100, rules: rules, profile: profile)
            let suspected = fixture.pass(2_000).events.filter {
                if case .suspected = $0 { return true }
                return false
            }
            #expect(isOn ? suspected.count <= 8 : suspected.count > 30)
        }
    }

    @Test("A timer that fires late tells of a pause, and accuses nobody")
    func latenessIsForgiven() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 2, rules: .with(\.distrustsLateTimers, isOn))
            var probes: [NodeID] = []
            while probes.isEmpty { probes = pings(fixture.pass(1)) }
            fixture.now = fixture.now.advanced(byMilliseconds: 5_000)
            fixture.give(.wake)
            #expect(fixture.status(2) == (isOn ? .alive : .suspect))
        }
    }
}
