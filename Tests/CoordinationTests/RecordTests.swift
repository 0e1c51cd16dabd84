import Coordination
import Model
import NIOCore
import Testing

/// The bytes of `__consumer_offsets`, written by hand after Kafka's message schemas.
@Suite struct RecordTests {
    private let key = OffsetCommitKey(groupID: "grp", topic: "t", partition: PartitionIndex(7))

    private func buffer(_ parts: [UInt8]...) -> ByteBuffer {
        ByteBuffer(bytes: parts.flatMap { $0 })
    }

    private func text(_ string: String) -> [UInt8] { Array(string.utf8) }

    @Test("OffsetCommitKey 1 and OffsetCommitValue 3")
    func offsetCommit() throws {
        let value = OffsetCommitValue(
            offset: Offset(0x0102), leaderEpoch: LeaderEpoch(5), metadata: "hé",
            commitTimestamp: Timestamp(milliseconds: 0x0000_018B_CFE5_6800))
        let record = SlotRecord(key, value)
        #expect(
            record.key
                == buffer([0, 1], [0, 3], text("grp"), [0, 1], text("t"), [0, 0, 0, 7]))
        #expect(
            record.value
                == buffer(
                    [0, 3], [0, 0, 0, 0, 0, 0, 1, 2], [0, 0, 0, 5], [0, 3], text("hé"),
                    [0, 0, 1, 0x8B, 0xCF, 0xE5, 0x68, 0]))
        #expect(try record.content() == .offset(key, value))
        #expect(try SlotRecord(key, nil).content() == .offset(key, nil))
    }

    @Test("OffsetCommitValue 1 carries the retention of old clients")
    func offsetCommitWithExpiry() throws {
        let value = OffsetCommitValue(
            offset: Offset(9), leaderEpoch: .unknown, metadata: "",
            commitTimestamp: Timestamp(milliseconds: 1),
            expireTimestamp: Timestamp(milliseconds: 2))
        let record = SlotRecord(key, value)
        #expect(
            record.value
                == buffer(
                    [0, 1], [0, 0, 0, 0, 0, 0, 0, 9], [0, 0], [0, 0, 0, 0, 0, 0, 0, 1],
                    [0, 0, 0, 0, 0, 0, 0, 2]))
        #expect(try record.content() == .offset(key, value))
    }

    @Test("OffsetCommitValue 0, 2 and the flexible 4, with tags, are read; so is key 0")
    func otherOffsetVersions() throws {
        let expected = OffsetCommitValue(
            offset: Offset(9), leaderEpoch: .unknown, metadata: "m",
            commitTimestamp: Timestamp(milliseconds: 1))
        let oldKey = buffer([0, 0], [0, 3], text("grp"), [0, 1], text("t"), [0, 0, 0, 7])
        for version in [0, 2] as [UInt8] {
            let value = buffer(
                [0, version], [0, 0, 0, 0, 0, 0, 0, 9], [0, 1], text("m"),
                [0, 0, 0, 0, 0, 0, 0, 1])
            #expect(try SlotRecord(key: oldKey, value: value).content() == .offset(key, expected))
        }
        let flexible = buffer(
            [0, 4], [0, 0, 0, 0, 0, 0, 0, 9], [0xFF, 0xFF, 0xFF, 0xFF], [2], text("m"),
            [0, 0, 0, 0, 0, 0, 0, 1], [1, 0, 3, 7, 7, 7])
        #expect(try SlotRecord(key: oldKey, value: flexible).content() == .offset(key, expected))
    }

    private let group = GroupMetadataValue(
        protocolType: "consumer", generation: 4, protocolName: "range", leaderID: "m1",
        currentStateTimestamp: Timestamp(milliseconds: 8),
        members: [
            GroupMetadataValue.Member(
                memberID: "m1", groupInstanceID: "i", clientID: "c", clientHost: "/h",
                rebalanceTimeoutMilliseconds: 300_000, sessionTimeoutMilliseconds: 45_000,
                subscription: ByteBuffer(bytes: [1, 2]), assignment: ByteBuffer(bytes: [3]))
        ])

    @Test("GroupMetadataKey 2 and GroupMetadataValue 3")
    func groupMetadata() throws {
        let record = SlotRecord(groupID: "grp", group)
        #expect(record.key == buffer([0, 2], [0, 3], text("grp")))
        #expect(
            record.value
                == buffer(
                    [0, 3], [0, 8], text("consumer"), [0, 0, 0, 4], [0, 5], text("range"),
                    [0, 2], text("m1"), [0, 0, 0, 0, 0, 0, 0, 8], [0, 0, 0, 1],
                    [0, 2], text("m1"), [0, 1], text("i"), [0, 1], text("c"), [0, 2], text("/h"),
                    [0, 4, 0x93, 0xE0], [0, 0, 0xAF, 0xC8], [0, 0, 0, 2, 1, 2],
                    [0, 0, 0, 1, 3]))
        #expect(try record.content() == .group(id: "grp", group))
        #expect(try SlotRecord(groupID: "grp", nil).content() == .group(id: "grp", nil))
    }

    @Test("An empty group has nulls for protocol and leader")
    func emptyGroup() throws {
        let empty = GroupMetadataValue(
            protocolType: "consumer", generation: 5, protocolName: nil, leaderID: nil,
            currentStateTimestamp: Timestamp(milliseconds: 8), members: [])
        let record = SlotRecord(groupID: "grp", empty)
        #expect(
            record.value
                == buffer(
                    [0, 3], [0, 8], text("consumer"), [0, 0, 0, 5], [0xFF, 0xFF], [0xFF, 0xFF],
                    [0, 0, 0, 0, 0, 0, 0, 8], [0, 0, 0, 0]))
        #expect(try record.content() == .group(id: "grp", empty))
    }

    @Test("GroupMetadataValue 0, 1 and 2 are read", arguments: [0, 1, 2] as [UInt8])
    func olderGroups(version: UInt8) throws {
        let value = buffer(
            [0, version], [0, 8], text("consumer"), [0, 0, 0, 4], [0, 5], text("range"),
            [0, 2], text("m1"), version >= 2 ? [0, 0, 0, 0, 0, 0, 0, 8] : [], [0, 0, 0, 1],
            [0, 2], text("m1"), [0, 1], text("c"), [0, 2], text("/h"),
            version >= 1 ? [0, 4, 0x93, 0xE0] : [], [0, 0, 0xAF, 0xC8], [0, 0, 0, 2, 1, 2],
            [0, 0, 0, 1, 3])
        let record = SlotRecord(key: SlotRecord(groupID: "grp", nil).key, value: value)
        var expected = group
        expected.members[0].groupInstanceID = nil
        if version < 2 { expected.currentStateTimestamp = .none }
        if version < 1 { expected.members[0].rebalanceTimeoutMilliseconds = 45_000 }
        #expect(try record.content() == .group(id: "grp", expected))
    }

    @Test("GroupMetadataValue 4 is flexible, with tags after each struct")
    func flexibleGroup() throws {
        let value = buffer(
            [0, 4], [9], text("consumer"), [0, 0, 0, 4], [6], text("range"), [3], text("m1"),
            [0, 0, 0, 0, 0, 0, 0, 8], [2], [3], text("m1"), [2], text("i"), [2], text("c"),
            [3], text("/h"), [0, 4, 0x93, 0xE0], [0, 0, 0xAF, 0xC8], [3, 1, 2], [2, 3],
            [1, 9, 0], [0])
        let record = SlotRecord(key: SlotRecord(groupID: "grp", nil).key, value: value)
        #expect(try record.content() == .group(id: "grp", group))
    }

    @Test("Unknown key versions are no error; unknown value versions are")
    func unknownVersions() throws {
        let newer = buffer([0, 3], [1, 2, 3])
        #expect(try SlotRecord(key: newer, value: nil).content() == .unknown(keyVersion: 3))
        #expect(throws: SlotRecordError.unsupportedValueVersion(9)) {
            try SlotRecord(key: SlotRecord(key, nil).key, value: buffer([0, 9])).content()
        }
    }

    @Test("Every strict prefix of a key or a value is refused without a trap")
    func prefixes() throws {
        let offset = SlotRecord(
            key,
            OffsetCommitValue(
                offset: Offset(9), leaderEpoch: .unknown, metadata: "meta",
                commitTimestamp: .none))
        for record in [offset, SlotRecord(groupID: "grp", group)] {
            for length in 0..<record.key.readableBytes {
                let short = try #require(record.key.getSlice(at: 0, length: length))
                #expect(throws: SlotRecordError.self) {
                    try SlotRecord(key: short, value: record.value).content()
                }
            }
            let value = try #require(record.value)
            for length in 0..<value.readableBytes {
                let short = try #require(value.getSlice(at: 0, length: length))
                #expect(throws: SlotRecordError.self) {
                    try SlotRecord(key: record.key, value: short).content()
                }
            }
        }
    }

    @Test("Lengths that lie, and strings that are not UTF-8, are refused")
    func hostileLengths() throws {
        let groupKey = SlotRecord(groupID: "grp", nil).key
        let prefix: [UInt8] =
            [0, 3, 0, 0, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]
            + [
                UInt8
            ](repeating: 0, count: 8)
        for count in [[0x7F, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFE]] as [[UInt8]] {
            #expect(throws: SlotRecordError.truncated) {
                try SlotRecord(key: groupKey, value: buffer(prefix, count)).content()
            }
        }
        #expect(throws: SlotRecordError.truncated) {
            let varint: [UInt8] = [0, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
            return try SlotRecord(key: groupKey, value: buffer(varint)).content()
        }
        #expect(throws: SlotRecordError.invalidString) {
            try SlotRecord(key: buffer([0, 2, 0, 1, 0xFF]), value: nil).content()
        }
        #expect(throws: SlotRecordError.truncated) {
            try SlotRecord(key: buffer([0, 2, 0xFF, 0xFE]), value: nil).content()
        }
    }

    @Test("Random bytes never trap")
    func randomBytes() {
        var generator = SeededGenerator(seed: 99)
        var understood = 0
        for _ in 0..<20_000 {
            var key = SlotRecord(groupID: "g", nil).key
            if generator.next() % 2 == 0 {
                key = SlotRecord(self.key, nil).key
            }
            var value = ByteBuffer()
            value.writeInteger(Int16(generator.next() % 5))
            for _ in 0..<(generator.next() % 60) {
                value.writeInteger(UInt8(truncatingIfNeeded: generator.next() % 5))
            }
            if (try? SlotRecord(key: key, value: value).content()) != nil { understood += 1 }
        }
        #expect(understood > 0)
    }

    @Test(
        "The slot of a group is that of Java's hash, sign bit dropped",
        arguments: [
            ("", 0), ("a", 47), ("hello", 22), ("group", 47), ("polygenelubricants", 0),
            ("😀", 49), ("Grüße", 1), ("console-consumer-12345", 6),
        ] as [(String, Int32)])
    func slots(groupID: String, slot: Int32) {
        #expect(GroupSlot.slot(for: groupID, count: 50) == PartitionIndex(slot))
    }
}
