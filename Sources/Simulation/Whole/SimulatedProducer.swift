import Model
import NIOCore
import Node
import Replication
import Storage

/// An idempotent producer of one partition with `acks=all`, as librdkafka is one.
///
/// Several batches under way; after an error it waits until it has heard of all of them, asks who
/// leads, and sends again in order what was not acknowledged, under the same sequences. Where a
/// later batch is out of order after an earlier one failed, it takes a new epoch and counts anew:
/// that is what brokers must never have it do while one of its batches is in a log.
final class SimulatedProducer: MeshClient {
    private struct Batch {
        let first: Int
        let count: Int32
        var sequence: Int32
        /// It was answered with an error, or not at all: it may be in a log.
        var isUncertain = false
    }

    private static let inFlightMaximum = 5
    private static let timeoutMilliseconds: Int64 = 3_000

    let index: Int
    let partition: Int32
    /// Where each acknowledged record is, by its number; -1 where that was not said.
    private(set) var acknowledged: [Int: Int64] = [:]
    private(set) var produced = 0
    private var id: ProducerID?
    private var epoch: Int16 = 0
    private var sequence: Int32 = 0
    private var batches: [Batch] = []
    private var sent = 0
    private var inFlight: [UInt64: (batch: Int, at: Instant)] = [:]
    private var idToken: (token: UInt64, target: MeshTarget, at: Instant)?
    private var target: (MeshTarget, TopicPartition)?
    private var hasFailed = false
    private var bumpsEpoch = false
    private var lastError: PartitionError?

    init(index: Int, partition: Int32) {
        self.index = index
        self.partition = partition
    }

    var isDone: Bool { batches.isEmpty }

    var summary: String {
        "producer \(partition): \(acknowledged.count) of \(produced)"
            + (lastError.map { ", last \($0)" } ?? "")
    }

    func value(_ number: Int) -> String { "p\(partition):\(number)" }

    // MARK: Acting

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 1...12)
        expire(in: world)
        guard let id else { return askForID(in: world) }
        if hasFailed {
            guard inFlight.isEmpty else { return }
            recover(in: world)
        }
        guard let (target, partition) = target ?? find(in: world) else { return }
        self.target = (target, partition)
        for _ in 0..<Int(world.draw(1...3)) where inFlight.count < Self.inFlightMaximum {
            if sent == batches.count {
                guard !world.isHealed else { return }
                add(count: Int32(world.draw(1...4)))
            }
            send(batches[sent], id, target, partition, in: world)
            sent += 1
        }
    }

    private func askForID(in world: MeshWorld) {
        guard idToken == nil, let target = world.anyTarget() else { return }
        let token = world.token(for: index)
        idToken = (token, target, world.now)
        world.send(
            .plane(.control(.request(token: token, .producerID))), about: nil, to: target)
    }

    private func find(in world: MeshWorld) -> (MeshTarget, TopicPartition)? {
        world.anyTarget().flatMap { world.leader(of: partition, by: $0) }
    }

    private func add(count: Int32) {
        batches.append(Batch(first: produced, count: count, sequence: sequence))
        produced += Int(count)
        sequence += count
    }

    private func send(
        _ batch: Batch, _ id: ProducerID, _ target: MeshTarget, _ partition: TopicPartition,
        in world: MeshWorld
    ) {
        let token = world.token(for: index)
        inFlight[token] = (batch.first, world.now)
        var builder = RecordBatchBuilder(
            producerID: id, producerEpoch: ProducerEpoch(epoch), baseSequence: batch.sequence)
        for number in batch.first..<batch.first + Int(batch.count) {
            builder.append(
                key: nil, value: ByteBuffer(string: value(number)), timestamp: world.clock.wall)
        }
        let work = ProduceWork(
            token: token, acknowledgement: .all,
            deadline: world.clock.instant.advanced(byMilliseconds: 2_000), origin: .client,
            parts: [ProduceWork.Part(partition: partition, records: builder.finish())])
        world.send(.shard(.produce(work)), about: partition, to: target)
    }

    /// Everything that is not acknowledged is sent again, in order.
    private func recover(in world: MeshWorld) {
        hasFailed = false
        target = nil
        sent = 0
        world.counts.retries += 1
        guard bumpsEpoch else { return }
        bumpsEpoch = false
        world.counts.epochBumps += 1
        world.note(
            UInt64(index) << 8 | 30,
            "producer \(partition) takes epoch \(epoch + 1)"
        )
        epoch += 1
        sequence = 0
        for place in batches.indices {
            batches[place].sequence = sequence
            sequence += batches[place].count
        }
    }

    /// A request that is not answered ends its connection, with all the others on it.
    private func expire(in world: MeshWorld) {
        if let asked = idToken, world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            idToken = nil
        }
        let isLate = inFlight.values.contains {
            world.now.milliseconds(since: $0.at) > Self.timeoutMilliseconds
        }
        if isLate { disconnect() }
    }

    private func disconnect() {
        for place in batches.indices.prefix(sent) { batches[place].isUncertain = true }
        inFlight = [:]
        hasFailed = true
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if idToken?.target == gone { idToken = nil }
        if target?.0 == gone { disconnect() }
    }

    func hear(_ token: UInt64, _ answer: MeshAnswer, in world: MeshWorld) {
        switch answer {
        case .control(.producerID(let given)) where idToken?.token == token:
            idToken = nil
            id = given
        case .produced(let results):
            guard let request = inFlight.removeValue(forKey: token) else { return }
            hear(results[0], of: request.batch, in: world)
        default: return
        }
    }

    private func hear(_ result: ProduceResult, of first: Int, in world: MeshWorld) {
        guard let place = batches.firstIndex(where: { $0.first == first }) else {
            return world.fail("record \(value(first)) was acknowledged twice")
        }
        switch result.error {
        case nil: acknowledge(place, at: result.base.rawValue, in: world)
        case .duplicateSequence: acknowledge(place, at: nil, in: world)
        case .outOfOrderSequence:
            lastError = result.error
            hasFailed = true
            guard place > 0 else {
                return world.fail("producer \(partition): the first of its batches is out of order")
            }
            bumpsEpoch = true
        case .invalidProducerEpoch, .unknownProducer, .corruptMessage, .invalidRecord:
            world.fail("producer \(partition) was refused: \(String(describing: result.error))")
        case let error:
            lastError = error
            batches[place].isUncertain = true
            hasFailed = true
        }
    }

    private func acknowledge(_ place: Int, at base: Int64?, in world: MeshWorld) {
        let batch = batches.remove(at: place)
        if place < sent { sent -= 1 }
        world.counts.acknowledged += Int(batch.count)
        for step in 0..<Int(batch.count) {
            acknowledged[batch.first + step] = base.map { $0 + Int64(step) } ?? -1
        }
        world.note(UInt64(bitPattern: base ?? -1) << 8 | 31)
    }
}
