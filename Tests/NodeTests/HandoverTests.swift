import Model
import Replication
import Testing

@testable import Node

/// A broker that is about to stop gives away what it leads.
@Suite struct HandoverTests {
    private func mesh(_ placement: [[Int32]], minInSync: Int = 1) -> ControlMesh {
        var mesh = ControlMesh(1...3)
        mesh.create(placement, minInSync: minInSync)
        return mesh
    }

    @Test func everyLeadershipGoesToAnInSyncReplicaInOneBatch() throws {
        var mesh = mesh([[1, 2, 3], [1, 3, 2], [2, 1, 3]], minInSync: 2)
        #expect(mesh.serving(0) == [1] && mesh.serving(2) == [2])
        let before = mesh.batches.count
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 50)
        #expect((0..<3).map { mesh.serving($0) } == [[2], [3], [2]])
        #expect(
            (0..<3).allSatisfy { index in
                !mesh.state(index).inSync.contains { $0.node == NodeID(1) }
            })
        #expect(Array(mesh.batches[before...].prefix(1)) == [2], "both in one")
        #expect(mesh.released == [1])
        let report = try #require(mesh.reports[1])
        #expect((report.moved, report.left, report.kept) == (2, 1, 0))
        #expect(report.milliseconds < 20, "nobody waits for a lease")
    }

    /// A partition is without a leader while its own batch is decided, not while all others are.
    @Test func manyLeadershipsAreGivenUpAFewAtATime() throws {
        var mesh = mesh((0..<200).map { _ in [1, 2, 3] })
        let before = mesh.batches.count
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 500)
        #expect((0..<200).allSatisfy { mesh.serving($0) == [2] })
        let report = try #require(mesh.reports[1])
        #expect(report.moved == 200)
        // The others confirm what they were given, and the in-sync sets that are left are none.
        #expect(mesh.batches[before...].allSatisfy { $0 <= 32 })
    }

    @Test(arguments: [(1, 32), (600, 37), (1_000, 62), (10_000, 256)])
    func aBatchIsASixteenthOfAllWithinBounds(leaderships: Int, together: Int) {
        #expect(Control.movesTogether(of: leaderships) == together)
    }

    @Test func nothingIsGivenAwayBeforeTheShardStoodDown() {
        var bench = ControlBench()
        let copies = (1...3).map(ControlMesh.copy)
        bench.handle(
            .members(
                (1...3).map {
                    BrokerMember(
                        entry: ControlBench.broker($0), admission: AdmissionNumber(1),
                        epoch: LeaderEpoch(0))
                }))
        let record = TopicRecord(id: ControlMesh.id, placement: [copies], overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.settle()
        bench.effects = []
        bench.handle(.handOver)
        #expect(bench.writes.isEmpty)
        bench.handle(.stoodDown(ControlMesh.partition(), LeaderEpoch(7)))
        #expect(bench.writes.isEmpty, "another epoch's")
        bench.handle(.stoodDown(ControlMesh.partition(), LeaderEpoch(0)))
        #expect(bench.writes.count == 1)
    }

    /// A loop may stall while its broker is to stop, and a topic that it leads be deleted meanwhile:
    /// nobody says any more that the shard of that one stands down.
    @Test func itWaitsForNothingThatIsDeletedMeanwhile() {
        var bench = ControlBench()
        bench.handle(
            .members([
                BrokerMember(
                    entry: ControlBench.broker(1), admission: AdmissionNumber(1),
                    epoch: LeaderEpoch(0))
            ]))
        let record = TopicRecord(
            id: ControlMesh.id, placement: [(1...3).map(ControlMesh.copy)], overrides: [:])
        bench.handle(.learned([bench.registers.put("topic/t", record.encoded())]))
        bench.settle()
        func hasEnded(_ effects: [Control.Effect]) -> Bool {
            effects.contains { if case .handedOver = $0 { true } else { false } }
        }
        bench.effects = []
        bench.handle(.handOver)
        #expect(!hasEnded(bench.effects), "the shard serves yet")
        bench.handle(.learned([bench.registers.put("topic/t", nil)]))
        #expect(hasEnded(bench.effects))
    }

    @Test func aFollowerThatIsThereMayComeIntoSyncFirst() {
        var mesh = mesh([[1, 2, 3]])
        mesh.setInSync(to: [1])
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 200)
        #expect(mesh.serving() == [1] && mesh.reports.isEmpty)
        mesh.setInSync(to: [1, 3])
        mesh.run(milliseconds: 100)
        #expect(mesh.serving() == [3] && mesh.reports[1]?.kept == 0)
    }

    @Test func whatNobodyCanTakeStaysAndIsSaidWithinABoundedTime() {
        var mesh = mesh([[1, 2, 3]])
        mesh.setInSync(to: [1])
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: Control.handoverMilliseconds + 50)
        #expect(mesh.reports[1]?.kept == 1 && mesh.serving().isEmpty)
        #expect(mesh.released == [1])
    }

    @Test func itEndsWithoutAMajorityOfTheVotersToo() {
        var mesh = mesh([[1, 2, 3]])
        mesh.hasQuorum = false
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: Control.handoverMilliseconds + 600)
        #expect(mesh.reports[1]?.kept == 1 && mesh.serving().isEmpty && mesh.released == [1])
    }

    @Test func itWaitsForNobodyWhereAllOthersAreGone() {
        var mesh = mesh([[1, 2, 3]])
        mesh.hasQuorum = false
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 10)
        mesh.kill(2)
        mesh.kill(3)
        mesh.run(milliseconds: 10)
        #expect(mesh.reports[1]?.kept == 1)
    }

    @Test func itWaitsForNobodyWhereTheVotersAreGone() {
        var mesh = mesh([[1, 2, 3]])
        mesh.hasQuorum = false
        mesh.tell(1, .votersGone)
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 10)
        #expect(mesh.reports.isEmpty, "the voters may be back since then")
        mesh.tell(1, .votersGone)
        mesh.run(milliseconds: 10)
        #expect(mesh.reports[1]?.kept == 1)
    }

    @Test func theLastInSyncStaysEvenWhereItDoesNotLead() {
        var mesh = mesh([[1, 2, 3]])
        mesh.setInSync(to: [1, 2])
        mesh.tell(1, .handOver)
        mesh.run(milliseconds: 50)
        #expect(mesh.state().inSync == [ControlMesh.copy(2)])
        mesh.tell(2, .handOver)
        mesh.run(milliseconds: 3_000)
        #expect(mesh.state().inSync == [ControlMesh.copy(2)] && mesh.reports[2]?.kept == 1)
    }
}
