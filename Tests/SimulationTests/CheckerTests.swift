import Model
import NIOCore
import Node
import Paxos
import Testing

@testable import Simulation

/// Each checker complains of a history that breaks its promise, and of none that keeps it.
@Suite struct CheckerTests {
    private static let partition = TopicPartition(
        topic: TopicID(high: 1, low: 2), index: PartitionIndex(0))

    // MARK: Logs

    @Test func aRecordThatIsThereTwiceIsFound() {
        #expect(CopyCheck(values: ["p0:0", "p0:1", "p0:5"]).disorder() == nil)
        #expect(CopyCheck(values: ["p0:0", "p0:1", "p0:1"]).disorder()?.promise == .recordOnce)
        let swapped = CopyCheck(values: ["p0:0", "p0:2", "p0:1"]).disorder()
        #expect(swapped?.value == "p0:1")
        #expect(swapped?.offset == 2)
    }

    @Test func aLostRecordIsFound() {
        let check = CopyCheck(values: ["p0:0", "p0:1"])
        #expect(check.loss(of: [("p0:0", 0), ("p0:1", -1)]) == nil)
        #expect(check.loss(of: [("p0:2", -1)])?.promise == .recordKept)
        #expect(check.loss(of: [("p0:2", 2)])?.offset == 2)
        #expect(check.loss(of: [("p0:0", 1)])?.promise == .recordKept)
    }

    @Test func whatAConsumerSawAndIsGoneIsFound() {
        let check = CopyCheck(values: ["p0:0", "p0:1"])
        #expect(check.loss(ofSeen: [0: "p0:0", 1: "p0:1"]) == nil)
        #expect(check.loss(ofSeen: [1: "p0:9"])?.promise == .seenStays)
        #expect(check.loss(ofSeen: [2: "p0:2"])?.offset == 2)
    }

    @Test func aGapBetweenOffsetsIsFound() {
        var offsets = DenseOffsets()
        let taken = [0, 1, 3, 1].map { offsets.take($0) }
        #expect(taken == [true, true, false, false])
        #expect(offsets.position == 2)
    }

    // MARK: Groups

    @Test func anOffsetThatWentBackOrAheadIsFound() {
        var offset = CommittedOffset()
        #expect(offset.hear(-1) == nil)
        #expect(offset.send() == 0)
        offset.acknowledge()
        #expect(offset.send() == 1)
        // Sent and not answered: both are right, but not the older one once the newer was told.
        #expect(offset.hear(0) == nil)
        #expect(offset.hear(1) == nil)
        #expect(offset.hear(0)?.promise == .groupOffset)
        #expect(offset.hear(2)?.promise == .groupOffset)
    }

    @Test func aPartitionWithTwoOwnersIsFound() {
        let world = MeshWorld(seed: 1)
        world.checks.noteOwned([0, 1], by: "a", 3, of: "readers", in: world)
        world.checks.noteOwned([0], by: "b", 4, of: "readers", in: world)
        world.checks.noteOwned([1], by: "a", 3, of: "readers", in: world)
        #expect(world.failure == nil)
        world.checks.noteOwned([1], by: "b", 3, of: "readers", in: world)
        #expect(world.failure?.promise == .oneOwner)
    }

    @Test func anOffsetWithTwoValuesIsFound() {
        let world = MeshWorld(seed: 1)
        world.checks.noteSeen("p0:0", at: 0, of: Self.partition, in: world)
        world.checks.noteSeen("p0:0", at: 0, of: Self.partition, in: world)
        #expect(world.failure == nil)
        world.checks.noteSeen("p0:1", at: 0, of: Self.partition, in: world)
        #expect(world.failure?.promise == .seenStays)
        #expect(world.failure?.subject.value == "p0:0")
    }

    // MARK: Leaders

    private func belief(
        _ epoch: Int32, watermark: Int64, isAllowed: Bool = true
    ) -> [Shard.Serving] {
        [
            Shard.Serving(
                partition: Self.partition, epoch: LeaderEpoch(epoch),
                highWatermark: Offset(watermark), isAllowed: isAllowed)
        ]
    }

    @Test func twoThatServeAtOnceAreFound() {
        var checks = ServingChecks()
        // The former leader knows of no successor, and its lease has lapsed.
        #expect(
            checks.note([
                (NodeID(1), belief(3, watermark: 5, isAllowed: false)),
                (NodeID(2), belief(4, watermark: 5)),
            ]) == nil)
        let complaint = checks.note([
            (NodeID(1), belief(3, watermark: 5)), (NodeID(2), belief(4, watermark: 5)),
        ])
        #expect(complaint?.promise == .oneServes)
        #expect(complaint?.partition == Self.partition)
    }

    @Test func aWatermarkThatGoesBackIsFound() {
        var checks = ServingChecks()
        #expect(checks.note([(NodeID(1), belief(3, watermark: 5))]) == nil)
        #expect(checks.note([(NodeID(1), belief(3, watermark: 9))]) == nil)
        // Another epoch begins with what its leader knows.
        #expect(checks.note([(NodeID(2), belief(4, watermark: 7))]) == nil)
        #expect(checks.note([(NodeID(2), belief(4, watermark: 6))])?.promise == .watermarkRises)
    }

    @Test func whatGrowsWithoutEndIsFound() {
        #expect(HeldBounds.objection([("fetches", 12), ("deadlines", 3_000)]) == nil)
        #expect(HeldBounds.objection([("fetches", 3_000)]) != nil)
        #expect(HeldBounds.objection([("deadlines", 60_000)]) != nil)
        #expect(HeldBounds.objection([("writes", 20_000)]) != nil)
    }

    // MARK: Chosen values

    private func roster(_ stores: [UInt64], next: [UInt64]? = nil) -> Roster {
        func voters(_ stores: [UInt64]) -> [Voter] {
            stores.map {
                Voter(
                    node: NodeID(Int32($0)), store: StoreID(high: 1, low: $0),
                    key: SimulatedSigner.key(of: NodeID(Int32($0))))
            }
        }
        return Roster(
            generation: RosterGeneration(1), voters: voters(stores), next: next.map(voters),
            cluster: "c")
    }

    private func value(_ text: String, _ counter: UInt64 = 1) -> ChosenValue {
        ChosenValue(
            key: "topic/t",
            ballot: Ballot(counter: counter, proposer: NodeID(1), boot: BootEpoch(1)),
            value: ByteBuffer(string: text))
    }

    private func accept(_ value: ChosenValue, by stores: [UInt64], _ values: inout ChosenValues) {
        let bytes = Envelope(value: value.value).encoded()
        for store in stores {
            values.note(
                .accept(key: value.key, value.ballot, bytes), of: StoreID(high: 1, low: store))
        }
    }

    @Test func aValueThatNoQuorumAcceptedIsFound() {
        var values = ChosenValues()
        values.note(roster([1, 2, 3]))
        #expect(values.objection(to: value("a")) != nil)
        accept(value("a"), by: [1], &values)
        #expect(values.objection(to: value("a")) != nil)
        accept(value("a"), by: [1], &values)
        #expect(values.objection(to: value("a")) != nil)
        accept(value("a"), by: [3], &values)
        #expect(values.objection(to: value("a")) == nil)
        #expect(values.objection(to: value("b")) != nil)
        #expect(values.objection(to: value("a", 2)) != nil)
        #expect(values.chosen == 1)
    }

    @Test func aValueThatOnlyOneHalfOfAJointRosterAcceptedIsFound() {
        var values = ChosenValues()
        values.note(roster([1, 2, 3], next: [4, 5, 6]))
        accept(value("a"), by: [1, 2], &values)
        #expect(values.objection(to: value("a")) != nil)
        accept(value("a"), by: [4, 5], &values)
        #expect(values.objection(to: value("a")) == nil)
    }

    @Test func twoValuesUnderOneBallotAreFound() {
        var values = ChosenValues()
        values.note(roster([1, 2, 3]))
        accept(value("a"), by: [1, 2], &values)
        accept(value("b"), by: [3], &values)
        #expect(values.objection(to: value("a")) != nil)
    }
}
