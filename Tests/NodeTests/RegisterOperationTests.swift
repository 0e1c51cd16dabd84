import Model
import NIOCore
import Node
import Replication
import Testing

/// Records and operations of registers: pure functions, so their tests are tables.
@Suite struct RegisterOperationTests {
    private let record = TopicRecord(
        id: TopicID(high: 1, low: 2),
        placement: [[copy(1)], [copy(1)], [copy(2), copy(3)], [copy(1)]],
        overrides: ["flush": "sync", "retention.ms": "5"])

    @Test func topicRecordsAreReadAsTheyWereWritten() throws {
        let bytes = record.encoded()
        #expect(try TopicRecord(decoding: bytes) == record)
        for length in 0..<bytes.readableBytes {
            let prefix = bytes.getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(throws: TopicRecord.DecodeError.truncated) {
                try TopicRecord(decoding: prefix)
            }
        }
        var longer = bytes
        longer.writeInteger(UInt8(0))
        #expect(throws: TopicRecord.DecodeError.self) { try TopicRecord(decoding: longer) }
        var other = bytes
        other.setInteger(UInt8(5), at: 0)
        #expect(throws: TopicRecord.DecodeError.version(5)) { try TopicRecord(decoding: other) }
    }

    @Test func aRunOfPartitionsIsWrittenOnce() throws {
        let large = TopicRecord(
            id: record.id, placement: Array(repeating: [copy(7)], count: 100_000), overrides: [:])
        #expect(large.encoded().readableBytes < 60)
        #expect(try TopicRecord(decoding: large.encoded()) == large)
    }

    /// What the table of a single broker held before there was a mesh.
    @Test func recordsOfVersion1AreOfTheBrokerThatHasThem() throws {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt8(1))
        bytes.writeInteger(UInt64(1))
        bytes.writeInteger(UInt64(2))
        bytes.writeInteger(Int32(2))
        bytes.writeInteger(UInt16(1))
        for text in ["flush", "sync"] {
            bytes.writeInteger(UInt16(text.utf8.count))
            bytes.writeString(text)
        }
        let read = try TopicRecord(decoding: bytes, home: NodeID(4))
        #expect(read.placement == [[copy(4)], [copy(4)]])
        #expect(read.overrides == ["flush": "sync"])
        #expect(throws: TopicRecord.DecodeError.version(1)) { try TopicRecord(decoding: bytes) }
        bytes.setInteger(Int32(-1), at: 17)
        #expect(throws: TopicRecord.DecodeError.outOfRange("-1 partitions")) {
            try TopicRecord(decoding: bytes, home: NodeID(4))
        }
    }

    /// Version 3 had neither copies nor a life: the topic keeps as many copies as it was made with.
    @Test func aRecordOfBeforeCopiesKeepsItsOwn() throws {
        var made = record
        made.copies = -1
        var older = ByteBuffer(integer: UInt8(3))
        older.writeImmutableBuffer(made.encoded().getSlice(at: 1, length: 16) ?? ByteBuffer())
        let rest = made.encoded().readableBytes - 20
        older.writeImmutableBuffer(made.encoded().getSlice(at: 20, length: rest) ?? ByteBuffer())
        let read = try TopicRecord(decoding: older)
        #expect(read.placement == record.placement)
        #expect(read.overrides == record.overrides)
        #expect(read.copies == Int16(record.placement[0].count))
        #expect(read.deletion == nil)
    }

    /// So a broker of before reads it.
    @Test func aRecordIsWrittenInTheOldestVersionThatSaysIt() {
        var made = record
        func version() -> UInt8? { made.encoded().getInteger(at: 0) }
        #expect(version() == 3)
        made.copies = -1
        #expect(version() == 4)
        made.copies = Int16(made.placement[0].count)
        made.deletion = TopicDeletion()
        #expect(version() == 4)
    }

    @Test func aDeletionKeepsTheNameUntilItIsOver() throws {
        var current: ByteBuffer? = record.encoded()
        func apply(_ operation: RegisterOperation) throws {
            guard case .write(let next) = operation.applied(to: current) else { throw Refused() }
            current = next
        }
        let unheard = [copy(2)]
        for operation: RegisterOperation in [.outlive(record.id, unheard), .freeName(record.id)] {
            #expect(operation.applied(to: current) == .refuse(.absent), "it is not deleted")
        }
        try apply(.deleteTopic(record.id))
        #expect(RegisterOperation.createTopic(record).applied(to: current) == .refuse(.deleted))
        let other = TopicID(high: 9, low: 9)
        for operation: RegisterOperation in [
            .deleteTopic(record.id), .growTopic(record.id, from: 4, placement: [[copy(1)]]),
            .outlive(other, unheard), .freeName(other),
        ] {
            #expect(operation.applied(to: current) == .refuse(.absent))
        }
        try apply(.outlive(record.id, unheard))
        let bytes = try #require(current)
        #expect(try TopicRecord(decoding: bytes).deletion?.unheard == unheard)
        for length in 0..<bytes.readableBytes {
            let prefix = bytes.getSlice(at: 0, length: length) ?? ByteBuffer()
            #expect(throws: TopicRecord.DecodeError.truncated) {
                try TopicRecord(decoding: prefix)
            }
        }
        try apply(.freeName(record.id))
        #expect(current == nil)
    }

    private struct Refused: Error {}

    @Test func aNameIsGivenOnce() {
        let create = RegisterOperation.createTopic(record)
        #expect(create.applied(to: nil) == .write(record.encoded()))
        #expect(create.applied(to: record.encoded()) == .refuse(.exists))
    }

    @Test func onlyTheTopicThatWasMeantIsChanged() {
        let other = TopicID(high: 9, low: 9)
        let current = record.encoded()
        #expect(RegisterOperation.deleteTopic(record.id).applied(to: current) != .refuse(.absent))
        for operation: RegisterOperation in [
            .deleteTopic(other), .growTopic(other, from: 4, placement: [[copy(1)]]),
            .alterTopic(other, .replacing(with: [:]), defaults: [:]),
        ] {
            #expect(operation.applied(to: current) == .refuse(.absent))
            #expect(operation.applied(to: nil) == .refuse(.absent))
            #expect(operation.applied(to: ByteBuffer(string: "?")) == .refuse(.unreadable))
        }
    }

    @Test func partitionsAreAddedBehindThoseThatWereSeen() throws {
        let grow = RegisterOperation.growTopic(record.id, from: 4, placement: [[copy(5)]])
        guard case .write(let value?) = grow.applied(to: record.encoded()) else {
            Issue.record("refused")
            return
        }
        let grown = try TopicRecord(decoding: value)
        #expect(grown.placement == record.placement + [[copy(5)]])
        #expect(grow.applied(to: value) == .refuse(.notGrowing(5)), "a retry adds nothing")
    }

    @Test func twoWhoAlterAtOnceBothHaveTheirWay() throws {
        let edits: [ConfigurationChange.Edit] = [
            .set(name: "retention.bytes", value: "7"), .delete(name: "flush"),
            .append(name: "cleanup.policy", words: "compact"),
        ]
        var current = record
        current.overrides["segment.bytes"] = "2048"
        let alter = RegisterOperation.alterTopic(
            record.id, ConfigurationChange(replacesAll: false, edits: edits), defaults: [:])
        guard case .write(let value?) = alter.applied(to: current.encoded()) else {
            Issue.record("refused")
            return
        }
        let altered = try TopicRecord(decoding: value)
        #expect(
            altered.overrides == [
                "retention.bytes": "7", "retention.ms": "5", "segment.bytes": "2048",
                "cleanup.policy": "delete,compact",
            ])
        let wrong = RegisterOperation.alterTopic(
            record.id, .replacing(with: ["flush": "maybe"]), defaults: [:])
        guard case .refuse(.invalid) = wrong.applied(to: current.encoded()) else {
            Issue.record("an illegal value was taken")
            return
        }
    }

    @Test func whatIsReservedIsNobodyElses() {
        let reserve = RegisterOperation.reserve(1_000)
        #expect(reserve.applied(to: nil) == .write(ByteBuffer(integer: Int64(1_000))))
        #expect(
            reserve.applied(to: ByteBuffer(integer: Int64(5)))
                == .write(
                    ByteBuffer(integer: Int64(1_005))))
        #expect(reserve.applied(to: ByteBuffer(integer: Int64.max)) == .refuse(.unreadable))
        #expect(reserve.applied(to: ByteBuffer(string: "?")) == .refuse(.unreadable))
    }
}

/// What the control machine makes of other brokers' decisions.
@Suite struct ControlMeshTests {
    private func members(_ epochs: [Int32: Int32]) -> [BrokerMember] {
        epochs.sorted { $0.key < $1.key }.map {
            BrokerMember(entry: ControlBench.broker($0.key), epoch: LeaderEpoch($0.value))
        }
    }

    private func record(_ low: UInt64, on nodes: [Int32]) -> TopicRecord {
        TopicRecord(
            id: TopicID(high: 0, low: low), placement: nodes.map { [copy($0)] }, overrides: [:])
    }

    @Test func whatAnotherBrokerMadeIsThereAndNotOpened() throws {
        var bench = ControlBench()
        bench.handle(.members(members([1: 0, 2: 6])))
        let made = bench.registers.put("topic/far", record(1, on: [2, 1, 2]).encoded())
        bench.handle(.learned([made]))
        #expect(bench.opens.map(\.partition.index.rawValue) == [1], "its own partition only")
        let entry = try #require(bench.view?.topic(named: "far"))
        #expect(entry.partitions.map(\.leader?.rawValue) == [2, 1, 2])
        #expect(entry.partitions.map(\.leaderEpoch.rawValue) == [6, 0, 6])
        bench.handle(.members(members([1: 0, 2: 7])))
        #expect(bench.view?.topic(named: "far")?.partitions[0].leaderEpoch == LeaderEpoch(7))
    }

    @Test func aTopicThatWasMadeAgainElsewhereIsAnotherOne() {
        var bench = ControlBench()
        bench.create(["a"])
        bench.settle()
        bench.effects = []
        let again = bench.registers.put("topic/a", record(2, on: [2]).encoded())
        bench.handle(.learned([again]))
        bench.settle()
        #expect(bench.take().closed.count == 1)
        #expect(bench.view?.topic(named: "a")?.id == TopicID(high: 0, low: 2))
    }

    @Test func aLostRaceIsAnAnswer() {
        var bench = ControlBench()
        bench.create(["a"])
        bench.registers.put("topic/a", record(2, on: [2]).encoded())
        bench.settle()
        #expect(bench.errors() == [.alreadyExists])
        #expect(bench.view?.topic(named: "a")?.id == TopicID(high: 0, low: 2), "and is learned")
    }

    @Test func aMissIsSettledByARead() {
        var bench = ControlBench()
        bench.registers.put("topic/far", record(1, on: [2]).encoded())
        bench.request(1, .lookUp(["far", "never", "a/b"]))
        #expect(bench.writes.count == 1)
        bench.settle()
        guard case .lookedUp(isComplete: true)? = bench.take().replies.last?.reply else {
            Issue.record("not answered")
            return
        }
        #expect(bench.view?.sortedNames == ["far"])
        bench.request(2, .lookUp(["never"]))
        bench.persist(failure: "no majority")
        guard case .lookedUp(isComplete: false)? = bench.take().replies.last?.reply else {
            Issue.record("a read that failed settles nothing")
            return
        }
    }

    private func lookUps(_ bench: inout ControlBench) -> [UInt64: Bool] {
        var found: [UInt64: Bool] = [:]
        for (token, reply) in bench.take().replies {
            if case .lookedUp(let isComplete) = reply { found[token] = isComplete }
        }
        return found
    }

    private func reads(_ bench: ControlBench) -> [[String]] {
        bench.writes.compactMap { write in
            if case .read(_, let keys) = write { keys } else { nil }
        }
    }

    /// A thousand clients that miss one name cost two reads: the one under way, which may have
    /// passed the voters already, and one for all who came since.
    @Test func missesShareReads() {
        var bench = ControlBench()
        for token: UInt64 in 1...1_000 { bench.request(token, .lookUp(["far"])) }
        bench.request(1_001, .lookUp(["near", "far"]))
        #expect(reads(bench) == [["topic/far"]])
        // Made after the first read, before the others asked: they must not hear "unknown".
        bench.persist()
        #expect(lookUps(&bench) == [1: true])
        #expect(reads(bench) == [["topic/far", "topic/near"]])
        bench.registers.put("topic/far", record(1, on: [2]).encoded())
        bench.persist()
        let found = lookUps(&bench)
        #expect(found.count == 1_000 && found.values.allSatisfy { $0 })
        #expect(bench.view?.sortedNames == ["far"])
        #expect(bench.writes.isEmpty)
    }

    @Test func missesBeyondTheBoundsAreNotCalledAbsent() {
        var bench = ControlBench()
        bench.request(1, .lookUp(["first"]))
        for number: UInt64 in 0..<2_000 { bench.request(10 + number, .lookUp(["t\(number)"])) }
        let refused = lookUps(&bench)
        #expect(refused.count == 2_000 - 1_024 && refused.values.allSatisfy { !$0 })
        #expect(reads(bench).map(\.count) == [1])
        bench.persist()
        #expect(reads(bench).map(\.count) == [1_024])
        bench.persist()
        #expect(lookUps(&bench).count == 1_025)
        for token: UInt64 in 1...5_000 { bench.request(token, .lookUp(["far"])) }
        #expect(lookUps(&bench).count == 5_000 - 4_096)
        // Nothing is remembered of it: the next one is read.
        bench.settle()
        _ = bench.take()
        bench.registers.put("topic/far", record(1, on: [2]).encoded())
        bench.request(9_000, .lookUp(["far"]))
        bench.settle()
        #expect(lookUps(&bench) == [9_000: true])
        #expect(bench.view?.topic(named: "far") != nil)
    }

    /// Without a majority nobody waits for a second read that would end like the first.
    @Test func aReadThatFailsAnswersWhoWaitsBehindIt() {
        var bench = ControlBench()
        bench.request(1, .lookUp(["a"]))
        bench.request(2, .lookUp(["b"]))
        bench.persist(failure: "no majority")
        #expect(lookUps(&bench) == [1: false, 2: false])
        #expect(bench.writes.isEmpty)
        bench.request(3, .lookUp(["b"]))
        bench.settle()
        #expect(lookUps(&bench) == [3: true])
    }

    @Test func groupsOfAnotherBrokersSlotsAreSentThere() {
        var bench = ControlBench()
        let slots = bench.registers.put(
            "topic/__consumer_offsets", record(1, on: [2, 2, 2]).encoded())
        bench.handle(.learned([slots]))
        bench.request(1, .coordinators(groups: ["g", "h"]))
        guard case .coordinators(let found)? = bench.take().replies.last?.reply else {
            Issue.record("not answered")
            return
        }
        #expect(found == [NodeID(2), NodeID(2)])
    }
}
