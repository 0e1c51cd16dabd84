import KafkaProtocol
import Model
import NIOCore
import Node

/// Where a group's coordinator is, as a client was told.
struct ClientCoordinator {
    static func request(_ group: String) -> FindCoordinatorRequest {
        FindCoordinatorRequest(key: group, keyType: 0, keys: [group])
    }

    /// Versions from 4 on answer for several groups.
    static func target(_ response: FindCoordinatorResponse, in world: MeshWorld) -> MeshTarget? {
        if let found = response.coordinators.first {
            return found.errorCode == .none ? world.target(Int(found.nodeID) - 1) : nil
        }
        return response.errorCode == .none ? world.target(Int(response.nodeID) - 1) : nil
    }
}

/// Commits ever greater offsets for a group, and asks for them: what it is told is never less than
/// what was acknowledged, nor more than what was asked for.
final class SimulatedCommitter: MeshClient {
    private static let timeoutMilliseconds: Int64 = 7_000

    private let index: Int
    let group: String
    private(set) var offset = CommittedOffset()
    private var pending: PendingRequest?
    private var coordinator: MeshTarget?
    private var hasChecked = false

    init(index: Int, group: String) {
        self.index = index
        self.group = group
    }

    /// Once all is well it has been told its offset again.
    var isDone: Bool { hasChecked }

    var summary: String { "\(group): \(offset.acknowledged) of \(offset.sent)" }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 5...60)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            world.disconnect(index, from: asked.target)
            pending = nil
            coordinator = nil
        }
        guard pending == nil else { return }
        let versions = world.versions(of: index)
        guard let coordinator else {
            guard let target = world.anyTarget() else { return }
            return ask(
                ClientCoordinator.request(group), versions[.findCoordinator], target, world)
        }
        if world.isHealed || world.chance(0.2) {
            let topics = [
                OffsetFetchRequest.Topic(name: BrokerLife.topic, partitionIndexes: [0])
            ]
            ask(
                OffsetFetchRequest(
                    groupID: group, topics: topics,
                    groups: [OffsetFetchRequest.Group(groupID: group, topics: topics)]),
                versions[.offsetFetch], coordinator, world)
        } else {
            ask(commit(offset.send()), versions[.offsetCommit], coordinator, world)
        }
    }

    private func ask(
        _ request: some KafkaRequest, _ version: Int16, _ target: MeshTarget, _ world: MeshWorld
    ) {
        let token = world.send(request, version: version, from: index, to: target)
        pending = PendingRequest(token: token, target: target, at: world.now)
    }

    private func commit(_ offset: Int64) -> OffsetCommitRequest {
        OffsetCommitRequest(
            groupID: group,
            topics: [
                OffsetCommitRequest.Topic(
                    name: BrokerLife.topic, partitions: [.init(index: 0, committedOffset: offset)])
            ])
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if pending?.target == gone { pending = nil }
        if coordinator == gone { coordinator = nil }
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let asked = pending, asked.token == token else { return }
        pending = nil
        world.note(
            UInt64(index) << 8 | 32,
            "\(group) of broker \(asked.target.site + 1): \(offset.sent) \(response)")
        switch response {
        case let response as FindCoordinatorResponse:
            coordinator = ClientCoordinator.target(response, in: world)
        case let response as OffsetCommitResponse:
            guard response.topics[0].partitions[0].errorCode == .none else {
                coordinator = nil
                return
            }
            offset.acknowledge()
            world.tellGroup(group) { "offset \(self.offset.sent) is committed" }
            world.counts.commits += 1
        case let response as OffsetFetchResponse: hear(response, in: world)
        default: return
        }
    }

    private func hear(_ response: OffsetFetchResponse, in world: MeshWorld) {
        let group = response.groups.first
        let error = group?.errorCode ?? response.errorCode
        let answer = (group?.topics ?? response.topics).first?.partitions.first
        guard error == ErrorCode.none, answer?.errorCode ?? ErrorCode.none == ErrorCode.none else {
            coordinator = nil
            return
        }
        let told = answer?.committedOffset ?? -1
        world.tellGroup(self.group) { "it is told offset \(told)" }
        if let objection = offset.hear(told) {
            return world.fail(
                "\(self.group): \(objection.text)", breaks: objection.promise,
                about: MeshSubject(group: self.group))
        }
        if world.isHealed { hasChecked = true }
    }
}

/// A member of a group that commits nothing: joins, is given partitions or gives them, beats its
/// heart, and leaves now and then.
///
/// Speaks any version of the protocol, also those that know no static members and no first answer
/// with an id alone; `SimulatedGroupMember` needs later ones.
final class SimulatedReader: MeshClient {
    private static let timeoutMilliseconds: Int64 = 9_000
    private static let sessionMilliseconds: Int32 = 6_000

    private let index: Int
    private let group: String
    private var memberID = ""
    private var generation: Int32 = -1
    /// Set between the answers to JoinGroup and SyncGroup.
    private var joined: JoinGroupResponse?
    private var pending: PendingRequest?
    private var coordinator: MeshTarget?

    init(index: Int, group: String) {
        self.index = index
        self.group = group
    }

    /// Once all is well it is a member with an assignment.
    var isDone: Bool { generation >= 0 && joined == nil }

    var summary: String { "member \(index) of \(group): generation \(generation)" }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: generation < 0 ? 20...100 : 200...600)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            world.disconnect(index, from: asked.target)
            pending = nil
            coordinator = nil
        }
        guard pending == nil else { return }
        let versions = world.versions(of: index)
        guard let coordinator else {
            guard let target = world.anyTarget() else { return }
            return ask(
                ClientCoordinator.request(group), versions[.findCoordinator], target, world)
        }
        if let joined { return ask(sync(joined), versions[.syncGroup], coordinator, world) }
        guard generation >= 0 else {
            return ask(join, versions[.joinGroup], coordinator, world)
        }
        if !world.isHealed, world.chance(0.05) {
            let leave = LeaveGroupRequest(
                groupID: group, memberID: memberID,
                members: [LeaveGroupRequest.Member(memberID: memberID)])
            generation = -1
            memberID = ""
            return ask(leave, versions[.leaveGroup], coordinator, world)
        }
        ask(
            HeartbeatRequest(groupID: group, generationID: generation, memberID: memberID),
            versions[.heartbeat], coordinator, world)
    }

    private func ask(
        _ request: some KafkaRequest, _ version: Int16, _ target: MeshTarget, _ world: MeshWorld
    ) {
        let token = world.send(request, version: version, from: index, to: target)
        pending = PendingRequest(token: token, target: target, at: world.now)
    }

    private var join: JoinGroupRequest {
        JoinGroupRequest(
            groupID: group, sessionTimeoutMilliseconds: Self.sessionMilliseconds,
            rebalanceTimeoutMilliseconds: Self.sessionMilliseconds, memberID: memberID,
            protocolType: "consumer",
            protocols: [.init(name: "range", metadata: ByteBuffer(string: BrokerLife.topic))])
    }

    /// The leader gives the partitions away in turn; a byte for each is what is in an assignment.
    private func sync(_ joined: JoinGroupResponse) -> SyncGroupRequest {
        var assignments: [SyncGroupRequest.MemberAssignment] = []
        if joined.leader == memberID, !joined.skipAssignment, !joined.members.isEmpty {
            let members = joined.members.map(\.memberID).sorted()
            assignments = members.enumerated().map { place, member in
                let own = (0..<16).filter { $0 % members.count == place }
                return SyncGroupRequest.MemberAssignment(
                    memberID: member, assignment: ByteBuffer(bytes: own.map { UInt8($0) }))
            }
        }
        return SyncGroupRequest(
            groupID: group, generationID: joined.generationID, memberID: memberID,
            protocolType: "consumer", protocolName: "range", assignments: assignments)
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if pending?.target == gone { pending = nil }
        if coordinator == gone { coordinator = nil }
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard pending?.token == token else { return }
        pending = nil
        switch response {
        case let response as FindCoordinatorResponse:
            coordinator = ClientCoordinator.target(response, in: world)
        case let response as JoinGroupResponse:
            if response.errorCode == .memberIDRequired {
                memberID = response.memberID
            } else if accept(response.errorCode) {
                memberID = response.memberID
                joined = response
            }
        case let response as SyncGroupResponse:
            let generation = joined?.generationID ?? -1
            joined = nil
            guard accept(response.errorCode) else { return }
            self.generation = generation
            world.counts.rebalances += 1
            let owned = response.assignment.readableBytesView.map { Int($0) }
            world.checks.noteOwned(owned, by: memberID, generation, of: group, in: world)
        case let response as HeartbeatResponse: _ = accept(response.errorCode)
        default: return
        }
    }

    /// Begins anew as far as an error asks for.
    private func accept(_ error: ErrorCode) -> Bool {
        guard error != .none else { return true }
        joined = nil
        generation = -1
        switch error {
        case .notCoordinator, .coordinatorNotAvailable: coordinator = nil
        case .unknownMemberID, .fencedInstanceID: memberID = ""
        default: break
        }
        return false
    }
}
