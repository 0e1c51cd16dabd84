import Model
import NIOCore
import Testing

@testable import Paxos

/// Bytes: round trips, strict prefixes, bounds.
@Suite struct CodecTests {
    private static let value = Envelope.bytes("value", [.of(1), .of(2)])

    private static let entries = [
        RegisterEntry(
            key: "a",
            state: RegisterState(maxSeen: .of(3), acceptedBallot: .of(2), value: value)),
        RegisterEntry(key: "b", state: RegisterState(maxSeen: .of(9))),
    ]

    static let requests: [PaxosRequest] =
        ([
            .prepare(.of(5), ["a", "b"]),
            .accept(.of(5), [Proposal(key: "a", value: value), Proposal(key: "b", value: value)]),
            .read(["a", "topic/ü"]), .adopt(.joint), .adopt(.one), .raiseFloor(.of(9)),
            .remove([Tombstone(key: "a", ballot: .of(3))]), .scan(after: "", limit: 256),
            .scan(after: "topic/a", limit: 1), .install(floor: .of(3), []),
            .install(floor: .zero, entries), .adopt(.brought),
        ] as [PaxosRequest.Body]).map {
            PaxosRequest(
                generation: RosterGeneration(3), store: StoreID(high: 1, low: 2), body: $0)
        }

    static let replies: [PaxosReply] =
        ([
            .prepared(
                .of(5), floor: .of(1),
                [
                    .promised(acceptedBallot: .of(2), value: value),
                    .promised(acceptedBallot: .zero, value: nil),
                    .overtaken(acceptedBallot: .of(2), value: value),
                    .conflict(Conflict(maxSeen: .of(7), floor: .of(1))),
                ]),
            .accepted(.of(5), [.accepted, .conflict(Conflict(maxSeen: .of(7), floor: .zero))]),
            .accepted(.of(5), [.held(milliseconds: 1500), .accepted, .held(milliseconds: 1)]),
            .values([
                RegisterState(maxSeen: .of(3), acceptedBallot: .of(2), value: value),
                RegisterState(),
            ]),
            .adopted(RosterGeneration(4)), .floorRaised(.of(9)), .removed([true, false]),
            .refused(.staleRoster(.joint)), .refused(.rosterNeeded), .refused(.wrongStore),
            .refused(.overloaded), .refused(.full),
            .refused(.staleRoster(.brought)),
            .scanned(floor: .of(4), remaining: 7, entries),
            .scanned(floor: .zero, remaining: 0, []), .installed,
        ] as [PaxosReply.Body]).map {
            PaxosReply(generation: RosterGeneration(3), store: StoreID(high: 1, low: 2), body: $0)
        }

    static let records: [AcceptorRecord] = [
        .identity(cluster: "c", store: StoreID(high: 1, low: 2)), .roster(.joint),
        .roster(.brought),
        .floor(.of(3)), .promise(key: "a", .of(4)), .accept(key: "a", .of(4), value),
        .remove(key: "a"),
    ]

    private func bytes(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer
    }

    /// Decodes whole, refuses every strict prefix and a byte too many, and survives every flip.
    private func check<Message: Equatable>(
        _ message: Message, _ bytes: ByteBuffer, _ decode: (ByteBuffer) throws -> Message
    ) throws {
        #expect(try decode(bytes) == message)
        for length in 0..<bytes.readableBytes {
            let prefix = try #require(bytes.getSlice(at: 0, length: length))
            #expect(throws: PaxosCodecError.self) { try decode(prefix) }
        }
        var longer = bytes
        longer.writeInteger(0 as UInt8)
        #expect(throws: PaxosCodecError.trailingBytes(1)) { try decode(longer) }
        for index in 0..<bytes.readableBytes {
            for flip in [0x01, 0x80, 0xFF] as [UInt8] {
                var damaged = bytes
                let byte = try #require(damaged.getInteger(at: index, as: UInt8.self))
                damaged.setInteger(byte ^ flip, at: index)
                _ = try? decode(damaged)
            }
        }
    }

    @Test(arguments: requests)
    func requestsAreRead(request: PaxosRequest) throws {
        try check(request, bytes { request.encode(into: &$0) }) { try PaxosRequest(decoding: $0) }
    }

    @Test(arguments: replies)
    func repliesAreRead(reply: PaxosReply) throws {
        try check(reply, bytes { reply.encode(into: &$0) }) { try PaxosReply(decoding: $0) }
    }

    @Test(arguments: records)
    func recordsAreRead(record: AcceptorRecord) throws {
        try check(record, bytes { record.encode(into: &$0) }) { try AcceptorRecord(decoding: $0) }
    }

    @Test(arguments: [Roster.one, .three, .joint, .brought])
    func rostersAreRead(roster: Roster) throws {
        try check(roster, roster.encoded()) { try Roster(decoding: $0) }
    }

    @Test func envelopesKeepTheLastEight() throws {
        var envelope = Envelope(value: nil)
        for sequence in 0..<12 as Range<UInt64> {
            envelope = envelope.following(
                value: ByteBuffer(integer: sequence), operation: .of(sequence))
        }
        #expect(envelope.operations == (4..<12).map { .of($0) })
        #expect(try Envelope(decoding: envelope.encoded()) == envelope)
        let stone = Envelope(value: nil, operations: [.of(1)])
        #expect(try Envelope(decoding: stone.encoded()) == stone)
        let empty = Envelope(value: ByteBuffer())
        #expect(try Envelope(decoding: empty.encoded()) == empty)
        for length in 0..<23 {
            let prefix = stone.encoded().getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(throws: PaxosCodecError.self) { try Envelope(decoding: prefix) }
        }
    }

    @Test func boundsHold() {
        func refused(_ body: PaxosRequest.Body, _ error: PaxosCodecError) {
            let request = PaxosRequest(
                generation: .none, store: StoreID(high: 0, low: 0), body: body)
            let bytes = bytes { request.encode(into: &$0) }
            #expect(throws: error) { try PaxosRequest(decoding: bytes) }
        }
        let long = String(repeating: "k", count: ChosenValue.keyBytesMaximum + 1)
        refused(.read([long]), .tooLong(301, maximum: 300))
        refused(.read([]), .empty)
        refused(.read(["b", "a"]), .unordered)
        refused(.read(["a", "a"]), .unordered)
        refused(
            .read((0..<257).map { "\($0 + 1000)" }),
            .tooLong(257, maximum: Limits.registersPerMessage))
        refused(
            .raiseFloor(.of(Limits.counterMaximum + 1)), .badCounter(Limits.counterMaximum + 1))
        let large = ByteBuffer(repeating: 0, count: Limits.envelopeBytesMaximum + 1)
        refused(
            .accept(.of(1), [Proposal(key: "a", value: large)]),
            .tooLong(large.readableBytes, maximum: Limits.envelopeBytesMaximum))
        refused(
            .adopt(Roster(generation: .none, voters: [], cluster: "c")), .empty)
        refused(
            .adopt(
                Roster(generation: .none, voters: (0..<8).map { .of($0) }, cluster: "c")),
            .tooLong(8, maximum: Limits.votersMaximum))
        let voters = Roster(generation: .none, voters: [.of(1), .of(1)], cluster: "c")
        refused(.adopt(voters), .unordered)
        let late = Roster(
            generation: RosterGeneration(.max), voters: [.of(1)], cluster: "c")
        refused(.adopt(late), .badCounter(.max))
        refused(.scan(after: "", limit: 0), .empty)
        refused(.scan(after: "", limit: 257), .tooLong(257, maximum: Limits.scanMaximum))
        let entry = RegisterEntry(key: "a", state: RegisterState())
        refused(.install(floor: .zero, [entry, entry]), .unordered)
        let value = ByteBuffer(repeating: 0, count: Limits.envelopeBytesMaximum)
        let three = ["a", "b", "c"].map {
            RegisterEntry(key: $0, state: RegisterState(value: value))
        }
        refused(
            .install(floor: .zero, three),
            .tooLong(3 * value.readableBytes, maximum: Limits.messageValueBytes))
    }

    @Test func versionsAndKindsAreChecked() {
        #expect(throws: PaxosCodecError.unknownVersion(2)) {
            try PaxosRequest(decoding: ByteBuffer(bytes: [2, 1]))
        }
        var bytes = ByteBuffer(bytes: [1, 99])
        bytes.writeRepeatingByte(0, count: 24)
        #expect(throws: PaxosCodecError.unknownKind(99)) { try PaxosRequest(decoding: bytes) }
        #expect(throws: PaxosCodecError.unknownKind(99)) { try PaxosReply(decoding: bytes) }
        #expect(throws: PaxosCodecError.unknownKind(99)) { try AcceptorRecord(decoding: bytes) }
    }

    @Test("The layout is the one in the picture")
    func goldenBytes() {
        let request = PaxosRequest(
            generation: RosterGeneration(3), store: StoreID(high: 1, low: 2),
            body: .prepare(.of(5), ["ab"]))
        let expected: [UInt8] = [
            1, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2,
            0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 97, 98,
        ]
        #expect(bytes { request.encode(into: &$0) } == ByteBuffer(bytes: expected))
    }

    @Test("A roster of first voters is written as it always was")
    func rostersFromBeforeAreRead() throws {
        let old = Roster(
            generation: RosterGeneration(1),
            voters: [
                Voter(
                    node: NodeID(7), store: StoreID(high: 1, low: 2),
                    key: PublicKey(words: InlineWords4(3, 4, 5, 6)))
            ], cluster: "c")
        let bytes: [UInt8] =
            [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 99] + [UInt8](repeating: 0, count: 20)
            + [0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
            + [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]
            + [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0]
        #expect(old.encoded() == ByteBuffer(bytes: bytes))
        #expect(try Roster(decoding: ByteBuffer(bytes: bytes)) == old)
        #expect(
            try AcceptorRecord(decoding: ByteBuffer(bytes: [1, 2] + bytes)) == .roster(old))
    }
}
