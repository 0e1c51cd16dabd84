import Coordination
import Model
import NIOCore
import NIOPosix
import Node
import Storage

/// Puts a broker together: a reactor on each loop, the control machine on the first, the timers.
struct Assembly: Sendable {
    private let configuration: BrokerConfiguration
    private let store: DataStore
    private let shared: SharedParts
    private let loops: [any EventLoop]

    init(
        _ configuration: BrokerConfiguration, store: DataStore, shared: SharedParts,
        group: MultiThreadedEventLoopGroup
    ) {
        self.configuration = configuration
        self.store = store
        self.shared = shared
        self.loops = Array(group.makeIterator())
    }

    /// Makes the reactors and begins to open what the table names.
    func run(advertising listeners: [ListenerConfiguration]) async {
        let broker = BrokerEntry(
            id: store.nodeID, rack: configuration.rack,
            endpoints: listeners.map { listener in
                let address = listener.advertise ?? listener.bind
                return Endpoint(
                    listener: listener.name, host: address.host, port: Int32(address.port))
            })
        for index in loops.indices {
            try? await loops[index].submit { self.makeReactor(index, broker) }.get()
        }
        let entries = store.entries
        shared.mailboxes[0].post(.control(.start(entries)))
    }

    private func makeReactor(_ index: Int, _ broker: BrokerEntry) {
        let defaults = Self.defaults(configuration)
        let view = ClusterView(
            clusterID: store.clusterID, brokers: [broker], controller: broker.id,
            defaults: defaults, topics: [])
        let reactor = Reactor(
            index: index, loop: loops[index], shared: shared, limits: configuration.limits,
            view: view)
        if index == 0 { reactor.control = makeControl(broker, defaults) }
        shared.mailboxes[index].attach(reactor)
        let mailbox = shared.mailboxes[index]
        every(1_000, on: loops[index]) { mailbox.reactorOnLoop?.inspectConnections() }
        every(configuration.flushIntervalMilliseconds, on: loops[index]) {
            mailbox.post(.shard(.flushInterval))
        }
        every(configuration.retentionCheckMilliseconds, on: loops[index]) {
            mailbox.post(.shard(.maintain))
        }
    }

    private func every(
        _ milliseconds: Int64, on loop: any EventLoop, _ work: @escaping @Sendable () -> Void
    ) {
        let period = TimeAmount.milliseconds(milliseconds)
        _ = loop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in work() }
    }

    private func makeControl(_ broker: BrokerEntry, _ defaults: TopicDefaultsView) -> Control {
        var entropy = SystemRandomNumberGenerator()
        var groups = GroupConfiguration()
        groups.initialRebalanceDelayMilliseconds =
            configuration.groupInitialRebalanceDelayMilliseconds
        groups.offsetRetentionMilliseconds = configuration.offsetsRetentionMinutes * 60_000
        return Control(
            identity: Control.Identity(
                clusterID: store.clusterID, broker: broker, logEpoch: store.logEpoch,
                cleanStart: store.wasClean),
            defaults: defaults, offsetsPartitions: configuration.offsetsTopicPartitions,
            groups: groups, generator: SeededGenerator(seed: entropy.next()))
    }

    private static func defaults(_ configuration: BrokerConfiguration) -> TopicDefaultsView {
        TopicDefaultsView(
            partitions: configuration.defaults.partitions,
            replicas: configuration.defaults.replicas,
            autoCreateTopics: configuration.defaults.autoCreateTopics,
            configuration: [
                "flush": configuration.defaults.flush.rawValue,
                "min.insync.replicas": String(configuration.defaults.minInsyncReplicas),
            ])
    }
}

extension SharedParts {
    /// Threads for fsync, recovery and cold reads: more than cores, because they wait for the
    /// device and not for the processor.
    static let diskThreadCount = 4
    /// Memory of all hot tails together.
    static let tailBytes = 16 * 1024 * 1024

    static func make(
        _ configuration: BrokerConfiguration, store: DataStore,
        group: MultiThreadedEventLoopGroup, events: BrokerEvents
    ) throws(BrokerStartError) -> SharedParts {
        let loops = Array(group.makeIterator())
        let diskThreads = NIOThreadPool(numberOfThreads: diskThreadCount)
        diskThreads.start()
        let maintenanceThread = NIOThreadPool(numberOfThreads: 1)
        maintenanceThread.start()
        let tableThread = NIOThreadPool(numberOfThreads: 1)
        tableThread.start()
        return SharedParts(
            mailboxes: loops.map { Mailbox(loop: $0) }, disk: store.disk,
            files: FileHandleCache(capacity: configuration.limits.openFiles),
            tail: loops.map { _ in TailCache(budgetBytes: tailBytes / loops.count) },
            diskThreads: diskThreads, maintenanceThread: maintenanceThread,
            table: TableWriter(table: store.table, thread: tableThread), events: events,
            progress: BrokerProgress(shards: loops.count, loop: loops[0]),
            limits: configuration.limits, dataDirectory: configuration.dataDirectory)
    }
}
