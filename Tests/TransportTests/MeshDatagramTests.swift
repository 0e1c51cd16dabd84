import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

private let alice = Person(number: 1)
private let bob = Person(number: 2)

@Suite struct MeshDatagramTests {
    @Test func noDatagramPrecedesAHandshake() async throws {
        let one = try await Running.start(alice, knows: [bob])
        let two = try await Running.start(bob, knows: [alice])
        let address = two.address
        let drops = try await one.use { transport in
            let unknown = transport.sendDatagram(ByteBuffer(), to: NodeID(2))
            transport.learn(address, of: NodeID(2))
            return [unknown, transport.sendDatagram(ByteBuffer(), to: NodeID(2))]
        }
        #expect(drops == [.noKeys, .noKeys])
        try await one.wait { $0.opened.count == 1 }
        try await two.wait { $0.opened.count == 1 }
        for (from, to, node) in [(one, two, NodeID(2)), (two, one, NodeID(1))] {
            let drop = try await from.use { $0.sendDatagram(ByteBuffer(string: "hi"), to: node) }
            #expect(drop == nil)
            try await to.wait { $0.datagrams == [ByteBuffer(string: "hi")] }
        }
        try await end(one, two)
    }

    @Test func recordedDatagramsAreRefusedAlsoAfterARestart() async throws {
        let (one, two) = try await linked()
        try await one.use { transport in
            for index in 0..<20 {
                transport.sendDatagram(ByteBuffer(integer: index), to: NodeID(2))
            }
        }
        try await two.wait { $0.datagrams.count == 20 }
        let recorded = try await one.on { $0.wires }
        #expect(recorded.count == 20)
        try await Stranger.send(recorded, to: two.address)
        try await two.wait { $0.statistics.datagramDrops[.replayed] == 20 }
        // And back to who sent them.
        try await Stranger.send(recorded, to: one.address)
        try await one.wait { $0.statistics.datagramDrops[.unknownKey] == 20 }
        try await two.end()
        let again = try await Running.start(
            bob.with {
                $0.boot = 2
                $0.nonce = 2
            }, knows: [alice], at: two.address.port)
        let address = again.address
        try await one.wait { $0.closed.count == 1 }
        try await one.use { _ = $0.connect(to: address, expecting: NodeID(2)) }
        try await again.wait { $0.opened.count == 1 }
        try await Stranger.send(recorded, to: again.address)
        try await again.wait { $0.statistics.datagramDrops[.unknownKey] == 20 }
        #expect(try await again.on { $0.datagrams.isEmpty })
        try await end(one, again)
    }

    @Test func theGreatestPayloadFitsAndMoreDoesNot() async throws {
        let (one, two) = try await linked()
        let most = MeshTransport.datagramPayloadMaximum
        #expect(most == 1_375)
        let drops = try await one.use { transport in
            [most, most + 1].map {
                transport.sendDatagram(ByteBuffer(repeating: 4, count: $0), to: NodeID(2))
            }
        }
        #expect(drops == [nil, .oversized])
        try await two.wait { $0.datagrams.count == 1 }
        try await end(one, two)
    }

    @Test func theSocketSurvivesADeadPeer() async throws {
        let (one, two) = try await linked()
        let third = Person(number: 3)
        try await two.end()
        try await one.wait { $0.closed.count == 1 }
        for _ in 0..<5 {
            try await one.use { _ = $0.sendDatagram(ByteBuffer(string: "anyone"), to: NodeID(2)) }
        }
        let another = try await Running.start(third, knows: [alice])
        let (address, key) = (another.address, third.publicKey)
        try await one.on {
            $0.trust.members[key] = NodeID(3)
            $0.transport?.connect(to: address)
        }
        try await another.wait { $0.opened.count == 1 }
        try await another.use { _ = $0.sendDatagram(ByteBuffer(string: "here"), to: NodeID(1)) }
        try await one.wait { $0.datagrams.count == 1 }
        try await end(one, another)
    }

    @Test func newKeysTakeOverBeforeTheOldOnesEnd() async throws {
        let (one, two) = try await linked()
        let isLower = alice.publicKey < bob.publicKey
        let due =
            isLower ? Limits.datagramRenewLowMilliseconds : Limits.datagramRenewHighMilliseconds
        try await one.on {
            $0.aheadMilliseconds = due
            $0.transport?.sendDatagram(ByteBuffer(string: "old"), to: NodeID(2))
        }
        try await one.wait { $0.opened.count == 2 }
        try await two.wait { $0.opened.count == 2 && $0.datagrams.count == 1 }
        try await one.on {
            $0.aheadMilliseconds = Limits.datagramKeyMilliseconds + 60_000
            $0.transport?.tick()
            #expect(
                $0.transport?.sendDatagram(ByteBuffer(string: "new"), to: NodeID(2)) == nil)
        }
        try await two.wait { $0.datagrams.count == 2 }
        try await end(one, two)
    }

    @Test func expiredKeysOpenALinkInstead() async throws {
        let (one, two) = try await linked()
        try await one.on {
            $0.aheadMilliseconds = Limits.datagramKeyMilliseconds
            #expect($0.transport?.sendDatagram(ByteBuffer(), to: NodeID(2)) == .noKeys)
        }
        try await one.wait { $0.opened.count == 2 }
        try await one.use { #expect($0.sendDatagram(ByteBuffer(), to: NodeID(2)) == nil) }
        try await end(one, two)
    }

    @Test func keysThatThePeerNeverGotReplaceNothing() async throws {
        let (one, two) = try await linked()
        _ = try await HalfInitiator.connect(alice, knows: bob, to: two.address)
        try await two.wait { $0.closed.count == 2 && $0.opened.count == 2 }
        try await two.on {
            $0.aheadMilliseconds = Limits.datagramGraceMilliseconds + 1
            $0.transport?.tick()
        }
        for (from, to, node) in [(one, two, NodeID(2)), (two, one, NodeID(1))] {
            try await from.use { #expect($0.sendDatagram(ByteBuffer(), to: node) == nil) }
            try await to.wait { $0.datagrams.count == 1 }
        }
        try await end(one, two)
    }

    @Test(arguments: [true, false])
    func theForgottenMayComeBackAtOnce(theFirstForgets: Bool) async throws {
        let (one, two) = try await linked()
        let (from, to) = theFirstForgets ? (one, two) : (two, one)
        let (address, node) = (to.address, NodeID(theFirstForgets ? 2 : 1))
        try await from.use { transport in
            transport.forget(node)
            #expect(transport.sendDatagram(ByteBuffer(), to: node) == .noKeys)
        }
        try await to.wait { $0.closed.count == 1 }
        try await from.use { _ = $0.connect(to: address, expecting: node) }
        try await from.wait { $0.opened.count == 2 }
        try await to.wait { $0.opened.count == 2 }
        try await from.use {
            _ = $0.send(ByteBuffer(), kind: .init(rawValue: 1), to: .member(node))
        }
        try await to.wait { $0.messages.count == 1 }
        for (from, to, node) in [(one, two, NodeID(2)), (two, one, NodeID(1))] {
            try await from.use { #expect($0.sendDatagram(ByteBuffer(), to: node) == nil) }
            try await to.wait { $0.datagrams.count == 1 }
        }
        try await end(one, two)
    }

    @Test func aTapSeesBothWaysAndMayHoldBack() async throws {
        let (one, two) = try await linked()
        try await two.on { broker in
            broker.transport?.datagramTap = { direction, node, payload in
                !(direction == .incoming && node == NodeID(1) && payload.readableBytes == 1)
            }
        }
        try await one.use { transport in
            transport.sendDatagram(ByteBuffer(string: "a"), to: NodeID(2))
            transport.sendDatagram(ByteBuffer(string: "bb"), to: NodeID(2))
        }
        try await two.wait { $0.datagrams == [ByteBuffer(string: "bb")] }
        #expect(try await two.statistics().datagramDrops[.tapped] == 1)
        try await end(one, two)
    }

    @Test func aMeshOfEightTalksByDatagrams() async throws {
        let people = (1...8).map { Person(number: Int32($0)) }
        var mesh: [Running] = []
        for person in people {
            mesh.append(
                try await Running.start(
                    person, knows: people.filter { $0.number != person.number }))
        }
        let addresses = mesh.map(\.address)
        // Everyone opens links to everyone, at once.
        for (index, broker) in mesh.enumerated() {
            try await broker.use { transport in
                for (other, address) in addresses.enumerated() where other != index {
                    transport.learn(address, of: NodeID(Int32(other + 1)))
                    transport.connect(to: address, expecting: NodeID(Int32(other + 1)))
                }
            }
        }
        for broker in mesh {
            try await broker.wait {
                $0.statistics.linksOpen == 7 && $0.statistics.handshakesOpen == 0
                    && $0.statistics.datagramPeers == 7
            }
        }
        for (index, broker) in mesh.enumerated() {
            try await broker.use { transport in
                for other in 1...8 where other != index + 1 {
                    transport.sendDatagram(ByteBuffer(integer: index), to: NodeID(Int32(other)))
                }
            }
        }
        for broker in mesh {
            try await broker.wait { $0.datagrams.count == 7 }
            #expect(try await broker.statistics().datagramDrops.total == 0)
        }
        for broker in mesh { try await broker.end() }
    }
}
