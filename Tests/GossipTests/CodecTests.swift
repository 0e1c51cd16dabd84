import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// Bytes of peers: what was written is read, and nothing else is.
@Suite struct CodecTests {
    static let description = SelfDescription(
        addresses: [Fixture.address(2), MeshAddress(host: "fd00::2", port: 7_946)],
        endpoints: [ClientEndpoint(listener: "outside", host: "b2.example.org", port: 9_092)],
        rack: "r1", softwareVersion: "0.2.0", featureLevel: 3)

    static let entries = [
        FeedEntry(
            key: ByteBuffer(string: "key"), version: FeedVersion(epoch: 1, sequence: 2),
            value: ByteBuffer(string: "value")),
        FeedEntry(
            key: ByteBuffer(string: "gone"), version: FeedVersion(epoch: 1, sequence: 3),
            value: nil),
    ]

    static let parts: [Part] = [
        .record(Fixture.record(2, boot: 9, incarnation: 4, isLeaving: true)),
        .accusation(Fixture.accusation(of: 3, by: 2)),
        .accusation(Fixture.accusation(.dead, of: 3, boot: 8, incarnation: 1, by: 2)),
        .value(Fixture.value("topic/a", 7, "value")), .value(Fixture.value("topic/b", 8, nil)),
        .advert(
            Advert(
                key: "topic/c", ballot: Ballot.zero, hash: ContentHash(rawValue: 3), size: 900)),
        .advert(
            Advert(key: "t", ballot: Ballot.zero, hash: ContentHash(rawValue: 0), size: nil)),
        .mark(
            FeedMark(
                feed: .slot(3), version: FeedVersion(epoch: 4, sequence: 5),
                asOf: Timestamp(milliseconds: 6))),
        .change(
            FeedChange(
                feed: .ends(NodeID(2)), previous: .nothing, entry: entries[0],
                asOf: Timestamp(milliseconds: 7))),
        .change(
            FeedChange(
                feed: .slot(9), previous: entries[0].version, entry: entries[1],
                asOf: Timestamp(milliseconds: 8))),
        .feedRoot(.max),
        .trace(TraceMark(id: 77, origin: NodeID(3), hop: 2)),
    ]

    static let kinds: [Packet.Kind] = [
        .ping(1), .ack(.max), .nack(3), .pingRequest(4, target: NodeID(9)), .gossip,
        .digests(Roots(table: 1, members: 2)),
    ]

    static let state = MemberState(
        status: .dead, record: Fixture.record(2), evidence: [Fixture.accusation(of: 2, by: 3)])

    static let messages: [ByteBuffer] =
        [
            LinkMessage.hello(
                Roots(table: 1, members: 2), state,
                accusations: [Fixture.accusation(of: 4, by: 2)]),
            .branches(.members, [UInt64](repeating: 5, count: 32)),
            .leaves(.table, mask: 0b101, [UInt64](repeating: 6, count: 64)),
            .entries(
                leaves: [1, 1_023],
                [
                    Advert(
                        key: "topic/c", ballot: Ballot.zero, hash: ContentHash(rawValue: 3),
                        size: 900)
                ]),
            .members(leaves: [7], wantsAnswer: true, [state, state]), .want(["a", "b"]),
            .values([Fixture.value("topic/a", 7, "value"), Fixture.value("topic/b", 8, nil)]),
            .doubt(["topic/a"]),
            .marks(
                [
                    FeedMark(
                        feed: .ends(NodeID(7)), version: FeedVersion(epoch: 4, sequence: 5),
                        asOf: Timestamp(milliseconds: 6))
                ], wantsAnswer: true),
            .pull([FeedPull(feed: .slot(4_095, of: 77), since: .nothing)]),
            .delta(
                FeedDelta(
                    mark: FeedMark(
                        feed: .slot(0), version: FeedVersion(epoch: 4, sequence: 5),
                        asOf: .none),
                    since: .nothing, floor: .nothing, isPartial: false, entries: entries)),
        ].map { (message: LinkMessage) in message.encoded() }
        + [LinkMessage.wrap(Fixture.packet(.ping(1), parts))]

    @Test(arguments: CodecTests.kinds)
    func packetsRoundTrip(kind: Packet.Kind) throws {
        let bytes = Fixture.packet(kind, Self.parts)
        let packet = try Packet(decoding: bytes)
        #expect(packet.kind == kind)
        #expect(packet.parts == Self.parts)
    }

    @Test(arguments: CodecTests.kinds)
    func everyStrictPrefixOfAPacketIsRefused(kind: Packet.Kind) {
        let bytes = Fixture.packet(kind, Self.parts)
        for length in 0..<bytes.readableBytes {
            #expect(throws: GossipDecodeError.self) {
                try Packet(decoding: bytes.getSlice(at: 0, length: length) ?? ByteBuffer())
            }
        }
        var longer = bytes
        longer.writeInteger(UInt8(0))
        #expect(throws: GossipDecodeError.trailingBytes) { try Packet(decoding: longer) }
    }

    @Test(arguments: CodecTests.messages)
    func messagesRoundTripAndTheirPrefixesAreRefused(bytes: ByteBuffer) throws {
        #expect(try LinkMessage(decoding: bytes).encoded() == bytes)
        for length in 0..<bytes.readableBytes {
            #expect(throws: GossipDecodeError.self) {
                try LinkMessage(decoding: bytes.getSlice(at: 0, length: length) ?? ByteBuffer())
            }
        }
    }

    @Test func selfRecordsRoundTrip() throws {
        let record = try #require(
            SelfRecord(
                node: NodeID(2), life: Fixture.life(3, 4), isLeaving: false,
                description: Self.description, signer: Fixture.signer(2)))
        let read = try SelfRecord(decoding: record.encoded)
        #expect(read == record)
        #expect(read.isSigned(by: SimulatedSigner.key(of: NodeID(2)), Fixture.signer(1)))
        #expect(!read.isSigned(by: SimulatedSigner.key(of: NodeID(3)), Fixture.signer(1)))
        let persisted = PersistedMember(status: .dead, record: record)
        #expect(try PersistedMember(decoding: persisted.encoded()) == persisted)
    }

    @Test(arguments: [MemberRoles.all, [.broker], [.voter]], [false, true])
    func rolesAreToldInTheFlags(roles: MemberRoles, isLeaving: Bool) throws {
        var description = Self.description
        description.roles = roles
        let record = try #require(
            SelfRecord(
                node: NodeID(2), life: Fixture.life(3, 4), isLeaving: isLeaving,
                description: description, signer: Fixture.signer(2)))
        let read = try SelfRecord(decoding: record.encoded)
        #expect(read.description.roles == roles)
        #expect(read.isLeaving == isLeaving)
        if roles == .all {
            // As brokers of before there were roles write it, and read it.
            #expect(record.encoded.getInteger(at: 17, as: UInt8.self) == (isLeaving ? 1 : 0))
        }
    }

    @Test func aBrokerThatIsForNothingIsRefused() throws {
        var description = Self.description
        description.roles = []
        #expect(
            SelfRecord(
                node: NodeID(2), life: Fixture.life(3, 4), isLeaving: false,
                description: description, signer: Fixture.signer(2)) == nil)
        var bytes = Fixture.record(2).encoded
        for flags: UInt8 in [6, 7, 8] {
            bytes.setInteger(flags, at: 17)
            #expect(throws: GossipDecodeError.self) { try SelfRecord(decoding: bytes) }
        }
    }

    @Test func aRecordThatWouldNotFitIsNotMade() {
        var description = Self.description
        description.rack = String(repeating: "r", count: 256)
        #expect(
            SelfRecord(
                node: NodeID(2), life: Fixture.life(3, 4), isLeaving: false,
                description: description, signer: Fixture.signer(2)) == nil)
    }

    @Test func admissionsRoundTripAndTheirPrefixesAreRefused() throws {
        let admission = AdmissionRecord(
            node: NodeID(7), key: SimulatedSigner.key(of: NodeID(7)),
            store: StoreID(high: 1, low: 2), number: AdmissionNumber(3), roles: [.voter],
            isRevoked: true)
        let bytes = admission.encoded()
        #expect(try AdmissionRecord(decoding: bytes) == admission)
        #expect(AdmissionRecord.node(ofRegister: admission.registerKey) == NodeID(7))
        for length in 0..<bytes.readableBytes {
            #expect(throws: GossipDecodeError.self) {
                try AdmissionRecord(decoding: bytes.getSlice(at: 0, length: length) ?? bytes)
            }
        }
    }

    @Test func randomBytesNeitherTrapNorChangeAnything() throws {
        var fixture = try Fixture(members: 5)
        var generator = SeededGenerator(seed: 3)
        let root = fixture.machine.membersRoot
        let whole = Fixture.packet(.ping(1), Self.parts)
        for round in 0..<5_000 {
            var bytes = ByteBuffer()
            if round.isMultiple(of: 2) {
                for _ in 0..<Int.random(in: 0..<200, using: &generator) {
                    bytes.writeInteger(UInt8.random(in: 0...255, using: &generator))
                }
            } else {
                bytes = round.isMultiple(of: 3) ? whole : Self.messages[round % 9]
                let place = Int.random(in: 0..<3, using: &generator)
                bytes.setInteger(UInt8.random(in: 0...255, using: &generator), at: place)
            }
            _ = try? Packet(decoding: bytes)
            _ = try? LinkMessage(decoding: bytes)
            if round.isMultiple(of: 2) {
                fixture.give(.datagram(from: NodeID(2), bytes))
                fixture.give(.message(from: NodeID(2), bytes))
            }
        }
        #expect(fixture.machine.membersRoot == root)
        #expect(fixture.machine.counters.refusedPackets > 4_000)
    }

    @Test func logarithmsAreExactEnough() {
        for (value, expected) in [(1.0, 0.0), (10, 1), (100, 2), (128, 2.1072099696478683)] {
            #expect(abs(logarithm10(value) - expected) < 1e-12)
        }
    }
}
