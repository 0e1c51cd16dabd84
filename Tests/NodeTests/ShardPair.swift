import Model
import NIOCore
import Replication
import Storage
import Testing

@testable import Node

/// The shards of two brokers, one of which leads a partition that the other backs up: what one says
/// to the other arrives when a test says so.
struct ShardPair {
    static let id = ShardBench.partition(0)
    static let leaderID = NodeID(1)
    static let followerID = NodeID(2)

    var leader = ShardBench(seed: 1)
    var follower = ShardBench(seed: 2)
    let state: PartitionState

    init(overrides: [String: String] = [:], minInSync: Int = 1, opensFollower: Bool = true) {
        state = .initial(placement: [copy(1), copy(2)])
        leader.handle(.lease(until: Instant(nanoseconds: .max)))
        leader.open(Self.id, as: .leads(state, as: copy(1), minInSync: minInSync), overrides)
        guard opensFollower else { return }
        openFollower(overrides)
    }

    mutating func openFollower(_ overrides: [String: String] = [:]) {
        follower.handle(.lease(until: Instant(nanoseconds: .max)))
        follower.open(Self.id, as: .follows(state, as: copy(2)), overrides)
    }

    mutating func advance(milliseconds: Int64) {
        leader.advance(milliseconds: milliseconds)
        follower.advance(milliseconds: milliseconds)
    }

    /// One batch of one value, acknowledged as `acknowledgement` says.
    mutating func produce(
        _ token: UInt64, _ value: String, _ acknowledgement: Acknowledgement = .all
    ) {
        leader.produce(token, [(Self.id, leader.batch([value]))], acknowledgement)
    }

    /// Delivers what each said to the other, once in each direction, the follower's first.
    mutating func deliver() {
        leader.endTurn()
        follower.endTurn()
        let toLeader = follower.takeSent(to: Self.leaderID)
        let toFollower = leader.takeSent(to: Self.followerID)
        for message in toLeader {
            leader.handle(.replication(from: Self.followerID, message))
        }
        for message in toFollower {
            follower.handle(.replication(from: Self.leaderID, message))
        }
    }

    /// Delivers and runs disk jobs until nothing is left to say.
    mutating func settle(rounds: Int = 200) {
        for _ in 0..<rounds {
            leader.runJobs()
            follower.runJobs()
            deliver()
            let isQuiet =
                leader.jobs.isEmpty && follower.jobs.isEmpty && !leader.shard.hasToSend
                && !follower.shard.hasToSend && leader.sent.isEmpty && follower.sent.isEmpty
            if isQuiet { return }
        }
        Issue.record("they talk without end")
    }
}

extension ShardBench {
    /// Opens a partition that has replicas.
    mutating func open(
        _ id: TopicPartition, as role: PartitionRole, _ overrides: [String: String] = [:],
        clean: Bool = true
    ) {
        handle(
            .open(
                PartitionOrder(
                    partition: id,
                    configuration: TopicConfiguration(overrides: overrides, broker: [:]),
                    role: role, cleanStart: clean)))
        while case .open? = jobs.first { runJob() }
    }

    mutating func endTurn() {
        if shard.hasToSend { handle(.turnEnded) }
    }

    /// What it wants to say to other brokers.
    var sent: [(to: NodeID, message: ReplicationMessage)] {
        effects.compactMap {
            if case .send(let node, let message) = $0 { (node, message) } else { nil }
        }
    }

    mutating func takeSent(to node: NodeID) -> [ReplicationMessage] {
        let found = sent.filter { $0.to == node }.map(\.message)
        effects.removeAll { if case .send(node, _) = $0 { true } else { false } }
        return found
    }

    func log(_ id: TopicPartition) -> PartitionLog? {
        shard.partitions.index(of: id).flatMap { shard.partitions[$0].opened }
    }

    func end(_ id: TopicPartition) -> Offset? { log(id)?.endOffset }

    /// Comes to the moment of its next wish, and wakes it.
    mutating func wakeUp() {
        guard let next = effects.wakes.last else { return }
        effects.removeAll { if case .wake = $0 { true } else { false } }
        now = Now(instant: max(now.instant, next), wall: now.wall)
        handle(.wake)
    }
}
