import KafkaProtocol
import Model
import NIOCore
import Node
import OrderedCollections
import Storage

/// One Fetch request while shards gather its bytes; owned by the connection's loop.
private final class FetchAssembly {
    /// One partition of the request, with what its shard found.
    struct Entry {
        let key: FetchKey
        let wish: FetchRequest.Partition
        /// Nil where the broker has no such partition.
        let partition: TopicPartition?
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

    var hasError: Bool {
        entries.contains { $0.result.error != nil || $0.result.diverging != nil }
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

extension Reactor {
    func fetch(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try FetchRequest.decode(body, version: exchange.version)
        let partitions = request.topics.reduce(0) { $0 + $1.partitions.count }
        guard partitions <= RequestBounds.partitionsMaximum else {
            throw .tooManyElements(partitions)
        }
        var sessionID: Int32 = 0
        var isIncremental = false
        if request.sessionEpoch == 0 {
            if request.sessionID != 0 { sessions[request.sessionID] = nil }
            sessionID = sessions.make(request, now: now.instant)?.id ?? 0
        } else if request.sessionEpoch < 0 {
            sessions[request.sessionID] = nil
        } else {
            if let error = continueSession(request) {
                exchange.respond(FetchResponse(errorCode: error))
                return
            }
            sessionID = request.sessionID
            isIncremental = true
        }
        let assembly = assemble(exchange, request, sessionID, isIncremental)
        begin(assembly)
    }

    private func continueSession(_ request: FetchRequest) -> ErrorCode? {
        guard var session = sessions[request.sessionID] else { return .fetchSessionIDNotFound }
        guard session.nextEpoch == request.sessionEpoch else { return .invalidFetchSessionEpoch }
        session.update(request)
        guard session.partitions.count <= FetchSessionCache.partitionsMaximum else {
            sessions[request.sessionID] = nil
            return .fetchSessionIDNotFound
        }
        session.advanceEpoch()
        session.lastUsed = now.instant
        sessions[request.sessionID] = session
        return nil
    }

    /// Lists what is wanted in the order of service and sorts it by shard.
    private func assemble(
        _ exchange: Exchange, _ request: FetchRequest, _ sessionID: Int32, _ isIncremental: Bool
    ) -> FetchAssembly {
        var wishes: [(FetchKey, FetchRequest.Partition)] = []
        if sessionID != 0, let session = sessions[sessionID] {
            wishes = session.partitions.map { ($0.key, $0.value.wish) }
        } else {
            for topic in request.topics {
                for wish in topic.partitions {
                    wishes.append((FetchKey(topic: topic.name, index: wish.index), wish))
                }
            }
        }
        var entries: [FetchAssembly.Entry] = []
        entries.reserveCapacity(wishes.count)
        var shares = Array(repeating: [Int](), count: shared.mailboxes.count)
        for (key, wish) in wishes {
            let place = view.place(key.topic, key.index)
            let partition = place.own
            if let partition { shares[shardIndex(of: partition)].append(entries.count) }
            entries.append(
                FetchAssembly.Entry(
                    key: key, wish: wish, partition: partition,
                    result: FetchResult(error: place.refusal)))
        }
        return FetchAssembly(
            exchange, request, sessionID: sessionID, isIncremental: isIncremental,
            entries: entries, shares: shares, now: now.instant)
    }

    /// Asks every shard at once. Each waits for its part of the missing bytes: if the whole is
    /// there, some shard has at least that much, and its answer calls the others in.
    private func begin(_ assembly: FetchAssembly) {
        let asked = assembly.shares.indices.filter { !assembly.shares[$0].isEmpty }
        guard !asked.isEmpty else {
            if assembly.entries.isEmpty, assembly.deadline > now.instant {
                // Nothing to wait for in any shard; the client asked to be answered later all the
                // same (an idle session polls like this).
                delay(assembly)
            } else {
                finish(assembly)
            }
            return
        }
        let missing = max(0, assembly.minBytes - assembly.bytes.reduce(0, +))
        let isUrgent = assembly.hasError
        let part = (missing + asked.count - 1) / asked.count
        assembly.remaining = asked.count
        assembly.tokens = asked.map { shard in
            (shard, expect { [unowned self] in self.take($0, from: shard, for: assembly) })
        }
        for (shard, token) in assembly.tokens {
            assembly.exchange.connection.waitingFetches.insert(token)
            let parts = assembly.shares[shard].map { place in
                Self.part(assembly.entries[place])
            }
            let work = FetchWork(
                token: token, minBytes: assembly.bytes[shard] + part, maxBytes: assembly.maxBytes,
                deadline: isUrgent ? now.instant : assembly.deadline, parts: parts)
            post(.shard(.fetch(work)), to: shard)
        }
    }

    private static func part(_ entry: FetchAssembly.Entry) -> FetchWork.Part {
        guard let partition = entry.partition else {
            preconditionFailure("only known partitions are in a share")
        }
        return FetchWork.Part(
            partition: partition, offset: Offset(entry.wish.fetchOffset),
            currentLeaderEpoch: LeaderEpoch(entry.wish.currentLeaderEpoch),
            lastFetchedEpoch: LeaderEpoch(entry.wish.lastFetchedEpoch),
            maxBytes: Int(max(0, entry.wish.partitionMaxBytes)))
    }

    private func take(_ answer: Answer, from shard: Int, for assembly: FetchAssembly) {
        guard case .fetched(let results) = answer else { return }
        var bytes = 0
        for (place, result) in zip(assembly.shares[shard], results) {
            assembly.entries[place].result = result
            bytes += result.records.byteCount
        }
        assembly.bytes[shard] = bytes
        let isFirst = assembly.remaining == assembly.tokens.count
        assembly.remaining -= 1
        for (other, token) in assembly.tokens where other == shard {
            assembly.exchange.connection.waitingFetches.remove(token)
        }
        if isFirst, assembly.remaining > 0 {
            for (other, token) in assembly.tokens where other != shard {
                post(.shard(.settle(token: token)), to: other)
            }
        }
        guard assembly.remaining == 0 else { return }
        let total = assembly.bytes.reduce(0, +)
        if total >= assembly.minBytes || assembly.hasError
            || assembly.deadline <= Clock.now().instant || assembly.tokens.count == 1
        {
            finish(assembly)
        } else {
            begin(assembly)
        }
    }

    private func delay(_ assembly: FetchAssembly) {
        let wait = min(
            assembly.deadline.milliseconds(since: now.instant),
            RequestBounds.emptyFetchMilliseconds)
        loop.assumeIsolated().scheduleTask(in: .milliseconds(wait)) { [weak self] in
            self?.finish(assembly)
        }
    }

    private func finish(_ assembly: FetchAssembly) {
        assembly.trim()
        let kept = forClient(assembly)
        var response = FetchResponse(sessionID: assembly.sessionID)
        for index in kept {
            let entry = assembly.entries[index]
            if response.topics.last?.name != entry.key.topic {
                response.topics.append(FetchResponse.Topic(name: entry.key.topic))
            }
            response.topics[response.topics.count - 1].partitions.append(Self.partition(entry))
        }
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
                || result.diverging != nil
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
        if let (epoch, end) = result.diverging {
            partition.divergingEpoch = FetchResponse.DivergingEpoch(
                epoch: epoch.rawValue, endOffset: end.rawValue)
        }
        return partition
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
