import Model
import NIOCore
import Testing

@testable import Client

@Suite("The client's own rules")
struct ClientTests {
    @Test(
        "Keys go where Kafka's Java client sends them (vectors of its own tests)",
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] as [(String, Int32)])
    func murmur2(key: String, expected: Int32) {
        #expect(Int32(bitPattern: Partitioner.murmur2(ByteBuffer(string: key))) == expected)
    }

    @Test("Range assignment: contiguous runs, the first members one more")
    func range() {
        let plan = RangeAssignor.assign(
            subscriptions: ["b": ["t", "u"], "a": ["t"], "c": ["t"]],
            partitionCounts: ["t": 7, "u": 2])
        func rows(_ member: String) -> [String] {
            (plan[member] ?? []).sorted().map { "\($0.topic)\($0.partition)" }
        }
        #expect(rows("a") == ["t0", "t1", "t2"])
        #expect(rows("b") == ["t3", "t4", "u0", "u1"])
        #expect(rows("c") == ["t5", "t6"])
    }

    @Test("Assignments round-trip, and no strict prefix is taken for one")
    func membership() {
        let names = [
            TopicPartitionName(topic: "t", partition: 1),
            TopicPartitionName(topic: "u", partition: 0),
        ]
        let bytes = MembershipCodec.assignment(names)
        #expect(MembershipCodec.partitions(ofAssignment: bytes) == names)
        #expect(MembershipCodec.partitions(ofAssignment: ByteBuffer()) == [])
        // The user data at the end (4 bytes) is not read, so only what lies before it matters.
        for length in 1..<(bytes.readableBytes - 4) {
            let prefix = bytes.getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(MembershipCodec.partitions(ofAssignment: prefix) == nil)
        }
        let topics = MembershipCodec.topics(ofSubscription: MembershipCodec.subscription(to: ["t"]))
        #expect(topics == ["t"])
    }

    @Test("A fetched partition: from the position on, cut-off tails left for the next fetch")
    func decoding() throws {
        var first = RecordBatchBuilder(baseOffset: Offset(10))
        for value in ["a", "b", "c"] {
            first.append(
                key: nil, value: ByteBuffer(string: value), timestamp: Timestamp(milliseconds: 1))
        }
        var bytes = first.finish()
        let whole = bytes.readableBytes
        bytes.writeImmutableBuffer(first.finish())
        var records: [ConsumedRecord] = []
        let cut = bytes.getSlice(at: 0, length: whole + 30) ?? ByteBuffer()
        let next = try RecordDecoding.decode(
            cut, from: 11, topic: "t", partition: 0, into: &records)
        #expect(next == 13)
        #expect(records.map { $0.record.offset.rawValue } == [11, 12])
        var damaged = first.finish()
        damaged.setInteger(UInt8(0x55), at: whole - 1)
        #expect(throws: ClientError.self) {
            try RecordDecoding.decode(
                damaged, from: 10, topic: "t", partition: 0, into: &records)
        }
    }
}
