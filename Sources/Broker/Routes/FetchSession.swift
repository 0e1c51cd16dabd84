import KafkaProtocol
import Model
import Node
import OrderedCollections

/// A partition as a consumer names it.
struct FetchKey: Hashable {
    let topic: String
    let index: Int32
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
/// that a full response does not starve those behind it.
struct FetchSession {
    let id: Int32
    /// The epoch that the next request has to carry.
    var nextEpoch: Int32 = 1
    var partitions: OrderedDictionary<FetchKey, FetchCacheEntry> = [:]
    var lastUsed: Instant

    /// Takes in what the client added, changed and dropped.
    mutating func update(_ request: FetchRequest) {
        for topic in request.topics {
            for wish in topic.partitions {
                let key = FetchKey(topic: topic.name, index: wish.index)
                partitions[key, default: FetchCacheEntry(wish: wish)].wish = wish
            }
        }
        for topic in request.forgottenTopics {
            for index in topic.partitionIndexes {
                partitions[FetchKey(topic: topic.name, index: index)] = nil
            }
        }
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
struct FetchSessionCache {
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
    init(loop: Int, loops: Int) {
        nextID = Int32(loop) + 1
        step = Int32(loops)
    }

    subscript(id: Int32) -> FetchSession? {
        get { sessions[id] }
        set { sessions[id] = newValue }
    }

    /// A new session for a whole request; nil where it names too much.
    mutating func make(_ request: FetchRequest, now: Instant) -> FetchSession? {
        let count = request.topics.reduce(0) { $0 + $1.partitions.count }
        guard count <= Self.partitionsMaximum else { return nil }
        var held = sessions.values.reduce(0) { $0 + $1.partitions.count }
        while sessions.count >= Self.sessionsMaximum || held + count > Self.allPartitionsMaximum,
            let oldest = sessions.values.min(by: { $0.lastUsed < $1.lastUsed })
        {
            held -= oldest.partitions.count
            sessions[oldest.id] = nil
        }
        var session = FetchSession(id: nextID, lastUsed: now)
        nextID = nextID > .max - step ? nextID % step + step : nextID + step
        session.update(request)
        sessions[session.id] = session
        return session
    }
}
