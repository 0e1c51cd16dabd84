import Coordination
import Gossip
import Model
import NIOCore
import NIOPosix
import Node
import Sodium
import Storage
import Transport

/// Puts a broker together: a reactor on each loop, the control plane on the first, the timers.
struct Assembly: Sendable {
    private let configuration: BrokerConfiguration
    private let store: DataStore
    private let shared: SharedParts
    private let codec: (any InspectionCodec)?
    private let loops: [any EventLoop]

    init(
        _ configuration: BrokerConfiguration, store: DataStore, shared: SharedParts,
        group: MultiThreadedEventLoopGroup, codec: (any InspectionCodec)?
    ) {
        self.codec = codec
        self.configuration = configuration
        self.store = store
        self.shared = shared
        self.loops = Array(group.makeIterator())
    }

    /// Makes the reactors, listens for other brokers and begins to open what the table names.
    /// Returns where others reach this broker; nil where it listens to none.
    func run(
        advertising listeners: [ListenerConfiguration]
    ) async throws(BrokerStartError) -> HostPort? {
        let broker = BrokerEntry(
            id: store.nodeID, rack: configuration.rack,
            endpoints: listeners.map { listener in
                let address = listener.advertise ?? listener.bind
                return Endpoint(
                    listener: listener.name, host: address.host, port: Int32(address.port))
            })
        let memory = try store.memory()
        for index in loops.indices {
            try? await loops[index].submit { self.makeReactor(index, broker) }.get()
        }
        let bound = try await listen()
        let advertised = bound.map { address in
            configuration.mesh.advertise ?? HostPort(host: address.host, port: Int(address.port))
        }
        do {
            try await loops[0].submit {
                try self.makePlane(broker, reachedAt: advertised, memory)
                // In the same turn: whoever calls already must not be heard before it knows itself.
                self.shared.mailboxes[0].reactorOnLoop?.post(.mesh(.start(memory)), to: 0)
            }.get()
        } catch {
            throw .mesh(
                "what this broker says of itself is too long for the mesh: give it fewer or "
                    + "shorter --kafka, --advertise and rack names")
        }
        return bound.map { HostPort(host: $0.host, port: Int($0.port)) }
    }

    private func makeReactor(_ index: Int, _ broker: BrokerEntry) {
        let view = ClusterView(
            clusterID: store.clusterID, brokers: [broker], controller: broker.id,
            defaults: Self.defaults(configuration), topics: [])
        let reactor = Reactor(
            index: index, loop: loops[index], shared: shared, limits: configuration.limits,
            view: view, catchUpBytesPerSecond: configuration.replicas.catchUpBytesPerSecond)
        shared.mailboxes[index].attach(reactor)
        let mailbox = shared.mailboxes[index]
        if index == 0 {
            every(FeedKeeping.intervalMilliseconds, on: loops[0]) {
                mailbox.reactorOnLoop?.mesh?.feeds.round()
            }
            every(1_000, on: loops[0]) { mailbox.reactorOnLoop?.mesh?.inspector?.watchClock() }
        }
        every(1_000, on: loops[index]) { mailbox.reactorOnLoop?.inspectConnections() }
        every(Shard.tickMilliseconds, on: loops[index]) { mailbox.post(.shard(.tick)) }
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

    private static func topicConfiguration(_ defaults: TopicDefaults) -> [String: String] {
        var values = ["flush": defaults.flush.rawValue]
        if let count = defaults.minInsyncReplicas { values["min.insync.replicas"] = "\(count)" }
        return values
    }

    private static func defaults(_ configuration: BrokerConfiguration) -> TopicDefaultsView {
        TopicDefaultsView(
            partitions: configuration.defaults.partitions,
            replicas: configuration.defaults.replicas ?? -1,
            autoCreateTopics: configuration.defaults.autoCreateTopics,
            configuration: Self.topicConfiguration(configuration.defaults))
    }
}

/// The mesh side of a start.
extension Assembly {
    /// Makes the mesh's shell on the first loop and binds its address, if there is one.
    private func listen() async throws(BrokerStartError) -> MeshAddress? {
        let loop = loops[0]
        guard let address = configuration.mesh.listen else {
            try? await loop.submit { _ = self.makeShell() }.get()
            return nil
        }
        do {
            return try await loop.flatSubmit {
                do throws(SecretFile.Failure) {
                    return try self.makeShell().bindTransport(
                        self.makeIdentity(),
                        to: MeshAddress(host: address.host, port: UInt16(clamping: address.port)))
                } catch {
                    return loop.makeFailedFuture(BrokerStartError.mesh("\(error)"))
                }
            }.get()
        } catch let error as BrokerStartError {
            throw error
        } catch {
            throw .listener(
                "\(address): can't listen there for other brokers (\(error)). Is another broker "
                    + "running? Choose another address with --mesh HOST:PORT")
        }
    }

    private func makeShell() -> MeshShell {
        guard let reactor = shared.mailboxes[0].reactorOnLoop else {
            preconditionFailure("the reactor was made before its mesh")
        }
        let shell = MeshShell(
            reactor: reactor, trust: MeshTrust(), secretFile: configuration.mesh.secretFile)
        if let codec {
            shell.inspector = Inspector(
                reactor: reactor, codec: codec, configuration: configuration)
        }
        reactor.mesh = shell
        return shell
    }

    private func makeIdentity() -> LocalIdentity {
        guard let cluster = ClusterID(store.clusterID) else {
            preconditionFailure("cluster ids have 22 characters")
        }
        return LocalIdentity(
            signingKey: store.opening.signingKey(), clusterID: cluster, nodeID: store.nodeID,
            storeID: store.opening.storeID, bootEpoch: store.opening.bootEpoch, role: .broker,
            mode: configuration.mesh.links.mode)
    }

    /// The control plane, on the first loop.
    private func makePlane(
        _ broker: BrokerEntry, reachedAt address: HostPort?, _ memory: MeshMemory
    ) throws {
        var entropy = SystemRandomNumberGenerator()
        let key = store.opening.signingKey()
        let member = BrokerMember(entry: broker, epoch: store.logEpoch)
        let identity = Mesh.Identity(
            clusterID: store.clusterID, node: store.nodeID, boot: store.opening.bootEpoch,
            store: store.opening.storeID, key: key.publicKey, isFounder: store.isFounder,
            member: member,
            voters: VoterSettings(
                target: configuration.voters.target,
                replaceAfterMilliseconds: configuration.voters.replaceAfterMilliseconds))
        let gossip = GossipConfiguration(
            profile: configuration.mesh.profile.times,
            // A list that all brokers have alike has this one in it.
            seeds: configuration.mesh.seeds.filter {
                $0 != address && $0 != configuration.mesh.listen
            }.map {
                MeshAddress(host: $0.host, port: UInt16(clamping: $0.port))
            })
        let mesh = try Mesh(
            identity: identity, description: describe(broker, address), configuration: gossip,
            signer: MeshSigner(key: key), seed: entropy.next())
        shared.mailboxes[0].reactorOnLoop?.plane = ControlPlane(
            control: makeControl(broker, seed: entropy.next()), mesh: mesh)
    }

    private func describe(_ broker: BrokerEntry, _ address: HostPort?) -> SelfDescription {
        SelfDescription(
            addresses: address.map {
                [MeshAddress(host: $0.host, port: UInt16(clamping: $0.port))]
            } ?? [],
            endpoints: broker.endpoints.map {
                ClientEndpoint(
                    listener: $0.listener, host: $0.host, port: UInt16(clamping: $0.port))
            },
            rack: configuration.rack ?? "", softwareVersion: configuration.softwareVersion,
            leaderEpoch: store.logEpoch.rawValue, roles: configuration.roles.inMesh)
    }

    private func makeControl(_ broker: BrokerEntry, seed: UInt64) -> Control {
        var groups = GroupConfiguration()
        groups.initialRebalanceDelayMilliseconds =
            configuration.groupInitialRebalanceDelayMilliseconds
        groups.offsetRetentionMilliseconds = configuration.offsetsRetentionMinutes * 60_000
        return Control(
            identity: Control.Identity(
                clusterID: store.clusterID, broker: broker, logEpoch: store.logEpoch,
                cleanStart: store.wasClean, startedAt: Clock.now().instant,
                holdsPartitions: configuration.roles.contains(.broker)),
            defaults: Self.defaults(configuration),
            offsetsPartitions: configuration.offsetsTopicPartitions, groups: groups,
            replicas: configuration.replicas, generator: SeededGenerator(seed: seed))
    }
}

extension Set<BrokerRole> {
    /// As other brokers are told.
    fileprivate var inMesh: MemberRoles {
        var roles: MemberRoles = []
        if contains(.broker) { roles.insert(.broker) }
        if contains(.voter) { roles.insert(.voter) }
        return roles
    }
}

extension MeshProfile {
    var times: GossipProfile {
        switch self {
        case .local: .local
        case .lan: .lan
        case .wan: .wan
        }
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
    ) -> SharedParts {
        let loops = Array(group.makeIterator())
        let diskThreads = NIOThreadPool(numberOfThreads: diskThreadCount)
        diskThreads.start()
        let maintenanceThread = NIOThreadPool(numberOfThreads: 1)
        maintenanceThread.start()
        let mailboxes = loops.map { Mailbox(loop: $0) }
        let whenSlow: @Sendable (Int64) -> Void = { milliseconds in
            events.slowDisk(milliseconds)
            mailboxes[0].post(.mesh(.slowDisk))
        }
        return SharedParts(
            mailboxes: mailboxes, disk: store.disk,
            files: FileHandleCache(capacity: configuration.limits.openFiles),
            tail: loops.map { _ in TailCache(budgetBytes: tailBytes / loops.count) },
            diskThreads: diskThreads, maintenanceThread: maintenanceThread,
            tables: TableWriter(whenSlow: whenSlow), registers: TableWriter(whenSlow: whenSlow),
            store: store, events: events,
            progress: BrokerProgress(shards: loops.count, loop: loops[0]),
            limits: configuration.limits, dataDirectory: configuration.dataDirectory)
    }
}
