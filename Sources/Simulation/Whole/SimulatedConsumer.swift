import Coordination
import Model
import NIOCore
import Node
import Replication

/// Reads one partition from its start, at its leader or at one replica, and notes what it sees.
final class SimulatedConsumer: MeshClient {
    private static let timeoutMilliseconds: Int64 = 3_000

    let index: Int
    let partition: Int32
    /// The broker whose copy it reads; nil reads the leader's.
    private let replica: Int?
    private(set) var values: [String] = []
    /// The end of what is committed, as it was told last.
    private(set) var end: Int64 = -1
    private var pending: (token: UInt64, target: MeshTarget, at: Instant)?
    private var lastError: PartitionError?

    init(index: Int, partition: Int32, replica: Int? = nil) {
        self.index = index
        self.partition = partition
        self.replica = replica
    }

    var position: Int64 { Int64(values.count) }

    var isDone: Bool { end >= 0 && position >= end }

    var summary: String {
        "consumer \(partition)\(replica.map { " of \($0 + 1)" } ?? ""): \(position) of \(end)"
            + (lastError.map { ", last \($0)" } ?? "")
    }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 2...20)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            pending = nil
        }
        guard pending == nil, let asked = world.anyTarget(),
            let (leader, id) = world.leader(of: partition, by: asked),
            let target = replica.map({ world.target($0) }) ?? leader
        else { return }
        let token = world.token(for: index)
        pending = (token, target, world.now)
        let part = FetchWork.Part(
            partition: id, offset: Offset(position), currentLeaderEpoch: .unknown,
            lastFetchedEpoch: .unknown, maxBytes: 8_192, readsFollowers: replica != nil)
        world.send(
            .shard(
                .fetch(
                    FetchWork(
                        token: token, minBytes: 1, maxBytes: 8_192,
                        deadline: world.clock.instant.advanced(byMilliseconds: 50), parts: [part])
                )), about: id, to: target)
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {
        if pending?.target == MeshTarget(site: site, life: life) { pending = nil }
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard pending?.token == token, case .fetched(let results) = answer else { return }
        pending = nil
        let result = results[0]
        lastError = result.error
        guard result.error == nil else {
            if result.error == .offsetOutOfRange {
                world.fail("consumer \(partition) at \(position): the offset is out of range")
            }
            return
        }
        end = result.highWatermark.rawValue
        guard let records = try? result.records.simulatedRecords() else { return }
        guard let id = world.topicPartition(partition) else { return }
        for record in records where record.offset.rawValue >= position {
            guard record.offset.rawValue == position else {
                return world.fail(
                    "partition \(partition): offset \(record.offset.rawValue) follows "
                        + "\(position - 1)")
            }
            guard record.offset.rawValue < end else {
                return world.fail(
                    "partition \(partition) gave offset \(record.offset.rawValue), and told that "
                        + "what is committed ends at \(end)")
            }
            let value = record.value.map { String(buffer: $0) } ?? "null"
            world.checks.noteSeen(value, at: position, of: id, in: world)
            values.append(value)
            world.counts.consumed += 1
        }
    }
}

/// Commits ever greater offsets for a group, and asks for them: what it is told is never less than
/// what was acknowledged, nor more than what was asked for.
final class SimulatedCommitter: MeshClient {
    private static let timeoutMilliseconds: Int64 = 7_000

    private let index: Int
    private let group: String
    private var acknowledged: Int64 = -1
    private var sent: Int64 = -1
    private var pending: (token: UInt64, target: MeshTarget, at: Instant)?
    private var coordinator: MeshTarget?
    private var hasChecked = false

    init(index: Int, group: String) {
        self.index = index
        self.group = group
    }

    /// Once all is well it has been told its offset again.
    var isDone: Bool { hasChecked }

    var summary: String { "\(group): \(acknowledged) of \(sent)" }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 5...60)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            pending = nil
            coordinator = nil
        }
        guard pending == nil else { return }
        if let coordinator {
            let isQuestion = world.isHealed || world.chance(0.2)
            if !isQuestion { sent += 1 }
            ask(.group(isQuestion ? .fetchOffsets(question) : commit(sent)), coordinator, world)
        } else if let target = world.anyTarget() {
            ask(.coordinators(groups: [group]), target, world)
        }
    }

    private func ask(_ request: ControlRequest, _ target: MeshTarget, _ world: MeshWorld) {
        let token = world.token(for: index)
        pending = (token, target, world.now)
        world.send(.plane(.control(.request(token: token, request))), about: nil, to: target)
    }

    private var question: GroupRequest.FetchOffsets {
        GroupRequest.FetchOffsets(groupID: group, topics: nil)
    }

    private func commit(_ offset: Int64) -> GroupRequest {
        .commitOffsets(
            GroupRequest.CommitOffsets(
                groupID: group, generation: -1, memberID: "",
                topics: [
                    Topic(
                        name: BrokerLife.topic,
                        partitions: [
                            GroupRequest.CommitOffsets.Partition(
                                index: PartitionIndex(0), offset: Offset(offset),
                                leaderEpoch: .unknown, metadata: "")
                        ])
                ]))
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if pending?.target == gone { pending = nil }
        if coordinator == gone { coordinator = nil }
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard pending?.token == token, case .control(let reply) = answer else { return }
        let asked = pending
        pending = nil
        world.note(
            UInt64(index) << 8 | 32,
            "\(group) of \((asked?.target.site ?? 0) + 1): \(sent) \(reply)")
        switch reply {
        case .coordinators(let found):
            coordinator = (found.first ?? nil).flatMap { world.target(Int($0.rawValue) - 1) }
        case .group(.commitOffsets(let topics)):
            if topics[0].partitions[0].error == nil {
                acknowledged = max(acknowledged, sent)
                world.counts.commits += 1
            } else {
                coordinator = nil
            }
        case .group(.fetchOffsets(let found)):
            guard found.error == nil else {
                coordinator = nil
                return
            }
            let offset = found.topics.first?.partitions.first?.offset?.rawValue ?? -1
            guard (acknowledged...max(acknowledged, sent)).contains(offset) else {
                return world.fail(
                    "\(group): \(acknowledged) was committed, at most \(sent), and \(offset) is "
                        + "what it is told")
            }
            acknowledged = offset
            if world.isHealed { hasChecked = true }
        default: coordinator = nil
        }
    }
}

/// Makes the topic, as often as it takes.
final class SimulatedTopicMaker: MeshClient {
    private let index: Int
    private var token: UInt64?
    private var isMade = false

    init(index: Int) { self.index = index }

    var isDone: Bool { isMade }
    var summary: String { isMade ? "topic made" : "topic not made" }

    func act(in world: MeshWorld) {
        guard !isMade else { return }
        world.actLater(index, milliseconds: 200...400)
        guard token == nil, let target = world.anyTarget() else { return }
        let token = world.token(for: index)
        self.token = token
        let topic = NewTopic(
            name: BrokerLife.topic, partitions: world.options.partitions,
            overrides: ["segment.bytes": "16384", "retention.ms": "-1"])
        world.send(
            .plane(.control(.request(token: token, .createTopics([topic], validateOnly: false)))),
            about: nil, to: target)
    }

    func lost(site: Int, life: Int, in world: MeshWorld) { token = nil }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard token == self.token, case .control(.topics(let outcomes)) = answer else { return }
        self.token = nil
        isMade = outcomes.first?.error == nil || world.topicPartition(0) != nil
    }
}
