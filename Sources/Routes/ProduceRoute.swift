import KafkaProtocol
import Model
import NIOCore
import Node
import Replication
import Storage

/// The answer to one Produce request while shards still append; owned by the connection's loop.
private final class ProduceAssembly {
    var response: ProduceResponse
    var hints = LeaderHints()
    var remaining = 0
    var hasError = false

    init(_ response: ProduceResponse) { self.response = response }

    func set(_ place: (topic: Int, partition: Int), _ result: ProduceResult) {
        if result.error != nil { hasError = true }
        let code = result.error?.code ?? .none
        let index = response.topics[place.topic].partitions[place.partition].index
        response.topics[place.topic].partitions[place.partition] = ProduceResponse.Partition(
            index: index, errorCode: code, baseOffset: result.base.rawValue,
            logAppendTimeMilliseconds: result.logAppendTime.milliseconds,
            logStartOffset: result.logStart.rawValue,
            errorMessage: result.error.map { _ in code.message })
    }

    /// Tells the producer who leads a partition, and where that broker is.
    func name(
        _ state: PartitionState, at place: (topic: Int, partition: Int), from view: ClusterView,
        _ exchange: Exchange
    ) {
        guard exchange.version >= LeaderHints.firstProduceVersion else { return }
        response.topics[place.topic].partitions[place.partition].currentLeader = hints.name(
            state, from: view, listener: exchange.connection.listener)
        response.nodeEndpoints = hints.endpoints
    }
}

/// What goes to one shard, and where its results belong in the response.
private struct ProduceShare {
    var parts: [ProduceWork.Part] = []
    var places: [(topic: Int, partition: Int)] = []
}

extension RequestLoop {
    /// Appends a producer's batches; each shard that holds some of them is asked once.
    func produce(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try ProduceRequest.decode(body, version: exchange.version)
        let partitions = request.topics.reduce(0) { $0 + $1.partitions.count }
        guard partitions <= RequestBounds.partitionsMaximum else {
            throw .tooManyElements(partitions)
        }
        let assembly = ProduceAssembly(Self.blank(request))
        if let refusal = Self.refusal(of: request, version: exchange.version) {
            for (t, topic) in request.topics.enumerated() {
                for p in topic.partitions.indices {
                    assembly.response.topics[t].partitions[p].errorCode = refusal
                    assembly.response.topics[t].partitions[p].baseOffset = -1
                }
            }
            assembly.hasError = true
            let acknowledgement = Acknowledgement(wire: request.acks) ?? .all
            Self.finish(assembly, exchange, acknowledgement)
            return
        }
        guard let acknowledgement = Acknowledgement(wire: request.acks) else { return }
        let deadline = now.instant.advanced(
            byMilliseconds: Int64(max(0, request.timeoutMilliseconds)))
        let shares = split(request, assembly, exchange)
        assembly.remaining = shares.count { !$0.parts.isEmpty }
        guard assembly.remaining > 0 else {
            Self.finish(assembly, exchange, acknowledgement)
            return
        }
        for (target, share) in shares.enumerated() where !share.parts.isEmpty {
            let places = share.places
            let token = expect { [unowned self] answer in
                guard case .produced(let results) = answer else { return }
                for (place, result) in zip(places, results) {
                    assembly.set(place, result)
                    // The leadership moved while the request was under way.
                    if result.error == .notLeader { self.nameLeader(assembly, place, exchange) }
                }
                assembly.remaining -= 1
                if assembly.remaining == 0 { Self.finish(assembly, exchange, acknowledgement) }
            }
            let work = ProduceWork(
                token: token, acknowledgement: acknowledgement, deadline: deadline,
                origin: .client, parts: share.parts)
            post(shard: .produce(work), to: target)
        }
    }

    private func split(
        _ request: ProduceRequest, _ assembly: ProduceAssembly, _ exchange: Exchange
    ) -> [ProduceShare] {
        var shares = Array(repeating: ProduceShare(), count: loopCount)
        for (t, topic) in request.topics.enumerated() {
            let isNamed = exchange.version < ProduceRequest.firstVersionByID
            let entry =
                isNamed ? view.topic(named: topic.name) : view.topic(id: topic.topicID)
            for (p, partition) in topic.partitions.enumerated() {
                let place =
                    entry.map { view.place($0, partition.index) }
                    ?? (isNamed ? .unknown : .unknownID)
                guard let id = place.own else {
                    assembly.set((t, p), ProduceResult(error: place.refusal))
                    if case .elsewhere(let state) = place {
                        assembly.name(state, at: (t, p), from: view, exchange)
                    }
                    continue
                }
                guard entry?.isInternal != true else {
                    assembly.set((t, p), ProduceResult(error: .invalidTopic))
                    continue
                }
                let target = shardIndex(of: id)
                shares[target].parts.append(
                    ProduceWork.Part(partition: id, records: partition.records ?? ByteBuffer()))
                shares[target].places.append((t, p))
            }
        }
        return shares
    }

    private func nameLeader(
        _ assembly: ProduceAssembly, _ place: (topic: Int, partition: Int), _ exchange: Exchange
    ) {
        let topic = assembly.response.topics[place.topic]
        let isNamed = exchange.version < ProduceRequest.firstVersionByID
        let entry = isNamed ? view.topic(named: topic.name) : view.topic(id: topic.topicID)
        guard let entry,
            case .elsewhere(let state) = view.place(
                entry, topic.partitions[place.partition].index)
        else { return }
        assembly.name(state, at: place, from: view, exchange)
    }

    private static func blank(_ request: ProduceRequest) -> ProduceResponse {
        ProduceResponse(
            topics: request.topics.map { topic in
                ProduceResponse.Topic(
                    name: topic.name, topicID: topic.topicID,
                    partitions: topic.partitions.map { ProduceResponse.Partition(index: $0.index) })
            })
    }

    /// Why nothing of the request can be taken: a version whose batches nobody stores any more, a
    /// transaction, or acks that mean nothing.
    private static func refusal(of request: ProduceRequest, version: Int16) -> ErrorCode? {
        if version < APIKey.produce.firstServedVersion { return .unsupportedForMessageFormat }
        if request.transactionalID != nil { return .invalidTxnState }
        if Acknowledgement(wire: request.acks) == nil { return .invalidRequiredAcks }
        return nil
    }

    private static func finish(
        _ assembly: ProduceAssembly, _ exchange: Exchange, _ acknowledgement: Acknowledgement
    ) {
        guard acknowledgement == .none else {
            exchange.respond(assembly.response)
            return
        }
        exchange.staySilent()
        // A producer that wants no answers learns of an error by losing its connection, as with
        // Kafka.
        if assembly.hasError { exchange.connection.close() }
    }
}
