import Model
import NIOCore
import Testing

@testable import Replication

private typealias F = Fixture

@Suite struct MessageCodecTests {
    static let partition = TopicPartition(
        topic: TopicID(high: 0x0102_0304_0506_0708, low: 9), index: PartitionIndex(5))
    static let session = AttachSession(boot: BootEpoch(3), count: 4)
    static let progress = LeaderProgress(highWatermark: Offset(7), logStart: Offset(2))
    static let request = AttachRequest(
        session: session, leaderEpoch: LeaderEpoch(6), replica: F.id(2, 8), lastEpoch: .unknown,
        end: Offset(9), vouchedEnd: Offset(8), logStart: Offset(1))

    static var messages: [ReplicationMessage] {
        let mark = LeaseMark(life: BootEpoch(2), depositions: 1)
        return [
            .attach(partition, request),
            .attached(partition, session, .agreed(from: Offset(9)), progress),
            .attached(
                partition, session, .truncate(epoch: LeaderEpoch(5), end: Offset(4)), progress),
            .attached(partition, session, .truncate(epoch: .unknown, end: Offset(4)), progress),
            .attached(partition, session, .startOver(at: Offset(3)), progress),
            .append(
                AppendMessage(
                    partition: partition, session: session, leaderEpoch: LeaderEpoch(6),
                    base: Offset(9), progress: progress, records: ByteBuffer(string: "records"))),
            .acknowledged(
                F.id(2, 8),
                [
                    AcknowledgedEnd(
                        partition: partition, leaderEpoch: LeaderEpoch(6), end: Offset(10))
                ]),
            .progress([
                ProgressEntry(partition: partition, session: session, progress: progress)
            ]),
            .detach(partition, LeaderEpoch(6)),
            .recognise(5, [LeadershipClaim(partition: partition, leaderEpoch: LeaderEpoch(6))]),
            .recognised(5, F.id(2, 8), declined: [partition]),
            .renewLease(6, F.id(2, 8), BootEpoch(3)),
            .leaseAnswer(6, .granted(mark)), .leaseAnswer(6, .outdated), .leaseAnswer(6, .full),
            .releaseLease(BootEpoch(3)), .inquire([partition]), .present,
            .giveWay([LeaderWish(partition: partition, node: NodeID(2))]),
            .stopTopics([TopicClaim(id: partition.topic, name: "orders")]),
            .stoppedTopics([partition.topic]),
            .trimmed(
                F.id(2, 8),
                [
                    TrimmedStart(
                        partition: partition, leaderEpoch: LeaderEpoch(6), start: Offset(10))
                ]),
            .holdings(
                F.id(2, 8),
                [Holding(partition: partition, lastEpoch: LeaderEpoch(6), end: Offset(10))]),
        ] + AttachRefusal.allCases.map { .refused(partition, session, $0) }
    }

    private func bytes(_ message: ReplicationMessage) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.encode(into: &buffer)
        return buffer
    }

    @Test func everyMessageSurvivesAndEveryStrictPrefixIsRefused() throws {
        for message in Self.messages {
            let bytes = bytes(message)
            #expect(try ReplicationMessage(decoding: bytes) == message)
            for length in 0..<bytes.readableBytes {
                let prefix = try #require(bytes.getSlice(at: 0, length: length))
                #expect(throws: ReplicationCodecError.self, "\(message) cut to \(length)") {
                    try ReplicationMessage(decoding: prefix)
                }
            }
            var longer = bytes
            longer.writeInteger(0 as UInt8)
            #expect(throws: ReplicationCodecError.trailingBytes(1)) {
                try ReplicationMessage(decoding: longer)
            }
        }
    }

    @Test func theLayoutIsAsPictured() {
        let golden: [UInt8] =
            [1, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5]
            + [0, 0, 0, 0, 3, 0, 0, 4, 1]
        let message = ReplicationMessage.refused(Self.partition, Self.session, .fencedEpoch)
        #expect(Array(bytes(message).readableBytesView) == golden)
    }

    @Test func recordsAreASliceAndTheHeadIsAllElse() throws {
        let message = Self.messages[5]
        var head = ByteBuffer()
        message.head(into: &head)
        #expect(head.readableBytes + "records".utf8.count == bytes(message).readableBytes)
        guard case .append(let read) = try ReplicationMessage(decoding: bytes(message)) else {
            Issue.record("no append")
            return
        }
        #expect(read.records == ByteBuffer(string: "records"))
    }

    @Test func whatNobodyWritesIsRefused() {
        func refused(_ bytes: [UInt8]) -> Bool {
            (try? ReplicationMessage(decoding: ByteBuffer(bytes: bytes))) == nil
        }
        #expect(refused([2, 12, 0, 0, 0, 0, 0, 0, 0, 1]), "another version")
        #expect(refused([1, 13, 0, 0, 0, 0, 0, 0, 0, 1]), "another kind")
        #expect(refused([1, 6, 0xFF, 0xFF]), "more entries than allowed")
        var negative = Array(bytes(Self.messages[0]).readableBytesView)
        negative[18] = 0xFF
        #expect(refused(negative), "a negative partition")
    }
}
