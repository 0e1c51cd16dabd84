import Coordination
import Gossip
import Model
import NIOCore
import Node
import Routes
import Storage

/// One process of a broker: its control plane, its shards and its tables over a simulated disk.
///
/// Holds what the event loops, the disk threads and the tables' threads of a real process hold; the
/// world decides when each of them gets on. Two loops: the first has the control plane and a shard.
final class BrokerLife {
    /// What a loop is told.
    enum Post {
        case plane(ControlPlane.Input)
        case shard(Shard.Input)
        case request(SimulatedConnection, ByteBuffer)
        /// The client is gone.
        case hungUp(SimulatedConnection)
        case answer(UInt64, Answer)
        case view(ClusterView)
        /// What a request wanted done at this moment.
        case later(UInt64)
    }

    /// Who asked to be woken.
    enum Timer: Int {
        case control
        case mesh
        case shard
    }

    /// What waits for the thread of the tables.
    enum Write {
        case own(UInt64, [TableChange])
        case members([TableChange])
        case chosen([TableChange])
    }

    static let loops = 2
    static let topic = "work"

    let serial: Int
    let store: DirectoryIdentity
    let disk: SimulatedDisk
    let files = FileHandleCache(capacity: 32)
    let tails: [TailCache]
    let boot: BootEpoch
    /// Since when it has lost nothing.
    let logEpoch: LeaderEpoch
    var plane: ControlPlane
    var shards: [Shard]
    var inboxes: [[Post]]
    var isTurning = [Bool](repeating: false, count: BrokerLife.loops)
    private let directory: DataDirectory
    private let table: TableFile
    private let chosen: TableFile
    private let registers: TableFile
    /// Directories of topics whose end the table gives evidence of.
    private let ended: Set<String>
    var writes: [Write] = []
    /// A chosen value could not be written: nobody waits for that, and gossip brings it again.
    private(set) var forgotTable = false
    var promises: [(serial: UInt64, changes: [TableChange])] = []
    /// The number of the last wish of each timer: only that one counts.
    var timers = [Int: (number: UInt64, moment: Instant)]()
    var view: ClusterView?
    /// The loops as clients' requests see them.
    var requestLoops: [SimulatedLoop] = []
    var isReady = false
    var isStopping = false
    var stoppedShards = 0
    var stoppedClean = true
    /// The link that messages with each peer take; looked up, never iterated.
    var links: [Int: UInt64] = [:]
    /// The highest boot of each store that it heard of, and the process that it had a link with
    /// under it (`BootLedger`).
    var boots: [StoreID: (boot: BootEpoch, process: Int?)] = [:]
    /// Who refused it because another process of its store was seen.
    var witnesses: Set<NodeID> = []

    /// Starts as a broker does; throws where its disk fails meanwhile.
    init(
        site: BrokerSite, cluster: String, options: MeshOptions, rules: SafetyRules,
        startedAt: Instant, random: inout SeededGenerator
    ) throws {
        serial = site.lives
        disk = site.disk
        store = DirectoryIdentity(
            clusterID: cluster, nodeID: site.node, hasJoined: !site.isFounder || site.wipes > 0)
        directory = try DataDirectory(disk: disk, identity: store)
        table = try TableFile(disk: disk, directory: "", name: "table")
        chosen = try TableFile(disk: disk, directory: "", name: "chosen")
        registers = try TableFile(disk: disk, directory: "", name: "registers")
        try disk.makeDirectory("logs")
        (logEpoch, boot) = try Self.raiseEpochs(
            table, wasClean: directory.wasClean, rules.node)
        ended = ErasureRecord.erase(by: table, on: disk)
        let broker = BrokerEntry(
            id: site.node, rack: site.rack,
            endpoints: [Endpoint(listener: "PLAIN", host: site.address.host, port: 9092)])
        plane = try Self.plane(
            site, broker, cluster, logEpoch, boot, wasClean: directory.wasClean, options, rules,
            startedAt: startedAt, random: &random)
        tails = (0..<Self.loops).map { _ in TailCache(budgetBytes: 64 << 10) }
        let files = files
        let disk = disk
        let boot = boot
        shards = tails.enumerated().map { number, tail in
            Shard(
                disk: disk, files: files, tail: tail, boot: boot, number: UInt16(number),
                followerBytes: 1 << 20, catchUpBytesPerSecond: 50 << 20, rules: rules)
        }
        inboxes = tails.map { _ in [] }
    }

    private static func plane(
        _ site: BrokerSite, _ broker: BrokerEntry, _ cluster: String, _ epoch: LeaderEpoch,
        _ boot: BootEpoch, wasClean: Bool, _ options: MeshOptions, _ rules: SafetyRules,
        startedAt: Instant, random: inout SeededGenerator
    ) throws -> ControlPlane {
        let control = Control(
            identity: Control.Identity(
                clusterID: cluster, broker: broker, logEpoch: epoch, cleanStart: wasClean,
                startedAt: startedAt),
            defaults: TopicDefaultsView(
                partitions: 1, replicas: -1, autoCreateTopics: true,
                configuration: ["flush": options.isSynced ? "sync" : "async"]),
            offsetsPartitions: 3, groups: GroupConfiguration(),
            generator: SeededGenerator(seed: random.next()), rules: rules)
        let mesh = try Mesh(
            identity: Mesh.Identity(
                clusterID: cluster, node: site.node, boot: boot, store: site.store, key: site.key,
                isFounder: site.isFounder && site.wipes == 0,
                member: BrokerMember(entry: broker, epoch: epoch)),
            description: SelfDescription(
                addresses: [site.address],
                endpoints: [
                    ClientEndpoint(listener: "PLAIN", host: site.address.host, port: 9092)
                ], rack: site.rack, leaderEpoch: epoch.rawValue),
            configuration: GossipConfiguration(
                seeds: (0..<options.brokers).filter { $0 != site.index }.map {
                    MeshAddress(host: "b\($0 + 1)", port: 7946)
                }),
            signer: SimulatedSigner(key: site.key), seed: random.next(), rules: rules)
        return ControlPlane(control: control, mesh: mesh)
    }

    private static func raiseEpochs(
        _ table: TableFile, wasClean: Bool, _ rules: NodeRules
    ) throws -> (LeaderEpoch, BootEpoch) {
        let stored = table.entry(for: "log-epoch")
        var value = stored?.value ?? ByteBuffer(integer: Int32(0))
        var epoch = value.readInteger(as: Int32.self) ?? 0
        if stored != nil, !wasClean, rules.logEpochRaised { epoch += 1 }
        if stored == nil || !wasClean {
            try table.put([
                TableFile.Change(
                    key: "log-epoch", version: (stored?.version ?? 0) + 1,
                    value: ByteBuffer(integer: epoch))
            ])
        }
        var last = table.entry(for: "boot-epoch")?.value ?? ByteBuffer(integer: UInt64(0))
        let boot = (last.readInteger(as: UInt64.self) ?? 0) + 1
        guard rules.bootsRecorded else { return (LeaderEpoch(epoch), BootEpoch(boot)) }
        try table.put([
            TableFile.Change(key: "boot-epoch", version: boot, value: ByteBuffer(integer: boot))
        ])
        return (LeaderEpoch(epoch), BootEpoch(boot))
    }

    /// What the tables hold, as the broker's start reads it.
    func memory() -> MeshMemory {
        var memory = MeshMemory()
        for entry in Self.changes(chosen) {
            if let value = MeshRecords.chosen(entry), !ErasureRecord.isEnded(value, in: ended) {
                memory.chosen.append(value)
            }
            memory.version = max(memory.version, entry.version)
        }
        let log = Self.changes(registers)
        memory.acceptorLog = MeshRecords.acceptorLog(log) ?? []
        memory.version = log.reduce(memory.version) { max($0, $1.version) }
        for entry in Self.changes(table) {
            memory.version = max(memory.version, entry.version)
            if let member = MeshRecords.member(entry) { memory.members.append(member) }
        }
        return memory
    }

    private static func changes(_ file: TableFile) -> [TableChange] {
        file.entries.map {
            TableChange(key: $0.key, version: $0.entry.version, value: $0.entry.value)
        }
    }

    /// What a newcomer was given when it was admitted.
    static func remember(_ values: [ChosenValue], on disk: SimulatedDisk) throws {
        let chosen = try TableFile(disk: disk, directory: "", name: "chosen")
        try chosen.put(
            values.enumerated().map { place, value in
                let change = MeshRecords.change(value, version: UInt64(place) + 1)
                return TableFile.Change(
                    key: change.key, version: change.version, value: change.value)
            })
    }

    func shardIndex(of partition: TopicPartition) -> Int {
        let spread = partition.topic.low &+ UInt64(UInt32(bitPattern: partition.index.rawValue))
        return Int(spread % UInt64(Self.loops))  // wraps: only the spread matters
    }

    /// The last write of an orderly stop.
    func markClean() { try? directory.markClean() }

    // MARK: Threads

    /// The oldest write of the tables' thread; what the control plane hears of it.
    func writeTable() -> ControlPlane.Input? {
        guard !writes.isEmpty else { return nil }
        switch writes.removeFirst() {
        case .own(let number, let changes):
            let failure = put(changes, into: table)
            return .control(.persisted(number, failure: failure.map { "\($0)" }))
        case .members(let changes): _ = put(changes, into: table)
        case .chosen(let changes): if put(changes, into: chosen) != nil { forgotTable = true }
        }
        return nil
    }

    /// The oldest write of the acceptor; nil where the disk is full, and it stays.
    func writePromise() -> ControlPlane.Input? {
        guard let (serial, changes) = promises.first else { return nil }
        let failure = put(changes, into: registers)
        if case .disk(.noSpace)? = failure { return nil }
        promises.removeFirst()
        return .mesh(.registersPersisted(serial: serial, isDurable: failure == nil))
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
