import KafkaProtocol
import Model
import NIOCore
import Node

/// Watches how far groups are, as tools for consumer lag do: asks any broker who coordinates a
/// group, and that one for the group's offset.
///
/// Each question begins with another broker, so that a coordinator that others have succeeded is
/// asked for as long as it says that it is one. What it is told is never less than what was
/// acknowledged, or told, before it asked.
final class SimulatedLagWatch: MeshClient {
    private static let timeoutMilliseconds: Int64 = 3_000

    private let index: Int
    private var watched: SimulatedCommitter?
    private var floor: Int64 = -1
    private var pending: PendingRequest?
    /// The greatest offset that it was told of each group; looked up only.
    private var told: [String: Int64] = [:]

    init(index: Int) { self.index = index }

    /// It wants nothing of its own.
    var isDone: Bool { true }
    var summary: String { "lag watch" }

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 5...60)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            world.disconnect(index, from: asked.target)
            pending = nil
        }
        let committers = world.clients.compactMap { $0 as? SimulatedCommitter }
        guard pending == nil, !committers.isEmpty, let target = world.anyTarget() else { return }
        let committer = committers[Int(world.draw(0...Int64(committers.count - 1)))]
        watched = committer
        ask(
            ClientCoordinator.request(committer.group),
            world.versions(of: index)[.findCoordinator], target, world)
    }

    private func ask(
        _ request: some KafkaRequest, _ version: Int16, _ target: MeshTarget, _ world: MeshWorld
    ) {
        let token = world.send(request, version: version, from: index, to: target)
        pending = PendingRequest(token: token, target: target, at: world.now)
    }

    func lost(site: Int, life: Int, in world: MeshWorld) {
        if pending?.target == MeshTarget(site: site, life: life) { pending = nil }
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let asked = pending, asked.token == token, let watched else { return }
        pending = nil
        switch response {
        case let response as FindCoordinatorResponse:
            guard let target = ClientCoordinator.target(response, in: world) else { return }
            floor = max(watched.offset.acknowledged, told[watched.group] ?? -1)
            let topics = [
                OffsetFetchRequest.Topic(name: BrokerLife.topic, partitionIndexes: [0])
            ]
            ask(
                OffsetFetchRequest(
                    groupID: watched.group, topics: topics,
                    groups: [OffsetFetchRequest.Group(groupID: watched.group, topics: topics)]),
                world.versions(of: index)[.offsetFetch], target, world)
        case let response as OffsetFetchResponse: hear(response, of: watched, in: world)
        default: return
        }
    }

    private func hear(
        _ response: OffsetFetchResponse, of watched: SimulatedCommitter, in world: MeshWorld
    ) {
        let group = response.groups.first
        let answer = (group?.topics ?? response.topics).first?.partitions.first
        guard group?.errorCode ?? response.errorCode == ErrorCode.none,
            answer?.errorCode ?? ErrorCode.none == ErrorCode.none
        else { return }
        let offset = answer?.committedOffset ?? -1
        world.note(UInt64(index) << 8 | 45, "\(watched.group): a watch is told \(offset)")
        world.counts.reached["offsets watched", default: 0] += 1
        guard (floor...max(floor, watched.offset.sent)).contains(offset) else {
            return world.fail(
                "\(watched.group): \(floor) was committed, at most \(watched.offset.sent), and "
                    + "\(offset) is what somebody else is told",
                breaks: .groupOffset, about: MeshSubject(group: watched.group))
        }
        told[watched.group] = offset
    }
}
