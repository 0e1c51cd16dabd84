import KafkaProtocol
import Model
import Node
import OrderedCollections

/// A topic as a consumer names it: by name up to version 12 of Fetch, by id from 13 on (KIP-516).
enum FetchTopic: Hashable {
    case name(String)
    case id(TopicID)
}

/// A partition as a consumer names it.
struct FetchKey: Hashable {
    let topic: FetchTopic
    let index: Int32
}

extension ClusterView {
    func topic(_ topic: FetchTopic) -> TopicEntry? {
        switch topic {
        case .name(let name): self.topic(named: name)
        case .id(let id): self.topic(id: id)
        }
    }

    func place(_ key: FetchKey) -> PartitionPlace {
        switch key.topic {
        case .name(let name): place(name, key.index)
        case .id(let id): place(id, key.index)
        }
    }
}

/// What the session remembers of a partition: the consumer's wish and what it was last told.
struct FetchCacheEntry {
    var wish: FetchRequest.Partition
    var toldHighWatermark: Int64 = -1
    var toldLogStart: Int64 = -1
    var toldError = false
}

/// A consumer's incremental fetch session (KIP-227): it names only what changed, and is told only
/// what changed.
///
/// The order of the partitions is the order of service; one that gave records moves to the end, so
/// that a full response does not starve those behind it. A session knows topics either by name or
/// by id, from its first request on. By id, a topic that is deleted and made anew is another one,
/// and the partitions of the old are answered with UNKNOWN_TOPIC_ID until the client drops them.
/// (Kafka has INCONSISTENT_TOPIC_ID beside it, for logs whose directories bear names. Here they
/// bear ids, so a log of another id can't be met.)
struct FetchSession {
    let id: Int32
    let usesIDs: Bool
    /// The epoch that the next request has to carry.
    var nextEpoch: Int32 = 1
    var partitions: OrderedDictionary<FetchKey, FetchCacheEntry> = [:]
    var lastUsed: Instant

    /// Takes in what the client added, changed and dropped.
    mutating func update(_ request: FetchRequest) {
        for topic in request.topics {
            let name = self.name(topic.name, topic.topicID)
            for wish in topic.partitions {
                let key = FetchKey(topic: name, index: wish.index)
                partitions[key, default: FetchCacheEntry(wish: wish)].wish = wish
            }
        }
        for topic in request.forgottenTopics {
            let name = self.name(topic.name, topic.topicID)
            for index in topic.partitionIndexes {
                partitions[FetchKey(topic: name, index: index)] = nil
            }
        }
    }

    private func name(_ name: String, _ id: TopicID) -> FetchTopic {
        usesIDs ? .id(id) : .name(name)
    }

    mutating func advanceEpoch() { nextEpoch = nextEpoch == .max ? 1 : nextEpoch + 1 }

    /// Moves partitions behind those that were not served, in one pass.
    mutating func moveToEnd(_ keys: [FetchKey]) {
        // Where all were served, or none, the order is as fair as any other.
        guard !keys.isEmpty, keys.count < partitions.count else { return }
        let served = Set(keys)
        var rest = partitions.filter { !served.contains($0.key) }
        for key in keys { rest[key] = partitions[key] }
        partitions = rest
    }
}

/// The sessions of one loop's clients.
///
/// Bounded: the least recently used goes for a new one; its client is told that it is gone and
/// begins again with a whole request. A client that comes back over another loop is told the same.
package struct FetchSessionCache {
    /// Per loop; a session of a large consumer holds some hundred KiB.
    static let sessionsMaximum = 1_000
    /// More partitions than this are fetched without a session.
    static let partitionsMaximum = 100_000
    /// Partitions of all sessions of a loop together: some ten MiB.
    static let allPartitionsMaximum = 200_000

    private var sessions: OrderedDictionary<Int32, FetchSession> = [:]
    private var nextID: Int32
    private let step: Int32

    /// Ids differ between loops, so that no loop takes another's session for its own.
    package init(loop: Int, loops: Int) {
        nextID = Int32(loop) + 1
        step = Int32(loops)
    }

    subscript(id: Int32) -> FetchSession? {
        get { sessions[id] }
        set { sessions[id] = newValue }
    }

    /// A new session for a whole request; nil where it names too much.
    mutating func make(_ request: FetchRequest, usesIDs: Bool, now: Instant) -> FetchSession? {
        let count = request.topics.reduce(0) { $0 + $1.partitions.count }
        guard count <= Self.partitionsMaximum else { return nil }
        var held = sessions.values.reduce(0) { $0 + $1.partitions.count }
        while sessions.count >= Self.sessionsMaximum || held + count > Self.allPartitionsMaximum,
            let oldest = sessions.values.min(by: { $0.lastUsed < $1.lastUsed })
        {
            held -= oldest.partitions.count
            sessions[oldest.id] = nil
        }
        var session = FetchSession(id: nextID, usesIDs: usesIDs, lastUsed: now)
        nextID = nextID > .max - step ? nextID % step + step : nextID + step
        session.update(request)
        sessions[session.id] = session
        return session
    }
}
