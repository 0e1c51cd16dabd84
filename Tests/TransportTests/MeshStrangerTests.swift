import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

private let kind = MessageKind(rawValue: 3)
private let alice = Person(number: 1)
private let bob = Person(number: 2)
private let joiner = Person(number: 3, cluster: "", role: .joiner, claimsNode: -1)

/// What strangers, candidates and the revoked can do to a broker.
@Suite struct MeshStrangerTests {
    /// A hello as a frame, of an initiator that will say nothing more.
    private func hello() -> ByteBuffer {
        var out = ByteBuffer()
        _ = Handshake(
            initiatingWith: KeyAgreement(), keyID: 1, local: alice.identity, into: &out)
        return out
    }

    @Test func whateverIsNoHandshakeIsClosedUnanswered() async throws {
        let two = try await Running.start(bob)
        let noise = [
            ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"), ByteBuffer(integer: UInt32(0)),
            ByteBuffer(integer: UInt32.max), ByteBuffer(integer: UInt32(513)),
            ByteBuffer(bytes: [0, 0, 0, 1, 1]), ByteBuffer(bytes: [0, 0, 0, 2, 3, 3]),
            ByteBuffer(bytes: [0, 0, 0, 6, 1, 1, 2, 3, 4, 5]),
        ]
        for bytes in noise {
            let stranger = try await Stranger.connect(to: two.address)
            try await stranger.channel.writeAndFlush(bytes)
            #expect(try await stranger.received.get() == 0)
        }
        #expect(try await two.statistics().handshakesRefused[.malformed] == UInt64(noise.count))
        #expect(try await two.statistics().handshakesOpen == 0)
        try await two.end()
    }

    @Test func aHandshakeThatDoesNotGoOnTimesOut() async throws {
        let two = try await Running.start(bob)
        let silent = try await Stranger.connect(to: two.address)
        let halfway = try await Stranger.connect(to: two.address)
        try await halfway.channel.writeAndFlush(hello())
        try await two.wait {
            $0.statistics.handshakesOpen == 2 && $0.statistics.linkBytesSent > 0
        }
        try await two.on {
            $0.aheadMilliseconds = Limits.handshakeMilliseconds + 1
            $0.transport?.tick()
        }
        #expect(try await silent.received.get() == 0)
        #expect(try await halfway.received.get() > 0)
        #expect(try await two.statistics().handshakesRefused[.timedOut] == 2)
        #expect(try await two.statistics().handshakesOpen == 0)
        try await two.end()
    }

    @Test func halfOpenHandshakesAreCapped() async throws {
        var limits = TransportLimits()
        limits.halfOpenHandshakes = 2
        let two = try await Running.start(bob, limits: limits)
        let first = try await Stranger.connect(to: two.address)
        let second = try await Stranger.connect(to: two.address)
        try await two.wait { $0.statistics.handshakesOpen == 2 }
        let third = try await Stranger.connect(to: two.address)
        #expect(try await third.received.get() == 0)
        #expect(try await two.statistics().acceptsRefused[.tooManyHalfOpen] == 1)
        try await first.channel.close()
        try await two.wait { $0.statistics.handshakesOpen == 1 }
        let fourth = try await Stranger.connect(to: two.address)
        try await two.wait { $0.statistics.handshakesOpen == 2 }
        try await second.channel.close()
        try await fourth.channel.close()
        try await two.end()
    }

    @Test func aSourceIsHeldToItsRate() async throws {
        var limits = TransportLimits()
        limits.sourceBurst = 1
        limits.sourcePerSecond = 0
        let two = try await Running.start(bob, limits: limits)
        let first = try await Stranger.connect(to: two.address)
        try await two.wait { $0.statistics.handshakesOpen == 1 }
        let second = try await Stranger.connect(to: two.address)
        #expect(try await second.received.get() == 0)
        #expect(try await two.statistics().acceptsRefused[.sourceTooFast] == 1)
        try await first.channel.close()
        try await two.end()
    }

    @Test func datagramsOfStrangersAreCountedAndNotAnswered() async throws {
        let two = try await Running.start(bob)
        var known = ByteBuffer(bytes: [DatagramTable.type])
        known.writeRepeatingByte(9, count: 60)
        let noise = [
            ByteBuffer(string: "x"), ByteBuffer(repeating: 7, count: 200), known,
            ByteBuffer(repeating: DatagramTable.type, count: 1_401),
        ]
        try await Stranger.send(noise, to: two.address)
        try await two.wait { $0.statistics.datagramDrops.total == 4 }
        let drops = try await two.statistics().datagramDrops
        #expect(drops[.malformed] == 2 && drops[.unknownKey] == 1 && drops[.oversized] == 1)
        #expect(try await two.statistics().datagramsSent == 0)
        try await two.end()
    }

    @Test func aRecordedLinkReplayedWholeIsRefusedAlsoAfterARestart() async throws {
        let two = try await Running.start(bob, knows: [alice])
        let said = try await HalfInitiator.connect(alice, knows: bob, to: two.address)
        #expect(said.count == 2)
        try await two.wait { $0.opened.count == 1 && $0.closed.count == 1 }
        func replay(to broker: Running) async throws {
            let stranger = try await Stranger.connect(to: broker.address)
            for flight in said { try await stranger.channel.writeAndFlush(flight) }
            // The answer to the hello, and a refusal.
            #expect(try await stranger.received.get() > 250)
            try await broker.wait { $0.statistics.handshakesRefused[.notAuthentic] == 1 }
        }
        try await replay(to: two)
        #expect(try await two.on { $0.opened.count } == 1)
        try await two.end()
        let again = try await Running.start(
            bob.with {
                $0.boot = 2
                $0.nonce = 2
            }, knows: [alice])
        try await replay(to: again)
        #expect(try await again.on { $0.opened.isEmpty })
        try await again.end()
    }

    @Test func anOwnerThatChangedItsMindHearsOfNoLink() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob, knows: [alice])
        let (address, key) = (two.address, bob.publicKey)
        try await one.on {
            // Judged once before the identity is shown, and once more when all is done.
            $0.trust.afterJudging = { table in table.revoked.insert(key) }
            $0.transport?.connect(to: address)
        }
        try await one.wait { $0.failures == [.refused(.unwelcome)] }
        #expect(try await one.on { $0.opened.isEmpty && $0.closed.isEmpty })
        #expect(try await one.statistics().linksOpen == 0)
        try await end(one, two)
    }

    @Test func aCandidateMaySayLittle() async throws {
        let one = try await Running.start(joiner)
        let two = try await Running.start(bob)
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await one.wait { !$0.opened.isEmpty }
        try await two.wait { !$0.opened.isEmpty }
        #expect(try await two.on { $0.opened[0].standing } == .candidate)
        #expect(try await two.on { $0.opened[0].node } == nil)
        try await one.on { broker in
            let link = broker.opened[0].link
            for _ in 0...Limits.candidateMessages {
                broker.transport?.send(ByteBuffer(string: "join"), kind: kind, to: .link(link))
            }
        }
        try await two.wait { $0.closed.count == 1 }
        #expect(try await two.on { $0.messages.count } == Limits.candidateMessages)
        #expect(try await two.on { $0.closed[0].1 } == .violation(.tooMany))
        try await one.wait { $0.closed.count == 1 }
        #expect(try await one.on { $0.closed[0].1 } == .byPeer)
        try await end(one, two)
    }

    @Test func aCandidateHasNoDatagramsUntilItIsAdmitted() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob)
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await two.wait { !$0.opened.isEmpty }
        try await one.wait { !$0.opened.isEmpty }
        #expect(try await two.use { $0.sendDatagram(ByteBuffer(), to: NodeID(1)) } == .noKeys)
        let admitted = try await two.on { broker -> [Bool] in
            let link = broker.opened[0].link
            return [NodeID(9), NodeID(1), NodeID(1)].map {
                broker.transport?.admit(link, as: $0) ?? false
            }
        }
        #expect(admitted == [false, true, false])
        try await two.use { #expect($0.sendDatagram(ByteBuffer(), to: NodeID(1)) == nil) }
        try await one.wait { $0.datagrams.count == 1 }
        try await two.use { _ = $0.send(ByteBuffer(), kind: kind, to: .member(NodeID(1))) }
        try await one.wait { $0.messages.count == 1 }
        try await end(one, two)
    }

    @Test func candidatesAreCapped() async throws {
        var limits = TransportLimits()
        limits.candidateLinks = 1
        let two = try await Running.start(bob, limits: limits)
        let address = two.address
        let first = try await Running.start(joiner)
        let second = try await Running.start(joiner.with { $0.number = 4 })
        try await first.use { _ = $0.connect(to: address) }
        try await two.wait { $0.opened.count == 1 }
        try await second.use { _ = $0.connect(to: address) }
        try await second.wait { $0.closed.count == 1 }
        #expect(try await two.statistics().acceptsRefused[.tooManyCandidates] == 1)
        try await end(first, second, two)
    }

    @Test func theForgottenAreCutOffAtOnce() async throws {
        let (one, two) = try await linked()
        let publicKey = alice.publicKey
        try await two.on { broker in
            broker.trust.revoked.insert(publicKey)
            broker.transport?.forget(NodeID(1))
            #expect(broker.closed.count == 1)
            #expect(broker.transport?.hasDatagramKeys(for: NodeID(1)) == false)
        }
        try await one.wait { $0.closed.count == 1 }
        try await one.use { #expect($0.sendDatagram(ByteBuffer(), to: NodeID(2)) == nil) }
        try await two.wait { $0.statistics.datagramDrops[.unknownKey] == 1 }
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await one.wait { $0.failures == [.declined(.revoked)] }
        #expect(try await one.on { $0.declined } == [NodeID(2)])
        try await end(one, two)
    }

    /// A broker ends by the word of its members: nobody else's counts, whatever node id is claimed.
    @Test func aRefusalBySomeoneWhoIsNoMemberNamesNobody() async throws {
        let one = try await Running.start(alice)
        let two = try await Running.start(bob)
        let publicKey = alice.publicKey
        try await two.on { _ = $0.trust.revoked.insert(publicKey) }
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await one.wait { $0.failures == [.declined(.revoked)] }
        #expect(try await one.on { $0.declined } == [])
        try await end(one, two)
    }

    @Test func anOperatorAsksAndIsNoMember() async throws {
        let command = Person(number: 9, role: .operator, claimsNode: -1)
        let one = try await Running.start(command, knows: [bob])
        let two = try await Running.start(bob)
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await two.wait { !$0.opened.isEmpty }
        try await one.wait { !$0.opened.isEmpty }
        #expect(try await two.on { $0.opened[0].standing } == .operator)
        try await two.on { broker in
            broker.transport?.send(
                ByteBuffer(repeating: 1, count: 100_000), kind: kind,
                to: .link(broker.opened[0].link))
        }
        try await one.wait { $0.messages.count == 1 }
        #expect(try await two.statistics().datagramPeers == 0)
        try await end(one, two)
    }
}
