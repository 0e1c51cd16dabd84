import Model
import Replication
import Testing

@testable import Node

/// A deletion is answered, and its name free, once nobody can serve the topic any more.
@Suite struct DeletionTests {
    private func mesh(
        _ placement: [[Int32]] = [[1, 2, 3], [2, 3, 1]], _ nodes: ClosedRange<Int32> = 1...3
    ) -> ControlMesh {
        var mesh = ControlMesh(nodes)
        mesh.create(placement)
        mesh.run(milliseconds: 100)
        return mesh
    }

    private func delete(_ mesh: inout ControlMesh, at node: Int32, token: UInt64) {
        mesh.tell(node, .request(token: token, .deleteTopics(["t"])))
    }

    private func create(_ mesh: inout ControlMesh, at node: Int32, token: UInt64) {
        mesh.tell(
            node,
            .request(
                token: token,
                .createTopics([NewTopic(name: "t", partitions: 1)], validateOnly: false)))
    }

    /// Nil while nothing was answered.
    private func outcome(_ mesh: ControlMesh, _ token: UInt64) -> TopicOutcome? {
        guard case .topics(let outcomes)? = mesh.replies[token] else { return nil }
        return outcomes.first
    }

    private func record(_ mesh: ControlMesh) -> TopicRecord? {
        mesh.registers.value(of: "topic/t").flatMap { try? TopicRecord(decoding: $0) }
    }

    @Test func itIsAnsweredOnceEveryBrokerHasLetGo() throws {
        var mesh = mesh()
        mesh.keepsOpen = [2]
        delete(&mesh, at: 1, token: 1)
        mesh.run(milliseconds: 2_000)
        #expect(mesh.replies[1] == nil, "broker 2 serves it still")
        #expect(record(mesh)?.deletion != nil)
        #expect(mesh.views[1]?.topic(named: "t") == nil)
        create(&mesh, at: 3, token: 2)
        mesh.run(milliseconds: 2_000)
        #expect(mesh.replies[2] == nil, "and the name is not free")
        mesh.letGo(2)
        mesh.run(milliseconds: 500)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(try #require(outcome(mesh, 2)).error == nil)
        #expect(try #require(record(mesh)).id != ControlMesh.id)
        #expect(mesh.outlived.isEmpty, "all were heard")
        let took = mesh.views[3]?.topic(named: "t")?.partitions.count
        #expect(took == 1)
    }

    @Test func whereAllAreWellItTakesNoTime() throws {
        var mesh = mesh()
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 50)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(record(mesh) == nil, "the name is free")
        #expect(mesh.closed.values.map(\.count).sorted() == [2, 2, 2])
    }

    @Test func aLeaderThatIsCutOffIsOutlived() throws {
        var mesh = mesh()
        mesh.cutOff(1)
        mesh.leasesUntil = mesh.now.advanced(byMilliseconds: 4_000)
        let begun = mesh.now
        delete(&mesh, at: 2, token: 1)
        while mesh.replies[1] == nil, mesh.now < begun.advanced(byMilliseconds: 10_000) {
            mesh.run(milliseconds: 10)
        }
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(mesh.now.milliseconds(since: begun) >= 4_000, "voters honour its lease")
        #expect(mesh.outlived == [ControlMesh.copy(1)])
        #expect(record(mesh) == nil)
    }

    /// Its followers' promises may be as old as their last word.
    @Test func aLeaseIsWaitedForAlsoWhereTheVotersKnowOfNone() throws {
        var mesh = mesh()
        mesh.cutOff(1)
        let begun = mesh.now
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: ReplicationLimits.leaseHonouredMilliseconds - 1)
        #expect(mesh.replies[1] == nil)
        mesh.run(milliseconds: 500)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(mesh.now.milliseconds(since: begun) < 3_000)
    }

    /// Brokers 2 and 3 have not heard that they are not in sync any more: the others may serve on
    /// by promises of each other.
    @Test func whoIsInSyncByNowIsFoundOut() throws {
        var mesh = mesh([[1, 2, 3, 4, 5]], 1...5)
        try mesh.setInSyncUnheard(to: [1, 4, 5])
        for node: Int32 in [1, 4, 5] { mesh.cutOff(node) }
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 6_000)
        #expect(mesh.replies[1] == nil)
        #expect(mesh.outlived.isEmpty)
        #expect(mesh.serving() == [1])
    }

    @Test func aSoleCopyServesWithoutALeaseSoItIsWaitedFor() throws {
        var mesh = mesh([[1]])
        mesh.cutOff(1)
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 13_000)
        #expect(try #require(outcome(mesh, 1)).error == .timedOut)
        #expect(outcome(mesh, 1)?.message?.contains("broker 1,") == true)
        #expect(outcome(mesh, 1)?.message?.contains("cluster forget") == true)
        create(&mesh, at: 3, token: 2)
        mesh.run(milliseconds: 13_000)
        #expect(try #require(outcome(mesh, 2)).error == .timedOut)
        mesh.tell(2, .forgotten(NodeID(1)))
        mesh.tell(3, .forgotten(NodeID(1)))
        create(&mesh, at: 3, token: 3)
        mesh.run(milliseconds: 2_000)
        #expect(try #require(outcome(mesh, 3)).error == nil)
    }

    @Test func whoeverWantsTheNameGoesOnWhereTheDecidingBrokerDied() throws {
        var mesh = mesh()
        mesh.keepsOpen = [2]
        delete(&mesh, at: 1, token: 1)
        mesh.run(milliseconds: 100)
        mesh.kill(1)
        create(&mesh, at: 3, token: 2)
        mesh.run(milliseconds: 1_000)
        #expect(mesh.replies[2] == nil, "broker 2 serves it still")
        mesh.letGo(2)
        mesh.run(milliseconds: 3_000)
        #expect(try #require(outcome(mesh, 2)).error == nil)
        #expect(try #require(record(mesh)).id != ControlMesh.id)
    }

    @Test func whatNobodyBringsToItsEndIsTakenUp() {
        var mesh = mesh()
        mesh.keepsOpen = [2]
        delete(&mesh, at: 1, token: 1)
        mesh.run(milliseconds: 100)
        mesh.kill(1)
        mesh.letGo(2)
        mesh.run(milliseconds: 29_000)
        #expect(record(mesh)?.deletion != nil)
        mesh.run(milliseconds: 5_000)
        #expect(record(mesh) == nil)
    }

    @Test func whoeverAsksAgainWaitsForTheSameEnd() throws {
        var mesh = mesh()
        mesh.keepsOpen = [2]
        delete(&mesh, at: 1, token: 1)
        mesh.run(milliseconds: 100)
        delete(&mesh, at: 3, token: 2)
        delete(&mesh, at: 1, token: 3)
        mesh.run(milliseconds: 100)
        #expect(mesh.replies[2] == nil && mesh.replies[3] == nil, "also where it asked first")
        mesh.letGo(2)
        mesh.run(milliseconds: 1_000)
        for token: UInt64 in 1...3 {
            #expect(try #require(outcome(mesh, token)).error == nil)
        }
    }

    /// Nobody is told that a topic is gone that is served yet.
    @Test func oneOfTwoDeletionsAtOnceWaitsForTheOther() throws {
        var mesh = mesh()
        mesh.keepsOpen = [2]
        delete(&mesh, at: 1, token: 1)
        delete(&mesh, at: 3, token: 2)
        delete(&mesh, at: 3, token: 3)
        mesh.run(milliseconds: 1_000)
        #expect(mesh.replies[1] == nil && mesh.replies[2] == nil)
        #expect(outcome(mesh, 3)?.error == .timedOut, "the second one there is not decided yet")
        mesh.letGo(2)
        mesh.run(milliseconds: 1_000)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(try #require(outcome(mesh, 2)).error == nil)
    }

    /// Only one that is away can be shut out for it.
    @Test func whatADeletionWaitsForIsSaid() throws {
        var slow = mesh()
        slow.keepsOpen = [2]
        delete(&slow, at: 1, token: 1)
        slow.run(milliseconds: 13_000)
        let there = try #require(outcome(slow, 1)?.message)
        #expect(there.contains("broker 2 has not stopped") && !there.contains("forget"), "\(there)")
        var lone = mesh()
        lone.keepsOpen = [2]
        delete(&lone, at: 1, token: 1)
        lone.run(milliseconds: 100)
        lone.hasQuorum = false
        lone.letGo(2)
        lone.run(milliseconds: 13_000)
        let undecided = try #require(outcome(lone, 1)?.message)
        #expect(undecided.contains("majority") && !undecided.contains("forget"), "\(undecided)")
    }

    /// It is waited for no more, and its lease is valid as long as any other.
    @Test func aLeaderThatWasShutOutIsOutlivedToo() throws {
        var mesh = mesh()
        mesh.cutOff(1)
        for node: Int32 in 2...3 { mesh.tell(node, .forgotten(NodeID(1))) }
        mesh.leasesUntil = mesh.now.advanced(byMilliseconds: 4_000)
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 3_900)
        #expect(mesh.replies[1] == nil)
        mesh.run(milliseconds: 1_000)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(mesh.outlived == [ControlMesh.copy(1)])
    }

    /// Its lease goes on and on: who was let in under that id is asked like any other (seed 1061 of
    /// whole meshes).
    @Test func aBrokerUnderAForgottenIDIsAsked() throws {
        var mesh = mesh()
        mesh.leasesUntil = mesh.now.advanced(byMilliseconds: 3_600_000)
        for node: Int32 in 1...3 {
            mesh.tell(node, .forgotten(NodeID(1)))
            mesh.tell(node, .letIn(NodeID(1)))
        }
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 1_000)
        #expect(try #require(outcome(mesh, 1)).error == nil)
        #expect(mesh.outlived.isEmpty)
    }

    /// It missed the deletion: nothing tells it but the registers.
    @Test func aBrokerThatRegainsItsLeaseReadsWhatItHolds() {
        var mesh = mesh()
        mesh.cutOff(1)
        delete(&mesh, at: 2, token: 1)
        mesh.run(milliseconds: 3_000)
        #expect(mesh.serving() == [1], "it has heard of nothing")
        mesh.tell(1, .confirmLeaderships(7))
        mesh.run(milliseconds: 100)
        #expect(mesh.serving() == [1], "no voter answers, so no lease is confirmed")
        mesh.cut = []
        mesh.tell(1, .confirmLeaderships(8))
        mesh.run(milliseconds: 100)
        #expect(mesh.serving().isEmpty)
        #expect(mesh.closed[1]?.count == 2)
    }

    /// Somebody who had not heard of the end had a register decided: it is buried again.
    @Test func whatIsWrittenLateIsBuriedAgain() throws {
        var bench = ControlBench()
        bench.create(["t"])
        bench.settle()
        let id = try #require(bench.view?.topic(named: "t")?.id)
        bench.request(2, .deleteTopics(["t"]))
        bench.settle()
        let partition = TopicPartition(topic: id, index: PartitionIndex(0))
        let key = PartitionRegister.key(partition)
        let state = PartitionState.initial(placement: [ControlMesh.copy(1), ControlMesh.copy(2)])
        bench.handle(.learned([bench.registers.put(key, state.encoded())]))
        bench.settle()
        #expect(bench.registers.value(of: key) == nil)
        // Of a topic that it never heard of it knows nothing: that one may be about to come.
        let other = TopicPartition(topic: TopicID(high: 5, low: 5), index: PartitionIndex(0))
        let value = bench.registers.put(PartitionRegister.key(other), state.encoded())
        bench.handle(.learned([value]))
        #expect(bench.writes.isEmpty)
    }

    /// The one with the lowest id may have started since, and know of no such topic.
    @Test(arguments: [false, true]) func whoeverComesNextBuriesWhatTheFirstForgot(
        firstDoesIt: Bool
    ) throws {
        var bench = ControlBench(node: 2)
        bench.handle(
            .members(
                (1...2).map {
                    BrokerMember(entry: ControlBench.broker($0), epoch: LeaderEpoch(0))
                }))
        bench.create(["t"])
        bench.settle()
        let id = try #require(bench.view?.topic(named: "t")?.id)
        bench.handle(.learned([bench.registers.put("topic/t", nil)]))
        bench.settle()
        let key = PartitionRegister.key(TopicPartition(topic: id, index: PartitionIndex(0)))
        let state = PartitionState.initial(placement: [ControlMesh.copy(1), ControlMesh.copy(2)])
        bench.handle(.learned([bench.registers.put(key, state.encoded())]))
        #expect(bench.writes.isEmpty, "it is the first one's turn")
        bench.pass(milliseconds: 4_000)
        if firstDoesIt { bench.handle(.learned([bench.registers.put(key, nil)])) }
        bench.pass(milliseconds: 2_000)
        #expect(bench.writes.isEmpty == firstDoesIt)
        bench.settle()
        #expect(bench.registers.value(of: key) == nil)
    }

    /// The others have been buried, and its name is not free yet.
    @Test func whatIsWrittenMeanwhileIsBuriedAtTheEnd() throws {
        var bench = ControlBench()
        bench.create(["t"])
        bench.settle()
        let id = try #require(bench.view?.topic(named: "t")?.id)
        bench.request(2, .deleteTopics(["t"]))
        bench.persist()
        let key = PartitionRegister.key(TopicPartition(topic: id, index: PartitionIndex(0)))
        let state = PartitionState.initial(placement: [ControlMesh.copy(1), ControlMesh.copy(2)])
        bench.handle(.learned([bench.registers.put(key, state.encoded())]))
        #expect(bench.registers.value(of: "topic/t") != nil, "it is being deleted")
        bench.settle()
        #expect(bench.registers.value(of: "topic/t") == nil)
        #expect(bench.registers.value(of: key) == nil)
    }

    /// The registers of its partitions go before its name is free.
    @Test func theRegistersOfPartitionsGoWithTheTopic() {
        var mesh = mesh()
        mesh.setInSync(0, to: [1, 2])
        let key = PartitionRegister.key(ControlMesh.partition())
        #expect(mesh.registers.value(of: key) != nil)
        delete(&mesh, at: 3, token: 1)
        mesh.run(milliseconds: 100)
        #expect(mesh.registers.value(of: key) == nil && record(mesh) == nil)
    }

    /// Its picture is that of a topic which others deleted and made anew while it slept (seeds
    /// 70011 and 71006 of whole meshes): by its name the topic is there.
    @Test func whoeverSleptDoesNotTakeANewTopicForGone() throws {
        var bench = ControlBench()
        bench.create(["t"])
        bench.settle()
        _ = bench.errors()
        let old = try #require(bench.view?.topic(named: "t")?.id)
        let copies = [ControlMesh.copy(1), ControlMesh.copy(2)]
        let record = TopicRecord(id: ControlMesh.id, placement: [copies], overrides: [:])
        bench.registers.put("topic/t", record.encoded())
        bench.request(2, .deleteTopics(["t"]))
        bench.settle()
        #expect(bench.errors() == [.timedOut])
        #expect(bench.view?.topic(named: "t")?.id == ControlMesh.id)
        bench.request(3, .deleteTopics(["t"], ids: ["t": old]))
        #expect(bench.errors() == [.unknown], "whoever names the id means that one alone")
        bench.request(4, .deleteTopics(["t"], ids: ["t": ControlMesh.id]))
        #expect(!bench.writes.isEmpty)
    }

    /// It hears of the topic's end before it hears of the topic.
    @Test func whoeverHasNotHeardOfATopicReadsBeforeItSpeaks() {
        var bench = ControlBench(node: 2)
        let copies = [ControlMesh.copy(1), ControlMesh.copy(2)]
        let record = TopicRecord(id: ControlMesh.id, placement: [copies], overrides: [:])
        let made = bench.registers.put("topic/t", record.encoded())
        bench.handle(.stop([TopicClaim(id: ControlMesh.id, name: "t")], for: NodeID(1)))
        #expect(!bench.take().contains { if case .tellStopped = $0 { true } else { false } })
        guard case .read(_, let keys)? = bench.writes.first else {
            Issue.record("the register is read")
            return
        }
        #expect(keys == ["topic/t"])
        bench.persist()
        #expect(!bench.take().contains { if case .tellStopped = $0 { true } else { false } })
        #expect(bench.view?.topic(named: "t")?.id == ControlMesh.id, "it is there: \(made.key)")
    }
}
