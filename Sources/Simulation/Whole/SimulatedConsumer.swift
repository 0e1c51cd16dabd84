import KafkaProtocol
import Model
import NIOCore
import Node
import Storage

/// What a client knows of a topic, from Metadata.
struct ClientMetadata {
    /// Which topic; most clients work with the one of all partitions.
    let topic: String
    private(set) var id = TopicID.zero
    /// By partition; looked up only.
    private var leaders: [Int32: Int32] = [:]

    init(of topic: String = BrokerLife.topic) { self.topic = topic }

    var isKnown: Bool { id != .zero }

    /// Those before 4 can't help but make the topic that they ask for, as the broker likes it.
    static func version(of client: Int, in world: MeshWorld) -> Int16 {
        max(4, world.versions(of: client)[.metadata])
    }

    var request: MetadataRequest {
        MetadataRequest(
            topics: [MetadataRequest.Topic(name: topic)], allowAutoTopicCreation: false)
    }

    mutating func take(_ response: MetadataResponse, in world: MeshWorld) {
        guard let topic = response.topics.first, topic.errorCode == .none else { return }
        leaders = [:]
        for partition in topic.partitions where partition.leaderID >= 0 {
            leaders[partition.index] = partition.leaderID
        }
        // Versions before 10 do not say it; requests by id are of later ones.
        id = topic.topicID == .zero ? world.topicPartition(0)?.topic ?? .zero : topic.topicID
    }

    func leader(of partition: Int32, in world: MeshWorld) -> MeshTarget? {
        leaders[partition].flatMap { world.target(Int($0) - 1) }
    }

    mutating func forget() { leaders = [:] }
}

/// Reads one partition from its start, at its leader or at one replica, and notes what it sees.
///
/// Some clients keep fetch sessions (KIP-227); now and then one asks where the log ends.
final class SimulatedConsumer: MeshClient {
    private static let timeoutMilliseconds: Int64 = 3_000
    /// The first version whose clients may read what a follower has.
    private static let followersVersion: Int16 = 11

    let index: Int
    let partition: Int32
    /// The broker whose copy it reads; nil reads the leader's.
    private let replica: Int?
    private(set) var values: [String] = []
    private var offsets = DenseOffsets()
    /// The end of what is committed, as it was told last.
    private(set) var end: Int64 = -1
    private var metadata = ClientMetadata()
    private var pending: PendingRequest?
    private var session: (id: Int32, epoch: Int32, target: MeshTarget)?
    private var askedFrom: Int64 = 0
    private var lastError = ErrorCode.none

    init(index: Int, partition: Int32, replica: Int? = nil) {
        self.index = index
        self.partition = partition
        self.replica = replica
    }

    var position: Int64 { offsets.position }

    var isDone: Bool { end >= 0 && position >= end }

    var summary: String {
        "consumer \(partition)\(replica.map { " of \($0 + 1)" } ?? ""): \(position) of \(end)"
            + (lastError == .none ? "" : ", last \(lastError)")
    }

    // MARK: Acting

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 2...20)
        if let asked = pending, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            world.disconnect(index, from: asked.target)
            forget()
        }
        guard pending == nil else { return }
        guard let target = replica.map({ world.target($0) }) ?? leader(in: world),
            metadata.isKnown
        else { return askMetadata(in: world) }
        if replica == nil, world.chance(0.03) { return askEnd(target, in: world) }
        fetch(target, in: world)
    }

    private func leader(in world: MeshWorld) -> MeshTarget? {
        metadata.leader(of: partition, in: world)
    }

    private func askMetadata(in world: MeshWorld) {
        guard let target = world.anyTarget() else { return }
        ask(
            metadata.request, version: ClientMetadata.version(of: index, in: world),
            target, world)
    }

    private func ask(
        _ request: some KafkaRequest, version: Int16, _ target: MeshTarget, _ world: MeshWorld
    ) {
        let token = world.send(request, version: version, from: index, to: target)
        pending = PendingRequest(token: token, target: target, at: world.now)
    }

    private func askEnd(_ target: MeshTarget, in world: MeshWorld) {
        askedFrom = position
        let wish = ListOffsetsRequest.Partition(index: partition, timestamp: -1)
        ask(
            ListOffsetsRequest(
                topics: [.init(name: BrokerLife.topic, partitions: [wish])]),
            version: world.versions(of: index)[.listOffsets], target, world)
    }

    private func fetch(_ target: MeshTarget, in world: MeshWorld) {
        var version = world.versions(of: index)[.fetch]
        if replica != nil { version = max(version, Self.followersVersion) }
        if session?.target != target { session = nil }
        let usesIDs = version >= FetchRequest.firstVersionByID
        let wish = FetchRequest.Partition(
            index: partition, fetchOffset: position, partitionMaxBytes: 8_192)
        var request = FetchRequest(
            maxWaitMilliseconds: 50, minBytes: 1, maxBytes: 8_192,
            topics: [
                FetchRequest.Topic(
                    name: usesIDs ? "" : BrokerLife.topic, topicID: usesIDs ? metadata.id : .zero,
                    partitions: [wish])
            ], rackID: replica.map { BrokerSite.rack(of: $0) } ?? "")
        // Sessions from version 7 on; every other client keeps one.
        if version >= 7, index % 2 == 0 {
            request.sessionID = session?.id ?? 0
            request.sessionEpoch = session?.epoch ?? 0
        }
        ask(request, version: version, target, world)
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if pending?.target == gone || session?.target == gone { forget() }
    }

    private func forget() {
        pending = nil
        session = nil
        metadata.forget()
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let asked = pending, asked.token == token else { return }
        pending = nil
        switch response {
        case let response as MetadataResponse: metadata.take(response, in: world)
        case let response as ListOffsetsResponse: hear(response, in: world)
        case let response as FetchResponse: hear(response, from: asked.target, in: world)
        default: return
        }
    }

    private func hear(_ response: ListOffsetsResponse, in world: MeshWorld) {
        let answer = response.topics[0].partitions[0]
        guard answer.errorCode == .none else {
            metadata.forget()
            return
        }
        guard answer.offset < askedFrom else { return }
        world.fail(
            "partition \(partition) ends at \(answer.offset), where offset \(askedFrom - 1) was "
                + "given to a consumer before",
            breaks: .seenStays,
            about: MeshSubject(
                partition: world.topicPartition(partition), offset: askedFrom - 1,
                value: values.last))
    }

    private func hear(_ response: FetchResponse, from target: MeshTarget, in world: MeshWorld) {
        guard response.errorCode == .none else {
            // The session is gone, or of another loop: a new one is begun.
            session = nil
            return
        }
        if response.sessionID != 0 {
            session = (response.sessionID, (session?.epoch ?? 0) + 1, target)
        }
        // In a session nothing is said of what has no news.
        guard let answer = response.topics.first?.partitions.first else { return }
        lastError = answer.errorCode
        guard answer.errorCode == .none else {
            if answer.errorCode == .offsetOutOfRange {
                world.fail(
                    "consumer \(partition) at \(position): the offset is out of range",
                    breaks: .seenStays,
                    about: MeshSubject(
                        partition: world.topicPartition(partition), offset: position - 1,
                        value: values.last))
            }
            session = nil
            metadata.forget()
            return
        }
        end = answer.highWatermark
        if let records = answer.records.buffer { take(records, in: world) }
    }

    private func take(_ bytes: ByteBuffer, in world: MeshWorld) {
        guard let records = try? LogRead.memory(bytes).simulatedRecords(),
            let id = world.topicPartition(partition)
        else { return }
        for record in records where record.offset.rawValue >= position {
            guard offsets.take(record.offset.rawValue) else {
                return world.fail(
                    "partition \(partition): offset \(record.offset.rawValue) follows "
                        + "\(position - 1)",
                    breaks: .offsetsDense,
                    about: MeshSubject(partition: id, offset: position, value: nil))
            }
            let value = record.value.map { String(buffer: $0) } ?? "null"
            world.checks.noteSeen(value, at: record.offset.rawValue, of: id, in: world)
            values.append(value)
            world.counts.consumed += 1
        }
    }
}

/// Makes the topic, as often as it takes.
final class SimulatedTopicMaker: MeshClient {
    private let index: Int
    private var pending: PendingRequest?
    private var isMade = false

    init(index: Int) { self.index = index }

    var isDone: Bool { isMade }
    var summary: String { isMade ? "topic made" : "topic not made" }

    func act(in world: MeshWorld) {
        guard !isMade else { return }
        world.actLater(index, milliseconds: 200...400)
        guard pending == nil, let target = world.anyTarget() else { return }
        let request = CreateTopicsRequest(
            topics: [
                CreateTopicsRequest.Topic(
                    name: BrokerLife.topic, partitionCount: world.options.partitions,
                    replicationFactor: -1,
                    configs: [
                        .init(name: "segment.bytes", value: "16384"),
                        .init(name: "retention.ms", value: "-1"),
                    ])
            ], timeoutMilliseconds: 10_000)
        let token = world.send(
            request, version: world.versions(of: index)[.createTopics], from: index, to: target)
        pending = PendingRequest(token: token, target: target, at: world.now)
    }

    func lost(site: Int, life: Int, in world: MeshWorld) { pending = nil }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard token == pending?.token, let response = response as? CreateTopicsResponse else {
            return
        }
        pending = nil
        isMade =
            response.topics.first?.errorCode == ErrorCode.none || world.topicPartition(0) != nil
    }
}
