import KafkaProtocol
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

    private struct Asked {
        let token: UInt64
        let target: MeshTarget
        let at: Instant
        /// The newest generation in effect when it was sent.
        let newest: Int32
        var partition: Int32 = -1
        var offset: Int64 = -1
    }

    static let group = "churn"
    /// Static members, and an answer that only tells a member its id, are of these and later ones.
    private static let firstVersions: [APIKey: Int16] = [
        .joinGroup: 5, .syncGroup: 3, .heartbeat: 3, .offsetCommit: 7,
    ]
    private static let timeoutMilliseconds: Int64 = 12_000
    private static let heartbeatMilliseconds: Int64 = 400

    private let index: Int
    /// A static member's name (KIP-345): it keeps its part when it comes back in time.
    private let instance: String?
    private var phase = Phase.away
    private var memberID = ""
    private var generation: Int32 = -1
    private var owned: [Int32] = []
    private var assignments: [SyncGroupRequest.MemberAssignment] = []
    private var coordinator: MeshTarget?
    private var request: Asked?
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
            world.disconnect(index, from: asked.target)
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
            return ask(ClientCoordinator.request(Self.group), target, world)
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
            _ = world.send(
                LeaveGroupRequest(
                    groupID: Self.group, memberID: memberID,
                    members: [LeaveGroupRequest.Member(memberID: memberID)]),
                version: world.versions(of: index)[.leaveGroup], from: index, to: coordinator)
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
            JoinGroupRequest(
                groupID: Self.group, sessionTimeoutMilliseconds: 6_000,
                rebalanceTimeoutMilliseconds: 3_000, memberID: memberID,
                groupInstanceID: instance, protocolType: "consumer",
                protocols: [.init(name: "range", metadata: ByteBuffer())]), target, world)
    }

    private func sync(_ target: MeshTarget, _ world: MeshWorld) {
        ask(
            SyncGroupRequest(
                groupID: Self.group, generationID: generation, memberID: memberID,
                groupInstanceID: instance, protocolType: "consumer", protocolName: "range",
                assignments: assignments), target, world)
    }

    private func work(_ target: MeshTarget, _ world: MeshWorld) {
        if world.now >= heartbeatAt {
            heartbeatAt = world.now.advanced(byMilliseconds: Self.heartbeatMilliseconds)
            return ask(
                HeartbeatRequest(
                    groupID: Self.group, generationID: generation, memberID: memberID,
                    groupInstanceID: instance), target, world)
        }
        let open = owned.filter { !verified.contains($0) }
        if let partition = open.first {
            let topics = [
                OffsetFetchRequest.Topic(name: BrokerLife.topic, partitionIndexes: [partition])
            ]
            return ask(
                OffsetFetchRequest(
                    groupID: Self.group, topics: topics,
                    groups: [OffsetFetchRequest.Group(groupID: Self.group, topics: topics)]),
                target, world, partition, world.groupChecks.floor(of: partition))
        }
        guard !world.isHealed, !owned.isEmpty, world.chance(0.3) else { return }
        let partition = owned[Int(world.draw(0...Int64(owned.count - 1)))]
        let offset = world.groupChecks.nextOffset(of: partition)
        ask(commit(offset, of: partition), target, world, partition, offset)
    }

    private func commit(_ offset: Int64, of partition: Int32) -> OffsetCommitRequest {
        OffsetCommitRequest(
            groupID: Self.group, generationIDOrMemberEpoch: generation, memberID: memberID,
            groupInstanceID: instance,
            topics: [
                OffsetCommitRequest.Topic(
                    name: BrokerLife.topic,
                    partitions: [.init(index: partition, committedOffset: offset)])
            ])
    }

    private func ask<Request: KafkaRequest>(
        _ what: Request, _ target: MeshTarget, _ world: MeshWorld, _ partition: Int32 = -1,
        _ offset: Int64 = -1
    ) {
        let version = max(
            world.versions(of: index)[Request.apiKey], Self.firstVersions[Request.apiKey] ?? 0)
        let token = world.send(what, version: version, from: index, to: target)
        request = Asked(
            token: token, target: target, at: world.now, newest: world.groupChecks.newest,
            partition: partition, offset: offset)
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if coordinator == gone { coordinator = nil }
        guard request?.target == gone else { return }
        request = nil
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let asked = request, asked.token == token else { return }
        request = nil
        switch response {
        case let response as FindCoordinatorResponse:
            coordinator = ClientCoordinator.target(response, in: world)
        case let response as JoinGroupResponse: hear(response, asked, in: world)
        case let response as SyncGroupResponse: hear(response, in: world)
        case let response as HeartbeatResponse:
            if response.errorCode != .none { hear(response.errorCode, in: world) }
        case let response as OffsetCommitResponse:
            let error = response.topics[0].partitions[0].errorCode
            guard error == .none else { return hear(error, in: world) }
            judge(
                world.groupChecks.noteCommitted(
                    asked.offset, of: asked.partition, in: generation, sentAt: asked.newest),
                breaks: .groupOffset, world)
            world.tellGroup(Self.group) {
                "offset \(asked.offset) of partition \(asked.partition) is committed in "
                    + "generation \(self.generation)"
            }
            world.counts.reached["members committed", default: 0] += 1
        case let response as OffsetFetchResponse: hear(response, asked, in: world)
        default: coordinator = nil
        }
    }

    private func hear(_ response: OffsetFetchResponse, _ asked: Asked, in world: MeshWorld) {
        let group = response.groups.first
        let answer = (group?.topics ?? response.topics).first?.partitions.first
        let errors = [group?.errorCode ?? response.errorCode, answer?.errorCode ?? .none]
        if let error = errors.first(where: { $0 != .none }) { return hear(error, in: world) }
        let told = answer?.committedOffset ?? -1
        world.tellGroup(Self.group) {
            "\(self.name) is told offset \(told) of partition \(asked.partition)"
        }
        judge(
            world.groupChecks.judge(told: told, of: asked.partition, floor: asked.offset),
            breaks: .groupOffset, world)
        // What it was told before all was well says nothing of what is there in the end.
        if sawHealing == world.isHealed { verified.insert(asked.partition) }
    }

    private func hear(_ join: JoinGroupResponse, _ asked: Asked, in world: MeshWorld) {
        guard join.errorCode == .none else {
            if join.errorCode == .memberIDRequired { memberID = join.memberID }
            return hear(join.errorCode, in: world)
        }
        judge(
            world.groupChecks.judge(join: join.generationID, sentAt: asked.newest),
            breaks: .oneOwner, world)
        memberID = join.memberID
        generation = join.generationID
        phase = .syncing
        assignments = []
        guard join.leader == memberID, !join.skipAssignment else { return }
        var parts: [String: ByteBuffer] = [:]
        let members = join.members.sorted { $0.memberID < $1.memberID }
        let names = members.map { $0.groupInstanceID ?? $0.memberID }
        for name in names { parts[name] = ByteBuffer() }
        for partition in 0..<world.options.partitions where !names.isEmpty {
            parts[names[Int(partition) % names.count]]?.writeInteger(partition)
        }
        assignments = zip(members, names).map { member, name in
            SyncGroupRequest.MemberAssignment(
                memberID: member.memberID, assignment: parts[name] ?? ByteBuffer())
        }
        world.groupChecks.noteSent(parts, in: generation)
    }

    private func hear(_ sync: SyncGroupResponse, in world: MeshWorld) {
        guard sync.errorCode == .none else { return hear(sync.errorCode, in: world) }
        judge(
            world.groupChecks.noteGiven(sync.assignment, to: name, in: generation),
            breaks: .oneOwner, world)
        world.counts.reached["parts given to members", default: 0] += 1
        world.note(
            UInt64(index) << 8 | 36, "\(memberID) has its part of generation \(generation)")
        phase = .stable
        owned = []
        var part = sync.assignment
        while let partition: Int32 = part.readInteger() { owned.append(partition) }
        verified = []
        world.tellGroup(Self.group) {
            "\(self.name) owns \(self.owned) in generation \(self.generation)"
        }
        world.checks.noteOwned(
            owned.map { Int($0) }, by: name, generation, of: Self.group, in: world)
    }

    private func hear(_ error: ErrorCode, in world: MeshWorld) {
        world.note(
            UInt64(index) << 8 | 38, "\(memberID), \(phase) in \(generation), hears \(error)")
        switch error {
        case .unknownMemberID, .fencedInstanceID: begin(anew: true)
        case .illegalGeneration, .rebalanceInProgress, .memberIDRequired: begin(anew: false)
        default: coordinator = nil
        }
    }

    private func judge(
        _ failure: String?, breaks promise: MeshPromise, _ world: MeshWorld
    ) {
        guard let failure else { return }
        world.fail(
            "group \(Self.group): \(failure)", breaks: promise,
            about: MeshSubject(group: Self.group))
    }
}
