import Model
import Replication
import Testing

/// Inputs and the effects that they have, one after the other.
@Suite struct AcknowledgementTests {
    @Test func withoutSyncEverythingIsAcknowledgedAtOnce() {
        var bench = Bench(syncRequired: false)
        #expect(bench.appended(3) == [.highWatermark(Offset(3))])
        #expect(bench.wait(1, 3, .none) == [.acknowledge(1)])
        #expect(bench.wait(2, 3, .leader) == [.acknowledge(2)])
        #expect(bench.wait(3, 3, .all) == [.acknowledge(3)])
        #expect(!bench.machine.hasWaiters)
    }

    @Test func withSyncTheLeadersCopyHasToBeOnTheDevice() {
        for acknowledgement in [Acknowledgement.leader, .all] {
            var bench = Bench(syncRequired: true)
            #expect(bench.appended(3) == [.sync])
            #expect(bench.wait(1, 3, acknowledgement) == [])
            #expect(bench.machine.hasWaiters)
            #expect(bench.machine.highWatermark == .zero)
            #expect(bench.synced(3) == [.highWatermark(Offset(3)), .acknowledge(1)])
            #expect(!bench.machine.hasWaiters)
        }
    }

    @Test func whoAsksForNothingWaitsForNothing() {
        var bench = Bench(syncRequired: true)
        bench.appended(3)
        #expect(bench.wait(1, 3, .none) == [.acknowledge(1)])
    }

    @Test func oneSyncServesAllWhoCameBeforeItAndASecondWhoCameLater() {
        var bench = Bench(syncRequired: true)
        #expect(bench.appended(1) == [.sync])
        #expect(bench.wait(1, 1) == [])
        #expect(bench.appended(2) == [], "one sync is under way")
        #expect(bench.wait(2, 2) == [])
        #expect(bench.appended(3) == [])
        #expect(bench.wait(3, 3) == [])
        let first: [Bench.Effect] = [
            .highWatermark(Offset(2)), .acknowledge(1), .acknowledge(2), .sync,
        ]
        #expect(bench.synced(2) == first)
        #expect(bench.synced(3) == [.highWatermark(Offset(3)), .acknowledge(3)])
        #expect(bench.synced(3) == [], "nothing is left to sync")
    }

    @Test func aDuplicateWaitsForItsOriginal() {
        var bench = Bench(syncRequired: true)
        bench.appended(1)
        bench.wait(1, 1)
        bench.appended(2)
        bench.wait(2, 2)
        #expect(bench.wait(3, 1) == [], "the original of this retry is not on the device")
        let effects = bench.synced(1)
        #expect(
            effects == [.highWatermark(Offset(1)), .acknowledge(1), .acknowledge(3), .sync],
            "it stands behind its original and before what came between")
        #expect(bench.wait(4, 1) == [.acknowledge(4)], "the original is safe by now")
        #expect(bench.synced(2) == [.highWatermark(Offset(2)), .acknowledge(2)])
    }

    @Test func whatWasNotAskedToBeSyncedIsSyncedOnceTheTopicAsks() {
        var bench = Bench(syncRequired: false)
        bench.appended(2)
        #expect(bench.machine.highWatermark == Offset(2))
        bench.machine.syncRequired = true
        #expect(bench.synced(0) == [.sync])
        #expect(bench.machine.highWatermark == Offset(2), "what was visible stays so")
        bench.appended(3)
        #expect(bench.wait(1, 3) == [])
        #expect(bench.synced(2) == [.sync])
        #expect(bench.synced(3) == [.highWatermark(Offset(3)), .acknowledge(1)])
    }

    @Test func aSyncBeyondTheEndCountsUpToTheEnd() {
        var bench = Bench(syncRequired: true)
        bench.appended(2)
        #expect(bench.synced(9) == [.highWatermark(Offset(2))])
        #expect(bench.machine.synced == Offset(2))
    }

    @Test func onlyKafkasThreeNumbersAreAcknowledgements() {
        #expect(Acknowledgement(wire: 0) == Acknowledgement.none)
        #expect(Acknowledgement(wire: 1) == .leader)
        #expect(Acknowledgement(wire: -1) == .all)
        for number: Int16 in [-2, 2, .min, .max] { #expect(Acknowledgement(wire: number) == nil) }
    }
}

/// Everything that ends a wait without an acknowledgement.
@Suite struct RefusalTests {
    private func waiting() -> Bench {
        var bench = Bench(syncRequired: true)
        bench.appended(1)
        bench.wait(1, 1, until: 100)
        bench.appended(2)
        bench.wait(2, 2, until: 50)
        return bench
    }

    @Test func whoeverDoesNotLeadRefuses() {
        var bench = Bench(syncRequired: false, leads: false)
        #expect(bench.wait(1, 0) == [.refuse(1, .notLeader)])
        bench = waiting()
        #expect(bench.handle(.resign) == [.refuse(1, .notLeader), .refuse(2, .notLeader)])
        #expect(bench.wait(3, 2) == [.refuse(3, .notLeader)])
        #expect(bench.synced(2) == [], "a sync that ends afterwards acknowledges nobody")
        #expect(bench.machine.highWatermark == .zero)
    }

    @Test func aFailedSyncRefusesAllAndAsksForNoOther() {
        var bench = waiting()
        #expect(bench.handle(.syncFailed) == [.refuse(1, .syncFailed), .refuse(2, .syncFailed)])
        #expect(bench.machine.highWatermark == .zero)
        #expect(!bench.machine.hasWaiters)
    }

    @Test func whoeverWaitsTooLongIsRefused() {
        var bench = waiting()
        #expect(bench.expire(49) == [])
        #expect(bench.expire(50) == [.refuse(2, .timedOut)])
        #expect(bench.synced(2) == [.highWatermark(Offset(2)), .acknowledge(1)])
        #expect(bench.expire(1_000) == [])
    }

    @Test func aHigherEpochReplacesALowerOneIsIgnored() {
        var bench = waiting()
        #expect(bench.lead(epoch: 0, end: 9, synced: 9) == [], "the same epoch says nothing new")
        #expect(bench.machine.end == Offset(2))
        let effects = bench.lead(epoch: 2, end: 2, synced: 1)
        #expect(
            effects == [
                .refuse(1, .notLeader), .refuse(2, .notLeader), .highWatermark(Offset(1)),
            ], "whoever waited under the older epoch is refused; one sync is still under way")
        #expect(bench.lead(epoch: 1, end: 7, synced: 7) == [])
        #expect(bench.machine.leadership?.epoch == LeaderEpoch(2))
        #expect(bench.synced(2) == [.highWatermark(Offset(2))])
    }

    @Test func whoeverResignedMayLeadAgain() {
        var bench = waiting()
        _ = bench.handle(.resign)
        #expect(bench.lead(epoch: 0, end: 2, synced: 2) == [.highWatermark(Offset(2))])
        #expect(bench.wait(5, 2) == [.acknowledge(5)])
    }

    /// It was cut since, by a leader that an operator chose although records were lost with it.
    @Test func whatItKnewOfAnEarlierEpochCountsNoMore() {
        var bench = Bench(syncRequired: false)
        bench.appended(10)
        #expect(bench.machine.highWatermark == Offset(10))
        _ = bench.handle(.resign)
        let placement = [1, 2].map {
            ReplicaID(node: NodeID($0), admission: AdmissionNumber(1), logEpoch: BootEpoch(0))
        }
        let state = PartitionState.initial(placement: placement, epoch: LeaderEpoch(3))
        let log = LogPosition(end: Offset(5), synced: Offset(5), highWatermark: Offset(4))
        _ = bench.handle(.leadReplicas(state, self: placement[0], log: log, minInSync: 1))
        #expect(bench.machine.highWatermark == Offset(4))
    }
}
