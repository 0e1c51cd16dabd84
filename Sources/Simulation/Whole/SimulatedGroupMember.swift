import Coordination
import Model
import NIOCore
import Node

/// A consumer of a group whose members come and go: it joins, takes part in rebalances, commits
/// what it owns, and then leaves, or dies without a word.
///
/// Behaves as clients of the classic protocol do; what it is told is held against what the others
/// were (`MeshGroupChecks`). Once all is well nobody goes any more, and all have to end in one
/// generation.
final class SimulatedGroupMember: MeshClient {
    private enum Phase: Equatable {
        case away
        case joining
        case syncing
        case stable
    }

    private struct Request {
        let token: UInt64
        let target: MeshTarget
        let at: Instant
        /// The newest generation in effect when it was sent.
        let newest: Int32
        var partition: Int32 = -1
        var offset: Int64 = -1
    }

    static let group = "churn"
    private static let timeoutMilliseconds: Int64 = 12_000
    private static let heartbeatMilliseconds: Int64 = 400

    private let index: Int
    /// A static member's name (KIP-345): it keeps its part when it comes back in time.
    private let instance: String?
    private var phase = Phase.away
    private var memberID = ""
    private var generation: Int32 = -1
    private var owned: [Int32] = []
    private var assignments: [MemberAssignment] = []
    private var coordinator: MeshTarget?
    private var request: Request?
    private var heartbeatAt = Instant(nanoseconds: 0)
    private var backAt = Instant(nanoseconds: 0)
    /// Of what it owns, that of which it was told the offset.
    private var verified: Set<Int32> = []
    private var sawHealing = false

    init(index: Int, isStatic: Bool) {
        self.index = index
        instance = isStatic ? "static-\(index)" : nil
    }

    /// The generation in which it has its part; nil while it has none.
    var settled: Int32? { phase == .stable ? generation : nil }

    /// It was told of all that it owns once all was well.
    var isDone: Bool {
        sawHealing && phase == .stable && owned.allSatisfy { verified.contains($0) }
    }

    /// A static member has another id each time.
    private var name: String { instance ?? memberID }

    var summary: String { "member \(memberID): \(phase) in \(generation), owns \(owned)" }

    // MARK: Acting

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 5...60)
        if let asked = request, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            request = nil
            coordinator = nil
            // A commit may arrive yet: this member never sends another one.
            if phase == .stable { begin(anew: true) }
        }
        if world.isHealed, !sawHealing {
            sawHealing = true
            verified = []
        }
        if !world.isHealed, phase == .stable, request == nil, world.chance(0.01) {
            return go(in: world)
        }
        guard request == nil, world.now >= backAt else { return }
        guard let coordinator else {
            guard let target = world.anyTarget() else { return }
            return ask(.coordinators(groups: [Self.group]), target, world)
        }
        switch phase {
        case .away: join(coordinator, world)
        case .joining: join(coordinator, world)
        case .syncing: sync(coordinator, world)
        case .stable: work(coordinator, world)
        }
    }

    /// Leaves, or dies; a dead one's session has to lapse.
    private func go(in world: MeshWorld) {
        let isDeath = instance != nil || world.chance(0.5)
        if !isDeath, let coordinator {
            world.send(
                .plane(
                    .control(
                        .request(
                            token: world.token(for: index),
                            .group(
                                .leave(
                                    GroupRequest.Leave(
                                        groupID: Self.group,
                                        members: [MemberIdentity(memberID: memberID)])))))),
                about: nil, to: coordinator)
        }
        world.counts.reached[isDeath ? "members died" : "members left", default: 0] += 1
        begin(anew: true)
        backAt = world.now.advanced(byMilliseconds: world.draw(50...4_000))
    }

    private func begin(anew: Bool) {
        phase = .away
        if anew { memberID = "" }
        generation = -1
        owned = []
        verified = []
    }

    private func join(_ target: MeshTarget, _ world: MeshWorld) {
        phase = .joining
        ask(
            .group(
                .join(
                    GroupRequest.Join(
                        groupID: Self.group, memberID: memberID, groupInstanceID: instance,
                        clientID: "c\(index)", clientHost: "h", sessionTimeoutMilliseconds: 6_000,
                        rebalanceTimeoutMilliseconds: 3_000, protocolType: "consumer",
                        protocols: [MemberProtocol(name: "range", metadata: ByteBuffer())],
                        requiresKnownMemberID: true, supportsSkippingAssignment: false))),
            target, world)
    }

    private func sync(_ target: MeshTarget, _ world: MeshWorld) {
        ask(
            .group(
                .sync(
                    GroupRequest.Sync(
                        groupID: Self.group, generation: generation, memberID: memberID,
                        groupInstanceID: instance, protocolType: "consumer",
                        protocolName: "range", assignments: assignments))), target, world)
    }

    private func work(_ target: MeshTarget, _ world: MeshWorld) {
        if world.now >= heartbeatAt {
            heartbeatAt = world.now.advanced(byMilliseconds: Self.heartbeatMilliseconds)
            return ask(
                .group(
                    .heartbeat(
                        GroupRequest.Heartbeat(
                            groupID: Self.group, generation: generation, memberID: memberID,
                            groupInstanceID: instance))), target, world)
        }
        let open = owned.filter { !verified.contains($0) }
        if let partition = open.first {
            return ask(
                .group(
                    .fetchOffsets(
                        GroupRequest.FetchOffsets(
                            groupID: Self.group,
                            topics: [
                                Topic(
                                    name: BrokerLife.topic, partitions: [PartitionIndex(partition)])
                            ]))), target, world, partition, world.groupChecks.floor(of: partition))
        }
        guard !world.isHealed, !owned.isEmpty, world.chance(0.3) else { return }
        let partition = owned[Int(world.draw(0...Int64(owned.count - 1)))]
        let offset = world.groupChecks.nextOffset(of: partition)
        ask(.group(commit(offset, of: partition)), target, world, partition, offset)
    }

    private func commit(_ offset: Int64, of partition: Int32) -> GroupRequest {
        .commitOffsets(
            GroupRequest.CommitOffsets(
                groupID: Self.group, generation: generation, memberID: memberID,
                groupInstanceID: instance,
                topics: [
                    Topic(
                        name: BrokerLife.topic,
                        partitions: [
                            GroupRequest.CommitOffsets.Partition(
                                index: PartitionIndex(partition), offset: Offset(offset),
                                leaderEpoch: .unknown, metadata: "")
                        ])
                ]))
    }

    private func ask(
        _ what: ControlRequest, _ target: MeshTarget, _ world: MeshWorld,
        _ partition: Int32 = -1, _ offset: Int64 = -1
    ) {
        let token = world.token(for: index)
        request = Request(
            token: token, target: target, at: world.now, newest: world.groupChecks.newest,
            partition: partition, offset: offset)
        world.send(.plane(.control(.request(token: token, what))), about: nil, to: target)
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if coordinator == gone { coordinator = nil }
        guard request?.target == gone else { return }
        request = nil
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard let asked = request, asked.token == token, case .control(let reply) = answer else {
            return
        }
        request = nil
        switch reply {
        case .coordinators(let found):
            coordinator = (found.first ?? nil).flatMap { world.target(Int($0.rawValue) - 1) }
        case .group(.join(let join)): hear(join, asked, in: world)
        case .group(.sync(let sync)): hear(sync, in: world)
        case .group(.heartbeat(let error)): if let error { hear(error, in: world) }
        case .group(.commitOffsets(let topics)):
            if let error = topics[0].partitions[0].error { return hear(error, in: world) }
            judge(
                world.groupChecks.noteCommitted(
                    asked.offset, of: asked.partition, in: generation, sentAt: asked.newest), world)
            world.counts.reached["members committed", default: 0] += 1
        case .group(.fetchOffsets(let found)):
            if let error = found.error { return hear(error, in: world) }
            let told = found.topics.first?.partitions.first?.offset?.rawValue ?? -1
            judge(
                world.groupChecks.judge(told: told, of: asked.partition, floor: asked.offset), world
            )
            // What it was told before all was well says nothing of what is there in the end.
            if sawHealing == world.isHealed { verified.insert(asked.partition) }
        default: coordinator = nil
        }
    }

    private func hear(_ join: GroupResponse.Join, _ asked: Request, in world: MeshWorld) {
        if let error = join.error {
            if error == .memberIDRequired { memberID = join.memberID }
            return hear(error, in: world)
        }
        judge(world.groupChecks.judge(join: join.generation, sentAt: asked.newest), world)
        memberID = join.memberID
        generation = join.generation
        phase = .syncing
        assignments = []
        guard join.leaderID == memberID else { return }
        var parts: [String: ByteBuffer] = [:]
        let members = join.members.sorted { $0.memberID < $1.memberID }
        let names = members.map { $0.groupInstanceID ?? $0.memberID }
        for name in names { parts[name] = ByteBuffer() }
        for partition in 0..<world.options.partitions where !names.isEmpty {
            parts[names[Int(partition) % names.count]]?.writeInteger(partition)
        }
        assignments = zip(members, names).map { member, name in
            MemberAssignment(memberID: member.memberID, assignment: parts[name] ?? ByteBuffer())
        }
        world.groupChecks.noteSent(parts, in: generation)
    }

    private func hear(_ sync: GroupResponse.Sync, in world: MeshWorld) {
        if let error = sync.error { return hear(error, in: world) }
        judge(
            world.groupChecks.noteGiven(sync.assignment, to: name, in: generation), world)
        world.counts.reached["parts given to members", default: 0] += 1
        world.note(
            UInt64(index) << 8 | 36, "\(memberID) has its part of generation \(generation)")
        phase = .stable
        owned = []
        var part = sync.assignment
        while let partition: Int32 = part.readInteger() { owned.append(partition) }
        verified = []
    }

    private func hear(_ error: GroupError, in world: MeshWorld) {
        world.note(
            UInt64(index) << 8 | 38, "\(memberID), \(phase) in \(generation), hears \(error)")
        switch error {
        case .unknownMemberID, .fencedInstanceID: begin(anew: true)
        case .illegalGeneration, .rebalanceInProgress, .memberIDRequired: begin(anew: false)
        default: coordinator = nil
        }
    }

    private func judge(_ failure: String?, _ world: MeshWorld) {
        if let failure { world.fail("group \(Self.group): \(failure)") }
    }
}
