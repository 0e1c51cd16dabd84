import Model
import Replication
import Testing

@testable import Node

/// What leaders do about the copies of their partitions.
@Suite struct TendingTests {
    private func mesh(
        _ placement: [[Int32]], _ nodes: ClosedRange<Int32> = 1...3
    ) -> ControlMesh {
        var mesh = ControlMesh(nodes)
        mesh.create(placement)
        return mesh
    }

    private func nodes(_ state: PartitionState) -> [Int32] { state.replicas.map(\.rawValue) }

    // MARK: Balance

    @Test func leadershipsGoBackToTheFirstReplicaOnceItIsThereForAWhile() {
        var mesh = mesh([[1, 2, 3], [1, 2, 3]])
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        #expect((0..<2).map { mesh.leader($0) } == [2, 2])
        mesh.revive(1)
        mesh.run(milliseconds: 6_000)
        #expect(mesh.serving(0) == [2], "it is not in sync")
        for index: Int32 in 0..<2 { mesh.setInSync(index, to: [1, 2, 3]) }
        mesh.run(milliseconds: 1_500)
        #expect((0..<2).map { mesh.serving($0) } == [[1], [1]])
        let before = mesh.state()
        mesh.run(milliseconds: 5_000)
        #expect(mesh.state() == before, "nothing is moved for nothing")
    }

    @Test func oneThatComesAndGoesIsSparedThem() {
        var mesh = mesh([[1, 2, 3]])
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        mesh.revive(1)
        mesh.setInSync(to: [1, 2, 3])
        mesh.run(milliseconds: 4_000)
        #expect(mesh.serving() == [2])
    }

    // MARK: Elections

    @Test func thePreferredLeaderIsElectedWhereverItIsAskedFor() throws {
        var mesh = mesh([[1, 2, 3], [2, 1, 3]])
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        mesh.revive(1)
        mesh.setInSync(to: [1, 2, 3])
        mesh.tell(3, .request(token: 1, .electLeaders(election([("t", 0), ("t", 1), ("t", 7)]))))
        mesh.run(milliseconds: 100)
        #expect(mesh.serving(0) == [1])
        #expect(errors(mesh.replies[1]) == [nil, .electionNotNeeded, .unknown])
        mesh.tell(3, .request(token: 2, .electLeaders(election(nil))))
        mesh.run(milliseconds: 10)
        #expect(errors(mesh.replies[2]) == [], "all, of which none needs it")
    }

    @Test func aLeaderThatCouldNotGiveWayIsAskedAgain() {
        var mesh = mesh([[1, 2, 3]])
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        mesh.revive(1)
        mesh.setInSync(to: [1, 2, 3])
        mesh.tell(2, .leased(until: nil))
        mesh.tell(3, .request(token: 1, .electLeaders(election([("t", 0)]))))
        mesh.run(milliseconds: 100)
        #expect(mesh.serving() == [2] && mesh.replies[1] == nil)
        mesh.tell(2, .leased(until: Instant(nanoseconds: .max)))
        mesh.run(milliseconds: 500)
        #expect(mesh.serving() == [1] && errors(mesh.replies[1]) == [nil])
    }

    @Test func onlyOneThatIsInSyncIsPreferred() {
        var mesh = mesh([[1, 2, 3]])
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        mesh.revive(1)
        mesh.setInSync(to: [2, 3])
        mesh.tell(2, .request(token: 1, .electLeaders(election([("t", 0)]))))
        mesh.run(milliseconds: 100)
        #expect(errors(mesh.replies[1]) == [.preferredNotAvailable] && mesh.serving() == [2])
    }

    @Test func anUncleanElectionTakesTheLongestLogThatIsThere() throws {
        var mesh = mesh([[1, 2, 3]])
        mesh.setInSync(to: [1])
        mesh.tell(2, .request(token: 1, .electLeaders(election([("t", 0)], isUnclean: true))))
        mesh.run(milliseconds: 10)
        #expect(errors(mesh.replies[1]) == [.electionNotNeeded])
        mesh.kill(1)
        mesh.run(milliseconds: 3_000)
        #expect(mesh.serving() == [], "nobody who holds everything is there")
        mesh.ends = [2: 5, 3: 9]
        mesh.tell(2, .request(token: 2, .electLeaders(election([("t", 0)], isUnclean: true))))
        mesh.run(milliseconds: 200)
        #expect(mesh.serving() == [3] && mesh.state().isUnclean)
        #expect(mesh.state().inSync == [ControlMesh.copy(3)])
        #expect(errors(mesh.replies[2]) == [nil])
        #expect(mesh.notices.contains { $0.contains("unclean election of 't' partition 0") })
    }

    @Test func nobodyIsElectedWhereNobodyIsThere() {
        var mesh = mesh([[1, 2]], 1...3)
        mesh.kill(1)
        mesh.kill(2)
        mesh.tell(3, .request(token: 1, .electLeaders(election([("t", 0)], isUnclean: true))))
        mesh.run(milliseconds: 10)
        #expect(errors(mesh.replies[1]) == [.noEligibleLeader])
    }

    // MARK: Reassignments

    @Test func aPartitionMovesOnceItsNewCopiesAreInSync() throws {
        var mesh = mesh([[1, 2]], 1...4)
        mesh.tell(2, .request(token: 1, reassign([3, 4])))
        mesh.run(milliseconds: 1_000)
        #expect(errors(mesh.replies[1]) == [nil])
        var state = mesh.state()
        #expect(nodes(state) == [3, 4, 1, 2] && state.adding == [3, 4].map { NodeID($0) })
        #expect(mesh.serving() == [1])
        mesh.setInSync(to: [1, 2, 3])
        mesh.run(milliseconds: 1_000)
        #expect(nodes(mesh.state()).count == 4, "one is not in sync yet")
        mesh.setInSync(to: [1, 2, 3, 4])
        mesh.run(milliseconds: 2_000)
        state = mesh.state()
        #expect(nodes(state) == [3, 4] && state.adding.isEmpty && state.removing.isEmpty)
        #expect(mesh.serving() == [3])
        #expect(mesh.closed == [1: [ControlMesh.partition()], 2: [ControlMesh.partition()]])
        let placed = try #require(mesh.controls[4]?.placed)
        #expect(
            (1...4).map { placed[NodeID($0)]?.contains("t") ?? false } == [
                false, false, true, true,
            ])
    }

    /// Without the voters nothing is done, and what is to be done is noted once.
    @Test func whatWaitsForTheVotersIsNotedOnce() {
        var mesh = mesh([[1, 2, 3], [1, 3, 2]])
        mesh.tell(1, .leased(until: nil))
        for _ in 0..<20 {
            mesh.kill(3)
            mesh.run(milliseconds: 50)
            mesh.join(3)
            mesh.run(milliseconds: 50)
            mesh.kill(3)
            mesh.run(milliseconds: 50)
            mesh.join(3)
        }
        #expect(mesh.controls[1].map { $0.untended.count } ?? .max <= 2)
    }

    @Test func aMoveIsCalledOffAndAnotherTakesItsPlace() {
        var mesh = mesh([[1, 2]], 1...4)
        mesh.tell(2, .request(token: 1, reassign(nil)))
        mesh.tell(2, .request(token: 2, reassign([1, 9])))
        mesh.tell(2, .request(token: 3, reassign([1, 3], allowsFactorChange: false)))
        mesh.run(milliseconds: 50)
        #expect(errors(mesh.replies[1]) == [.noReassignment])
        #expect(errors(mesh.replies[2]) == [.invalidAssignment])
        #expect(nodes(mesh.state()) == [1, 3, 2])
        mesh.tell(4, .request(token: 4, reassign([1, 4])))
        mesh.run(milliseconds: 50)
        #expect(nodes(mesh.state()) == [1, 4, 2] && mesh.state().adding == [NodeID(4)])
        mesh.tell(4, .request(token: 5, reassign(nil)))
        mesh.tell(4, .request(token: 6, reassign([1], allowsFactorChange: false)))
        mesh.run(milliseconds: 50)
        #expect(nodes(mesh.state()) == [1, 2] && mesh.state().removing.isEmpty)
        #expect(errors(mesh.replies[6]) == [.invalidFactor])
    }

    /// Two operators at once: whoever comes second is decided by what the first has made of it.
    @Test func aPartitionThatChangedInTheMiddleIsAskedForAgain() {
        var mesh = mesh([[1, 2]], 1...4)
        mesh.tell(3, .request(token: 1, reassign([1, 3])))
        mesh.tell(2, .request(token: 2, reassign([1, 4])))
        mesh.run(milliseconds: 50)
        #expect(errors(mesh.replies[1]) == [nil] && mesh.replies[2] == nil)
        mesh.run(milliseconds: 200)
        #expect(errors(mesh.replies[2]) == [nil])
        #expect(nodes(mesh.state()) == [1, 4, 2] && mesh.state().adding == [NodeID(4)])
    }

    @Test func itSurvivesTheDeathOfItsLeader() {
        var mesh = mesh([[1, 2]], 1...4)
        mesh.tell(2, .request(token: 1, reassign([3, 4])))
        mesh.run(milliseconds: 100)
        mesh.kill(1)
        mesh.run(milliseconds: 500)
        #expect(mesh.serving() == [2])
        mesh.setInSync(to: [2, 3, 4])
        mesh.run(milliseconds: 2_000)
        #expect(nodes(mesh.state()) == [3, 4] && mesh.serving() == [3])
    }

    // MARK: Repair

    /// After a broker's death every partition waits for it: none is looked at until then.
    @Test func whatWaitsForABrokerIsNotLookedAtAgainAndAgain() {
        var mesh = mesh([[1, 2, 3], [2, 3, 1]])
        mesh.kill(3)
        mesh.run(milliseconds: 5_000)
        for node: Int32 in 1...2 { #expect(mesh.controls[node]?.untended.isEmpty == true) }
    }

    @Test func copiesOfABrokerThatIsDeadForLongAreMadeElsewhere() {
        var mesh = mesh([[1, 2, 3]], 1...4)
        mesh.kill(3)
        mesh.run(milliseconds: 599_000)
        #expect(nodes(mesh.state()) == [1, 2, 3])
        mesh.run(milliseconds: 3_000)
        #expect(nodes(mesh.state()) == [1, 2, 4, 3] && mesh.state().removing == [NodeID(3)])
        mesh.setInSync(to: [1, 2, 4])
        mesh.run(milliseconds: 1_000)
        #expect(nodes(mesh.state()) == [1, 2, 4])
    }

    @Test func thoseOfAForgottenOneAtOnceAndOnlyWhereSomebodyCanTakeThem() {
        var mesh = mesh([[1, 2, 3]])
        mesh.kill(3)
        for node: Int32 in 1...2 { mesh.tell(node, .forgotten(NodeID(3))) }
        mesh.run(milliseconds: 5_000)
        #expect(nodes(mesh.state()) == [1, 2, 3], "there is nobody else")
        mesh.join(4)
        mesh.run(milliseconds: 2_000)
        #expect(nodes(mesh.state()) == [1, 2, 4, 3])
    }

    @Test func theOffsetsOfAMeshThatWasSmallGrowWithIt() {
        var mesh = ControlMesh(1...1)
        mesh.create([[1]], name: "__consumer_offsets")
        mesh.join(2)
        mesh.run(milliseconds: 2_000)
        #expect(nodes(mesh.state()) == [1, 2] && mesh.serving() == [1])
        mesh.setInSync(to: [1, 2])
        mesh.join(3)
        mesh.run(milliseconds: 2_000)
        #expect(nodes(mesh.state()) == [1, 2, 3])
        mesh.setInSync(to: [1, 2, 3])
        mesh.run(milliseconds: 2_000)
        #expect(mesh.state().adding.isEmpty && mesh.serving() == [1])
    }

    /// Nobody said how many copies: there are as many as there are brokers, up to three.
    @Test(arguments: [-1, 1, 2] as [Int16])
    func aTopicHasAsManyCopiesAsWereAskedFor(replicas: Int16) throws {
        var mesh = ControlMesh(1...1)
        mesh.create([[1]], copies: replicas)
        for node: Int32 in 2...4 {
            mesh.join(node)
            mesh.run(milliseconds: 2_000)
            mesh.setInSync(to: nodes(mesh.state()).sorted())
            mesh.run(milliseconds: 2_000)
        }
        let wanted = replicas == -1 ? 3 : Int(replicas)
        #expect(nodes(mesh.state()) == Array(1...Int32(wanted)))
        #expect(mesh.state().adding.isEmpty && mesh.serving() == [1])
        let entry = try #require(mesh.views[2]?.topic(named: "t"))
        #expect(entry.configuration.minInSync == (replicas == 1 ? 1 : 2), "a majority of them")
    }

    /// A broker made it before it had heard of the third (seed 269 of whole meshes).
    @Test func aTopicThatWasMadeForTooFewGetsItsCopiesWhenNobodyComes() {
        var mesh = ControlMesh(1...3)
        mesh.create([[2, 1]], copies: -1)
        mesh.run(milliseconds: 2_000)
        #expect(nodes(mesh.state()) == [2, 1, 3])
    }

    // MARK: Words

    private func election(
        _ partitions: [(String, Int32)]?, isUnclean: Bool = false
    ) -> LeaderElection {
        LeaderElection(
            isUnclean: isUnclean,
            partitions: partitions.map { $0.map { (topic: $0.0, index: $0.1) } },
            timeoutMilliseconds: 5_000)
    }

    private func reassign(_ target: [Int32]?, allowsFactorChange: Bool = true) -> ControlRequest {
        .reassign(
            [ReassignmentWish(topic: "t", index: 0, target: target)],
            allowsFactorChange: allowsFactorChange)
    }

    private func errors(_ reply: ControlReply?) -> [ReplicaOutcomeError?]? {
        guard case .partitions(let outcomes)? = reply else { return nil }
        return outcomes.map(\.error)
    }
}
