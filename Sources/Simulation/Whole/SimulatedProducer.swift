import KafkaProtocol
import Model
import NIOCore
import Node
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
    private var idAsked: PendingRequest?
    private var metadataAsked: PendingRequest?
    private var metadata = ClientMetadata()
    private var target: MeshTarget?
    private var hasFailed = false
    private var bumpsEpoch = false
    private var lastError = ErrorCode.none

    init(index: Int, partition: Int32) {
        self.index = index
        self.partition = partition
    }

    var isDone: Bool { batches.isEmpty }

    var summary: String {
        "producer \(partition): \(acknowledged.count) of \(produced)"
            + (lastError == .none ? "" : ", last \(lastError)")
    }

    func value(_ number: Int) -> String { "p\(partition):\(number)" }

    private func values(of batch: Batch) -> [String] {
        (batch.first..<batch.first + Int(batch.count)).map { value($0) }
    }

    private func subject(_ number: Int, in world: MeshWorld) -> MeshSubject {
        MeshSubject(
            partition: world.topicPartition(partition), offset: acknowledged[number],
            value: value(number))
    }

    // MARK: Acting

    func act(in world: MeshWorld) {
        world.actLater(index, milliseconds: 1...12)
        expire(in: world)
        guard let id else { return askForID(in: world) }
        if hasFailed {
            guard inFlight.isEmpty else { return }
            recover(in: world)
        }
        guard let target = target ?? metadata.leader(of: partition, in: world), metadata.isKnown
        else { return askMetadata(in: world) }
        self.target = target
        for _ in 0..<Int(world.draw(1...3)) where inFlight.count < Self.inFlightMaximum {
            if sent == batches.count {
                guard !world.isHealed else { return }
                add(count: Int32(world.draw(1...4)))
            }
            send(batches[sent], id, target, in: world)
            sent += 1
        }
    }

    private func askForID(in world: MeshWorld) {
        guard idAsked == nil, let target = world.anyTarget() else { return }
        let token = world.send(
            InitProducerIDRequest(), version: world.versions(of: index)[.initProducerID],
            from: index, to: target)
        idAsked = PendingRequest(token: token, target: target, at: world.now)
    }

    private func askMetadata(in world: MeshWorld) {
        guard metadataAsked == nil, let target = world.anyTarget() else { return }
        let token = world.send(
            metadata.request, version: ClientMetadata.version(of: index, in: world),
            from: index, to: target)
        metadataAsked = PendingRequest(token: token, target: target, at: world.now)
    }

    private func add(count: Int32) {
        batches.append(Batch(first: produced, count: count, sequence: sequence))
        produced += Int(count)
        sequence += count
    }

    private func send(
        _ batch: Batch, _ id: ProducerID, _ target: MeshTarget, in world: MeshWorld
    ) {
        var builder = RecordBatchBuilder(
            producerID: id, producerEpoch: ProducerEpoch(epoch), baseSequence: batch.sequence)
        for number in batch.first..<batch.first + Int(batch.count) {
            builder.append(
                key: nil, value: ByteBuffer(string: value(number)), timestamp: world.clock.wall)
        }
        let version = world.versions(of: index)[.produce]
        let usesIDs = version >= ProduceRequest.firstVersionByID
        let request = ProduceRequest(
            acks: -1, timeoutMilliseconds: 2_000,
            topics: [
                ProduceRequest.Topic(
                    name: usesIDs ? "" : BrokerLife.topic, topicID: usesIDs ? metadata.id : .zero,
                    partitions: [
                        ProduceRequest.Partition(index: partition, records: builder.finish())
                    ])
            ])
        world.tellRecord(partition, values(of: batch)) {
            "its producer sends it to broker \(target.site + 1), sequence \(batch.sequence), "
                + "producer epoch \(self.epoch)"
        }
        let token = world.send(request, version: version, from: index, to: target)
        inFlight[token] = (batch.first, world.now)
    }

    /// Everything that is not acknowledged is sent again, in order.
    private func recover(in world: MeshWorld) {
        hasFailed = false
        target = nil
        metadata.forget()
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
        for asked in [idAsked, metadataAsked].compactMap({ $0 })
        where world.now.milliseconds(since: asked.at) > Self.timeoutMilliseconds {
            world.disconnect(index, from: asked.target)
            lost(site: asked.target.site, life: asked.target.life, in: world)
        }
        let isLate = inFlight.values.contains {
            world.now.milliseconds(since: $0.at) > Self.timeoutMilliseconds
        }
        guard isLate else { return }
        if let target { world.disconnect(index, from: target) }
        disconnect()
    }

    private func disconnect() {
        for place in batches.indices.prefix(sent) { batches[place].isUncertain = true }
        inFlight = [:]
        hasFailed = true
    }

    // MARK: Hearing

    func lost(site: Int, life: Int, in world: MeshWorld) {
        let gone = MeshTarget(site: site, life: life)
        if idAsked?.target == gone { idAsked = nil }
        if metadataAsked?.target == gone { metadataAsked = nil }
        if target == gone { disconnect() }
    }

    func hear(_ token: UInt64, _ response: any KafkaResponse, in world: MeshWorld) {
        switch response {
        case let response as InitProducerIDResponse where idAsked?.token == token:
            idAsked = nil
            if response.errorCode == .none { id = ProducerID(response.producerID) }
        case let response as MetadataResponse where metadataAsked?.token == token:
            metadataAsked = nil
            metadata.take(response, in: world)
        case let response as ProduceResponse:
            guard let request = inFlight.removeValue(forKey: token) else { return }
            hear(response.topics[0].partitions[0], of: request.batch, in: world)
        default: return
        }
    }

    private func hear(_ result: ProduceResponse.Partition, of first: Int, in world: MeshWorld) {
        guard let place = batches.firstIndex(where: { $0.first == first }) else {
            return world.fail(
                "record \(value(first)) was acknowledged twice", breaks: .recordOnce,
                about: subject(first, in: world))
        }
        if result.errorCode != .none {
            world.tellRecord(partition, values(of: batches[place])) {
                "its producer hears \(result.errorCode)"
            }
        }
        switch result.errorCode {
        case .none: acknowledge(place, at: result.baseOffset, in: world)
        case .duplicateSequenceNumber: acknowledge(place, at: nil, in: world)
        case .outOfOrderSequenceNumber:
            lastError = result.errorCode
            hasFailed = true
            guard place > 0 else {
                return world.fail(
                    "producer \(partition): the first of its batches is out of order",
                    breaks: .producerServed, about: subject(first, in: world))
            }
            bumpsEpoch = true
        case .invalidProducerEpoch, .unknownProducerID, .corruptMessage, .invalidRecord:
            world.fail(
                "producer \(partition) was refused: \(result.errorCode)",
                breaks: .producerServed, about: subject(first, in: world))
        case let error:
            lastError = error
            batches[place].isUncertain = true
            hasFailed = true
        }
    }

    private func acknowledge(_ place: Int, at base: Int64?, in world: MeshWorld) {
        let batch = batches.remove(at: place)
        world.tellRecord(partition, values(of: batch)) {
            "its producer hears that the batch is acknowledged"
                + (base.map { ", from offset \($0) on" } ?? " already")
        }
        if place < sent { sent -= 1 }
        world.counts.acknowledged += Int(batch.count)
        for step in 0..<Int(batch.count) {
            acknowledged[batch.first + step] = base.map { $0 + Int64(step) } ?? -1
        }
        world.note(UInt64(bitPattern: base ?? -1) << 8 | 31)
    }
}
