import Model
import Node

/// What a client hears of a request.
enum MeshAnswer {
    case produced([ProduceResult])
    case fetched([FetchResult])
    case control(ControlReply)
}

/// Where a client sends: one process, by its connection.
struct MeshTarget: Hashable {
    let site: Int
    let life: Int
}

/// A client of the mesh: acts when its time has come, and hears what becomes of its requests.
protocol MeshClient: AnyObject {
    /// Nothing is left that it waits for; asked once all is well.
    var isDone: Bool { get }
    var summary: String { get }
    func act(in world: MeshWorld)
    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld)
    /// The connection with a process is gone, with the answers that were to come.
    func lost(site: Int, life: Int, in world: MeshWorld)
}

extension MeshWorld {
    /// What a request and its answer take in the network, each.
    private static let clientMicroseconds: ClosedRange<Int64> = 50...800
    private static let tokenBits: UInt64 = 40

    func add(_ client: any MeshClient) {
        clients.append(client)
        timeline.schedule(.client(clients.count - 1), at: now)
    }

    func actLater(_ client: Int, milliseconds: ClosedRange<Int64>) {
        schedule(.client(client), afterMicroseconds: draw(milliseconds) * 1_000)
    }

    func token(for client: Int) -> UInt64 {
        lastToken += 1
        return UInt64(client) << Self.tokenBits | lastToken
    }

    /// A process that would answer; nil where there is none.
    func anyTarget() -> MeshTarget? {
        let up = sites.filter { $0.life?.isReady == true }
        guard !up.isEmpty else { return nil }
        return target(up[Int(draw(0...Int64(up.count - 1)))].index)
    }

    func target(_ site: Int) -> MeshTarget? {
        guard sites.indices.contains(site), sites[site].life?.isReady == true else { return nil }
        return MeshTarget(site: site, life: sites[site].lives)
    }

    /// Whom a broker's metadata names as the leader of a partition.
    func leader(of partition: Int32, by asked: MeshTarget) -> (MeshTarget, TopicPartition)? {
        guard sites[asked.site].lives == asked.life, !sites[asked.site].isPaused,
            let view = sites[asked.site].life?.view,
            let entry = view.topic(named: BrokerLife.topic), let state = entry.state(partition),
            let leader = view.leader(of: state), let target = target(Int(leader.id.rawValue) - 1)
        else { return nil }
        return (target, entry.partition(partition))
    }

    func send(_ post: BrokerLife.Post, about partition: TopicPartition?, to target: MeshTarget) {
        guard sites[target.site].lives == target.life, let life = sites[target.site].life else {
            return
        }
        let loop = partition.map { life.shardIndex(of: $0) } ?? 0
        // One connection keeps its order.
        let pair = -1 - (target.site * BrokerLife.loops + loop)
        let arrival = max(
            lastPosts[pair, default: 0] + 1,
            now.nanoseconds + draw(Self.clientMicroseconds) * 1_000)
        lastPosts[pair] = arrival
        timeline.schedule(
            .post(site: target.site, life: target.life, loop: loop, post),
            at: Instant(nanoseconds: arrival))
    }

    func answer(_ token: UInt64, _ answer: MeshAnswer, from site: BrokerSite) {
        let client = Int(token >> Self.tokenBits)
        guard clients.indices.contains(client) else { return }
        schedule(
            .answer(client: client, token: token, answer),
            afterMicroseconds: draw(Self.clientMicroseconds))
    }

    /// Who works with the mesh: a maker of the topic, a producer, a consumer and a committer for
    /// each partition.
    func beginClients() {
        add(SimulatedTopicMaker(index: clients.count))
        for partition in 0..<options.partitions { beginClients(of: partition) }
        add(SimulatedOperator(index: clients.count))
        if options.turnsTopic { add(SimulatedTopicTurner(index: clients.count)) }
        for number in 0..<options.groupMembers {
            add(
                SimulatedGroupMember(
                    index: clients.count, isStatic: number < options.staticMembers))
        }
    }

    func beginClients(of partition: Int32) {
        add(SimulatedProducer(index: clients.count, partition: partition))
        add(SimulatedConsumer(index: clients.count, partition: partition))
        add(SimulatedCommitter(index: clients.count, group: "group-\(partition)"))
    }

    /// All members of the group have their part in one generation.
    var isGroupSettled: Bool {
        let members = clients.compactMap { $0 as? SimulatedGroupMember }
        return Set(members.map(\.settled)).count <= 1
    }

    /// Who asked a broker to change who votes.
    func tell(_ token: UInt64, _ answer: VoterChangeAnswer) {
        let client = Int(token >> Self.tokenBits)
        guard clients.indices.contains(client),
            let client = clients[client] as? SimulatedOperator
        else { return }
        client.hear(token, answer, in: self)
    }
}
