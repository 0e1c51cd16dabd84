import ArgumentParser
import Broker
import Testing

@testable import gossamer

@Suite("What gossip commands print")
struct GossipTextTests {
    @Test("rtt: a matrix of all, or one line each way")
    func roundTrips() throws {
        let trips = GossipRTT.trips([
            Given.view(1, Given.member(2, p50: 400)), Given.view(2, Given.member(1)),
        ])
        #expect(
            GossipRTT.matrix(trips).text
                == "FROM \\ TO  1  2\n1          .  0.40 / -\n2          -  .")
        #expect(GossipRTT.line(trips[0]) == "1 -> 2  p50 0.40 ms  p99 -")
        #expect(GossipRTT.line(trips[1]) == "2 -> 1  no answer by UDP yet")
        #expect(throws: (any Error).self) { try GossipRTT.parse(["1"]) }
    }

    @Test("diff: lagging, missing, ahead, SPLIT_VERSION; the majority wins, then the newer")
    func divergence() {
        let tables = [
            Given.table(
                1, Given.version("a", 1, 5), Given.version("b", 1, 1), Given.version("c", 2, 9)),
            Given.table(
                2, Given.version("a", 1, 5), Given.version("b", 1, 1),
                Given.version("c", 2, 9, hash: "ffff")),
            Given.table(3, Given.version("a", 1, 4), Given.version("c", 2, 9)),
        ]
        var divergence = TableDivergence(tables)
        #expect(divergence.keys == 3)
        #expect(
            divergence.table.text == """
                KEY  MAJORITY     HELD BY  OUTLIERS        VERDICT
                a    (1, 5) aaaa  1, 2     3: (1, 4) aaaa  lagging
                b    (1, 1) aaaa  1, 2     3: nothing      missing
                c    (2, 9) aaaa  1, 3     2: (2, 9) ffff  SPLIT_VERSION
                """)
        let text = GossipDiff.text(divergence, nil, [4])
        #expect(text.contains("3 of 3 keys differ"))
        #expect(text.contains("3 did not hear what the others know: see gossip heat"))
        #expect(text.contains("report it"))
        #expect(text.hasSuffix("no answer from 4"))
        divergence.keep(of: 2)
        #expect(divergence.differences.map(\.key) == ["c"])
        let newer = TableDivergence([
            Given.table(1, Given.version("a", 1, 5)), Given.table(2, Given.version("a", 3, 6)),
            Given.table(4, Given.version("a", 1, 5)),
        ])
        #expect(newer.differences.first?.outliers.first?.fault == .ahead)
        #expect(newer.differences.first?.outliers.first?.nodeId == 2)
    }

    @Test("diff: agreement is said with numbers; what was on its way is no finding")
    func agreement() {
        let same = TableDivergence([
            Given.table(1, Given.version("a", 1, 5)), Given.table(2, Given.version("a", 1, 5)),
        ])
        #expect(GossipDiff.text(same, nil, []) == "all 2 brokers agree on 1 key")
        #expect(GossipDiff.text(same, 2, []) == "2 agrees with most of 2 brokers on 1 key")
        var behind = TableDivergence([
            Given.table(1, Given.version("a", 1, 5)), Given.table(2),
        ])
        behind.keepLasting(same)
        #expect(behind.differences.isEmpty)
        // A forgotten deletion reads like a remembered one.
        let deleted = TableDivergence([
            Given.table(1, Given.version("a", 1, 5, isTombstone: true)), Given.table(2),
        ])
        #expect(deleted.differences.isEmpty)
    }

    @Test("trace: a tree with times relative to the first, repeats and who is missing")
    func tree() throws {
        let events = Given.events(
            Given.event(1, 0, "traced", hop: 0), Given.event(2, 3, "traced", by: 1, hop: 1),
            Given.event(1, 4, "traced", by: 2, hop: 2), Given.event(3, 9, "traced", by: 2, hop: 2))
        let tree = try #require(RumourTree(events, alive: [1, 2, 3, 4]))
        #expect(
            tree.lines() == ["+0 ms  1  (again 1 time)", "+3 ms     1 -> 2", "+9 ms        2 -> 3"])
        #expect(tree.summary() == "reached 3 of 4 in 9 ms, 2 hops, 1 repeat; not reached: 4")
        #expect(RumourTree([], alive: [1]) == nil)
        let verdict = GossipReachability.verdict(tree, [], silent: [4])
        #expect(
            verdict == [
                "4 is held for alive and did not get it in 2 s; no answer from 4 either: see "
                    + "gossip why 4"
            ])
        #expect(
            GossipReachability.table(tree).text.hasSuffix("4     NOT REACHED     -  -         -"))
    }

    @Test("trace: sources that point at each other end all the same")
    func circle() throws {
        let events = Given.events(
            Given.event(1, 0, "valueApplied", by: 2), Given.event(2, 1, "valueApplied", by: 1))
        let tree = try #require(RumourTree(events, alive: [1, 2]))
        #expect(tree.lines().count == 2)
        #expect(tree.depth <= 2)
    }

    @Test("reachability: a member that hears no UDP is named once, not with each of its peers")
    func holes() {
        let blocked = GossipReachability.blocked([
            Given.view(1, Given.member(3, isBlocked: true)),
            Given.view(2, Given.member(3, isBlocked: true)),
            Given.view(3, Given.member(1, isBlocked: true), Given.member(2, isBlocked: true)),
        ])
        #expect(blocked.map(\.nodeId) == [1, 2, 3])
        #expect(
            GossipReachability.holes(blocked)
                == [GossipReachability.Blocked(nodeId: 3, seenFrom: [1, 2])])
    }

    @Test("heat: who hears late, who is heard late, and which pair")
    func heat() {
        let alive = (1...4).compactMap { Given.member($0) }
        func findings(_ answers: InspectionAnswer...) -> [String] {
            HeatMap(answers, states: alive, silent: []).findings
        }
        #expect(
            findings(Given.heat(1, [2: 100, 3: 200]), Given.heat(2, [1: 90, 3: 100]))
                == ["all hear each other"])
        let deaf = findings(
            Given.heat(1, [2: 100, 3: 100, 4: 100]), Given.heat(2, [1: 100, 3: 100, 4: 100]),
            Given.heat(3, [1: 100, 2: 100, 4: 100]), Given.heat(4, [1: 6_000, 2: 6_100, 3: 7_000]))
        #expect(
            deaf == ["4 hears late from all (1, 2, 3) but is heard: check what reaches it by UDP"])
        let mute = findings(
            Given.heat(1, [2: 100, 3: 100, 4: 9_000]), Given.heat(2, [1: 100, 3: 100, 4: 9_000]),
            Given.heat(3, [1: 100, 2: 100, 4: 9_000]))
        #expect(mute.count == 1)
        #expect(mute[0].hasPrefix("4 is heard late by all (1, 2, 3)"))
        let pair = findings(
            Given.heat(1, [2: 100, 3: 100]), Given.heat(2, [1: 100, 3: 8_000]),
            Given.heat(3, [1: 100, 2: 100]))
        #expect(pair == ["2 hears 3 late: check the path between them"])
    }

    @Test("heat: the dead are shown and judged by nobody")
    func heatOfTheDead() {
        let states = [Given.member(1), Given.member(2), Given.member(3, "dead")].compactMap { $0 }
        let map = HeatMap(
            [Given.heat(1, [2: 100, 3: 90_000]), Given.heat(2, [1: 100, 3: 91_000])],
            states: states, silent: [])
        #expect(!map.cells.contains { $0.isLate })
        #expect(map.table.text.hasSuffix("3           1 min  1 min  (dead)"))
        #expect(map.findings == ["all that are there hear each other"])
    }

    @Test("stats: groups, zeroes hidden, differences for --watch")
    func stats() throws {
        func answer(_ probes: Int, _ forged: Int) -> InspectionAnswer {
            var answer = Given.answer(1)
            answer.stats = Given.report(
                """
                {"gossip":{"probes":\(probes),"forged":\(forged)},"transport":{},
                 "datagramDrops":{"replayed":2},"handshakesRefused":{},"handshakesDeclined":{},
                 "acceptsRefused":{},"linkViolations":{},"paxos":{}}
                """)
            return answer
        }
        let text = StatsSheet([answer(7, 0)], showsZeroes: false).text()
        #expect(text.contains("gossip:"))
        #expect(text.contains("  probes"))
        #expect(text.contains("datagrams dropped:"))
        #expect(!text.contains("forged"))
        #expect(StatsSheet([answer(7, 0)], showsZeroes: true).text().contains("forged"))
        let second = StatsSheet([answer(9, 1)], since: [answer(7, 0)], showsZeroes: false).text()
        #expect(second.contains("  probes  2"))
        #expect(!second.contains("replayed"))
    }

    @Test("monitor: follows each broker by its own numbers; old stories are not told")
    func follow() {
        func answer(_ node: Int32, _ events: SeenEvent?...) -> InspectionAnswer {
            var answer = Given.answer(node, at: Given.noon + 1_000)
            answer.events = events.compactMap { $0?.event }
            return answer
        }
        var follower = EventFollower(kinds: ["joined"], node: nil, last: 1)
        let first = follower.take(
            [
                answer(
                    1, Given.event(1, 0, "joined", number: 4),
                    Given.event(1, 1, "joined", number: 5))
            ],
            now: 0)
        #expect(first.map(\.event.number) == [5])
        #expect(
            follower.question(everywhere: true).cursors == [EventCursor(nodeId: 1, after: 5)])
        let later = follower.take(
            [
                answer(1, Given.event(1, 900, "joined", number: 6)),
                answer(
                    2, Given.event(2, 100, "joined", number: 1),
                    Given.event(2, 950, "left", number: 2),
                    Given.event(2, 960, "joined", number: 3)),
            ], now: 500)
        #expect(later.map { "\($0.observer)/\($0.event.number)" } == ["1/6", "2/3"])
    }

    @Test("monitor: a kind that is none is refused with the nearest")
    func kinds() {
        do {
            _ = try GossipMonitor.parse(["--kind", "suspect"])
            Issue.record("taken")
        } catch {
            #expect("\(GossipMonitor.message(for: error))".contains("did you mean suspected?"))
        }
        #expect(throws: (any Error).self) { try GossipMonitor.parse(["--count", "0"]) }
        #expect(throws: (any Error).self) { try GossipTrace.parse([]) }
        #expect(throws: (any Error).self) { try GossipTrace.parse(["k", "--inject"]) }
    }

    @Test("join: the member at the address, or why there is none")
    func join() {
        let members = [Given.member(2), Given.member(3, "dead")].compactMap { $0 }
        #expect(GossipJoin.member(at: "10.0.0.2:7946", members)?.nodeId == 2)
        #expect(GossipJoin.member(at: "10.0.0.3:7946", members) == nil)
        let events = Given.events(
            Given.event(1, 0, "linkFailed", "no link to 10.0.0.9:7946: nobody answers there"))
        #expect(GossipJoin.failure(to: "10.0.0.9:7946", events.map(\.event)) != nil)
        #expect(GossipJoin.failure(to: "10.0.0.9:79", events.map(\.event)) == nil)
    }

    @Test("Questions of brokers that know fewer fields are understood")
    func olderQuestions() {
        let old: InspectionQuestion? = InspectionJSON.decoded(
            "{\"verb\":\"events\",\"everywhere\":true}")
        #expect(old == InspectionQuestion(.events, everywhere: true))
        let new = InspectionQuestion(
            .events, key: "k", target: 2, cursors: [EventCursor(nodeId: 1, after: 1 << 62)],
            patience: 500)
        let codec = InspectionJSON()
        #expect(codec.question(from: codec.bytes(of: new)) == new)
    }

    @Test("leave: says what it means")
    func leave() {
        #expect(
            GossipLeave.consequence(3, leads: 2, isVoter: true)
                == "broker 3 will leave the mesh until it is started again. It leads 2 partitions, "
                + "which clients can't use then. It is a voter: nothing is decided by it meanwhile."
        )
    }
}
