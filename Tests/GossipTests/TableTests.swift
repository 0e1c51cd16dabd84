import Model
import NIOCore
import Simulation
import Testing

@testable import Gossip

/// One machine's table: what it takes, what it doubts, what it passes on.
@Suite struct TableTests {
    private func text(_ fixture: Fixture, _ key: String) -> String? {
        fixture.machine.value(key)?.value.map { String(buffer: $0) }
    }

    @Test("Merge by ballot, never by arrival")
    func ballotsOrder() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.ordersByBallot, isOn))
            let first = fixture.hear(.value(Fixture.value("topic/a", 9, "new")), from: 2)
            #expect(first.tableChanges.map(\.ballot.counter) == [9])
            fixture.hear(.value(Fixture.value("topic/a", 8, "old")), from: 3)
            #expect(text(fixture, "topic/a") == (isOn ? "new" : "old"))
        }
    }

    @Test("An equal ballot with another hash is an alarm and a Paxos read, never silence")
    func splitVersionsAlarm() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.alarmsSplitVersions, isOn))
            fixture.hear(.value(Fixture.value("topic/a", 9, "x")), from: 2)
            let effects = fixture.hear(.value(Fixture.value("topic/a", 9, "y")), from: 3)
            #expect(effects.alarms.count == (isOn ? 1 : 0))
            #expect(effects.confirmations == (isOn ? ["topic/a"] : []))
            #expect(text(fixture, "topic/a") == "x")
            fixture.give(.confirmed(key: "topic/a", Fixture.value("topic/a", 9, "y")))
            #expect(text(fixture, "topic/a") == "y")
        }
    }

    @Test("An unknown key that is not above the floor is stored only after a Paxos read")
    func unknownKeysAreConfirmed() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.confirmsUnknownKeys, isOn))
            fixture.give(.setFloor(Fixture.value("", 10, nil).ballot))
            let value = Fixture.value("topic/revived", 8, "x")
            let effects = fixture.hear(.value(value), .value(value), from: 2)
            #expect(effects.confirmations == (isOn ? ["topic/revived"] : []))
            #expect(text(fixture, "topic/revived") == (isOn ? nil : "x"))
            guard isOn else { continue }
            fixture.give(.confirmed(key: "topic/revived", nil))
            #expect(text(fixture, "topic/revived") == nil)
            fixture.give(.confirmed(key: "topic/kept", Fixture.value("topic/kept", 7, "k")))
            #expect(text(fixture, "topic/kept") == "k")
        }
    }

    @Test("Tombstones at or below the floor are neither stored nor forwarded (cortex#4420)")
    func oldTombstonesEnd() throws {
        for isOn in [true, false] {
            var rules = GossipRules.with(\.dropsOldTombstones, isOn)
            rules.confirmsUnknownKeys = false
            var fixture = try Fixture(members: 4, rules: rules)
            fixture.hear(.value(Fixture.value("topic/a", 9, nil)), from: 2)
            #expect(fixture.machine.versions(prefix: "topic/a").page.map(\.isTombstone) == [true])
            fixture.give(.setFloor(Fixture.value("", 10, nil).ballot))
            fixture.hear(.value(Fixture.value("topic/b", 8, nil)), from: 2)
            #expect(fixture.machine.versions(prefix: "topic/").page.count == (isOn ? 0 : 2))
        }
    }

    @Test func theTableIsListedInPages() throws {
        var fixture = try Fixture(members: 1)
        let keys = (0..<3_000).map { "topic/t\($0)" }
        fixture.give(.chosen(keys.map { Fixture.value($0, 1, "x") }))
        var listed: [String] = []
        var pages = 0
        var next: Int? = 0
        while let bucket = next {
            let (page, behind) = fixture.machine.versions(
                prefix: "topic/", from: bucket, seeing: 100)
            #expect(page.count < 200, "a page ends with the bucket that fills it")
            listed += page.map(\.key)
            pages += 1
            next = behind
        }
        #expect(listed.sorted() == keys.sorted())
        #expect(pages > 20)
        // Whoever asks for one key need not turn pages.
        for key in keys.prefix(50) {
            let first = fixture.machine.versions(prefix: key, seeing: 1).page
            #expect(first.first?.key == key)
            let whole = fixture.machine.versions(prefix: key).page
            #expect(whole.count { $0.key == key } == 1)
        }
        #expect(fixture.machine.versions(prefix: "", from: 1 << 20).page.isEmpty)
        #expect(fixture.machine.versions(prefix: "", from: -1).page.count == 3_001)
    }

    @Test func aTombstoneAboveTheFloorKeepsOlderValuesOut() throws {
        var fixture = try Fixture(members: 4)
        fixture.hear(.value(Fixture.value("topic/a", 9, nil)), from: 2)
        fixture.hear(.value(Fixture.value("topic/a", 8, "x")), from: 3)
        #expect(text(fixture, "topic/a") == nil)
    }

    @Test("What was chosen in bulk goes to every member at once, and not by rumour")
    func manyValuesGoOverTheLinks() throws {
        for count in [33, 32] {
            var fixture = try Fixture(members: 5)
            let values = (0..<count).map { Fixture.value("partition/\($0)", 9, "x") }
            let sent = fixture.give(.chosen(values)) + fixture.pass(50)
            var told: [NodeID: [ChosenValue]] = [:]
            for message in sent.messages {
                if case .values(let some) = message.message {
                    told[message.to, default: []] += some
                }
            }
            let rumours = sent.packets.flatMap(\.packet.parts).count {
                if case .value = $0 { true } else { false }
            }
            #expect(told.count == (count == 33 ? 4 : 0))
            #expect(told.values.allSatisfy { $0 == values })
            #expect((rumours > 0) == (count == 32))
        }
    }

    @Test("A key that came back from before a delete is doubted where it lives")
    func aPeerDoubtsWhatItForgot() throws {
        var fixture = try Fixture(members: 4)
        fixture.give(.chosen([Fixture.value("topic/zombie", 3, "z")]))
        fixture.give(.setFloor(Fixture.value("", 10, nil).ballot))
        let effects = fixture.message(.doubt(["topic/zombie"]), from: 2)
        #expect(effects.confirmations == ["topic/zombie"])
        let answer = fixture.give(.confirmed(key: "topic/zombie", nil))
        #expect(answer.tableChanges.map(\.value) == [nil])
        #expect(fixture.machine.value("topic/zombie") == nil)
    }

    @Test func whoWaitsForAValueGetsItOverTheLinkAtOnce() throws {
        var fixture = try Fixture(members: 4)
        let value = Fixture.value("partition/a", 9, "x")
        let sent = fixture.give(.push([value], to: NodeID(2))).messages
        guard case .values(let values)? = sent.first?.message else {
            Issue.record("nothing was sent")
            return
        }
        #expect(values == [value] && sent.map(\.to) == [NodeID(2)])
        #expect(fixture.give(.push([value], to: NodeID(99))).messages.isEmpty, "a stranger")
    }

    @Test("A large value is advertised and pulled over the link (alertmanager#1412)")
    func largeValuesArePulled() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.adverts, isOn))
            let large = Fixture.value("topic/a", 9, String(repeating: "x", count: 5_000))
            let sent = fixture.give(.chosen([large])) + fixture.pass(50)
            let adverts = sent.packets.flatMap(\.packet.parts).filter {
                if case .advert(let advert) = $0 { return advert.size == 5_000 }
                return false
            }
            #expect(adverts.isEmpty != isOn)
            let pulled = fixture.message(.want(["topic/a"]), from: 2).messages
            guard case .values(let values)? = pulled.first?.message else {
                Issue.record("no answer")
                return
            }
            #expect(values == [large])
        }
    }

    @Test func aPullGoesToTheNextThatHasIt() throws {
        var fixture = try Fixture(members: 4)
        let advert = Advert(
            key: "topic/a", ballot: Fixture.value("", 9, nil).ballot,
            hash: ContentHash(rawValue: 1), size: 9_000)
        fixture.hear(.advert(advert), from: 2)
        fixture.hear(.advert(advert), from: 3)
        var asked: [NodeID] = []
        for (to, message) in fixture.pass(9_000).messages {
            if case .want(["topic/a"]) = message { asked.append(to) }
        }
        #expect(asked == [NodeID(2), NodeID(3)])
    }

    @Test func anOlderValueDoesNotEndAPull() throws {
        var fixture = try Fixture(members: 4)
        let advert = Advert(
            key: "topic/a", ballot: Fixture.value("", 9, nil).ballot,
            hash: ContentHash(rawValue: 1), size: 9_000)
        fixture.hear(.advert(advert), from: 2)
        fixture.hear(.value(Fixture.value("topic/a", 8, "old")), from: 3)
        let asked = fixture.pass(50).messages.contains {
            if case .want(["topic/a"]) = $0.message { return true }
            return false
        }
        #expect(asked)
    }

    @Test("Quotas: members never starve the table, nor the reverse (memberlist#299)")
    func classesHaveQuotas() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 60, rules: .with(\.classQuotas, isOn))
            fixture.pass(50)
            for peer in Int32(3)...60 {
                fixture.hear(.record(Fixture.record(peer, incarnation: 1)), from: 2)
            }
            for number in 0..<40 {
                fixture.hear(
                    .value(Fixture.value("topic/\(number)", 9, "value of a topic")), from: 2)
            }
            fixture.give(.publish(FeedTests.news([("g", 1, 9, "9")])))
            let packet = try #require(
                try? Packet(decoding: fixture.machine.pack(.gossip, lead: [])))
            var records = 0
            var values = 0
            var marks = 0
            for part in packet.parts {
                switch part {
                case .record: records += 1
                case .value: values += 1
                case .mark, .change: marks += 1
                default: break
                }
            }
            #expect(records > 0)
            #expect((values >= 5) == isOn)
            #expect(marks > 0 || !isOn)
        }
    }

    @Test("A newer rumour replaces, it does not append (consul#9927)")
    func rumoursReplace() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 4, rules: .with(\.replacesRumours, isOn))
            for number in 1...10 {
                fixture.hear(
                    .value(Fixture.value("topic/a", UInt64(number), "x")), from: 2)
            }
            #expect(fixture.machine.rumourLoad.table == (isOn ? 1 : 10))
        }
    }

    @Test func queuesAreBounded() {
        var queue = RumourQueue(capacity: 100)
        for slot in 0..<1_000 {
            queue.insert(.mark(.slot(UInt32(slot))), ByteBuffer(repeating: 0, count: 19))
        }
        #expect(queue.count == 100)
        #expect(queue.dropped == 900)
        #expect(queue.waitingBytes == 1_900)
    }

    @Test("SWIM 4.1: rumours passed on least go first, and each a bounded number of times")
    func theLeastTransmittedGoFirst() throws {
        var queue = RumourQueue(capacity: 100)
        for slot in 0..<4 {
            queue.insert(.mark(.slot(UInt32(slot))), ByteBuffer(repeating: UInt8(slot), count: 20))
        }
        var sent: [UInt8] = []
        for _ in 0..<10 {
            var bytes = ByteBuffer()
            var parts = 0
            queue.take(into: &bytes, parts: &parts, budget: 40, limit: 3)
            while let part = bytes.readBytes(length: 20) { sent.append(part[0]) }
        }
        #expect(sent == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])
        #expect(queue.isEmpty)
    }

    @Test("A fresh rumour is pushed at once")
    func freshRumoursArePushed() throws {
        for isOn in [true, false] {
            var fixture = try Fixture(members: 6, rules: .with(\.pushesFreshRumours, isOn))
            fixture.pass(5_000)
            fixture.machine.memberRumours = RumourQueue(capacity: 10)
            fixture.pass(500)
            fixture.give(.chosen([Fixture.value("topic/a", 9, "x")]))
            let sent = fixture.pass(5).packets.filter { $0.packet.kind == .gossip }
            #expect(sent.count == (isOn ? 3 : 0))
        }
    }

    @Test("Small meshes pass a rumour on more often than memberlist does")
    func smallMeshesPassOnMore() throws {
        for (members, raised, plain) in [(5, 12, 4), (10, 18, 8), (30, 16, 8), (100, 16, 12)] {
            let on = try Fixture(members: members)
            #expect(on.machine.rumourLoad.transmissionsPerRumour == raised)
            let off = try Fixture(members: members, rules: .with(\.raisedTransmissions, false))
            #expect(off.machine.rumourLoad.transmissionsPerRumour == plain)
        }
    }

    @Test func theDigestForgetsOrderAndRemembersVersions() {
        var left = GossipTable()
        var right = GossipTable()
        let values = (0..<100).map { Fixture.value("topic/\($0)", UInt64($0 + 1), "x") }
        for value in values { left.set(value, hash: value.contentHash) }
        for value in values.reversed() { right.set(value, hash: value.contentHash) }
        #expect(left.tree.root == right.tree.root)
        let newer = Fixture.value("topic/5", 500, "x")
        right.set(newer, hash: newer.contentHash)
        #expect(left.tree.mask(differingFrom: right.tree.branches).nonzeroBitCount == 1)
        left.set(newer, hash: newer.contentHash)
        #expect(left.tree.root == right.tree.root)
        for value in values { left.remove(value.key) }
        #expect(left.tree.root == 0)
    }
}
