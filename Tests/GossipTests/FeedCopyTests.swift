import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// Copies of feeds: what bounds kept out of one, and what comes back from a disk.
@Suite struct FeedCopyTests {
    private static func version(_ place: Int64) -> FeedVersion {
        FeedVersion(epoch: 1, sequence: place)
    }

    private static func delta(
        _ entries: [(String, Int64)], to last: Int64, floor: FeedVersion = .nothing,
        isPartial: Bool, of feed: FeedID = .slot(1)
    ) -> LinkMessage {
        .delta(
            FeedDelta(
                mark: FeedMark(
                    feed: feed, version: version(last), asOf: Timestamp(milliseconds: 1)),
                since: .nothing, floor: floor, isPartial: isPartial,
                entries: entries.map { FeedTests.entry($0.0, 1, $0.1, "x") }))
    }

    private func keys(_ fixture: Fixture) -> [String] {
        (fixture.machine.feed(.slot(1))?.entries ?? []).map { String(buffer: $0.key) }.sorted()
    }

    // MARK: Bounds

    @Test("What a partial copy does not name was not removed, and its reader is partial too")
    func partialCopiesSaySo() throws {
        var fixture = try Fixture(members: 3)
        fixture.give(.publish(FeedTests.news([("h", 1, 1, "x")])))
        let floor = Self.version(5)
        fixture.message(
            Self.delta([("g", 9)], to: 9, floor: floor, isPartial: true), from: 2)
        #expect(keys(fixture) == ["g", "h"])
        let view = try #require(fixture.machine.feed(.slot(1)))
        #expect(view.isPartial && view.version == Self.version(9))
        // One that is whole says what there is.
        fixture.message(
            Self.delta([("g", 9), ("i", 10)], to: 10, floor: floor, isPartial: false), from: 3)
        #expect(fixture.machine.feed(.slot(1))?.isPartial == false)
        #expect(keys(fixture) == ["g", "h", "i"], "the floor is behind what was heard")
    }

    @Test func aWholeCopySaysWhatWasRemoved() throws {
        var fixture = try Fixture(members: 2)
        fixture.give(.publish(FeedTests.news([("h", 1, 1, "x")])))
        fixture.message(
            Self.delta([("g", 9)], to: 9, floor: Self.version(5), isPartial: false), from: 2)
        #expect(keys(fixture) == ["g"])
    }

    @Test func whatTheBoundsKeptOutIsToldToWhoPullsIt() throws {
        var fixture = try Fixture(members: 2)
        let long = String(repeating: "k", count: GossipLimits.feedKeyBytes + 1)
        fixture.give(.publish(FeedTests.news([(long, 1, 1, "x"), ("g", 1, 2, "y")])))
        func isPartial(since: FeedVersion) throws -> Bool {
            let pull = LinkMessage.pull([FeedPull(feed: .slot(1), since: since)])
            let answer = fixture.message(pull, from: 2).messages.first?.message
            guard case .delta(let delta)? = answer else { throw GossipDecodeError.truncated }
            #expect(delta.floor == .nothing && delta.entries.count == 1)
            return delta.isPartial
        }
        #expect(try isPartial(since: .nothing))
        #expect(try !isPartial(since: Self.version(1)), "nothing behind that is lacking")
        // On a disk too.
        var files: [ByteBuffer] = []
        for case .persistFeeds(let written) in fixture.give(.saveFeeds(all: true)) {
            files = written.map(\.1)
        }
        var next = try Fixture(members: 2)
        next.give(.restoreFeeds(files))
        #expect(next.machine.feed(.slot(1))?.isPartial == true)
    }

    @Test(
        "A partial delta is read as it was written, and by older readers with a floor below all",
        arguments: [-1, 0, 77, Int64.max] as [Int64])
    func partialDeltas(epoch: Int64) throws {
        let floor = FeedVersion(epoch: epoch, sequence: 5)
        let mark = FeedMark(feed: .slot(1), version: Self.version(9), asOf: .none)
        for isPartial in [false, true] {
            var bytes = ByteBuffer()
            FeedDelta(
                mark: mark, since: .nothing, floor: floor, isPartial: isPartial, entries: []
            ).write(into: &bytes)
            var copy = bytes
            let read = try FeedDelta(decoding: &copy)
            #expect(read.isPartial == isPartial)
            #expect(read.floor.epoch == (isPartial ? min(epoch, .max - 2) : epoch))
            #expect(read.floor.sequence == 5)
            // Mark and since, as any version reads them.
            bytes.moveReaderIndex(forwardBy: 37 + 16)
            let older = try bytes.takeFeedVersion()
            #expect((older < .nothing) == isPartial)
        }
        // Whatever stands there can be read.
        for epoch in [Int64.min, Int64.min + 1, -3, -2] as [Int64] {
            var bytes = ByteBuffer()
            mark.write(into: &bytes)
            for version in [FeedVersion.nothing, FeedVersion(epoch: epoch, sequence: 0)] {
                bytes.writeFeedVersion(version)
            }
            bytes.writeInteger(UInt32(0))
            #expect(try FeedDelta(decoding: &bytes).isPartial)
        }
    }

    // MARK: Owners that are gone

    private func removed(_ effects: [GossipEffect]) -> [String] {
        effects.compactMap { if case .removeFeed(let name) = $0 { name } else { nil } }
    }

    @Test func aBrokerThatIsShutOutTakesItsFeedWithIt() throws {
        var fixture = try Fixture(members: 3)
        fixture.hear(
            .change(
                FeedChange(
                    feed: .ends(NodeID(3)), previous: .nothing,
                    entry: FeedTests.entry("p", 1, 1, "5"), asOf: Timestamp(milliseconds: 1))),
            from: 2)
        var files: [ByteBuffer] = []
        for case .persistFeeds(let written) in fixture.give(.saveFeeds(all: true)) {
            #expect(written.map(\.name) == ["ends-3"])
            files = written.map(\.1)
        }
        let effects = fixture.hear(
            .value(GossipMesh.admission(2, number: 2, isRevoked: true)), from: 2)
        #expect(removed(effects) == ["ends-3"])
        #expect(fixture.machine.feedIDs.isEmpty)
        // It was revoked while this member was down.
        var next = try Fixture(members: 2)
        #expect(removed(next.give(.restoreFeeds(files))) == ["ends-3"])
        #expect(next.machine.feedIDs.isEmpty)
        var other = try Fixture(members: 3)
        #expect(removed(other.give(.restoreFeeds(files))).isEmpty)
        #expect(other.machine.feedIDs == [.ends(NodeID(3))])
    }

    /// They have not heard of its end, and would have this member keep it for ever.
    @Test func whatPeersTellOfADeletedTopicIsNotTakenAgain() throws {
        var fixture = try Fixture(members: 2)
        let feed = FeedID.slot(1, of: 7)
        let told = Self.delta([("g", 1)], to: 1, isPartial: false, of: feed)
        fixture.message(told, from: 2)
        #expect(fixture.machine.feedIDs == [feed])
        #expect(removed(fixture.give(.forgetSlots(of: 7))) == ["slot-1-7"])
        fixture.message(told, from: 2)
        #expect(fixture.machine.feedIDs.isEmpty)
        // Of another they may tell before its register is here.
        fixture.message(
            Self.delta([("g", 1)], to: 1, isPartial: false, of: .slot(1, of: 8)), from: 2)
        #expect(fixture.machine.feedIDs == [.slot(1, of: 8)])
    }
}
