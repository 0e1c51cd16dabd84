import Model
import NIOCore
import Replication
import Simulation
import Storage
import Testing

@testable import Node

/// One partition on two shards: what the leader sends, what the follower takes, and from whom.
@Suite struct ShardReplicationTests {
    private let id = ShardPair.id

    @Test func aFollowerCopiesAndTheProducerIsToldThen() {
        var pair = ShardPair()
        pair.produce(1, "a")
        #expect(pair.leader.effects.produced.isEmpty)
        pair.settle()
        #expect(pair.leader.effects.produced.map(\.token) == [1])
        #expect(pair.follower.end(id) == Offset(1))
    }

    /// A read from the disk ends at its bound, which may lie within a batch.
    @Test(arguments: [100_000, 150_000, 200_000, 300_000])
    func aFollowerCatchesUpWithBatchesOfAnySize(bytes: Int) {
        var pair = ShardPair(opensFollower: false)
        let value = String(repeating: "v", count: bytes)
        for token in 0..<8 { pair.produce(UInt64(token), value, .leader) }
        pair.openFollower()
        for _ in 0..<20 where pair.follower.end(id) != Offset(8) {
            pair.settle()
            pair.follower.wakeUp()
        }
        #expect(pair.follower.end(id) == Offset(8))
    }

    /// The same session twice: a message of a link that ended, or of a broker that errs.
    @Test func anAttachThatIsNoNewsChangesNothing() throws {
        var pair = ShardPair(opensFollower: false)
        let value = String(repeating: "v", count: 300_000)
        for token in 0..<4 { pair.produce(UInt64(token), value, .leader) }
        pair.openFollower()
        let attach = try #require(pair.follower.takeSent(to: ShardPair.leaderID).first)
        pair.leader.handle(.replication(from: ShardPair.followerID, attach))
        pair.leader.endTurn()
        #expect(pair.leader.jobs.count == 1, "it reads for the follower")
        pair.leader.handle(.replication(from: ShardPair.followerID, attach))
        pair.leader.runJobs()
        pair.settle()
        #expect(pair.follower.end(id) == Offset(4))
    }

    /// Who leads is decided by the register: nobody else's word about a partition counts.
    @Test func onlyTheLeaderIsListenedTo() throws {
        var pair = ShardPair()
        pair.settle()
        pair.produce(1, "a")
        pair.leader.endTurn()
        let appends = pair.leader.takeSent(to: ShardPair.followerID)
        #expect(!appends.isEmpty)
        let stranger = NodeID(3)
        for message in appends { pair.follower.handle(.replication(from: stranger, message)) }
        #expect(pair.follower.end(id) == Offset(0))
        guard case .append(let append)? = appends.first else {
            Issue.record("the first message is no append")
            return
        }
        let progress = LeaderProgress(highWatermark: Offset(0), logStart: Offset(0))
        for message: ReplicationMessage in [
            .refused(id, append.session, .notLeader),
            .attached(id, append.session, .startOver(at: Offset(9)), progress),
            .progress([ProgressEntry(partition: id, session: append.session, progress: progress)]),
        ] {
            pair.follower.handle(.replication(from: stranger, message))
        }
        #expect(pair.follower.jobs.isEmpty)
        for message in appends {
            pair.follower.handle(.replication(from: ShardPair.leaderID, message))
        }
        #expect(pair.follower.end(id) == Offset(1), "it still follows its leader")
    }

    /// What `acks=all` promises with `flush: sync` holds from the alteration on.
    @Test func aTopicThatIsAlteredToSyncIsSyncedByItsFollowersToo() {
        var pair = ShardPair()
        pair.settle()
        let next = TopicConfiguration(overrides: ["flush": "sync"], broker: [:])
        pair.leader.handle(.configure(id, next))
        pair.follower.handle(.configure(id, next))
        pair.produce(1, "a")
        pair.leader.runJobs()
        pair.deliver()
        pair.deliver()
        #expect(!pair.follower.jobs.isEmpty, "a sync is asked for")
        #expect(pair.leader.effects.produced.isEmpty, "acknowledged before the follower synced")
        pair.settle()
        #expect(pair.leader.effects.produced.map(\.token) == [1])
    }

    @Test func aFollowerWithoutRoomAsksEverLessOften() {
        var pair = ShardPair()
        pair.settle()
        pair.follower.disk.setCapacity(0)
        pair.produce(1, "a")
        var pauses: [Int64] = []
        for _ in 0..<6 {
            pair.settle()
            let before = pair.follower.now.instant
            pair.follower.wakeUp()
            pauses.append(pair.follower.now.instant.milliseconds(since: before))
            // The wake of the attempt that was answered does nothing.
            pair.follower.effects.removeAll { if case .wake = $0 { true } else { false } }
            pair.follower.endTurn()
        }
        #expect(pauses.max() ?? 0 >= 300, "\(pauses)")
    }

    /// A follower that takes nothing for long costs no memory but its budget.
    @Test func aFollowerThatIsPausedWaitsInLineOnce() {
        var pair = ShardPair(opensFollower: false)
        pair.leader.shard = Shard(
            disk: pair.leader.disk, files: pair.leader.files, tail: pair.leader.tail,
            followerBytes: 1)
        pair.leader.handle(.lease(until: Instant(nanoseconds: .max)))
        pair.leader.open(id, as: .leads(pair.state, as: copy(1), minInSync: 1))
        pair.openFollower()
        pair.settle()
        for token in 0..<50 {
            pair.produce(UInt64(token), "value", .leader)
            pair.leader.endTurn()
        }
        #expect(pair.leader.shard.starved[ShardPair.followerID]?.count == 1)
        pair.settle()
        #expect(pair.follower.end(id) == Offset(50))
    }

    /// What an earlier life of the follower left on its way is told from what this one asked for.
    @Test func sessionsNeverComeTwice() throws {
        var pair = ShardPair()
        var sessions: [AttachSession] = []
        for _ in 0..<3 {
            for message in pair.follower.takeSent(to: ShardPair.leaderID) {
                if case .attach(_, let request) = message { sessions.append(request.session) }
            }
            pair.follower.handle(.assume(id, .waits(pair.state, as: copy(2))))
            pair.follower.handle(.assume(id, .follows(pair.state, as: copy(2))))
        }
        #expect(sessions.count == 3)
        #expect(Set(sessions).count == 3)
    }

    /// The leader's start moves again while the follower removes files still.
    @Test func aFollowerDropsAllThatItsLeaderDropped() {
        var pair = ShardPair()
        for token in 0..<3 { pair.produce(UInt64(token), "value") }
        pair.settle()
        for start in [1, 2] as [Int64] {
            pair.leader.ask(UInt64(start), [(id, .delete(before: start))])
            pair.leader.runJobs()
            pair.leader.wakeUp()
            pair.deliver()
        }
        #expect(pair.follower.jobs.count == 1, "the second waits for the first")
        pair.settle()
        #expect(pair.leader.log(id)?.startOffset == Offset(2))
        #expect(pair.follower.log(id)?.startOffset == Offset(2))
    }

    // MARK: Roles

    /// Whoever does not lead can't drop records: those who do would not hear of it.
    @Test func recordsAreDeletedByALeaderWithALeaseOnly() {
        var pair = ShardPair()
        pair.produce(1, "a")
        pair.settle()
        func delete(_ bench: inout ShardBench) -> PartitionError? {
            bench.effects = []
            bench.ask(7, [(id, .delete(before: 0))])
            bench.ask(8, [(id, .delete(before: -1))])
            bench.runJobs()
            for (_, answers) in bench.effects.answered {
                if case .failed(let error) = answers[0] { return error }
            }
            return nil
        }
        let atFollower = delete(&pair.follower)
        #expect(atFollower == .notLeader)
        pair.leader.handle(.lease(until: nil))
        let withoutLease = delete(&pair.leader)
        #expect(withoutLease == .notLeader)
        pair.leader.handle(.lease(until: Instant(nanoseconds: .max)))
        let withLease = delete(&pair.leader)
        #expect(withLease == nil)
    }

    /// KIP-207: below the end of what earlier leaders wrote it does not know what is committed.
    @Test(arguments: [OffsetQuery.latest, OffsetQuery.greatestTimestamp, 0])
    func aNewLeaderDoesNotSayThatThereIsNothing(time: Int64) {
        var pair = ShardPair()
        pair.produce(1, "a")
        pair.settle()
        pair.leader.handle(.stop)
        pair.leader.runJobs()
        pair.leader.shard = Shard(
            disk: pair.leader.disk, files: pair.leader.files, tail: pair.leader.tail)
        pair.leader.handle(.lease(until: Instant(nanoseconds: .max)))
        pair.leader.open(id, as: .leads(pair.state, as: copy(1), minInSync: 1))
        pair.leader.effects = []
        pair.leader.ask(
            3, [(id, .offset(at: time, currentLeaderEpoch: .unknown))])
        guard case .failed(.offsetNotAvailable)? = pair.leader.effects.answered.first?.answers[0]
        else {
            Issue.record("\(pair.leader.effects.answered)")
            return
        }
    }

    /// The batch before it was refused by whoever led then, and comes again.
    @Test func aNewLeaderTakesNoLateStart() {
        var pair = ShardPair()
        pair.settle()
        pair.follower.handle(.assume(id, .leads(elected(), as: copy(2), minInSync: 1)))
        pair.follower.produce(
            5, [(id, pair.follower.batch(["b"], producer: 9, sequence: 3))], .leader)
        #expect(
            pair.follower.effects.produced.last?.results.map(\.error) == [.notLeader])
        pair.follower.produce(
            6, [(id, pair.follower.batch(["a"], producer: 9, sequence: 0))], .leader)
        #expect(pair.follower.effects.produced.last?.results.map(\.error) == [nil])
        pair.follower.advance(milliseconds: Shard.lateStartMilliseconds)
        pair.follower.handle(.maintain)
        pair.follower.produce(
            7, [(id, pair.follower.batch(["c"], producer: 10, sequence: 7))], .leader)
        #expect(
            pair.follower.effects.produced.last?.results.map(\.error) == [nil],
            "one that was forgotten goes on where it was")
    }

    private func elected() -> PartitionState {
        let members = [
            ElectionMember(id: copy(1), isAlive: false), ElectionMember(id: copy(2), isAlive: true),
        ]
        let outcome = PartitionState.initial(placement: [copy(1), copy(2)])
            .elect(copy(2), expecting: .initial, members: members, minInSync: 1)
        guard case .success(let state) = outcome else { preconditionFailure("\(outcome)") }
        return state
    }

    /// The control machine waits for it before it agrees that another leads.
    @Test func whoeverIsToWaitSaysThatItHasStopped() {
        var bench = ShardBench()
        let state = PartitionState.initial(placement: [copy(1), copy(2)])
        bench.handle(
            .open(
                PartitionOrder(
                    partition: id,
                    configuration: TopicConfiguration(overrides: [:], broker: [:]),
                    role: .leads(state, as: copy(1), minInSync: 1), cleanStart: true)))
        bench.handle(.assume(id, .waits(state, as: copy(1))))
        let said = bench.effects.contains { if case .stoodDown(id, _) = $0 { true } else { false } }
        #expect(said, "its log was being opened")
    }

    /// Its leader has what a replica's disk lost, so it cuts there and copies on.
    @Test(arguments: [1, 40, 10_000])
    func aDamagedReplicaFetchesWhatItLost(bytes: Int) throws {
        var pair = ShardPair()
        for token in 0..<5 { pair.produce(UInt64(token), "value \(token)") }
        pair.settle()
        pair.follower.handle(.stop)
        pair.follower.runJobs()
        let disk = pair.follower.disk
        let path = PartitionOrder.directory(of: id) + "/00000000000000000000.log"
        let held = try #require(disk.contents(of: path))
        disk.overwrite(path, with: Array(held.dropLast(min(bytes, held.count))))
        // Others count on it: it ends, and claims nothing at its next start.
        pair.follower = ShardBench(disk: disk)
        pair.openFollower()
        let said = pair.follower.effects.contains {
            if case .broken(id, _) = $0 { true } else { false }
        }
        #expect(said)
        pair.follower.handle(.stop)
        pair.follower.runJobs()
        #expect(pair.follower.effects.stopped == [false])
        pair.follower = ShardBench(disk: disk)
        let later = ReplicaID(
            node: ShardPair.followerID, admission: AdmissionNumber(0), logEpoch: BootEpoch(1))
        pair.follower.open(id, as: .follows(pair.state, as: later), clean: false)
        pair.leader.handle(.linkLost(ShardPair.followerID))
        pair.settle()
        #expect(pair.follower.end(id) == Offset(5))
        #expect(pair.follower.log(id)?.refusal == nil)
    }

    /// Pages that an fsync failed for may be gone, and the next one says nothing of them.
    @Test(arguments: [true, false])
    func aBrokerWhoseDiskFailsGivesWay(atLeader: Bool) {
        var pair = ShardPair(overrides: ["flush": "sync"])
        pair.settle()
        if atLeader {
            pair.leader.disk.failNextSynchronization()
        } else {
            pair.follower.disk.failNextSynchronization()
        }
        pair.produce(1, "a")
        pair.settle()
        func isBroken(_ bench: ShardBench) -> Bool {
            bench.effects.contains { if case .broken(id, _) = $0 { true } else { false } }
        }
        #expect(isBroken(pair.leader) == atLeader)
        #expect(isBroken(pair.follower) == !atLeader)
    }

    // MARK: Presence

    /// Ticks of both shards, as long as the follower lives.
    private func pass(_ milliseconds: Int64, _ pair: inout ShardPair, followerLives: Bool = true) {
        for _ in 0..<milliseconds / Shard.tickMilliseconds {
            pair.advance(milliseconds: Shard.tickMilliseconds)
            if followerLives { pair.follower.handle(.tick) }
            pair.deliver()
            pair.leader.handle(.tick)
        }
    }

    private func wishes(_ pair: ShardPair) -> [[NodeID]] {
        pair.leader.effects.compactMap {
            if case .proposeInSync(let wish) = $0 { wish.inSync.map(\.node) } else { nil }
        }
    }

    /// It holds everything, and is paused: the next record would wait for it.
    @Test func aFollowerThatIsSilentLeavesTheSet() {
        var pair = ShardPair()
        pair.produce(1, "a")
        pair.settle()
        pass(5_000, &pair)
        #expect(wishes(pair).isEmpty)
        pass(700, &pair, followerLives: false)
        #expect(wishes(pair).isEmpty)
        pass(700, &pair, followerLives: false)
        #expect(wishes(pair) == [[ShardPair.leaderID]])
        let shrunk = PartitionState.initial(placement: [copy(1), copy(2)])
            .alterInSync(
                to: [copy(1)], by: ShardPair.leaderID, leaderEpoch: LeaderEpoch(0),
                expecting: .initial, minInSync: 1)
        guard case .success(let state) = shrunk else {
            Issue.record("\(shrunk)")
            return
        }
        pair.leader.effects = []
        pair.leader.handle(.assume(id, .leads(state, as: copy(1), minInSync: 1)))
        pass(2_000, &pair, followerLives: false)
        #expect(wishes(pair).isEmpty, "it is silent still")
        pass(1_000, &pair)
        #expect(wishes(pair).first == [ShardPair.leaderID, ShardPair.followerID])
    }

    /// What the followers said meanwhile waits to be read.
    @Test func aLeaderThatWasPausedBlamesNobody() {
        var pair = ShardPair()
        pair.produce(1, "a")
        pair.settle()
        pass(2_000, &pair)
        pair.advance(milliseconds: 5_000)
        pair.leader.handle(.tick)
        pass(1_000, &pair)
        #expect(wishes(pair).isEmpty)
    }
}
