import KafkaProtocol
import Model
import NIOCore
import Node
import Replication
import Storage

/// Makes a topic, works with it, deletes it, and makes it again under the same name.
///
/// Each time it is another topic: it begins empty, with an id that none had before, and holds what
/// was acknowledged to it and nothing of those before. Once its deletion was acknowledged nothing
/// is acknowledged to it any more, and in the end nothing is left of it on any disk.
final class SimulatedTopicTurner: MeshClient {
    private enum Phase: Equatable {
        case making
        case working
        case deleting
    }

    private enum Purpose {
        case administration
        case metadata
        case produce(Int)
        case fetch
        /// To a topic whose deletion was acknowledged.
        case late
    }

    private struct Asked {
        let purpose: Purpose
        let target: MeshTarget
        let at: Instant

        var isAdministration: Bool {
            if case .administration = purpose { true } else { false }
        }
    }

    static let name = "turned"
    /// The first versions that speak of topics by their ids.
    private static let firstVersions: [APIKey: Int16] = [
        .metadata: 10, .produce: ProduceRequest.firstVersionByID,
        .fetch: FetchRequest.firstVersionByID,
    ]
    private static let timeoutMilliseconds: Int64 = 15_000
    private static let requestMilliseconds: Int64 = 3_000

    private let index: Int
    private var phase = Phase.making
    private var workUntil = Instant(nanoseconds: 0)
    private var current: TopicPartition?
    /// Where what was acknowledged to the topic as it is now lies.
    private var acknowledged: [Int64: Int] = [:]
    private var values: [Int] = []
    private var produced = 0
    private(set) var deleted: Set<TopicID> = []
    private var metadata = ClientMetadata(of: name)
    /// Who led it last.
    private var leader: MeshTarget?
    /// A deletion that was not answered may be done at any later time, also to a later topic.
    private var mayVanish = false
    /// When a record was read last, or the topic was found to be there.
    private var seenAt = Instant(nanoseconds: 0)
    private var requests: [UInt64: Asked] = [:]
    private var lastError = ErrorCode.none

    init(index: Int) { self.index = index }

    var isDone: Bool {
        phase == .working
            && acknowledged.keys.allSatisfy { $0 < Int64(values.count) }
    }

    var summary: String {
        "turner: \(phase) after \(deleted.count), \(values.count) of \(produced) read"
            + (lastError == .none ? "" : ", last \(lastError)")
    }

    // MARK: Acting

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 4...40)
        expire(in: world)
        if phase == .working, world.now >= workUntil, !world.isHealed { phase = .deleting }
        if phase == .working, mayVanish,
            world.now.milliseconds(since: seenAt) > Self.timeoutMilliseconds
        {
            phase = .making
        }
        switch phase {
        case .making:
            administer(
                CreateTopicsRequest(
                    topics: [
                        CreateTopicsRequest.Topic(
                            name: Self.name, partitionCount: 1, replicationFactor: 3,
                            configs: [.init(name: "segment.bytes", value: "16384")])
                    ], timeoutMilliseconds: 10_000), in: world)
        case .working: work(in: world)
        case .deleting:
            administer(
                DeleteTopicsRequest(
                    topics: [DeleteTopicsRequest.Topic(name: Self.name)],
                    topicNames: [Self.name], timeoutMilliseconds: 10_000), in: world)
        }
    }

    private func expire(in world: MeshWorld) {
        for (token, request) in requests.sorted(by: { $0.key < $1.key }) {
            let patience: Int64
            if request.isAdministration {
                patience = Self.timeoutMilliseconds
            } else {
                patience = Self.requestMilliseconds
            }
            guard world.now.milliseconds(since: request.at) > patience else { continue }
            requests[token] = nil
            gone(request)
        }
    }

    private func gone(_ request: Asked) {
        if request.isAdministration, phase == .deleting { mayVanish = true }
    }

    private func administer(_ request: some KafkaRequest, in world: MeshWorld) {
        guard !requests.values.contains(where: \.isAdministration), let target = world.anyTarget()
        else { return }
        ask(request, .administration, target, world)
    }

    private func ask<Request: KafkaRequest>(
        _ request: Request, _ purpose: Purpose, _ target: MeshTarget, _ world: MeshWorld
    ) {
        // Topics are asked for by their ids: the name alone says nothing of which one it is.
        let version = max(
            world.versions(of: index)[Request.apiKey], Self.firstVersions[Request.apiKey] ?? 0)
        let token = world.send(request, version: version, from: index, to: target)
        requests[token] = Asked(purpose: purpose, target: target, at: world.now)
    }

    private func work(in world: MeshWorld) {
        guard let current, metadata.id == current.topic,
            let target = metadata.leader(of: 0, in: world)
        else { return askMetadata(in: world) }
        leader = target
        var isProducing = false
        var isFetching = false
        for request in requests.values {
            switch request.purpose {
            case .produce: isProducing = true
            case .fetch: isFetching = true
            case .administration, .metadata, .late: break
            }
        }
        if !isProducing, !world.isHealed {
            produced += 1
            produce(.produce(produced), produced, current, target, world)
        }
        if !isFetching { fetch(current, target, world) }
    }

    private func askMetadata(in world: MeshWorld) {
        let isAsking = requests.values.contains {
            if case .metadata = $0.purpose { true } else { false }
        }
        guard !isAsking, let target = world.anyTarget() else { return }
        ask(metadata.request, .metadata, target, world)
    }

    private func produce(
        _ purpose: Purpose, _ number: Int, _ partition: TopicPartition, _ target: MeshTarget,
        _ world: MeshWorld
    ) {
        var builder = RecordBatchBuilder()
        builder.append(
            key: nil, value: ByteBuffer(string: Self.value(number, of: partition)),
            timestamp: world.clock.wall)
        ask(
            ProduceRequest(
                acks: -1, timeoutMilliseconds: 2_000,
                topics: [
                    ProduceRequest.Topic(
                        topicID: partition.topic,
                        partitions: [
                            ProduceRequest.Partition(index: 0, records: builder.finish())
                        ])
                ]), purpose, target, world)
    }

    private static func value(_ number: Int, of partition: TopicPartition) -> String {
        "\(partition.topic.high).\(partition.topic.low):\(number)"
    }

    private func fetch(_ partition: TopicPartition, _ target: MeshTarget, _ world: MeshWorld) {
        seenAt = world.now
        ask(
            FetchRequest(
                maxWaitMilliseconds: 50, minBytes: 1, maxBytes: 8_192,
                topics: [
                    FetchRequest.Topic(
                        topicID: partition.topic,
                        partitions: [
                            FetchRequest.Partition(
                                index: 0, fetchOffset: Int64(values.count),
                                partitionMaxBytes: 8_192)
                        ])
                ]), .fetch, target, world)
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let target = MeshTarget(site: site, life: life)
        for request in requests.values where request.target == target { gone(request) }
        requests = requests.filter { $0.value.target != target }
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        guard let asked = requests.removeValue(forKey: token) else { return }
        switch (asked.purpose, response) {
        case (.administration, let response as CreateTopicsResponse):
            guard phase == .making, let topic = response.topics.first else { return }
            lastError = topic.errorCode
            made(topic, in: world)
        case (.administration, let response as DeleteTopicsResponse):
            guard phase == .deleting, let topic = response.topics.first else { return }
            lastError = topic.errorCode
            world.note(
                UInt64(index) << 8 | 45,
                "deletion of \(Self.name): \(topic.errorCode) \(topic.errorMessage ?? "")")
            deleted(topic.errorCode, in: world)
        case (.metadata, let response as MetadataResponse): metadata.take(response, in: world)
        case (.produce(let number), let response as ProduceResponse):
            let result = response.topics[0].partitions[0]
            hear(result.errorCode)
            if result.errorCode == .none { acknowledged[result.baseOffset] = number }
        case (.late, let response as ProduceResponse):
            guard response.topics[0].partitions[0].errorCode != .none else {
                return world.fail(
                    "topic \(Self.name): a record was acknowledged after the topic's deletion was",
                    breaks: .deletedStays)
            }
            world.counts.reached["refused by deleted topics", default: 0] += 1
        case (.fetch, let response as FetchResponse): read(response, in: world)
        default: break
        }
    }

    /// An answer of who was to lead: where it is an error, somebody else may.
    private func hear(_ error: ErrorCode) {
        lastError = error
        if error != .none { metadata.forget() }
    }

    private func made(_ topic: CreateTopicsResponse.Topic, in world: MeshWorld) {
        let error = topic.errorCode
        guard error == .none || error == .topicAlreadyExists else { return }
        let known = world.sites.compactMap { $0.life?.view?.topic(named: Self.name)?.id }
        let told = error == .none && topic.topicID != .zero ? topic.topicID : nil
        guard let id = told ?? known.first(where: { !deleted.contains($0) }) else { return }
        guard !deleted.contains(id) else {
            guard error != .none else {
                return world.fail(
                    "topic \(Self.name) was made anew with the id of a deleted one",
                    breaks: .deletedStays)
            }
            return
        }
        world.counts.reached[deleted.isEmpty ? "topics made" : "topics made again", default: 0] += 1
        phase = .working
        guard id != current?.topic else { return }
        guard current == nil || mayVanish else {
            return world.fail(
                "topic \(Self.name) became another one, and nobody deleted it",
                breaks: .deletedStays)
        }
        current = TopicPartition(topic: id, index: PartitionIndex(0))
        metadata.forget()
        acknowledged = [:]
        values = []
        seenAt = world.now
        workUntil = world.now.advanced(byMilliseconds: world.draw(300...5_000))
    }

    private func deleted(_ error: ErrorCode, in world: MeshWorld) {
        guard error == .none || error == .unknownTopicOrPartition else { return }
        guard error == .none || mayVanish else {
            return world.fail(
                "topic \(Self.name) is unknown, and nobody deleted it", breaks: .deletedStays)
        }
        guard let current else { return }
        world.counts.reached["topics deleted", default: 0] += 1
        world.note(UInt64(index) << 8 | 37, "topic \(current.topic) is deleted")
        deleted.insert(current.topic)
        self.current = nil
        requests = requests.filter { $0.value.isAdministration }
        phase = .making
        if error == .none, let leader { produce(.late, 0, current, leader, world) }
    }

    private func read(_ response: FetchResponse, in world: MeshWorld) {
        guard response.errorCode == .none,
            let result = response.topics.first?.partitions.first
        else { return }
        hear(result.errorCode)
        guard let current, phase != .making, result.errorCode == .none,
            let bytes = result.records.buffer,
            let records = try? LogRead.memory(bytes).simulatedRecords()
        else { return }
        for record in records where record.offset.rawValue >= Int64(values.count) {
            let text = record.value.map { String(buffer: $0) } ?? "null"
            let parts = text.split(separator: ":")
            guard record.offset.rawValue == Int64(values.count), parts.count == 2,
                let number = Int(parts[1]), text == Self.value(number, of: current),
                !values.contains(number)
            else {
                return world.fail(
                    "topic \(Self.name) has '\(text)' at offset \(record.offset.rawValue), read "
                        + "behind \(values.count) of topic \(current.topic)",
                    breaks: .deletedStays)
            }
            values.append(number)
        }
        for (offset, number) in acknowledged where offset < Int64(values.count) {
            guard values[Int(offset)] == number else {
                return world.fail(
                    "topic \(Self.name): record \(number) was acknowledged at \(offset), where "
                        + "\(values[Int(offset)]) is", breaks: .recordKept)
            }
        }
    }
}

extension MeshWorld {
    /// Nothing is left of topics whose deletion was acknowledged: no broker knows them, and no disk
    /// has their files.
    var isRidOfDeletedTopics: Bool { leftOfDeletedTopics == nil }

    /// The first thing that is left of one.
    var leftOfDeletedTopics: String? {
        let deleted = clients.compactMap { $0 as? SimulatedTopicTurner }.flatMap(\.deleted).sorted()
        for site in members {
            for topic in deleted {
                let directory = PartitionOrder.topicDirectory(of: topic)
                // Files of a topic that was made and deleted while the table could not be written
                // are on no evidence: they stay, as a broker removes none without.
                let isKnown = !site.forgotTable && site.life?.forgotTable != true
                if isKnown, site.disk.exists(directory) { return "\(site.node) has \(directory)" }
                if site.life?.view?.topic(named: SimulatedTopicTurner.name)?.id == topic {
                    return "\(site.node) knows of \(topic)"
                }
            }
        }
        return nil
    }
}
