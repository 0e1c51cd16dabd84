import Coordination
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
        /// A broker answers that a topic is unknown only after it has asked the voters, as the
        /// routes of a broker have it do.
        case lookUp
        case produce(Int)
        case fetch
        /// To a topic whose deletion was acknowledged.
        case late
    }

    private struct Request {
        let purpose: Purpose
        let target: MeshTarget
        let at: Instant

        var isAdministration: Bool {
            switch purpose {
            case .administration, .lookUp: true
            case .produce, .fetch, .late: false
            }
        }
    }

    static let name = "turned"
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
    private var leaders: MeshTarget?
    /// A deletion that was not answered may be done at any later time, also to a later topic.
    private var mayVanish = false
    /// When a record was read last, or the topic was found to be there.
    private var seenAt = Instant(nanoseconds: 0)
    private var requests: [UInt64: Request] = [:]
    private var lastError: String?

    init(index: Int) { self.index = index }

    var isDone: Bool {
        phase == .working
            && acknowledged.keys.allSatisfy { $0 < Int64(values.count) }
    }

    var summary: String {
        "turner: \(phase) after \(deleted.count), \(values.count) of \(produced) read"
            + (lastError.map { ", last \($0)" } ?? "")
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
            let topic = NewTopic(
                name: Self.name, partitions: 1, replicas: 3, overrides: ["segment.bytes": "16384"])
            administer(.createTopics([topic], validateOnly: false), in: world)
        case .working: work(in: world)
        case .deleting: administer(.lookUp([Self.name]), .lookUp, in: world)
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

    private func gone(_ request: Request) {
        if request.isAdministration, phase == .deleting { mayVanish = true }
    }

    private func administer(
        _ request: ControlRequest, _ purpose: Purpose = .administration, in world: MeshWorld
    ) {
        guard !requests.values.contains(where: \.isAdministration), let target = world.anyTarget()
        else { return }
        let token = note(purpose, target, world)
        world.send(.plane(.control(.request(token: token, request))), about: nil, to: target)
    }

    private func work(in world: MeshWorld) {
        guard let current, let asked = world.anyTarget(),
            let view = world.sites[asked.site].life?.view,
            let entry = view.topic(named: Self.name), entry.id == current.topic,
            let state = entry.state(0), let leader = view.leader(of: state),
            let target = world.target(Int(leader.id.rawValue) - 1)
        else { return }
        leaders = target
        var isProducing = false
        var isFetching = false
        for request in requests.values {
            switch request.purpose {
            case .produce: isProducing = true
            case .fetch: isFetching = true
            case .administration, .lookUp, .late: break
            }
        }
        if !isProducing, !world.isHealed {
            produced += 1
            produce(.produce(produced), produced, current, target, world)
        }
        if !isFetching { fetch(current, target, world) }
    }

    private func produce(
        _ purpose: Purpose, _ number: Int, _ partition: TopicPartition, _ target: MeshTarget,
        _ world: MeshWorld
    ) {
        let token = note(purpose, target, world)
        var builder = RecordBatchBuilder()
        builder.append(
            key: nil, value: ByteBuffer(string: Self.value(number, of: partition)),
            timestamp: world.clock.wall)
        let work = ProduceWork(
            token: token, acknowledgement: .all,
            deadline: world.clock.instant.advanced(byMilliseconds: 2_000), origin: .client,
            parts: [ProduceWork.Part(partition: partition, records: builder.finish())])
        world.send(.shard(.produce(work)), about: partition, to: target)
    }

    private static func value(_ number: Int, of partition: TopicPartition) -> String {
        "\(partition.topic.high).\(partition.topic.low):\(number)"
    }

    private func fetch(_ partition: TopicPartition, _ target: MeshTarget, _ world: MeshWorld) {
        seenAt = world.now
        let token = note(.fetch, target, world)
        let part = FetchWork.Part(
            partition: partition, offset: Offset(Int64(values.count)),
            currentLeaderEpoch: .unknown, lastFetchedEpoch: .unknown, maxBytes: 8_192,
            readsFollowers: false)
        let work = FetchWork(
            token: token, minBytes: 1, maxBytes: 8_192,
            deadline: world.clock.instant.advanced(byMilliseconds: 50), parts: [part])
        world.send(.shard(.fetch(work)), about: partition, to: target)
    }

    private func note(
        _ purpose: Purpose, _ target: MeshTarget, _ world: MeshWorld
    ) -> UInt64 {
        let token = world.token(for: index)
        requests[token] = Request(purpose: purpose, target: target, at: world.now)
        return token
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let target = MeshTarget(site: site, life: life)
        for request in requests.values where request.target == target { gone(request) }
        requests = requests.filter { $0.value.target != target }
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        guard let request = requests.removeValue(forKey: token) else { return }
        switch (request.purpose, answer) {
        case (.administration, .control(.topics(let outcomes))):
            guard let outcome = outcomes.first else { return }
            lastError = outcome.error.map { "\($0)" }
            if phase == .making { made(outcome, in: world) }
            if phase == .deleting { deleted(outcome, in: world) }
        case (.lookUp, .control(.lookedUp(isComplete: true))):
            let token = note(.administration, request.target, world)
            world.send(
                .plane(.control(.request(token: token, .deleteTopics([Self.name])))), about: nil,
                to: request.target)
        case (.produce(let number), .produced(let results)):
            lastError = results[0].error.map { "\($0)" }
            if results[0].error == nil { acknowledged[results[0].base.rawValue] = number }
        case (.late, .produced(let results)):
            guard results[0].error != nil else {
                return world.fail(
                    "topic \(Self.name): a record was acknowledged after the topic's deletion was")
            }
            world.counts.reached["refused by deleted topics", default: 0] += 1
        case (.fetch, .fetched(let results)): read(results[0], in: world)
        default: break
        }
    }

    private func made(_ outcome: TopicOutcome, in world: MeshWorld) {
        guard outcome.error == nil || outcome.error == .alreadyExists else { return }
        let views = world.sites.compactMap { $0.life?.view?.topic(named: Self.name) }
        guard let entry = outcome.entry ?? views.first(where: { !deleted.contains($0.id) }) else {
            return
        }
        guard !deleted.contains(entry.id) else {
            guard outcome.error != nil else {
                return world.fail("topic \(Self.name) was made anew with the id of a deleted one")
            }
            return
        }
        world.counts.reached[deleted.isEmpty ? "topics made" : "topics made again", default: 0] += 1
        phase = .working
        guard entry.id != current?.topic else { return }
        guard current == nil || mayVanish else {
            return world.fail("topic \(Self.name) became another one, and nobody deleted it")
        }
        current = entry.partition(0)
        acknowledged = [:]
        values = []
        seenAt = world.now
        workUntil = world.now.advanced(byMilliseconds: world.draw(300...5_000))
    }

    private func deleted(_ outcome: TopicOutcome, in world: MeshWorld) {
        guard outcome.error == nil || outcome.error == .unknown else { return }
        guard outcome.error == nil || mayVanish else {
            return world.fail("topic \(Self.name) is unknown, and nobody deleted it")
        }
        guard let current else { return }
        world.counts.reached["topics deleted", default: 0] += 1
        world.note(UInt64(index) << 8 | 37, "topic \(current.topic) is deleted")
        deleted.insert(current.topic)
        self.current = nil
        requests = requests.filter { $0.value.isAdministration }
        phase = .making
        if outcome.error == nil, let target = leaders {
            produce(.late, 0, current, target, world)
        }
    }

    private func read(_ result: FetchResult, in world: MeshWorld) {
        lastError = result.error.map { "\($0)" }
        guard let current, phase != .making, result.error == nil,
            let records = try? result.records.simulatedRecords()
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
                        + "behind \(values.count) of topic \(current.topic)")
            }
            values.append(number)
        }
        for (offset, number) in acknowledged where offset < Int64(values.count) {
            guard values[Int(offset)] == number else {
                return world.fail(
                    "topic \(Self.name): record \(number) was acknowledged at \(offset), where "
                        + "\(values[Int(offset)]) is")
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
