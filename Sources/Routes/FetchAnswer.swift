import KafkaProtocol
import Model
import NIOCore
import Node
import OrderedCollections
import Replication
import Storage

/// One Fetch request while shards gather its bytes; owned by the connection's loop.
final class FetchAssembly {
    /// One partition of the request, with what its shard found.
    struct Entry {
        let key: FetchKey
        let wish: FetchRequest.Partition
        /// Nil where the broker has no such partition.
        let partition: TopicPartition?
        /// Another broker leads it, and this one's copy may be read.
        let isFollowed: Bool
        /// Where the consumer shall read instead; it gets no records here.
        let preferred: NodeID?
        var result: FetchResult
    }

    let exchange: Exchange
    let sessionID: Int32
    let isIncremental: Bool
    let minBytes: Int
    let maxBytes: Int
    let deadline: Instant
    var entries: [Entry]
    /// By shard, the places of its partitions in `entries`.
    var shares: [[Int]]
    /// By shard, what the last round brought.
    var bytes: [Int]
    var tokens: [(shard: Int, token: UInt64)] = []
    var remaining = 0

    init(
        _ exchange: Exchange, _ request: FetchRequest, sessionID: Int32, isIncremental: Bool,
        entries: [Entry], shares: [[Int]], now: Instant
    ) {
        self.exchange = exchange
        self.sessionID = sessionID
        self.isIncremental = isIncremental
        self.minBytes = Int(max(0, request.minBytes))
        self.maxBytes = Int(max(0, request.maxBytes))
        self.deadline = now.advanced(byMilliseconds: Int64(max(0, request.maxWaitMilliseconds)))
        self.entries = entries
        self.shares = shares
        self.bytes = Array(repeating: 0, count: shares.count)
    }

    /// Whether the answer says anything that must not wait for records.
    var hasNews: Bool {
        entries.contains {
            $0.result.error != nil || $0.result.diverging != nil || $0.preferred != nil
        }
    }

    func set(_ result: FetchResult, at place: Int) {
        entries[place].result = result
        if entries[place].preferred != nil { entries[place].result.records = .empty }
    }

    /// Takes out what goes over the bound of the whole response; the first batch always stays.
    func trim() {
        var left = maxBytes
        var isFirst = true
        for index in entries.indices {
            let size = entries[index].result.records.byteCount
            guard size > 0 else { continue }
            if !isFirst, size > left { entries[index].result.records = .empty }
            left -= size
            isFirst = false
        }
    }
}

extension RequestLoop {
    /// Answers with what every shard has brought.
    func finish(_ assembly: FetchAssembly) {
        assembly.trim()
        let kept = forClient(assembly)
        var response = FetchResponse(sessionID: assembly.sessionID)
        var hints = LeaderHints()
        var last: FetchTopic?
        for index in kept {
            let entry = assembly.entries[index]
            if last != entry.key.topic {
                last = entry.key.topic
                response.topics.append(FetchResponse.Topic(entry.key.topic))
            }
            var partition = Self.partition(entry)
            if entry.result.error != nil {
                explain(entry, assembly.exchange, &hints, in: &partition)
            }
            response.topics[response.topics.count - 1].partitions.append(partition)
        }
        response.nodeEndpoints = hints.endpoints
        respond(
            assembly.exchange, response, records: kept.map { assembly.entries[$0].result.records })
    }

    /// The places that the client is told of: all, or in a session those that say anything new.
    private func forClient(_ assembly: FetchAssembly) -> [Int] {
        guard assembly.sessionID != 0, var session = sessions[assembly.sessionID] else {
            return Array(assembly.entries.indices)
        }
        var kept: [Int] = []
        var served: [FetchKey] = []
        for (index, entry) in assembly.entries.enumerated() {
            guard var cached = session.partitions[entry.key] else { continue }
            let result = entry.result
            let isNews =
                result.records.byteCount > 0 || result.error != nil || cached.toldError
                || result.diverging != nil || entry.preferred != nil
                || result.highWatermark.rawValue != cached.toldHighWatermark
                || result.logStart.rawValue != cached.toldLogStart
            cached.toldHighWatermark = result.highWatermark.rawValue
            cached.toldLogStart = result.logStart.rawValue
            cached.toldError = result.error != nil
            session.partitions[entry.key] = cached
            if result.records.byteCount > 0 { served.append(entry.key) }
            if isNews || !assembly.isIncremental { kept.append(index) }
        }
        session.moveToEnd(served)
        sessions[assembly.sessionID] = session
        return kept
    }

    private static func partition(_ entry: FetchAssembly.Entry) -> FetchResponse.Partition {
        let result = entry.result
        var partition = FetchResponse.Partition(
            index: entry.key.index, errorCode: result.error?.code ?? .none,
            highWatermark: result.highWatermark.rawValue,
            lastStableOffset: result.highWatermark.rawValue,
            logStartOffset: result.logStart.rawValue,
            records: .deferred(size: result.records.byteCount))
        if result.error == nil, let preferred = entry.preferred {
            partition.preferredReadReplica = preferred.rawValue
        }
        if let (epoch, end) = result.diverging {
            partition.divergingEpoch = FetchResponse.DivergingEpoch(
                epoch: epoch.rawValue, endOffset: end.rawValue)
        }
        return partition
    }

    /// Names the leader beside an error that another broker or a newer epoch explains, and calls a
    /// topic unknown that went while the fetch waited.
    private func explain(
        _ entry: FetchAssembly.Entry, _ exchange: Exchange, _ hints: inout LeaderHints,
        in partition: inout FetchResponse.Partition
    ) {
        switch entry.result.error {
        case .unknownTopicOrPartition, .notLeader:
            switch view.place(entry.key) {
            case .unknownID:
                partition.errorCode = .unknownTopicID
            case .elsewhere(let state):
                partition.errorCode = .notLeaderOrFollower
                guard exchange.version >= LeaderHints.firstFetchVersion else { return }
                partition.currentLeader = hints.name(
                    state, from: view, listener: exchange.connection.listener)
            case .unknown, .here: break
            }
        case .fencedLeaderEpoch:
            guard exchange.version >= LeaderHints.firstFetchVersion,
                let state = view.topic(entry.key.topic)?.state(entry.key.index),
                state.leaderEpoch.rawValue > entry.wish.currentLeaderEpoch
            else { return }
            partition.currentLeader = hints.name(
                state, from: view, listener: exchange.connection.listener)
        default: break
        }
    }

    /// Sends the response around the records, which come from memory or straight from a file.
    private func respond(_ exchange: Exchange, _ response: FetchResponse, records: [LogRead]) {
        do throws(WireError) {
            let parts = try response.encodeParts(
                correlationID: exchange.header.correlationID, version: exchange.version)
            var pieces: [Piece] = []
            pieces.reserveCapacity(parts.count)
            for part in parts {
                switch part {
                case .bytes(let bytes): pieces.append(.bytes(bytes))
                case .records(let index):
                    switch records[index] {
                    case .empty: break
                    case .memory(let bytes): pieces.append(.bytes(bytes))
                    case .file(let slice): pieces.append(.file(slice))
                    }
                }
            }
            exchange.respond(pieces: pieces)
        } catch {
            exchange.connection.close()
        }
    }
}

extension FetchResponse.Topic {
    fileprivate init(_ topic: FetchTopic) {
        switch topic {
        case .name(let name): self.init(name: name)
        case .id(let id): self.init(topicID: id)
        }
    }
}
