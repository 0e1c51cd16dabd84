import Model
import NIOCore
import Sodium
import Testing

@testable import Transport

/// The testing library's macros can't look into a call that changes its value.
private func of<T>(_ value: T) -> T { value }

/// One cipher of links, for arguments of tests.
struct LinkCipher: Sendable {
    let suite: CipherSuite
    let mode: LinkMode

    static let all = CipherSuite.allCases.filter(\.isAvailable).flatMap { suite in
        LinkMode.allCases.map { LinkCipher(suite: suite, mode: $0) }
    }

    private var key: SecretBytes {
        SecretBytes(copying: ByteBuffer(repeating: 7, count: 32)) ?? SecretBytes(randomCount: 32)
    }

    func sealer(into wire: inout ByteBuffer) -> RecordSealer {
        RecordSealer(
            suite: suite, mode: mode, key: key, now: Instant(nanoseconds: 0), into: &wire)
    }

    var opener: RecordOpener { RecordOpener(suite: suite, mode: mode, key: key) }

    /// Records as they travel, the preamble of the stream cipher before the first.
    func sealed(_ texts: [String], rekeyBefore: Int? = nil) -> [ByteBuffer] {
        var wires: [ByteBuffer] = []
        var wire = ByteBuffer()
        var sealer = sealer(into: &wire)
        let now = Instant(nanoseconds: 0)
        for (index, text) in texts.enumerated() {
            if index == rekeyBefore {
                sealer.seal(into: &wire, rekeying: true, now: now) {
                    LinkRecord.rekey.write(into: &$0)
                }
            }
            sealer.seal(into: &wire, now: now) { $0.writeString(text) }
            wires.append(wire)
            wire = ByteBuffer()
        }
        return wires
    }

    /// What comes out, and how it ended.
    func opened(_ wires: [ByteBuffer]) -> ([String], LinkViolation?) {
        var opener = opener
        var texts: [String] = []
        for var wire in wires {
            do throws(LinkViolation) {
                while let content = try opener.next(&wire) {
                    if !LinkRecord.isRekey(content) { texts.append(String(buffer: content)) }
                }
                if wire.readableBytes > 0 { return (texts, nil) }
            } catch {
                return (texts, error)
            }
        }
        return (texts, nil)
    }
}

@Suite struct RecordTests {
    private let texts = ["one", "", "three", "four"]

    @Test(arguments: LinkCipher.all) func recordsComeOutAsTheyWentIn(cipher: LinkCipher) {
        let wires = cipher.sealed(texts)
        let (out, violation) = cipher.opened(wires)
        #expect(out == texts && violation == nil)
        let isReadable = wires[0].readableBytesView.contains("o".utf8.first ?? 0)
        #expect(cipher.mode == .seal || isReadable)
    }

    @Test(arguments: LinkCipher.all) func bytesMayComeOneByOne(cipher: LinkCipher) throws {
        var opener = cipher.opener
        var gathered = ByteBuffer()
        var out: [String] = []
        for wire in cipher.sealed(texts) {
            for byte in wire.readableBytesView {
                gathered.writeInteger(byte)
                let content = try opener.next(&gathered)
                if let content { out.append(String(buffer: content)) }
            }
        }
        #expect(out == texts)
    }

    @Test(arguments: LinkCipher.all) func theKeyChangesInTheMiddle(cipher: LinkCipher) {
        let wires = cipher.sealed(texts, rekeyBefore: 2)
        #expect(cipher.opened(wires).0 == texts)
        // Without the record that says so, what follows can't be opened.
        let unchanged = cipher.sealed(texts)
        let (out, violation) = cipher.opened(Array(unchanged[..<2]) + [wires[3]])
        #expect(out == Array(texts[..<2]) && violation == .notAuthentic)
    }

    @Test(arguments: LinkCipher.all) func replayedLeftOutAndMovedRecordsAreRefused(
        cipher: LinkCipher
    ) {
        let wires = cipher.sealed(texts)
        for order in [[0, 1, 1], [0, 2], [0, 2, 1], [0, 1, 2, 3, 2]] {
            let (out, violation) = cipher.opened(order.map { wires[$0] })
            #expect(violation == .notAuthentic)
            #expect(out == Array(texts[..<out.count]))
        }
    }

    @Test(arguments: LinkCipher.all) func everyFlippedBitEndsTheLink(cipher: LinkCipher) {
        let wires = cipher.sealed(["secret", "second"])
        for index in 0..<wires[0].readableBytes {
            for bit in 0..<8 {
                var changed = wires[0]
                let byte = changed.getInteger(at: index, as: UInt8.self) ?? 0
                changed.setInteger(byte ^ (1 << UInt8(bit)), at: index)
                let (out, _) = cipher.opened([changed, wires[1]])
                #expect(out == [], "bit \(bit) of byte \(index)")
            }
        }
    }

    @Test(arguments: LinkCipher.all) func aStreamSentBackIsRefused(cipher: LinkCipher) {
        // Each direction has its own key; with another key the very first record fails.
        var wire = ByteBuffer()
        var sealer = RecordSealer(
            suite: cipher.suite, mode: cipher.mode, key: SecretBytes(randomCount: 32),
            now: Instant(nanoseconds: 0), into: &wire)
        sealer.seal(into: &wire, now: Instant(nanoseconds: 0)) { $0.writeString("x") }
        #expect(cipher.opened([wire]).1 == .notAuthentic)
    }

    @Test(arguments: LinkCipher.all) func lengthsAreBounded(cipher: LinkCipher) {
        for length in [0, 15, UInt32(Limits.recordBytes) + 18, UInt32.max] {
            #expect(cipher.opened([ByteBuffer(integer: length)]).1 == .badLength)
        }
    }

    @Test func keysAreDueByAgeAndByBytes() {
        var wire = ByteBuffer()
        let sealer = LinkCipher.all[0].sealer(into: &wire)
        let hour = Limits.rekeyMilliseconds
        let due = [hour - 1, hour].map {
            sealer.isRekeyDue(now: Instant(nanoseconds: 0).advanced(byMilliseconds: $0))
        }
        #expect(due == [false, true])
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 3)
        for cipher in LinkCipher.all {
            for _ in 0..<500 {
                var noise = ByteBuffer(integer: UInt32(generator.next() % 64))
                for _ in 0..<64 {
                    noise.writeInteger(UInt8(truncatingIfNeeded: generator.next()))
                }
                #expect(cipher.opened([noise]).0 == [])
            }
        }
    }
}

@Suite struct LinkRecordTests {
    static let samples: [LinkRecord] = [
        .ping(isKept: true),
        .whole(StreamID(rawValue: 1), MessageKind(rawValue: 2), ByteBuffer(string: "x")),
        .first(.control, MessageKind(rawValue: 255), length: 9, ByteBuffer(string: "yz")),
        .more(StreamID(rawValue: 65_535), ByteBuffer(string: "rest")),
        .credit(StreamID(rawValue: 3), bytes: 1_000), .rekey, .goodbye(.idle), .goodbye(.queueFull),
    ]

    @Test func everyRecordComesBack() throws {
        for record in Self.samples {
            var wire = ByteBuffer()
            record.write(into: &wire)
            #expect(try LinkRecord(wire) == record)
        }
    }

    @Test func everyStrictPrefixOfAHeaderIsRefused() {
        let headers = [2, 4, 8, 3, 7, 1, 2, 2]
        for (record, header) in zip(Self.samples, headers) {
            var wire = ByteBuffer()
            record.write(into: &wire)
            for count in 0..<header {
                let prefix = wire.getSlice(at: 0, length: count) ?? ByteBuffer()
                #expect(throws: LinkViolation.malformed) { try LinkRecord(prefix) }
            }
        }
    }

    @Test func whatFollowsARecordIsRefused() {
        for record in [
            LinkRecord.ping(isKept: false), .credit(.control, bytes: 1), .rekey, .goodbye(.asked),
        ] {
            var wire = ByteBuffer()
            record.write(into: &wire)
            wire.writeInteger(UInt8(0))
            #expect(throws: LinkViolation.malformed) { try LinkRecord(wire) }
        }
        #expect(throws: LinkViolation.malformed) { try LinkRecord(ByteBuffer(bytes: [9])) }
        #expect(throws: LinkViolation.malformed) { try LinkRecord(ByteBuffer(bytes: [6, 99])) }
    }
}

@Suite struct MessageFlowTests {
    private let kind = MessageKind(rawValue: 1)
    private let bulk = StreamID(rawValue: 2)

    private func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

    @Test func whatOneSideCutsTheOtherPutsTogether() throws {
        var outgoing = OutgoingMessages(bytesMaximum: 100 << 20)
        var incoming = IncomingMessages(standing: .member)
        var sent: [Int] = []
        for index in 0..<12 {
            let size = [0, 70_000, 3, 400_000][index % 4]
            let stream = StreamID(rawValue: UInt16(index % 3))
            #expect(outgoing.append(bytes(size), kind: kind, stream: stream) == nil)
            sent.append(size)
        }
        var received: [Int] = []
        while let record = outgoing.next() {
            if case .message(let stream, _, let message) = try incoming.take(record) {
                received.append(message.readableBytes)
                if let granted = incoming.consume(message.readableBytes, of: stream) {
                    #expect(of(outgoing.grant(granted, to: stream)))
                }
            }
        }
        #expect(received.sorted() == sent.sorted() && outgoing.isEmpty)
        #expect(outgoing.bytes == 0 && outgoing.count == 0)
    }

    @Test func controlGoesAheadOfAMessageThatHasBegun() {
        var outgoing = OutgoingMessages(bytesMaximum: 100 << 20)
        _ = outgoing.append(bytes(1_000_000), kind: kind, stream: bulk)
        _ = outgoing.next()
        _ = outgoing.append(bytes(1), kind: kind, stream: .control)
        #expect(of(outgoing.next()) == .whole(.control, kind, bytes(1)))
        if case .more(let stream, _) = outgoing.next() {
            #expect(stream == bulk)
        } else {
            Issue.record("the message does not go on")
        }
    }

    @Test func aMessageMayBeginOnTheLastByteOfCredit() {
        var outgoing = OutgoingMessages(bytesMaximum: 100 << 20)
        _ = outgoing.append(bytes(Limits.streamCreditBytes - 1), kind: kind, stream: bulk)
        _ = outgoing.append(bytes(500_000), kind: kind, stream: bulk)
        _ = outgoing.append(bytes(1), kind: kind, stream: bulk)
        while outgoing.next() != nil {}
        #expect(outgoing.count == 1)
        let owed = Limits.streamCreditBytes - 1 + 500_000
        #expect(!of(outgoing.grant(owed + 1, to: bulk)), "more than was ever sent")
        #expect(of(outgoing.grant(owed, to: bulk)))
        #expect(of(outgoing.next()) == .whole(bulk, kind, bytes(1)))
        #expect(!of(outgoing.grant(1, to: StreamID(rawValue: 9))))
        #expect(!of(outgoing.grant(1, to: .control)))
    }

    @Test func aSenderWithoutCreditIsRefused() throws {
        var incoming = IncomingMessages(standing: .member)
        for _ in 0..<16 {
            _ = try incoming.take(.whole(bulk, kind, bytes(65_536)))
        }
        #expect(throws: LinkViolation.creditExceeded) {
            try incoming.take(.whole(bulk, kind, bytes(1)))
        }
        #expect(of(incoming.consume(Limits.streamCreditBytes / 2 - 1, of: bulk)) == nil)
        #expect(of(incoming.consume(1, of: bulk)) == Limits.streamCreditBytes / 2)
        _ = try incoming.take(.whole(bulk, kind, bytes(1)))
        #expect(of(incoming.consume(5, of: .control)) == nil)
    }

    @Test func anOwnerCannotGrantWhatNeverCame() {
        var incoming = IncomingMessages(standing: .member)
        #expect(throws: Never.self) { _ = try incoming.take(.whole(bulk, kind, bytes(10))) }
        #expect(of(incoming.consume(10_000_000, of: bulk)) == nil)
    }

    @Test func candidatesMaySendAFewSmallMessages() throws {
        var incoming = IncomingMessages(standing: .candidate)
        let size = Limits.candidateMessageBytes
        #expect(throws: LinkViolation.messageTooLong) {
            try incoming.take(.whole(.control, kind, bytes(size + 1)))
        }
        for _ in 0..<Limits.candidateMessages {
            _ = try incoming.take(.whole(.control, kind, bytes(size)))
        }
        #expect(throws: LinkViolation.tooMany) {
            try incoming.take(.whole(.control, kind, bytes(1)))
        }
        incoming.lift()
        _ = try incoming.take(.whole(.control, kind, bytes(size + 1)))
        var other = IncomingMessages(standing: .candidate)
        #expect(throws: LinkViolation.tooMany) { try other.take(.whole(bulk, kind, bytes(1))) }
    }

    @Test func streamsAreBounded() throws {
        var outgoing = OutgoingMessages(bytesMaximum: 1_000)
        var incoming = IncomingMessages(standing: .member)
        for index in 1...Limits.streams {
            let stream = StreamID(rawValue: UInt16(index))
            #expect(outgoing.append(bytes(1), kind: kind, stream: stream) == nil)
            _ = try incoming.take(.whole(stream, kind, bytes(1)))
        }
        let another = StreamID(rawValue: 1_000)
        #expect(outgoing.append(bytes(1), kind: kind, stream: another) == .tooManyStreams)
        #expect(throws: LinkViolation.tooMany) {
            try incoming.take(.whole(another, kind, bytes(1)))
        }
    }

    @Test func theQueueTakesOneMessageAndThenItsBound() {
        var outgoing = OutgoingMessages(bytesMaximum: 10)
        #expect(outgoing.append(bytes(50), kind: kind, stream: .control) == nil)
        #expect(outgoing.append(bytes(1), kind: kind, stream: .control) == .queueFull)
        #expect(
            outgoing.append(bytes(Limits.messageBytes + 1), kind: kind, stream: .control)
                == .tooLong)
    }

    @Test func fragmentsThatDoNotFitAreRefused() throws {
        let cases: [[LinkRecord]] = [
            [.more(bulk, bytes(1))], [.first(bulk, kind, length: 1, bytes(1))],
            [.first(bulk, kind, length: 2, bytes(0))],
            [.first(bulk, kind, length: 9, bytes(1)), .first(bulk, kind, length: 9, bytes(1))],
            [.first(bulk, kind, length: 9, bytes(1)), .whole(bulk, kind, bytes(1))],
            [.first(bulk, kind, length: 9, bytes(1)), .more(bulk, bytes(9))],
            [.first(bulk, kind, length: 9, bytes(1)), .more(bulk, bytes(0))],
        ]
        for records in cases {
            var incoming = IncomingMessages(standing: .member)
            for record in records.dropLast() { _ = try incoming.take(record) }
            #expect(throws: LinkViolation.malformed) {
                try incoming.take(records[records.count - 1])
            }
        }
        var incoming = IncomingMessages(standing: .member)
        #expect(throws: LinkViolation.messageTooLong) {
            try incoming.take(.first(bulk, kind, length: Limits.messageBytes + 1, bytes(1)))
        }
    }

    @Test func unfinishedMessagesAreBounded() throws {
        // A sender of ours interleaves three; one that does not keep to it is cut off.
        var outgoing = OutgoingMessages(bytesMaximum: 100 << 20)
        for index in 1...6 {
            _ = outgoing.append(
                bytes(200_000), kind: kind, stream: StreamID(rawValue: UInt16(index)))
        }
        var begun: Set<StreamID> = []
        for _ in 0..<9 {
            switch outgoing.next() {
            case .first(let stream, _, _, _), .more(let stream, _): begun.insert(stream)
            default: Issue.record("no fragment")
            }
        }
        #expect(begun.count == Limits.unfinishedMessages)
        var incoming = IncomingMessages(standing: .member)
        let most = Limits.messageBytes
        #expect(throws: LinkViolation.messageTooLong) {
            for index in 1...5 {
                let stream = StreamID(rawValue: UInt16(index))
                _ = try incoming.take(.first(stream, kind, length: most, bytes(most - 1)))
            }
        }
    }
}
