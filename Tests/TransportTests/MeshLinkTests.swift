import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

private let gossip = MessageKind(rawValue: 200)
private let paxos = MessageKind(rawValue: 3)
private let alice = Person(number: 1)
private let bob = Person(number: 2)

@Suite struct MeshLinkTests {
    @Test(arguments: [true, false], [LinkMode.seal, .authenticate])
    func messagesOfEverySizeArriveWholeAndInOrder(aes: Bool, mode: LinkMode) async throws {
        let (one, two) = try await linked(
            alice.with {
                $0.offersAES = aes
                $0.mode = mode
            },
            bob.with { $0.mode = mode })
        let sizes = [
            0, 1, Limits.recordPayloadBytes, Limits.recordPayloadBytes + 1, 300_000,
            Limits.messageBytes, 5,
        ]
        for from in [one, two] {
            let peer = NodeID(from.address == one.address ? 2 : 1)
            try await from.use { transport in
                for (index, size) in sizes.enumerated() {
                    let body = ByteBuffer(repeating: UInt8(index + 1), count: size)
                    #expect(transport.send(body, kind: paxos, to: .member(peer)) == nil)
                }
            }
            let to = from.address == one.address ? two : one
            try await to.wait { $0.messages.count == sizes.count }
            try await to.on { broker in
                for (index, message) in broker.messages.enumerated() {
                    #expect(
                        message.0 == ByteBuffer(repeating: UInt8(index + 1), count: sizes[index]))
                    #expect(message.1 == paxos && message.3.mode == mode)
                    #expect(message.3.suite == (aes ? .aes256GCM : .xchacha20Poly1305))
                }
            }
        }
        try await end(one, two)
    }

    @Test func aMessageOpensItsLink() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob, knows: [alice])
        let address = two.address
        let drops = try await one.use { transport in
            let early = transport.send(ByteBuffer(string: "a"), kind: paxos, to: .member(NodeID(2)))
            transport.learn(address, of: NodeID(2))
            return [
                early, transport.send(ByteBuffer(string: "b"), kind: paxos, to: .member(NodeID(2))),
                transport.send(ByteBuffer(string: "c"), kind: paxos, to: .member(NodeID(2))),
            ]
        }
        #expect(drops == [.unreachable, nil, nil])
        try await two.wait { $0.messages.count == 2 }
        let texts = try await two.on { $0.messages.map { String(buffer: $0.0) } }
        #expect(texts == ["b", "c"])
        #expect(try await two.statistics().linksOpen == 1)
        try await end(one, two)
    }

    @Test func linksOpenedAtOnceBecomeOne() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob, knows: [alice])
        let (first, second) = (one.address, two.address)
        async let a: Void = one.use { _ = $0.connect(to: second, expecting: NodeID(2)) }
        async let b: Void = two.use { _ = $0.connect(to: first, expecting: NodeID(1)) }
        _ = try await (a, b)
        try await one.wait { $0.opened.count == 2 && $0.closed.count == 1 }
        try await two.wait { $0.opened.count == 2 && $0.closed.count == 1 }
        let left = try await one.use { $0.peers.map(\.isInitiator) }
        let right = try await two.use { $0.peers.map(\.isInitiator) }
        let aliceIsLower = alice.publicKey < bob.publicKey
        #expect(left == [aliceIsLower] && right == [!aliceIsLower])
        try await one.use { _ = $0.send(ByteBuffer(), kind: paxos, to: .member(NodeID(2))) }
        try await two.wait { $0.messages.count == 1 }
        for (from, to, node) in [(one, two, NodeID(2)), (two, one, NodeID(1))] {
            try await from.use { _ = $0.sendDatagram(ByteBuffer(string: "x"), to: node) }
            try await to.wait { $0.datagrams.count == 1 }
        }
        try await end(one, two)
    }

    @Test func nothingIsLostWhenALinkTakesOver() async throws {
        let (one, two) = try await linked()
        let address = two.address
        try await one.use { transport in
            for index in 0..<50 {
                transport.send(ByteBuffer(integer: index), kind: paxos, to: .member(NodeID(2)))
                if index == 25 { transport.connect(to: address, expecting: NodeID(2)) }
            }
        }
        try await one.wait { $0.closed.count == 1 }
        try await one.use { transport in
            for index in 50..<100 {
                transport.send(ByteBuffer(integer: index), kind: paxos, to: .member(NodeID(2)))
            }
        }
        try await two.wait { $0.messages.count == 100 }
        #expect(try await one.on { $0.closed.map(\.1) } == [.superseded])
        try await end(one, two)
    }

    @Test func anAskedCloseSendsWhatIsQueued() async throws {
        let (one, two) = try await linked()
        try await one.use { transport in
            transport.send(
                ByteBuffer(repeating: 1, count: 3_000_000), kind: paxos, to: .member(NodeID(2)))
            for peer in transport.peers { transport.closeLink(peer.link) }
        }
        try await two.wait { $0.closed.count == 1 }
        #expect(try await two.on { $0.messages.count } == 1)
        #expect(try await two.on { $0.closed.map(\.1) } == [.byPeer])
        try await one.wait { $0.closed.count == 1 }
        #expect(try await one.on { $0.closed.map(\.1) } == [.asked])
        try await end(one, two)
    }

    @Test func nobodyAtTheAddressIsAFailure() async throws {
        let one = try await Running.start(alice)
        let two = try await Running.start(bob)
        let address = two.address
        try await two.end()
        try await one.use { _ = $0.connect(to: address) }
        try await one.wait { $0.failures.count == 1 }
        #expect(try await one.on { $0.failures } == [.notConnected])
        try await one.end()
    }

    @Test func aRefusalIsToldAndCountedAtBothEnds() async throws {
        let one = try await Running.start(alice.with { $0.secret = nil })
        let two = try await Running.start(bob.with { $0.cluster = "other" })
        let address = two.address
        try await one.use { _ = $0.connect(to: address) }
        try await one.wait { $0.failures.count == 1 }
        #expect(try await one.on { $0.failures } == [.refused(.foreignCluster)])
        try await two.wait { $0.statistics.handshakesDeclined[.foreignCluster] == 1 }
        #expect(try await one.statistics().handshakesRefused[.foreignCluster] == 1)
        #expect(try await one.statistics().handshakesOpen == 0)
        #expect(try await two.statistics().handshakesOpen == 0)
        try await end(one, two)
    }

    @Test func aKeptLinkComesBack() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob, knows: [alice])
        let address = two.address
        try await one.use {
            $0.learn(address, of: NodeID(2))
            $0.keepConnected(to: NodeID(2))
        }
        try await one.wait { $0.opened.count == 1 }
        try await two.end()
        try await one.wait { $0.closed.count == 1 && $0.failures.count >= 1 }
        let again = try await Running.start(
            bob.with {
                $0.boot = 2
                $0.nonce = 2
            }, knows: [alice], at: address.port)
        try await one.wait { $0.opened.count == 2 }
        #expect(try await one.on { $0.opened[1].claim.bootEpoch } == BootEpoch(2))
        try await end(one, again)
    }

    @Test func anIdleLinkEndsAndItsDatagramKeysStay() async throws {
        var limits = TransportLimits()
        limits.idleMilliseconds = 5_000
        let (one, two) = try await linked(limits: limits)
        try await one.on {
            $0.aheadMilliseconds = 6_000
            $0.transport?.tick()
        }
        try await one.wait { $0.closed.count == 1 }
        #expect(try await one.on { $0.closed.map(\.1) } == [.idle])
        try await two.wait { $0.closed.count == 1 }
        try await one.use {
            #expect($0.sendDatagram(ByteBuffer(string: "x"), to: NodeID(2)) == nil)
        }
        try await two.wait { $0.datagrams.count == 1 }
        try await end(one, two)
    }

    @Test func aQuietLinkIsPingedAndASilentOneIsDead() async throws {
        let (one, two) = try await linked()
        let before = try await one.statistics().linkBytesSent
        try await one.on {
            $0.aheadMilliseconds = 11_000
            $0.transport?.tick()
        }
        #expect(try await one.statistics().linkBytesSent > before)
        try await one.on {
            $0.aheadMilliseconds = 31_000
            $0.transport?.tick()
        }
        try await one.wait { $0.closed.count == 1 }
        #expect(try await one.on { $0.closed.map(\.1) } == [.silent])
        try await end(one, two)
    }

    @Test(arguments: [true, false], [LinkMode.seal, .authenticate])
    func linksChangeTheirKeysEveryHour(aes: Bool, mode: LinkMode) async throws {
        let (one, two) = try await linked(
            alice.with {
                $0.offersAES = aes
                $0.mode = mode
            },
            bob.with { $0.mode = mode })
        for round in 1...3 {
            try await one.on {
                $0.aheadMilliseconds += 3_600_001
                $0.transport?.send(
                    ByteBuffer(repeating: 3, count: 200_000), kind: paxos, to: .member(NodeID(2)))
            }
            try await two.wait { $0.messages.count == round }
        }
        #expect(try await one.statistics().rekeys == 3)
        #expect(try await two.on { $0.closed.isEmpty })
        try await end(one, two)
    }

    @Test func aFullQueueDropsWhatMayBeDroppedAndElseCloses() async throws {
        var limits = TransportLimits()
        limits.outgoingBytes = 100_000
        let (one, two) = try await linked(limits: limits)
        let drops = try await one.use { transport in
            let body = ByteBuffer(repeating: 0, count: 60_000)
            return [
                transport.send(body, kind: gossip, to: .member(NodeID(2))),
                transport.send(body, kind: gossip, to: .member(NodeID(2))),
                transport.send(body, kind: paxos, to: .member(NodeID(2))),
            ]
        }
        #expect(drops == [nil, .queueFull, .queueFull])
        try await one.wait { $0.closed.count == 1 }
        #expect(try await one.on { $0.closed.map(\.1) } == [.queueFull])
        #expect(try await one.statistics().messageDrops[.queueFull] == 2)
        try await end(one, two)
    }

    @Test func messagesBeyondTheBoundAreNotTaken() async throws {
        let (one, two) = try await linked()
        let drop = try await one.use {
            $0.send(
                ByteBuffer(repeating: 0, count: Limits.messageBytes + 1), kind: paxos,
                to: .member(NodeID(2)))
        }
        #expect(drop == .tooLong)
        #expect(try await one.statistics().messageDrops[.tooLong] == 1)
        try await end(one, two)
    }

    @Test func aStreamWaitsForItsCreditAndControlDoesNot() async throws {
        let (one, two) = try await linked()
        let bulk = StreamID(rawValue: 5)
        try await one.use { transport in
            for _ in 0..<12 {
                transport.send(
                    ByteBuffer(repeating: 1, count: 200_000), kind: paxos, to: .member(NodeID(2)),
                    stream: bulk)
            }
            transport.send(ByteBuffer(string: "vote"), kind: paxos, to: .member(NodeID(2)))
        }
        // 1 MiB of credit: five messages leave some of it, the sixth takes the rest.
        try await two.wait { $0.messages.count >= 7 }
        #expect(try await two.on { $0.messages.filter { $0.2 == .control }.count } == 1)
        #expect(try await two.on { $0.messages.count } == 7)
        for round in 1...6 {
            try await two.on { broker in
                for peer in broker.opened {
                    broker.transport?.consumed(200_000, of: bulk, on: peer.link)
                }
            }
            if round == 6 { try await two.wait { $0.messages.count == 13 } }
        }
        try await end(one, two)
    }
}
