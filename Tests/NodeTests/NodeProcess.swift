import Coordination
import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage

/// One life of a broker made of its pure parts: control machine, two shards, table and disk.
///
/// Does what the event loops, the disk threads and the table's thread do, one thing at a time in
/// an order that the seed decides: each inbox is a queue, disk jobs finish in any order, writes of
/// the table in theirs.
struct NodeProcess {
    /// What a client hears.
    enum Answer {
        case produced(UInt64, [ProduceResult])
        case fetched(UInt64, [FetchResult])
        case control(UInt64, ControlReply)
    }

    private enum Work {
        case job(shard: Int, DiskJob)
        case read(shard: Int, TopicPartition, LogRead)
    }

    /// What waits for the table's thread.
    private enum Write {
        case propose(UInt64, [RegisterProposal])
        case persist(UInt64, [TableChange])
    }

    private enum Target { case control, shard(Int) }

    static let shardCount = 2
    /// Tokens of the broker's own appends; clients' are below.
    private static let ownTokens: UInt64 = 1 << 63

    private let disk: SimulatedDisk
    private let table: TableFile
    private let directory: DataDirectory
    private let files = FileHandleCache(capacity: 16)
    private let tails: [TailCache]
    private var control: Control
    private var shards: [Shard]
    private var controlInbox: [Control.Input] = []
    private var shardInboxes: [[Shard.Input]]
    private var work: [Work] = []
    private let chosen: TableFile
    private var writes: [Write] = []
    private var timers: [(at: Instant, target: Target)] = []
    private var stoppedShards = 0
    private var random: SeededGenerator
    private(set) var view: ClusterView?
    /// Nil until clients may come; then what could not be opened.
    private(set) var failures: [String]?
    /// Whether every log was closed in order; nil while it lives.
    private(set) var stoppedClean: Bool?
    /// What an operator would read, for the report of a failure.
    private(set) var notices: [ShardNotice] = []
    var answers: [Answer] = []
    var now: Now

    /// Starts as a broker does; fails where the power goes meanwhile.
    init(disk: SimulatedDisk, now: Now, seed: UInt64) throws {
        self.disk = disk
        self.now = now
        random = SeededGenerator(seed: seed)
        directory = try DataDirectory(
            disk: disk, identity: DirectoryIdentity(clusterID: "cluster", nodeID: NodeID(1)))
        table = try TableFile(disk: disk, directory: "", name: "table")
        chosen = try TableFile(disk: disk, directory: "", name: "chosen")
        let epoch = try Self.raiseEpoch(table, wasClean: directory.wasClean)
        try disk.makeDirectory("logs")
        let broker = BrokerEntry(id: NodeID(1), rack: nil, endpoints: [])
        control = Control(
            identity: Control.Identity(
                clusterID: "cluster", broker: broker, logEpoch: epoch,
                cleanStart: directory.wasClean),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: 1, autoCreateTopics: true,
                configuration: ["flush": "sync"]),
            offsetsPartitions: 3, groups: GroupConfiguration(),
            generator: SeededGenerator(seed: random.next()))
        tails = (0..<Self.shardCount).map { _ in TailCache(budgetBytes: 4_096) }
        let files = files
        shards = tails.map { Shard(disk: disk, files: files, tail: $0) }
        shardInboxes = tails.map { _ in [] }
        controlInbox = [
            .start(
                chosen.entries.map { Self.value($0.key, $0.entry.version, $0.entry.value) })
        ]
    }

    private static func value(_ key: String, _ version: UInt64, _ value: ByteBuffer?) -> ChosenValue
    {
        let ballot = Ballot(counter: version, proposer: NodeID(1), boot: BootEpoch(1))
        return ChosenValue(key: key, ballot: ballot, value: value)
    }

    private static func raiseEpoch(_ table: TableFile, wasClean: Bool) throws -> LeaderEpoch {
        let stored = table.entry(for: "log-epoch")
        var value = stored?.value ?? ByteBuffer(integer: Int32(0))
        let last = value.readInteger(as: Int32.self) ?? 0
        guard stored == nil || !wasClean else { return LeaderEpoch(last) }
        let next = stored == nil ? last : last + 1
        try table.put([
            TableFile.Change(
                key: "log-epoch", version: (stored?.version ?? 0) + 1,
                value: ByteBuffer(integer: next))
        ])
        return LeaderEpoch(next)
    }

    /// Whether a log was found to be damaged.
    var foundDamage: Bool {
        notices.contains { notice in
            if case .recovered(_, let report) = notice { report.corruption != nil } else { false }
        }
    }

    // MARK: Clients

    mutating func ask(_ token: UInt64, _ request: ControlRequest) {
        controlInbox.append(.request(token: token, request))
    }

    mutating func post(_ input: Shard.Input, to partition: TopicPartition) {
        shardInboxes[shardIndex(of: partition)].append(input)
    }

    /// What the timers of the broker do now and then.
    mutating func maintain() {
        for shard in shards.indices { shardInboxes[shard].append(.maintain) }
    }

    /// Asks for an orderly end.
    mutating func stop() {
        for shard in shards.indices { shardInboxes[shard].append(.stop) }
    }

    /// The last write of an orderly stop.
    func markClean() { try? directory.markClean() }

    private func shardIndex(of partition: TopicPartition) -> Int {
        let spread = partition.topic.low &+ UInt64(UInt32(bitPattern: partition.index.rawValue))
        return Int(spread % UInt64(Self.shardCount))
    }

    // MARK: Steps

    /// Does one thing that is to be done; false where there is nothing.
    mutating func step() -> Bool {
        for (index, timer) in timers.enumerated().reversed() where timer.at <= now.instant {
            timers.remove(at: index)
            switch timer.target {
            case .control: controlInbox.append(.wake)
            case .shard(let shard): shardInboxes[shard].append(.wake)
            }
        }
        var choices: [Int] = []
        if !controlInbox.isEmpty { choices.append(0) }
        for shard in shards.indices where !shardInboxes[shard].isEmpty { choices.append(1 + shard) }
        if !work.isEmpty { choices.append(10) }
        if !writes.isEmpty { choices.append(11) }
        guard !choices.isEmpty else { return false }
        switch choices[Int(random.next(upperBound: UInt64(choices.count)))] {
        case 0: driveControl(controlInbox.removeFirst())
        case 10: run(work.remove(at: Int(random.next(upperBound: UInt64(work.count)))))
        case 11: write()
        case let choice: driveShard(choice - 1, shardInboxes[choice - 1].removeFirst())
        }
        return true
    }

    private mutating func driveControl(_ input: Control.Input) {
        var effects: [Control.Effect] = []
        control.handle(input, now: now, into: &effects)
        for effect in effects { perform(effect) }
    }

    private mutating func driveShard(_ index: Int, _ input: Shard.Input) {
        var effects: [Shard.Effect] = []
        shards[index].handle(input, now: now, into: &effects)
        for effect in effects { perform(effect, index) }
    }

    private mutating func perform(_ effect: Control.Effect) {
        switch effect {
        case .persist(let number, let changes): writes.append(.persist(number, changes))
        case .propose(let number, let proposals): writes.append(.propose(number, proposals))
        case .read(let number, let keys):
            let absent = Decision.refused(.absent, current: nil)
            controlInbox.append(.decided(number, keys.map { _ in absent }))
        case .open(let order): post(.open(order), to: order.partition)
        case .close(let partition, let delete):
            post(.close(partition, delete: delete), to: partition)
        case .configure(let partition, let configuration):
            post(.configure(partition, configuration), to: partition)
        case .publish(let view): self.view = view
        case .reply(let token, let reply): answers.append(.control(token, reply))
        case .append(let number, let partition, let records):
            post(
                .produce(
                    ProduceWork(
                        token: Self.ownTokens | number, acknowledgement: .all,
                        deadline: now.instant.advanced(
                            byMilliseconds: Control.appendTimeoutMilliseconds),
                        origin: .coordinator,
                        parts: [ProduceWork.Part(partition: partition, records: records)])),
                to: partition)
        case .load(let partition): post(.scan(partition, from: .zero), to: partition)
        case .wake(let moment): timers.append((moment, .control))
        case .ready(let failures): self.failures = failures
        case .notice: break
        }
    }

    private mutating func perform(_ effect: Shard.Effect, _ index: Int) {
        switch effect {
        case .produced(let token, let results):
            if token >= Self.ownTokens {
                controlInbox.append(.appended(token & ~Self.ownTokens, results[0]))
            } else {
                answers.append(.produced(token, results))
            }
        case .fetched(let token, let results): answers.append(.fetched(token, results))
        case .answered: break
        case .run(let job): work.append(.job(shard: index, job))
        case .wake(let moment): timers.append((moment, .shard(index)))
        case .opened(let partition, let failure):
            controlInbox.append(.opened(partition, failure: failure))
        case .scanned(let partition, let piece):
            if case .empty = piece {
                controlInbox.append(.slotEnd(partition))
            } else {
                work.append(.read(shard: index, partition, piece))
            }
        case .notice(let notice): notices.append(notice)
        case .stopped(let clean):
            stoppedShards += 1
            guard stoppedShards == Self.shardCount || !clean else { return }
            stoppedClean = clean && stoppedClean != false
        }
    }

    private mutating func run(_ item: Work) {
        switch item {
        case .job(let shard, let job):
            let outcome = job.run(on: disk, files: files, tail: tails[shard], now: now)
            shardInboxes[shard].append(.finished(outcome))
        case .read(let shard, let partition, let piece):
            guard let records = try? piece.records(), let last = records.last else { return }
            controlInbox.append(
                .slotRecords(
                    partition,
                    records.map { SlotRecord(key: $0.key ?? ByteBuffer(), value: $0.value) }))
            shardInboxes[shard].append(.scan(partition, from: last.offset.advanced(by: 1)))
        }
    }

    private mutating func write() {
        switch writes.removeFirst() {
        case .persist(let number, let changes):
            let failure = put(changes, into: table)
            controlInbox.append(.persisted(number, failure: failure))
        case .propose(let number, let proposals): decide(number, proposals)
        }
    }

    /// A roster of one whose acceptor is the table of chosen values itself.
    private mutating func decide(_ number: UInt64, _ proposals: [RegisterProposal]) {
        var decisions: [Decision] = []
        var changes: [TableChange] = []
        for proposal in proposals {
            let current = chosen.entry(for: proposal.key)
            switch proposal.operation.applied(to: current?.value) {
            case .refuse(let refusal): decisions.append(.refused(refusal, current: nil))
            case .write(let value):
                let version = (current?.version ?? 0) + 1
                changes.append(TableChange(key: proposal.key, version: version, value: value))
                decisions.append(.chosen(Self.value(proposal.key, version, value)))
            }
        }
        if let failure = put(changes, into: chosen) {
            decisions = decisions.map { _ in .unknown(failure) }
        } else {
            let values = decisions.compactMap { decision -> ChosenValue? in
                if case .chosen(let value) = decision { value } else { nil }
            }
            controlInbox.append(.learned(values))
        }
        controlInbox.append(.decided(number, decisions))
    }

    private func put(_ changes: [TableChange], into table: TableFile) -> String? {
        do {
            try table.put(
                changes.map {
                    TableFile.Change(key: $0.key, version: $0.version, value: $0.value)
                })
            return nil
        } catch { return "\(error)" }
    }
}
