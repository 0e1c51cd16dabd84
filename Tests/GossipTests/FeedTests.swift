import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// Feeds: committed offsets and the ends of partitions on their way to every member.
@Suite struct FeedTests {
    static func entry(_ key: String, _ epoch: Int64, _ place: Int64, _ text: String?) -> FeedEntry {
        FeedEntry(
            key: ByteBuffer(string: key), version: FeedVersion(epoch: epoch, sequence: place),
            value: text.map { ByteBuffer(string: $0) })
    }

    static func news(
        _ entries: [(String, Int64, Int64, String?)], slot: UInt32 = 1, at: Int64 = 1,
        isLoaded: Bool = false
    ) -> FeedNews {
        FeedNews(
            feed: .slot(slot), entries: entries.map { entry($0.0, $0.1, $0.2, $0.3) },
            asOf: Timestamp(milliseconds: at), isLoaded: isLoaded)
    }

    /// What a member's copy says, without tombstones.
    static func copy(_ mesh: GossipMesh, _ index: Int, slot: UInt32 = 1) -> [String: String] {
        var found: [String: String] = [:]
        for entry in mesh.nodes[index].machine?.feed(.slot(slot))?.entries ?? [] {
            found[String(buffer: entry.key)] = entry.value.map { String(buffer: $0) }
        }
        return found
    }

    static func all(_ mesh: GossipMesh) -> [[String: String]] {
        mesh.nodes.indices.filter { mesh.nodes[$0].isUp }.map { copy(mesh, $0) }
    }

    // MARK: Order

    @Test("A commit is everywhere in half a second, and so is one that takes it back")
    func commitsAndRewindsSpread() {
        for seed in 1...10 as ClosedRange<UInt64> {
            var mesh = MeshTests.warm(5, seed: seed)
            mesh.handle(.publish(Self.news([("g", 1, 9, "50")])), at: 0)
            mesh.run(milliseconds: 500)
            #expect(Self.all(mesh).allSatisfy { $0 == ["g": "50"] })
            mesh.handle(.publish(Self.news([("g", 1, 12, "10")])), at: 0)
            mesh.run(milliseconds: 500)
            #expect(Self.all(mesh).allSatisfy { $0 == ["g": "10"] })
            #expect(
                mesh.nodes.allSatisfy {
                    $0.machine?.feed(.slot(1))?.version == FeedVersion(epoch: 1, sequence: 12)
                })
        }
    }

    @Test("An old epoch never wins, however late it comes and however far its log had come")
    func oldEpochsNeverWin() {
        var mesh = MeshTests.warm(5)
        mesh.handle(.publish(Self.news([("g", 2, 1, "new")])), at: 0)
        mesh.handle(.publish(Self.news([("g", 1, 99, "old")])), at: 1)
        mesh.run(milliseconds: 10_000)
        mesh.handle(.publish(Self.news([("g", 1, 100, "older")])), at: 2)
        mesh.run(milliseconds: 10_000)
        #expect(Self.all(mesh).allSatisfy { $0 == ["g": "new"] })
    }

    @Test func tombstonesEraseAndAreNotErased() {
        var mesh = MeshTests.warm(5)
        mesh.handle(.publish(Self.news([("g", 1, 1, "5"), ("h", 1, 2, "6")])), at: 0)
        mesh.run(milliseconds: 1_000)
        mesh.crash(4)
        mesh.handle(.publish(Self.news([("g", 1, 3, nil)])), at: 0)
        mesh.run(milliseconds: 1_000)
        #expect(Self.all(mesh).allSatisfy { $0 == ["h": "6"] })
        // Somebody has not heard of it, and tells what it knows.
        mesh.handle(.publish(Self.news([("g", 1, 1, "5")])), at: 3)
        mesh.run(milliseconds: 10_000)
        #expect(Self.all(mesh).allSatisfy { $0 == ["h": "6"] })
    }

    // MARK: Loss and absence

    @Test("What datagrams lose is pulled: nothing is lacking seconds after the last change")
    func lossIsHealed() {
        for seed in 1...10 as ClosedRange<UInt64> {
            var mesh = MeshTests.warm(5, seed: seed, loss: 0.3)
            var expected: [String: String] = [:]
            for number in 0..<200 as Range<Int64> {
                let key = "g\(number % 37)"
                expected[key] = "\(number)"
                mesh.handle(
                    .publish(Self.news([(key, 1, number, "\(number)")], at: number)), at: 0)
                mesh.run(milliseconds: 20)
            }
            mesh.run(milliseconds: 20_000)
            #expect(Self.all(mesh).allSatisfy { $0 == expected })
            #expect(Set(mesh.nodes.map { $0.machine?.feeds.root }).count == 1)
        }
    }

    @Test("Where roots differ marks are told, and whoever is behind pulls")
    func differingRootsAreFollowed() throws {
        var fixture = try Fixture(members: 3)
        fixture.give(.publish(Self.news([("g", 1, 1, "5")])))
        fixture.pass(10_000)
        let same = fixture.machine.feeds.root
        let quiet = fixture.hear(.feedRoot(same), from: 2)
        #expect(quiet.messages.isEmpty)
        let asked = fixture.hear(.feedRoot(same ^ 1), from: 2)
        guard case .marks(let marks, true)? = asked.messages.first?.message else {
            Issue.record("no marks")
            return
        }
        #expect(marks.map(\.version) == [FeedVersion(epoch: 1, sequence: 1)])
        // Whoever is behind pulls, whoever is ahead tells.
        let later = FeedMark(
            feed: .slot(1), version: FeedVersion(epoch: 1, sequence: 2),
            asOf: Timestamp(milliseconds: 2))
        let behind = fixture.message(.marks([later], wantsAnswer: false), from: 2)
        let pulled = behind.messages.compactMap { message -> [FeedPull]? in
            if case .pull(let pulls) = message.message { pulls } else { nil }
        }
        #expect(
            pulled == [[FeedPull(feed: .slot(1), since: FeedVersion(epoch: 1, sequence: 1))]])
    }

    @Test("What only a dead member had is not asked for for ever")
    func whatNobodyHasIsGivenUp() throws {
        var fixture = try Fixture(members: 3)
        let mark = FeedMark(
            feed: .slot(1), version: FeedVersion(epoch: 1, sequence: 2),
            asOf: Timestamp(milliseconds: 2))
        fixture.message(.marks([mark], wantsAnswer: false), from: 2)
        func pulls(_ effects: [GossipEffect]) -> Int {
            effects.messages.count { if case .pull = $0.message { true } else { false } }
        }
        #expect(pulls(fixture.pass(30_000)) == GossipLimits.feedPulls - 1)
        #expect(pulls(fixture.pass(30_000)) == 0)
        #expect(pulls(fixture.message(.marks([mark], wantsAnswer: false), from: 3)) == 1)
    }

    @Test func aNewcomerPullsEverything() {
        var mesh = GossipMesh(count: 3, seed: 5)
        let table = (0..<3).map { GossipMesh.admission($0) }
        mesh.start(0, table: table)
        mesh.start(1, seeds: [0], table: table)
        mesh.run(milliseconds: 2_000)
        for slot in 0..<50 as Range<UInt32> {
            let rows = (0..<40).map { ("g\($0)", Int64(1), Int64($0), Optional("\(slot)")) }
            mesh.handle(.publish(Self.news(rows, slot: slot, isLoaded: true)), at: 0)
        }
        mesh.run(milliseconds: 5_000)
        mesh.start(2, seeds: [0], table: table)
        mesh.run(milliseconds: 5_000)
        for slot in 0..<50 as Range<UInt32> {
            #expect(Self.copy(mesh, 2, slot: slot) == Self.copy(mesh, 0, slot: slot))
            #expect(Self.copy(mesh, 2, slot: slot).count == 40)
        }
    }

    @Test("Who was away while tombstones were forgotten is told what is left, and drops the rest")
    func forgottenTombstonesErase() {
        let count = Int64(GossipLimits.feedTombstones) * 2
        var rows = (0..<count).map { ("g\($0)", Int64(1), $0, Optional("x")) }
        rows.append(("stays", 1, count, "y"))
        var mesh = MeshTests.warm(2)
        mesh.handle(.publish(Self.news(rows, isLoaded: true)), at: 0)
        mesh.run(milliseconds: 5_000)
        #expect(Self.copy(mesh, 1).count == rows.count)
        mesh.partition(0..<1, 1..<2)
        let gone = (0..<count).map { ("g\($0)", Int64(1), count + 1 + $0, String?.none) }
        mesh.handle(.publish(Self.news(gone)), at: 0)
        mesh.run(milliseconds: 5_000)
        #expect(mesh.nodes[0].machine?.feeds[.slot(1)]?.floor ?? .nothing > .nothing)
        #expect(mesh.nodes[0].machine?.feed(.slot(1))?.entries.count ?? 0 < Int(count))
        mesh.network.healAll()
        mesh.run(milliseconds: 30_000)
        #expect(Self.all(mesh) == [["stays": "y"], ["stays": "y"]])
    }

    @Test("What a lost log held is kept, and comes back to the leader that lost it")
    func aLostLogErasesNothing() {
        var mesh = MeshTests.warm(4)
        mesh.handle(.publish(Self.news([("g", 1, 40, "5"), ("h", 1, 41, "6")])), at: 0)
        mesh.run(milliseconds: 1_000)
        mesh.crash(0)
        // The new leader has an empty log: its offsets begin at zero, in a later epoch.
        mesh.start(
            0, remembering: mesh.persisted(1), table: (0..<4).map { GossipMesh.admission($0) })
        mesh.handle(.publish(Self.news([("g", 2, 0, "1")])), at: 0)
        mesh.run(milliseconds: 1_000)
        mesh.handle(.pullFeeds, at: 0)
        mesh.run(milliseconds: 10_000)
        #expect(Self.all(mesh).allSatisfy { $0 == ["g": "1", "h": "6"] })
    }

    // MARK: Budgets

    @Test("Thousands of commits a second do not flood datagrams, and are everywhere in seconds")
    func floodsArePulled() {
        var mesh = MeshTests.warm(3)
        mesh.run(milliseconds: 10_000)
        let before = mesh.traffic
        var number: Int64 = 0
        for _ in 0..<500 {
            let rows = (0..<20).map { step -> (String, Int64, Int64, String?) in
                number += 1
                return ("group-\(number % 500)", 1, number, "\(number)-\(step)")
            }
            mesh.handle(.publish(Self.news(rows, at: number)), at: 0)
            mesh.run(milliseconds: 10)
        }
        let bytes = mesh.traffic.datagramBytes - before.datagramBytes
        // 5 seconds, 3 members.
        #expect(bytes / 15 < 24_000)
        #expect(mesh.traffic.messages - before.messages < 5 * 3 * 4 * 2)
        mesh.run(milliseconds: 4_000)
        let expected = Self.copy(mesh, 0)
        #expect(expected.count == 500)
        #expect(Self.all(mesh).allSatisfy { $0 == expected })
    }

    @Test("Feeds that do not change cost nothing of their own: their marks ride on probes")
    func quietFeedsStayWithinTheBudget() throws {
        var mesh = MeshTests.warm(3)
        for slot in 0..<50 as Range<UInt32> {
            mesh.handle(.publish(Self.news([("g", 1, 1, "5")], slot: slot)), at: Int(slot % 3))
        }
        mesh.run(milliseconds: 20_000)
        let before = mesh.traffic
        for round in 1...24 as ClosedRange<Int64> {
            for slot in 0..<50 as Range<UInt32> {
                mesh.handle(
                    .publish(Self.news([], slot: slot, at: round * 5_000)), at: Int(slot % 3))
            }
            mesh.run(milliseconds: 5_000)
        }
        let datagrams = mesh.traffic.datagrams - before.datagrams
        let bytes = mesh.traffic.datagramBytes - before.datagramBytes
        #expect(datagrams <= 10 * 120 * 3)
        #expect(bytes <= 1_500 * 120 * 3)
        // And each copy knows how old it is.
        for index in 0..<3 {
            let asOf = try #require(mesh.nodes[index].machine?.feed(.slot(7))?.asOf)
            #expect(asOf.milliseconds >= 24 * 5_000 - 40_000)
        }
    }

    @Test func boundsKeepOutAndSaySo() throws {
        var fixture = try Fixture(members: 2)
        let long = String(repeating: "k", count: GossipLimits.feedKeyBytes + 1)
        fixture.give(.publish(Self.news([(long, 1, 1, "x"), ("g", 1, 2, "y")])))
        let view = try #require(fixture.machine.feed(.slot(1)))
        #expect(view.isPartial)
        #expect(view.entries.count == 1)
        #expect(view.version == FeedVersion(epoch: 1, sequence: 2))
        let text = String(repeating: "v", count: GossipLimits.feedValueBytes)
        for number in 0..<400 as Range<Int64> {
            fixture.give(
                .publish(Self.news([("g\(number)", 1, number + 1, text)], slot: 2)))
        }
        let full = try #require(fixture.machine.feed(.slot(2)))
        #expect(full.isPartial)
        #expect(fixture.machine.feeds[.slot(2)]?.bytes ?? .max <= GossipLimits.feedBytes)
        #expect(full.entries.count > 300)
    }

    @Test func theChainOfChangesMayComeInAnyOrder() throws {
        var fixture = try Fixture(members: 3)
        func change(_ previous: Int64, _ place: Int64) -> Part {
            .change(
                FeedChange(
                    feed: .slot(1),
                    previous: previous < 0 ? .nothing : FeedVersion(epoch: 1, sequence: previous),
                    entry: Self.entry("g\(place)", 1, place, "\(place)"),
                    asOf: Timestamp(milliseconds: place)))
        }
        fixture.hear(change(2, 3), change(1, 2), from: 2)
        #expect(fixture.machine.feed(.slot(1))?.version == .nothing)
        #expect(fixture.machine.feed(.slot(1))?.entries.count == 2)
        fixture.hear(change(-1, 1), from: 2)
        #expect(fixture.machine.feed(.slot(1))?.version == FeedVersion(epoch: 1, sequence: 3))
        // Nothing is pulled for a gap that closed.
        let pulls = fixture.pass(5_000).messages.filter {
            if case .pull = $0.message { true } else { false }
        }
        #expect(pulls.isEmpty)
    }

    @Test("An epoch that no election can have reached does not shut out the real ones")
    func epochsOutOfNowhereAreRefused() throws {
        var fixture = try Fixture(members: 3)
        fixture.give(.slotEpochs(SlotEpochs(topic: 7, epochs: [0, 3])))
        func tell(_ epoch: Int64, _ text: String, of feed: FeedID) {
            let entry = Self.entry("g", epoch, 1, text)
            let mark = FeedMark(
                feed: feed, version: entry.version, asOf: Timestamp(milliseconds: 1))
            fixture.message(.marks([mark], wantsAnswer: false), from: 2)
            fixture.message(
                .delta(
                    FeedDelta(
                        mark: mark, since: .nothing, floor: .nothing, isPartial: false,
                        entries: [entry])),
                from: 2)
            fixture.hear(
                .change(
                    FeedChange(
                        feed: feed, previous: .nothing, entry: entry,
                        asOf: Timestamp(milliseconds: 1))), from: 2)
        }
        tell(.max, "forged", of: .slot(1, of: 7))
        tell(1, "forged", of: .slot(1, of: 8))
        tell(1, "forged", of: .slot(2, of: 7))
        tell(2, "forged", of: .ends(NodeID(3)))
        #expect(fixture.machine.feedIDs.isEmpty)
        #expect(fixture.machine.counters.refusedFeeds == 12)
        tell(4, "real", of: .slot(1, of: 7))
        #expect(fixture.machine.feed(.slot(1, of: 7))?.entries.first?.value != nil)
    }

    @Test func aDeletedTopicTakesItsSlotsWithIt() throws {
        var fixture = try Fixture(members: 2)
        fixture.give(.publish(Self.news([("g", 5, 1, "x")])))
        let removed = fixture.give(.forgetSlots(of: 0)).compactMap { effect -> String? in
            if case .removeFeed(let name) = effect { name } else { nil }
        }
        #expect(removed == ["slot-1-0"])
        #expect(fixture.machine.feed(.slot(1)) == nil)
        #expect(fixture.machine.feeds.bytes == 0)
        // What a disk or a late rumour brings of it goes as soon as the registers are looked at.
        fixture.give(.publish(Self.news([("g", 5, 1, "x")])))
        fixture.give(.slotEpochs(SlotEpochs(topic: 7, epochs: [0, 0])))
        #expect(fixture.machine.feed(.slot(1)) == nil)
        // The next topic of that name begins with lower epochs.
        var news = Self.news([("g", 0, 0, "y")])
        news.feed = .slot(1, of: 7)
        fixture.give(.publish(news))
        #expect(fixture.machine.feed(.slot(1, of: 7))?.entries.count == 1)
    }

    // MARK: Whose word it is

    @Test func nobodySpeaksForAnotherBrokerOrForStrangers() throws {
        var fixture = try Fixture(members: 3)
        for owner in [1, 9] as [Int32] {
            let change = FeedChange(
                feed: .ends(NodeID(owner)), previous: .nothing,
                entry: Self.entry("p", 1, 1, "5"), asOf: Timestamp(milliseconds: 1))
            fixture.hear(.change(change), from: 2)
            #expect(fixture.machine.feed(.ends(NodeID(owner))) == nil)
        }
        let change = FeedChange(
            feed: .ends(NodeID(3)), previous: .nothing, entry: Self.entry("p", 1, 1, "5"),
            asOf: Timestamp(milliseconds: 1))
        fixture.hear(.change(change), from: 2)
        #expect(fixture.machine.feed(.ends(NodeID(3)))?.entries.count == 1)
    }

    // MARK: Disk

    @Test func copiesComeBackFromDiskAndDamagedOnesDoNot() throws {
        var fixture = try Fixture(members: 3)
        fixture.give(.publish(Self.news([("g", 1, 1, "5"), ("h", 1, 2, nil)])))
        var files: [ByteBuffer] = []
        for case .persistFeeds(let written) in fixture.give(.saveFeeds(all: false)) {
            #expect(written.map(\.name) == ["slot-1-0"])
            files = written.map(\.1)
        }
        for case .persistFeeds in fixture.give(.saveFeeds(all: false)) {
            Issue.record("nothing changed")
        }
        var next = try Fixture(members: 3)
        next.give(.restoreFeeds(files))
        #expect(next.machine.feed(.slot(1))?.entries == fixture.machine.feed(.slot(1))?.entries)
        #expect(next.machine.feed(.slot(1))?.asOf == Timestamp(milliseconds: 1))
        let file = try #require(files.first)
        for place in 0..<file.readableBytes {
            var torn = file
            torn.setInteger(
                (torn.getInteger(at: place, as: UInt8.self) ?? 0) ^ 0x40, at: place)
            var other = try Fixture(members: 2)
            other.give(.restoreFeeds([torn, file.getSlice(at: 0, length: place) ?? torn]))
            #expect(other.machine.feedIDs.isEmpty)
        }
    }
}
