import Gossip
import Model
import NIOCore
import Node
import Replication
import Routes

/// What a broker does every few seconds for the copies of committed offsets that all brokers keep:
/// says how far the partitions that it leads have come, affirms the slots that it coordinates, and
/// has its own copies written to disk.
///
/// The ends are spread, and not asked for when somebody wants to see a lag, so that the lag of a
/// group is there when the leader is not; at a bounded number of partitions each time, because the
/// lag of an idle partition does not change. Owned by the control loop.
final class FeedKeeping {
    /// Between two rounds: a figure is seldom older than twice that.
    static let intervalMilliseconds: Int64 = 5_000
    /// Partitions that one round looks at: of 10,000 each is looked at every 50 s.
    private static let partitionsPerRound = 1_000
    /// Rounds from one write of the copies to the next.
    private static let roundsPerWrite = 6

    unowned let reactor: Reactor
    private let feed: FeedID
    /// What was told of each partition that is led here; looked up, never iterated.
    private var told: [TopicPartition: PartitionEnd]?
    private var sequence: Int64 = 0
    private var rounds = 0
    /// Where the next round goes on, and when the pass over all partitions began.
    private var next = 0
    private var passBegan = Timestamp.none
    /// When the last pass that came to its end began: no figure is older.
    private var lookedAt = Timestamp.none

    init(reactor: Reactor) {
        self.reactor = reactor
        feed = .ends(reactor.shared.store.nodeID)
    }

    func round() {
        guard reactor.plane != nil else { return }
        rounds += 1
        if rounds % Self.roundsPerWrite == 0 { reactor.post(.mesh(.saveFeeds(all: false)), to: 0) }
        reactor.post(.control(.affirmFeeds), to: 0)
        // Nobody consumes in groups, so nobody asks for a lag.
        guard reactor.view.topic(named: TopicName.consumerOffsets) != nil else { return }
        askForEnds()
    }

    private func askForEnds() {
        if told == nil { remember() }
        let led = ledPartitions()
        forget(unless: Set(led))
        if next >= led.count { next = 0 }
        if next == 0 { passBegan = reactor.now.wall }
        let asked = Array(led[next..<min(led.count, next + Self.partitionsPerRound)])
        next += asked.count
        if next >= led.count { lookedAt = passBegan }
        let asOf = lookedAt
        guard !asked.isEmpty else { return publish([], asOf: asOf) }
        let questions = asked.map { partition in
            (
                PartitionPlace.here(partition),
                PartitionQuestion.offset(at: -1, currentLeaderEpoch: LeaderEpoch(-1))
            )
        }
        try? reactor.ask(questions) { [weak self] answers in
            guard let self else { return }
            var news: [(TopicPartition, PartitionEnd?)] = []
            for (partition, answer) in zip(asked, answers) {
                guard case .offset(let end, _, let epoch) = answer else { continue }
                let figure = PartitionEnd(epoch: epoch, end: end)
                if self.told?[partition] != figure { news.append((partition, figure)) }
            }
            self.publish(news, asOf: asOf)
        }
    }

    /// In the order of their topics' names, so that rounds go on where the last one ended.
    private func ledPartitions() -> [TopicPartition] {
        let view = reactor.view
        var led: [TopicPartition] = []
        for name in view.sortedNames where name != TopicName.consumerOffsets {
            guard let entry = view.topic(named: name) else { continue }
            for index in entry.partitions.indices
            where entry.partitions[index].leader == view.controller {
                led.append(entry.partition(Int32(index)))
            }
        }
        return led
    }

    /// What this broker told before it was started again.
    private func remember() {
        var known: [TopicPartition: PartitionEnd] = [:]
        for entry in reactor.plane?.mesh.gossip.feed(feed)?.entries ?? [] {
            guard let (partition, end) = PartitionEnd.read(entry), let end else { continue }
            known[partition] = end
        }
        told = known
    }

    /// Others lead these now, or they are gone.
    private func forget(unless led: Set<TopicPartition>) {
        let gone = (told ?? [:]).keys.filter { !led.contains($0) }.sorted {
            ($0.topic, $0.index.rawValue) < ($1.topic, $1.index.rawValue)
        }
        if !gone.isEmpty { publish(gone.map { ($0, nil) }, asOf: lookedAt) }
    }

    private func publish(_ news: [(TopicPartition, PartitionEnd?)], asOf: Timestamp) {
        let epoch = Int64(clamping: reactor.shared.store.opening.bootEpoch.rawValue)
        var entries: [FeedEntry] = []
        for (partition, end) in news {
            sequence += 1
            told?[partition] = end
            entries.append(
                PartitionEnd.entry(
                    partition, end, FeedVersion(epoch: epoch, sequence: sequence)))
        }
        reactor.post(
            .mesh(.spread(FeedNews(feed: feed, entries: entries, asOf: asOf))), to: 0)
    }
}

/// How far a partition has come, as its leader tells it in its feed.
///
///     key      topic id, two UInt64; index, Int32
///     value    leader epoch, Int32; high-water mark, Int64
struct PartitionEnd: Hashable {
    let epoch: LeaderEpoch
    let end: Offset

    static func entry(
        _ partition: TopicPartition, _ end: PartitionEnd?, _ version: FeedVersion
    ) -> FeedEntry {
        var key = ByteBuffer()
        key.writeMultipleIntegers(
            partition.topic.high, partition.topic.low, partition.index.rawValue)
        var value: ByteBuffer?
        if let end {
            var bytes = ByteBuffer()
            bytes.writeMultipleIntegers(end.epoch.rawValue, end.end.rawValue)
            value = bytes
        }
        return FeedEntry(key: key, version: version, value: value)
    }

    /// Nil where the bytes are of another kind.
    static func read(_ entry: FeedEntry) -> (TopicPartition, PartitionEnd?)? {
        var key = entry.key
        guard let high: UInt64 = key.readInteger(), let low: UInt64 = key.readInteger(),
            let index: Int32 = key.readInteger(), key.readableBytes == 0
        else { return nil }
        let partition = TopicPartition(
            topic: TopicID(high: high, low: low), index: PartitionIndex(index))
        guard var value = entry.value else { return (partition, nil) }
        guard let epoch: Int32 = value.readInteger(), let end: Int64 = value.readInteger(),
            end >= 0, value.readableBytes == 0
        else { return nil }
        return (partition, PartitionEnd(epoch: LeaderEpoch(epoch), end: Offset(end)))
    }
}
