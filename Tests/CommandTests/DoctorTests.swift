import Broker
import Testing

@testable import gossamer

@Suite("What the doctor finds")
struct DoctorTests {
    private func health(
        _ node: Int32, at: Int64 = 0, _ change: (inout HealthReport) -> Void = { _ in }
    ) -> InspectionAnswer {
        var answer = Given.answer(node, at: Given.noon + at)
        var report: HealthReport? = Given.report(
            """
            {"version":"1","featureLevel":1,"isSelfIsolated":false,"health":0,
             "freeBytes":900000000000,"totalBytes":1000000000000,"writes":10,"slowWrites":0,
             "longestWriteMilliseconds":3,"clockJumps":0,"splitVersions":0,"links":"seal",
             "isReachable":true,"secretMode":"600"}
            """)
        if var known = report {
            change(&known)
            report = known
        }
        answer.health = report
        return answer
    }

    private func names(
        _ picture: ClusterPicture, _ answers: [InspectionAnswer]? = nil, silent: [Int32] = [],
        rosters: [InspectionAnswer] = []
    ) -> [String] {
        let said = answers ?? [health(1), health(2), health(3)]
        return Examination(
            picture: picture, health: InspectionAnswers(answers: said, silent: silent),
            rosters: rosters
        ).findings.map(\.name)
    }

    @Test("A mesh that is well has nothing")
    func well() throws {
        #expect(try names(ClusterTests.picture()) == [])
        let answer = DoctorCommand.Answer(
            clusterId: "c", brokers: 3, voters: 3, partitions: 1, findings: [])
        #expect(
            DoctorCommand.text(answer)
                == "nothing found: 3 brokers, 3 voters, 1 partition looked at")
    }

    @Test("Partitions that are short of copies, refuse acks=all or have no leader")
    func partitions() throws {
        #expect(
            try names(ClusterTests.picture(dead: [3]))
                == ["UNDER_REPLICATED", "NO_QUORUM_MARGIN", "DEAD"])
        #expect(
            try names(ClusterTests.picture(dead: [2, 3]))
                == ["BELOW_MIN_ISR", "NO_QUORUM", "DEAD", "DEAD"])
        #expect(
            try names(ClusterTests.picture(dead: [1, 2, 3])).prefix(2) == ["OFFLINE", "NO_QUORUM"])
    }

    @Test("Voters: one of three that could, an even number, one that stopped, a change left alone")
    func voters() throws {
        #expect(try names(ClusterTests.picture(voters: [1])) == ["ONE_VOTER"])
        var centre = try ClusterTests.picture(voters: [1])
        centre.roster.target = 1
        #expect(names(centre) == [], "one was asked for")
        #expect(try names(ClusterTests.picture(voters: [1, 2])) == ["NO_QUORUM_MARGIN"])
        var halted = Given.answer(2)
        halted.roster = Given.roster([1, 2, 3])
        halted.roster?.acceptor = "halted: persistFailed"
        let picture = try ClusterTests.picture()
        #expect(names(picture, rosters: [halted]) == ["VOTES_NO_MORE"])
        var joint = picture
        joint.roster.next = joint.roster.voters
        #expect(names(joint) == ["ROSTER_STUCK"])
        halted.roster?.acceptor = "serving"
        halted.roster?.phase = "sealing"
        #expect(names(joint, rosters: [halted]) == [])
    }

    @Test("Members: dead for long, gone, suspected, without UDP, of other versions, against roles")
    func members() throws {
        func with(_ change: (inout MemberReport) -> Void) throws -> [String] {
            var picture = try ClusterTests.picture()
            picture.partitions = []
            change(&picture.members[2])
            return names(picture)
        }
        #expect(
            try with {
                $0.state = "dead"
                $0.forMilliseconds = 600_000
            } == ["NO_QUORUM_MARGIN", "DEAD_FOR_LONG"])
        #expect(
            try with {
                $0.state = "left"
                $0.forMilliseconds = 60_000
            } == ["NO_QUORUM_MARGIN", "LEFT"])
        #expect(try with { $0.state = "suspect" } == ["NO_QUORUM_MARGIN", "SUSPECT"])
        #expect(try with { $0.isUdpBlocked = true } == ["UDP_BLOCKED"])
        #expect(try with { $0.duplicateBoots = [1, 2] } == ["DUPLICATE_STORE"])
        #expect(try with { $0.version = "0.9" } == ["VERSIONS_DIFFER"])
        #expect(
            try with {
                $0.roles = ["broker"]
                $0.isVoter = true
            } == ["VOTES_AGAINST_ROLE"])
        var picture = try ClusterTests.picture()
        picture.members[2].roles = ["voter"]
        #expect(names(picture) == ["HOLDS_AGAINST_ROLE"])
    }

    @Test("Brokers: silent, isolated, slow, full, with jumping clocks and open secrets")
    func brokers() throws {
        let picture = try ClusterTests.picture()
        func found(_ change: (inout HealthReport) -> Void) -> [String] {
            names(picture, [health(1, change)])
        }
        #expect(names(picture, [health(1)], silent: [2]) == ["SILENT"])
        #expect(found { $0.isSelfIsolated = true } == ["SELF_ISOLATED"])
        #expect(found { $0.splitVersions = 1 } == ["SPLIT_VERSION"])
        #expect(found { $0.slowWrites = 1 } == ["SLOW_FSYNC"])
        #expect(found { $0.clockJumps = 1 } == ["CLOCK_JUMP"])
        #expect(found { $0.freeBytes = 90_000_000_000 } == ["DISK_NEARLY_FULL"])
        #expect(found { $0.freeBytes = 1_000_000_000 } == ["DISK_NEARLY_FULL"])
        #expect(found { $0.secretMode = "644" } == ["SECRET_MODE"])
        #expect(found { $0.links = "authenticate" } == ["LINKS_NOT_SEALED"])
        #expect(
            found {
                $0.links = "authenticate"
                $0.isReachable = false
            } == [])
        #expect(names(picture, [health(1), health(2, at: 3_001)]) == ["CLOCKS_DIFFER"])
        #expect(names(picture, [health(1), health(2, at: 2_000)]) == [])
    }

    @Test("Topics with one copy, or with copies that nobody waits for; leaders in the wrong place")
    func placement() throws {
        var picture = try ClusterTests.picture()
        picture.partitions += [
            try ClusterTests.partition("one", leader: 2, [2], live: [2], minInSync: 1),
            try ClusterTests.partition("__own", leader: 2, [2], live: [2], minInSync: 1),
        ]
        #expect(names(picture) == ["ONE_COPY"])
        picture.partitions = [
            try ClusterTests.partition("t", leader: 2, [1, 2], live: [1, 2], minInSync: 1)
        ]
        #expect(names(picture) == ["MIN_ISR_1", "NOT_PREFERRED"])
        picture.partitions = [try ClusterTests.partition("t", leader: 2, [1, 2, 3], live: [2, 3])]
        #expect(names(picture) == ["UNDER_REPLICATED"], "the preferred leader is not in sync")
    }

    @Test("The copies of a broker that was forgotten are to be made elsewhere")
    func forgotten() throws {
        var picture = try ClusterTests.picture(dead: [3])
        picture.members.removeLast()
        picture.roster.voters.removeLast()
        let examination = Examination(
            picture: picture, health: InspectionAnswers(answers: [], silent: []), rosters: [])
        let under = examination.findings.first { $0.name == "UNDER_REPLICATED" }
        #expect(
            under?.action.hasPrefix("start a broker that has no copy yet: 3 is forgotten") == true)
    }

    @Test("Each finding is one line that says what, why and what to do")
    func lines() throws {
        let examination = Examination(
            picture: try ClusterTests.picture(dead: [3]),
            health: InspectionAnswers(answers: [health(1) { $0.slowWrites = 2 }], silent: []),
            rosters: [])
        let text = DoctorCommand.text(
            DoctorCommand.Answer(
                clusterId: "c", brokers: 3, voters: 3, partitions: 1,
                findings: examination.findings))
        let lines = text.split(separator: "\n")
        #expect(lines.count == 5)
        #expect(lines.dropLast().allSatisfy { $0.contains(". Do: ") })
        #expect(lines.last == "4 findings; 3 brokers, 3 voters, 1 partition looked at")
    }
}
