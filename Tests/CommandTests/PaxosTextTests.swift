import Broker
import Testing

@testable import gossamer

@Suite("What an operator is told of decisions")
struct PaxosTextTests {
    private func register(
        _ node: Int32, accepted counter: UInt64?, table: UInt64? = nil, hash: String = "aa"
    ) -> InspectionAnswer {
        var answer = Given.answer(node)
        func ballot(_ counter: UInt64) -> String {
            "{\"counter\":\(counter),\"proposer\":1,\"boot\":2}"
        }
        let accepted = counter.map { ",\"accepted\":\(ballot($0)),\"hash\":\"\(hash)\"" } ?? ""
        let known = table.map { ",\"table\":\(ballot($0)),\"tableHash\":\"\(hash)\"" } ?? ""
        answer.register = Given.report(
            """
            {"key":"k","isTombstone":false,"operations":["1.2.3"],
             "fields":[{"name":"leader","value":"\(node)"}]\(accepted)\(known)}
            """)
        return answer
    }

    private func picture(
        _ counters: [UInt64?], voters: [[Int32]] = [[1, 2, 3]], silent: [Int32] = []
    ) -> RegisterPicture {
        let answers = counters.enumerated().map { place, counter in
            register(Int32(place + 1), accepted: counter, table: counter)
        }
        return RegisterPicture("k", voters: voters, answers, silent: silent)
    }

    @Test("What a majority accepted at one ballot is chosen")
    func chosen() {
        let all = picture([5, 5, 5])
        #expect(all.chosen?.counter == 5)
        #expect(all.isSettled)
        #expect(picture([5, 5, 4]).chosen?.counter == 5)
        #expect(picture([5, 5], silent: [3]).isSettled)
        let open = picture([6, 5, 5])
        #expect(open.chosen?.counter == 5)
        #expect(open.newest?.counter == 6)
        #expect(!open.isSettled)
        #expect(open.text(colored: false).contains("(6, 1.2) was accepted by 1 of 3 voters"))
        #expect(picture([6, 5, 4]).chosen == nil)
    }

    @Test("Under a joint roster both sets have to hold it")
    func joint() {
        #expect(picture([5, 5, nil, nil, nil], voters: [[1, 2, 3], [3, 4, 5]]).chosen == nil)
        #expect(picture([5, 5, nil, 5, 5], voters: [[1, 2, 3], [3, 4, 5]]).chosen?.counter == 5)
    }

    @Test("Two values at one ballot are no settled register, and nothing is none")
    func split() {
        let answers = [
            register(1, accepted: 5, table: 5), register(2, accepted: 5, table: 5, hash: "bb"),
        ]
        #expect(!RegisterPicture("k", voters: [[1, 2]], answers, silent: []).isSettled)
        #expect(!RegisterPicture("k", voters: [[1]], [Given.answer(1)], silent: []).isThere)
        #expect(picture([nil, nil, nil]).text(colored: false).contains("never written"))
    }

    private func partition(
        leader: Int32?, inSync: [Int32], standings: [String] = ["current", "current", "current"]
    ) -> PartitionReport? {
        let copies = inSync.enumerated().map { place, node in
            """
            {"nodeId":\(node),"admission":1,"logEpoch":0,"isInSync":true,
             "standing":"\(standings[place])"}
            """
        }
        let live = zip(inSync, standings).filter { $0.1 == "current" }.map(\.0)
        return Given.report(
            """
            {"topic":"t","partition":0,"leaderEpoch":4,"partitionEpoch":9,"replicas":[1,2,3],
             "adding":[],"removing":[],"inSync":\(inSync),"live":\(live),"lastEligible":[],
             "successors":\(live),"minInSync":2,"copies":[\(copies.joined(separator: ","))]
             \(leader.map { ",\"leader\":\($0)" } ?? "")}
            """)
    }

    private func led(isServing: Bool = true) -> LedReport? {
        Given.report(
            """
            {"leaderEpoch":4,"startOffset":0,"endOffset":100,"highWatermark":90,
             "isServing":\(isServing),"isChangingInSync":false,"backups":[
              {"nodeId":1,"isAttached":true,"isInSync":true,"endOffset":90,"lag":10,
               "behindMilliseconds":20},
              {"nodeId":3,"isAttached":false,"isInSync":false,"behindMilliseconds":5000}]}
            """)
    }

    @Test("Why a broker leads, who would be next and why another would not")
    func explain() throws {
        let members = [Given.member(1), Given.member(2), Given.member(3, "dead")].compactMap { $0 }
        let report = try #require(partition(leader: 2, inSync: [2, 1]))
        let answer = LeaderCase(
            report, led: led(), picture([5, 5, 5]), members, leaseMilliseconds: 1_200)
        #expect(answer.isHealthy)
        #expect(answer.copies.map(\.next) == [1, nil, nil])
        #expect(answer.copies.map(\.reason) == ["would lead next", "leads", "not there"])
        #expect(answer.copies[0].lag == 10)
        #expect(answer.text.contains("1 is preferred and in sync: gossamer cluster balance"))
        #expect(answer.text.contains("held, for 1.2 s unless"))
        let stale = LeaderCase(
            report, led: led(isServing: false), picture([5, 5, 5]), members,
            leaseMilliseconds: 0)
        #expect(!stale.isHealthy)
        #expect(stale.text.contains("not held: it serves nothing"))
    }

    @Test("Nobody leads: a copy that started uncleanly is named as such")
    func nobodyLeads() throws {
        let members = [Given.member(1), Given.member(2), Given.member(3)].compactMap { $0 }
        let report = try #require(
            partition(leader: nil, inSync: [1], standings: ["restarted"]))
        let answer = LeaderCase(
            report, led: nil, picture([5, 5, 5]), members, leaseMilliseconds: nil)
        #expect(!answer.isHealthy)
        #expect(answer.copies[0].reason.hasPrefix("started uncleanly since"))
        #expect(answer.text.contains("nobody leads: no copy that holds all"))
    }

    @Test("A partition is written as topic and number")
    func subjects() throws {
        #expect(try PaxosExplain.parse("orders/12") == ("orders", 12))
        for wrong in ["orders", "orders/", "/1", "orders/-1", "orders/x", "a/b/1"] {
            #expect(throws: UsageError.self) { try PaxosExplain.parse(wrong) }
        }
    }

    @Test("A roster shows who is coming, who drives it, and a voter that stopped to vote")
    func roster() throws {
        let coming: VoterReport = try #require(
            Given.report("{\"nodeId\":3,\"storeId\":\"new\",\"since\":4}"))
        var roster = try #require(Given.roster([1, 2], generation: 4))
        roster.voters[0].storeId = "a"
        roster.voters[1].storeId = "b"
        roster.next = [roster.voters[0], coming]
        roster.phase = "repairing"
        roster.repaired = 3
        roster.total = 9
        var first = Given.answer(1)
        first.roster = roster
        let members = [Given.member(1), Given.member(2), Given.member(3)].compactMap { $0 }
        let picture = try #require(RosterPicture(members, [first]))
        #expect(picture.rows.map(\.vote) == ["yes", "leaving", "joining"])
        #expect(picture.isHealthy)
        let text = picture.text(colored: false)
        #expect(text.contains("1 is repairing, 3 of 9 registers copied"))
        #expect(text.contains("silent"))
        first.roster?.acceptor = "halted: persistFailed"
        #expect(RosterPicture(members, [first])?.isHealthy == false)
        #expect(RosterPicture(members, [Given.answer(1)]) == nil)
    }

    @Test("Duels are shown the worst first, and no more than asked for")
    func duels() {
        var first = Given.answer(1)
        first.duels = [
            Given.report("{\"key\":\"a\",\"count\":2,\"lastRival\":2}"),
            Given.report("{\"key\":\"b\",\"subject\":\"t/0\",\"count\":7,\"lastRival\":2}"),
        ].compactMap { $0 }
        let rows = PaxosDuels.rows([first])
        #expect(rows.map(\.key) == ["b", "a"])
        #expect(PaxosDuels.text(rows, top: 1).contains("and 1 more"))
        #expect(PaxosDuels.text(rows, top: 9).contains("t/0  b"))
        #expect(PaxosDuels.text([], top: 9).contains("no broker was overtaken"))
    }

    @Test("Means of counters, and none where nothing was counted")
    func stats() {
        let row = PaxosStats.Row(nodeId: 1, counters: ["rounds": 21, "chosen": 20])
        #expect(row.quotient("rounds", by: "chosen") == "1.05")
        #expect(row.quotient("acceptorRecords", by: "acceptorFsyncs") == "-")
    }

    @Test("What the leader says of its backups comes into a topic's description")
    func describe() throws {
        var topic = TopicDescribe.Description(
            name: "t", topicId: nil, configs: [:],
            partitions: [
                TopicDescribe.Partition(
                    partition: 0, leader: 2, leaderEpoch: 4, replicas: [1, 2, 3], inSync: [1, 2])
            ])
        var report = try #require(partition(leader: 2, inSync: [2, 1]))
        report.led = led()
        let isTaken = topic.take([report])
        #expect(isTaken)
        #expect(topic.partitions[0].partitionEpoch == 9)
        let text = TopicDescribe.text(topic)
        #expect(text.contains("1:10 3:?"))
        report.topicId = "00000000000000010000000000000002"
        let isForeign = !topic.take([report])
        #expect(isForeign, "a topic of that name in another cluster")
    }
}
