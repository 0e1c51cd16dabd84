import Coordination
import Gossip
import Model
import NIOCore
import Node
import Replication
import Simulation
import Storage

/// One life of a broker made of its pure parts: control plane, two shards, tables and disk.
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
        case read(shard: Int, SlotLoad, LogRead)
    }

    /// What waits for the table's thread.
    private enum Write {
        case own(UInt64, [TableChange])
        case members([TableChange])
        case chosen([TableChange])
    }

    private enum Target { case control, mesh, shard(Int) }

    static let shardCount = 2
    /// Tokens of the broker's own appends; clients' are below.
    private static let ownTokens: UInt64 = 1 << 63

    private let disk: SimulatedDisk
    private let table: TableFile
    private let directory: DataDirectory
    private let files = FileHandleCache(capacity: 16)
    private let tails: [TailCache]
    private var plane: ControlPlane
    private var shards: [Shard]
    private var controlInbox: [ControlPlane.Input] = []
    private var shardInboxes: [[Shard.Input]]
    private var work: [Work] = []
    private let chosen: TableFile
    private let registers: TableFile
    private var writes: [Write] = []
    /// The acceptor's, whose thread is another.
    private var promises: [(serial: UInt64, changes: [TableChange])] = []
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
        registers = try TableFile(disk: disk, directory: "", name: "registers")
        let (epoch, boot) = try Self.raiseEpochs(table, wasClean: directory.wasClean)
        try disk.makeDirectory("logs")
        plane = try Self.makePlane(
            epoch, boot, cleanStart: directory.wasClean, using: &random)
        tails = (0..<Self.shardCount).map { _ in TailCache(budgetBytes: 4_096) }
        let files = files
        shards = tails.map { Shard(disk: disk, files: files, tail: $0) }
        shardInboxes = tails.map { _ in [] }
        controlInbox = [.mesh(.start(memory()))]
    }

    private static func makePlane(
        _ epoch: LeaderEpoch, _ boot: BootEpoch, cleanStart: Bool,
        using random: inout SeededGenerator
    ) throws -> ControlPlane {
        let broker = BrokerEntry(id: NodeID(1), rack: nil, endpoints: [])
        let control = Control(
            identity: Control.Identity(
                clusterID: "cluster", broker: broker, logEpoch: epoch, cleanStart: cleanStart,
                startedAt: ControlBench.longAgo),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: 1, autoCreateTopics: true,
                configuration: ["flush": "sync"]),
            offsetsPartitions: 3, groups: GroupConfiguration(),
            generator: SeededGenerator(seed: random.next()))
        let key = SimulatedSigner.key(of: NodeID(1))
        let mesh = try Mesh(
            identity: Mesh.Identity(
                clusterID: "cluster", node: NodeID(1), boot: boot, store: StoreID(high: 1, low: 1),
                key: key, isFounder: true, member: BrokerMember(entry: broker, epoch: epoch)),
            description: SelfDescription(addresses: []), configuration: GossipConfiguration(),
            signer: SimulatedSigner(key: key), seed: random.next())
        return ControlPlane(control: control, mesh: mesh)
    }

    /// What the tables hold, as the broker's start reads it.
    private func memory() -> MeshMemory {
        var memory = MeshMemory()
        for entry in Self.changes(chosen) {
            if let value = MeshRecords.chosen(entry) { memory.chosen.append(value) }
            memory.version = max(memory.version, entry.version)
        }
        let log = Self.changes(registers)
        memory.acceptorLog = MeshRecords.acceptorLog(log) ?? []
        memory.version = log.reduce(memory.version) { max($0, $1.version) }
        return memory
    }

    private static func changes(_ file: TableFile) -> [TableChange] {
        file.entries.map {
            TableChange(key: $0.key, version: $0.entry.version, value: $0.entry.value)
        }
    }

    private static func raiseEpochs(
        _ table: TableFile, wasClean: Bool
    ) throws -> (LeaderEpoch, BootEpoch) {
        let epoch = try raiseEpoch(table, wasClean: wasClean)
        let stored = table.entry(for: "boot-epoch")
        var value = stored?.value ?? ByteBuffer(integer: UInt64(0))
        let boot = (value.readInteger(as: UInt64.self) ?? 0) + 1
        try table.put([
            TableFile.Change(
                key: "boot-epoch", version: boot, value: ByteBuffer(integer: boot))
        ])
        return (epoch, BootEpoch(boot))
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
        controlInbox.append(.control(.request(token: token, request)))
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
            case .control: controlInbox.append(.control(.wake))
            case .mesh: controlInbox.append(.mesh(.wake))
            case .shard(let shard): shardInboxes[shard].append(.wake)
            }
        }
        var choices: [Int] = []
        if !controlInbox.isEmpty { choices.append(0) }
        for shard in shards.indices where !shardInboxes[shard].isEmpty { choices.append(1 + shard) }
        if !work.isEmpty { choices.append(10) }
        if !writes.isEmpty { choices.append(11) }
        if !promises.isEmpty { choices.append(12) }
        guard !choices.isEmpty else { return false }
        switch choices[Int(random.next(upperBound: UInt64(choices.count)))] {
        case 0: driveControl(controlInbox.removeFirst())
        case 10: run(work.remove(at: Int(random.next(upperBound: UInt64(work.count)))))
        case 11: write()
        case 12: promise()
        case let choice: driveShard(choice - 1, shardInboxes[choice - 1].removeFirst())
        }
        return true
    }

    private mutating func driveControl(_ input: ControlPlane.Input) {
        var effects: [ControlPlane.Effect] = []
        plane.handle(input, now: now, into: &effects)
        for effect in effects {
            switch effect {
            case .control(let effect): perform(effect)
            case .mesh(let effect): perform(effect)
            }
        }
    }

    /// There is nobody else in this mesh: what goes to others goes nowhere.
    private mutating func perform(_ effect: Mesh.Effect) {
        switch effect {
        case .persistRegisters(let serial, let changes): promises.append((serial, changes))
        case .persistChosen(let changes): writes.append(.chosen(changes))
        case .persistOwn(let changes): writes.append(.members(changes))
        case .wake(let moment):
            timers.removeAll { if case .mesh = $0.target { true } else { false } }
            timers.append((moment, .mesh))
        default: return
        }
    }

    private mutating func driveShard(_ index: Int, _ input: Shard.Input) {
        var effects: [Shard.Effect] = []
        shards[index].handle(input, now: now, into: &effects)
        for effect in effects { perform(effect, index) }
    }

    private mutating func perform(_ effect: Control.Effect) {
        switch effect {
        case .persist(let number, let changes): writes.append(.own(number, changes))
        case .inquire, .recognised: break  // Nothing here has a second copy.
        case .lease(let until):
            for index in shards.indices { driveShard(index, .lease(until: until)) }
        case .handedOver, .askToGiveWay, .askToStop, .tellStopped: break
        case .propose, .read, .leadershipsConfirmed, .releaseLease, .spread,
            .forgetSlots, .slotEpochs:
            preconditionFailure("these stay within the control plane")
        case .open(let order): post(.open(order), to: order.partition)
        case .assume(let partition, let role): post(.assume(partition, role), to: partition)
        case .proposalEnded(let partition, let serial, let isUnknown):
            post(
                .proposalEnded(partition, serial: serial, isUnknown: isUnknown), to: partition)
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
        case .load(let load): post(.scan(load, from: .zero), to: load.partition)
        case .wake(let moment): timers.append((moment, .control))
        case .ready(let failures): self.failures = failures
        case .notice: break
        }
    }

    private mutating func perform(_ effect: Shard.Effect, _ index: Int) {
        switch effect {
        case .produced(let token, let results):
            if token >= Self.ownTokens {
                controlInbox.append(.control(.appended(token & ~Self.ownTokens, results[0])))
            } else {
                answers.append(.produced(token, results))
            }
        case .fetched(let token, let results): answers.append(.fetched(token, results))
        case .answered: break
        case .send: break  // There is nobody else in this mesh.
        case .standing(let standings): controlInbox.append(.control(.standing(standings)))
        case .stoodDown(let partition, let epoch):
            controlInbox.append(.control(.stoodDown(partition, epoch)))
        case .proposeInSync(let wish): controlInbox.append(.control(.proposeInSync(wish)))
        case .run(let job): work.append(.job(shard: index, job))
        case .wake(let moment): timers.append((moment, .shard(index)))
        case .closed(let partition): controlInbox.append(.control(.closed(partition)))
        case .opened(let partition, let failure):
            controlInbox.append(.control(.opened(partition, failure: failure)))
        case .scanned(let load, let piece):
            if case .empty = piece {
                controlInbox.append(.control(.slotEnd(load)))
            } else {
                work.append(.read(shard: index, load, piece))
            }
        case .notice(let notice): notices.append(notice)
        case .broken: break  // Nobody else has a copy here.
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
        case .read(let shard, let load, let piece):
            guard let records = try? piece.records(), let last = records.last else { return }
            controlInbox.append(
                .control(
                    .slotRecords(
                        load,
                        records.map { SlotRecord(key: $0.key ?? ByteBuffer(), value: $0.value) })))
            shardInboxes[shard].append(.scan(load, from: last.offset.advanced(by: 1)))
        }
    }

    private mutating func write() {
        switch writes.removeFirst() {
        case .own(let number, let changes):
            let failure = put(changes, into: table)
            controlInbox.append(
                .control(.persisted(number, failure: failure.map { "\($0)" })))
        case .members(let changes): _ = put(changes, into: table)
        case .chosen(let changes): _ = put(changes, into: chosen)
        }
    }

    /// As the broker does: a full disk is tried again, anything else halts the voter.
    private mutating func promise() {
        let (serial, changes) = promises.removeFirst()
        let failure = put(changes, into: registers)
        if case .disk(.noSpace)? = failure {
            promises.insert((serial, changes), at: 0)
        } else {
            controlInbox.append(
                .mesh(.registersPersisted(serial: serial, isDurable: failure == nil)))
        }
    }

    private func put(_ changes: [TableChange], into table: TableFile) -> TableError? {
        do throws(TableError) {
            try table.put(
                changes.map {
                    TableFile.Change(key: $0.key, version: $0.version, value: $0.value)
                })
            return nil
        } catch { return error }
    }
}
