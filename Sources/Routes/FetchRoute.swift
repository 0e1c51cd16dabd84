import KafkaProtocol
import Model
import NIOCore
import Node
import OrderedCollections
import Replication
import Storage

extension RequestLoop {
    func fetch(_ exchange: Exchange, _ body: ByteBuffer) throws(WireError) {
        let request = try FetchRequest.decode(body, version: exchange.version)
        let usesIDs = exchange.version >= FetchRequest.firstVersionByID
        let partitions = request.topics.reduce(0) { $0 + $1.partitions.count }
        guard partitions <= RequestBounds.partitionsMaximum else {
            throw .tooManyElements(partitions)
        }
        var sessionID: Int32 = 0
        var isIncremental = false
        if request.sessionEpoch == 0 {
            if request.sessionID != 0 { sessions[request.sessionID] = nil }
            sessionID = sessions.make(request, usesIDs: usesIDs, now: now.instant)?.id ?? 0
        } else if request.sessionEpoch < 0 {
            sessions[request.sessionID] = nil
        } else {
            if let error = continueSession(request, usesIDs) {
                exchange.respond(FetchResponse(errorCode: error))
                return
            }
            sessionID = request.sessionID
            isIncremental = true
        }
        let assembly = assemble(exchange, request, sessionID, isIncremental)
        begin(assembly)
    }

    private func continueSession(_ request: FetchRequest, _ usesIDs: Bool) -> ErrorCode? {
        guard var session = sessions[request.sessionID] else { return .fetchSessionIDNotFound }
        guard session.nextEpoch == request.sessionEpoch else { return .invalidFetchSessionEpoch }
        guard session.usesIDs == usesIDs else { return .fetchSessionTopicIDError }
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
            let usesIDs = exchange.version >= FetchRequest.firstVersionByID
            for topic in request.topics {
                let name: FetchTopic = usesIDs ? .id(topic.topicID) : .name(topic.name)
                for wish in topic.partitions {
                    wishes.append((FetchKey(topic: name, index: wish.index), wish))
                }
            }
        }
        var entries: [FetchAssembly.Entry] = []
        entries.reserveCapacity(wishes.count)
        var shares = Array(repeating: [Int](), count: loopCount)
        for (key, wish) in wishes {
            let place = view.place(key)
            let partition =
                place.own
                ?? followed(key, place, version: exchange.version, rack: request.rackID)
            if let partition { shares[shardIndex(of: partition)].append(entries.count) }
            entries.append(
                FetchAssembly.Entry(
                    key: key, wish: wish, partition: partition,
                    isFollowed: place.own == nil && partition != nil,
                    preferred: preferredReplica(of: key, for: request.rackID),
                    result: FetchResult(error: partition == nil ? place.refusal : nil)))
        }
        return FetchAssembly(
            exchange, request, sessionID: sessionID, isIncremental: isIncremental,
            entries: entries, shares: shares, now: now.instant)
    }

    /// The first version whose clients follow the leader's word to read elsewhere.
    private static var firstVersionOfFollowers: Int16 { 11 }

    /// A partition that this broker copies, and may be read from here: by a consumer of this
    /// broker's rack, whom the leader sent (KIP-392). Any other came by metadata that is no longer
    /// true, and is told so.
    private func followed(
        _ key: FetchKey, _ place: PartitionPlace, version: Int16, rack: String
    ) -> TopicPartition? {
        guard version >= Self.firstVersionOfFollowers, case .elsewhere(let state) = place,
            !rack.isEmpty, view.broker(view.controller)?.rack == rack,
            view.readableReplicas(of: state).contains(view.controller)
        else { return nil }
        return view.topic(key.topic)?.partition(key.index)
    }

    /// The replica nearer to the consumer than this one, which leads; nil nearly always (KIP-392).
    private func preferredReplica(of key: FetchKey, for rack: String) -> NodeID? {
        guard !rack.isEmpty, let state = view.topic(key.topic)?.state(key.index),
            state.leader == view.controller
        else { return nil }
        return view.preferredReplica(of: state, for: rack)
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
        let isUrgent = assembly.hasNews
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
            post(shard: .fetch(work), to: shard)
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
            maxBytes: Int(max(0, entry.wish.partitionMaxBytes)),
            readsFollowers: entry.isFollowed)
    }

    private func take(_ answer: Answer, from shard: Int, for assembly: FetchAssembly) {
        guard case .fetched(let results) = answer else { return }
        var bytes = 0
        for (place, result) in zip(assembly.shares[shard], results) {
            assembly.set(result, at: place)
            bytes += assembly.entries[place].result.records.byteCount
        }
        assembly.bytes[shard] = bytes
        let isFirst = assembly.remaining == assembly.tokens.count
        assembly.remaining -= 1
        for (other, token) in assembly.tokens where other == shard {
            assembly.exchange.connection.waitingFetches.remove(token)
        }
        if isFirst, assembly.remaining > 0 {
            for (other, token) in assembly.tokens where other != shard {
                post(shard: .settle(token: token), to: other)
            }
        }
        guard assembly.remaining == 0 else { return }
        let total = assembly.bytes.reduce(0, +)
        if total >= assembly.minBytes || assembly.hasNews
            || assembly.deadline <= moment || assembly.tokens.count == 1
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
        later(milliseconds: wait) { [weak self] in self?.finish(assembly) }
    }
}
