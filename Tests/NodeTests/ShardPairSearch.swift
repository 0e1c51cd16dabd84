import Model
import NIOCore
import Replication
import Storage

@testable import Node

/// The shards of two brokers under a random schedule: messages come late or not at all, links end,
/// leaders change, brokers stop and start, disk work ends whenever.
///
/// Both copies are in sync and both are needed, so either may be elected at any time without the
/// loss of a record that `acks=all` was told of.
struct ShardPairSearch {
    /// What went wrong.
    struct Violation: Error, CustomStringConvertible {
        let description: String
    }

    private static let id = ShardPair.id
    private static let nodes = [NodeID(1), NodeID(2)]
    private static let copies = [copy(1), copy(2)]

    private var random: SeededGenerator
    private let seed: UInt64
    private var benches: [ShardBench]
    private var state = PartitionState.initial(placement: [copy(1), copy(2)])
    /// What each side has not heard of yet: messages of the other, and who leads.
    private var inboxes: [[ReplicationMessage]] = [[], []]
    private var news: [[PartitionState]] = [[], []]
    private var lastToken: UInt64 = 0
    private var values: [UInt64: String] = [:]
    private(set) var acknowledged: Set<String> = []

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        benches = [ShardBench(seed: seed), ShardBench(seed: seed &+ 1_000_000)]
        for side in 0...1 { open(side) }
    }

    private func role(_ side: Int, _ state: PartitionState) -> PartitionRole {
        state.leader == Self.nodes[side]
            ? .leads(state, as: Self.copies[side], minInSync: 2)
            : .follows(state, as: Self.copies[side])
    }

    private mutating func open(_ side: Int) {
        benches[side].handle(.lease(until: Instant(nanoseconds: .max)))
        benches[side].open(
            Self.id, as: role(side, state), ["segment.bytes": "1048576"])
        news[side] = []
    }

    mutating func run(steps: Int = 600) throws {
        for _ in 0..<steps { try step() }
        try heal()
    }

    private mutating func step() throws {
        let side = Int.random(in: 0...1, using: &random)
        switch Int.random(in: 0..<1_000, using: &random) {
        case 0..<330: produce()
        case 330..<700: deliver(side)
        case 700..<800: if !benches[side].jobs.isEmpty { benches[side].runJob() }
        case 800..<870: pass(milliseconds: Int64.random(in: 1...120, using: &random))
        case 870..<940: hearNews(side)
        case 940..<960: loseLink()
        case 960..<985: elect(side)
        case 985..<995: flicker(side)
        default: restart(side)
        }
        try collect()
    }

    private mutating func produce() {
        lastToken += 1
        let isLarge = Int.random(in: 0..<3, using: &random) == 0
        let size = isLarge ? Int.random(in: 1...200_000, using: &random) : 10
        let value = "\(lastToken)-" + String(repeating: "v", count: size)
        values[lastToken] = value
        let side = state.leader == Self.nodes[0] ? 0 : 1
        let batch = benches[side].batch([value])
        benches[side].produce(lastToken, [(Self.id, batch)], .all, timeout: 60_000)
    }

    /// Takes what each said; what the other side is told waits.
    private mutating func collect() throws {
        for side in 0...1 {
            benches[side].endTurn()
            for effect in benches[side].take() {
                switch effect {
                case .send(let node, let message) where node == Self.nodes[1 - side]:
                    inboxes[1 - side].append(message)
                case .produced(let token, let results):
                    if results[0].error == nil, let value = values[token] {
                        acknowledged.insert(value)
                    }
                case .proposeInSync(let wish):
                    benches[side].handle(
                        .proposalEnded(Self.id, serial: wish.serial, isUnknown: false))
                case .notice(.committedCut(_, let alarm)):
                    throw Violation(description: "seed \(seed): \(alarm)")
                case .broken(_, let reason):
                    throw Violation(description: "seed \(seed): broken: \(reason)")
                default: continue
                }
            }
        }
    }

    private mutating func deliver(_ side: Int) {
        guard !inboxes[side].isEmpty else { return }
        let message = inboxes[side].removeFirst()
        benches[side].handle(.replication(from: Self.nodes[1 - side], message))
    }

    private mutating func pass(milliseconds: Int64) {
        for side in 0...1 {
            benches[side].advance(milliseconds: milliseconds)
            benches[side].handle(.wake)
            benches[side].handle(.tick)
        }
    }

    private mutating func hearNews(_ side: Int) {
        guard !news[side].isEmpty else { return }
        let next = news[side].removeFirst()
        benches[side].handle(.assume(Self.id, role(side, next)))
    }

    /// What was on its way is lost; each side hears that before anything of the next link.
    private mutating func loseLink() {
        inboxes = [[], []]
        for side in 0...1 { benches[side].handle(.linkLost(Self.nodes[1 - side])) }
    }

    private mutating func elect(_ side: Int) {
        guard state.leader != Self.nodes[side] else { return }
        let members = (0...1).map { ElectionMember(id: Self.copies[$0], isAlive: $0 == side) }
        let outcome = state.elect(
            Self.copies[side], expecting: state.partitionEpoch, members: members, minInSync: 2)
        guard case .success(let next) = outcome else { preconditionFailure("\(outcome)") }
        state = next
        for side in 0...1 { news[side].append(next) }
    }

    /// It leads for a moment only, and the other has not even heard of it.
    private mutating func flicker(_ side: Int) {
        elect(side)
        while !news[side].isEmpty { hearNews(side) }
        elect(1 - side)
    }

    /// In order: it vouches for what it held.
    private mutating func restart(_ side: Int) {
        benches[side].handle(.stop)
        benches[side].runJobs()
        loseLink()
        let former = benches[side]
        benches[side] = ShardBench(disk: former.disk)
        benches[side].now = former.now
        benches[side].effects = former.effects
        open(side)
    }

    private mutating func heal() throws {
        for side in 0...1 { while !news[side].isEmpty { hearNews(side) } }
        loseLink()
        for _ in 0..<2_000 {
            try collect()
            for side in 0...1 {
                benches[side].runJobs()
                while !inboxes[side].isEmpty { deliver(side) }
            }
            pass(milliseconds: 5)
            if isFollowed, benches[0].end(Self.id) == benches[1].end(Self.id),
                inboxes == [[], []],
                benches.allSatisfy({ $0.jobs.isEmpty && !$0.shard.hasToSend })
            {
                break
            }
        }
        try collect()
        let logs = try (0...1).map { try held($0) }
        guard logs[0] == logs[1] else {
            throw Violation(
                description: "seed \(seed): \(logs[0].count) and \(logs[1].count) records")
        }
        for value in acknowledged where logs[0].count(where: { $0 == value }) != 1 {
            throw Violation(description: "seed \(seed): lost \(value.prefix(12))")
        }
    }

    private var isFollowed: Bool {
        let shard = benches[state.leader == Self.nodes[0] ? 1 : 0].shard
        return shard.partitions.index(of: Self.id)
            .flatMap { shard.partitions[$0].follower?.isFollowing } ?? false
    }

    private func held(_ side: Int) throws -> [String] {
        guard var log = benches[side].log(Self.id) else {
            throw Violation(description: "seed \(seed): a log is not open")
        }
        var found: [String] = []
        var next = log.startOffset
        while next < log.endOffset {
            let records = try log.read(
                from: next, below: log.endOffset, maxBytes: 1 << 20, atLeastOne: true
            ).records().filter { $0.offset >= next }
            guard let last = records.last else { break }
            found += records.map { String(buffer: $0.value ?? ByteBuffer()) }
            next = last.offset.advanced(by: 1)
        }
        return found
    }
}
