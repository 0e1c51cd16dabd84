import Broker
import Testing

@testable import gossamer

@Suite("What an operator is told of a mesh, and whether a broker can be stopped")
struct ClusterTests {
    /// Three brokers, all of them voters if nobody says otherwise; `orders/0` has a copy on each.
    static func picture(
        dead: Set<Int32> = [], voters: [Int32] = [1, 2, 3]
    ) throws -> ClusterPicture {
        let all: [Int32] = [1, 2, 3]
        let live = all.filter { !dead.contains($0) }
        return ClusterPicture(
            nodeId: 1, clusterId: "c",
            members: all.compactMap { Given.member($0, dead.contains($0) ? "dead" : "alive") },
            roster: try #require(Given.roster(voters)),
            partitions: [try partition("orders", leader: live.first, all, live: live)])
    }

    static func partition(
        _ topic: String, leader: Int32?, _ replicas: [Int32], live: [Int32], minInSync: Int = 2
    ) throws -> PartitionReport {
        try #require(Given.partition(topic, leader: leader, replicas, live, minInSync: minInSync))
    }

    private func voter(_ node: Int32) throws -> VoterReport {
        try #require(Given.report("{\"nodeId\":\(node),\"storeId\":\"s\",\"since\":4}"))
    }

    @Test("One of three may be stopped; of two that are left, none")
    func stopping() throws {
        let well = try Self.picture()
        for node: Int32 in 1...3 { #expect(StopVerdict(of: node, in: well).isSafe) }
        let hurt = try Self.picture(dead: [3])
        let verdict = StopVerdict(of: 1, in: hurt)
        #expect(!verdict.isSafe)
        #expect(verdict.losesQuorum)
        #expect(verdict.word == "no: voters")
        #expect(verdict.wouldBeBelowMinInSync == 1)
        #expect(verdict.reasons.count == 2)
        #expect(StopVerdict(of: 3, in: hurt).isSafe, "it is stopped already")
    }

    @Test("The only copy, and the last that is in sync, hold a broker back")
    func lastCopies() throws {
        var picture = try Self.picture()
        picture.partitions.append(
            try Self.partition("single", leader: 3, [3], live: [3], minInSync: 1))
        let verdict = StopVerdict(of: 3, in: picture)
        #expect(verdict.wouldBeOffline == 1)
        #expect(verdict.text.contains("no other copy: single/0"))
        #expect(StopVerdict(of: 2, in: picture).isSafe)
        picture.partitions = [
            try Self.partition("orders", leader: 2, [1, 2, 3], live: [2], minInSync: 2)
        ]
        #expect(StopVerdict(of: 2, in: picture).word == "no: 1 offline")
        #expect(StopVerdict(of: 1, in: picture).isSafe, "its copy counts for nothing as it is")
    }

    @Test("The only voter is not to be stopped")
    func centre() throws {
        let picture = try Self.picture(voters: [1])
        #expect(StopVerdict(of: 1, in: picture).reasons.first?.contains("only voter") == true)
        #expect(StopVerdict(of: 2, in: picture).isSafe)
        #expect(picture.margin == 0)
    }

    @Test("While voters change, both sets have to go on")
    func jointVoters() throws {
        var picture = try Self.picture()
        picture.roster.next = [try voter(1), try voter(2)]
        #expect(picture.margin == 0)
        #expect(StopVerdict(of: 2, in: picture).losesQuorum)
        #expect(StopVerdict(of: 3, in: picture).isSafe)
    }

    @Test("A partition is offline, below its minimum, short of a copy or well")
    func conditions() throws {
        let picture = try Self.picture(dead: [3])
        func condition(_ leader: Int32?, _ live: [Int32], _ least: Int = 2) throws -> String {
            picture.condition(
                of: try Self.partition(
                    "t", leader: leader, [1, 2, 3], live: live, minInSync: least)
            ).rawValue
        }
        #expect(try condition(1, [1, 2, 3]) == "inSync")
        #expect(try condition(1, [1, 2]) == "underReplicated")
        #expect(try condition(1, [1]) == "belowMinInSync")
        #expect(try condition(1, [1], 1) == "underReplicated")
        #expect(try condition(nil, [1, 2]) == "offline")
        #expect(try condition(3, [1, 2]) == "offline", "its leader is dead")
        #expect(try condition(1, [2]) == "offline", "its leader is another copy now")
    }

    @Test("A status counts, says how many may fail, and is healthy or not")
    func status() throws {
        let well = ClusterStatus.Answer(try Self.picture(), drivers: [])
        #expect(well.isHealthy)
        #expect(well.brokers.map(\.leads) == [1, 0, 0])
        #expect(well.brokers.map(\.follows) == [0, 1, 1])
        #expect(well.text(colored: false).contains("3 of 3 there, 1 more may fail"))
        #expect(well.text(colored: false).contains("1, all in sync"))
        let hurt = ClusterStatus.Answer(try Self.picture(dead: [2, 3]), drivers: [])
        #expect(!hurt.isHealthy)
        #expect(hurt.voters.mayFail == -1)
        #expect(hurt.text(colored: false).contains("too few to decide"))
        #expect(hurt.text(colored: false).contains("1: 1 below min ISR"))
        #expect(hurt.brokers.map(\.missing) == [0, 1, 1])
    }

    @Test("The living, the voters that are needed and the last copies are not forgotten")
    func forgetting() throws {
        func refusal(_ node: Int32, _ picture: ClusterPicture, _ force: Bool = false) -> String? {
            ClusterForget.refusal(of: node, in: picture, isForced: force)
        }
        #expect(try refusal(3, Self.picture())?.contains("Stop it first") == true)
        #expect(try refusal(3, Self.picture(), true) == nil)
        #expect(try refusal(3, Self.picture(dead: [3])) == nil)
        #expect(try refusal(2, Self.picture(dead: [3]), true)?.contains("too few voters") == true)
        var picture = try Self.picture(dead: [3])
        picture.partitions = [
            try Self.partition("single", leader: 3, [3], live: [], minInSync: 1)
        ]
        #expect(refusal(3, picture)?.contains("only copy of 1 partition (single/0)") == true)
        #expect(refusal(3, picture, true) == nil)
    }

    @Test("A drained broker's place is taken by who holds least, of a rack of its own")
    func draining() throws {
        var picture = try Self.picture()
        #expect(DrainPlan(of: 3, in: picture).stuck.count == 1, "all others have a copy")
        #expect(
            ClusterDrain.refusal(DrainPlan(of: 3, in: picture))?.contains("Start another") == true)
        for node: Int32 in 4...6 { picture.members += [Given.member(node)].compactMap { $0 } }
        picture.members[5].roles = ["voter"]
        picture.partitions = [
            try Self.partition("a", leader: 3, [3, 1, 2], live: [1, 2, 3]),
            try Self.partition("b", leader: 1, [1, 3, 4], live: [1, 3, 4]),
            try Self.partition("c", leader: 1, [1, 2], live: [1, 2]),
        ]
        let plan = DrainPlan(of: 3, in: picture)
        #expect(plan.stuck.isEmpty)
        #expect(plan.moves.map(\.replicas) == [[5, 1, 2], [1, 5, 4]], "4 holds more, 6 nothing")
        #expect(plan.left(in: picture.partitions).count == 2)
        for (place, rack) in ["x", "x", "y", "x", "x"].enumerated() {
            picture.members[place].rack = rack
        }
        picture.members[3].rack = "y"
        #expect(DrainPlan(of: 3, in: picture).moves[0].replicas == [4, 1, 2], "rack y")
    }

    @Test("Moves that were refused to the end are listed, with the reason")
    func refusedMoves() {
        let answer = ClusterDrain.Answer(
            drained: 3, moves: [], left: 2,
            refused: [.init(topic: "a", partition: 4, reason: "no such broker")], milliseconds: 9)
        let text = ClusterDrain.text(answer, isDry: false, false)
        #expect(text == "a/4: no such broker\n3 has copies of 2 partitions yet: 1 move refused")
    }

    @Test("A drain goes on while anything is left that was not refused")
    func drainsToTheEnd() throws {
        let left = [try Self.partition("b", leader: 1, [1, 3, 4], live: [1, 3, 4])]
        // a/0 was refused here and moved by somebody else: as many are left as were refused.
        let refused = [ClusterDrain.Answer.Refusal(topic: "a", partition: 0, reason: "busy")]
        #expect(DrainPlan.isMoving(left, refused: refused))
        #expect(!DrainPlan.isMoving([], refused: refused))
        let other = [ClusterDrain.Answer.Refusal(topic: "b", partition: 0, reason: "busy")]
        #expect(!DrainPlan.isMoving(left, refused: other))
    }

    @Test("Only leaderships whose preferred leader is in sync move back")
    func balancing() throws {
        var picture = try Self.picture()
        picture.partitions = [
            try Self.partition("a", leader: 2, [1, 2, 3], live: [1, 2, 3]),
            try Self.partition("b", leader: 2, [1, 2, 3], live: [2, 3]),
            try Self.partition("c", leader: 1, [1, 2, 3], live: [1, 2, 3]),
        ]
        #expect(ClusterBalance.misled(picture).map(\.topic) == ["a"])
        let answer = ClusterBalance.Answer(
            wanted: 1, moved: 0, notInSync: 1,
            failures: [.init(topic: "a", partition: 0, reason: "no")])
        let text = ClusterBalance.text(answer, [], isDry: false)
        #expect(text.contains("0 of 1 leadership moved") && text.contains("a/0: no"))
        #expect(text.contains("1 partition stay"))
    }

    @Test("Who votes, who is coming and who is going")
    func voters() throws {
        var picture = try Self.picture(voters: [1, 2])
        picture.roster.next = [try voter(1), try voter(3)]
        let answer = ClusterVoters.Answer(picture.members, picture.roster)
        #expect(answer.members.map(\.vote) == ["yes", "leaving", "joining"])
        picture.roster.target = nil
        let text = ClusterVoters.text(ClusterVoters.Answer(picture.members, picture.roster))
        #expect(text.contains("only an operator changes them"))
    }
}
