public import Logging
import Model
import NIOCore
import NIOPosix
import Node
import Storage
import Synchronization

/// One running broker: listeners, event loops, disk threads and the state that they own.
///
/// `start` returns when clients are served; `shutdown` when everything is on disk and the data
/// directory is marked clean. Between them every piece of state belongs to one event loop.
public final class BrokerServer: Sendable {
    /// Where each listener is bound, with the port that the kernel chose where 0 was asked for.
    public let listeners: [ListenerConfiguration]
    /// Where other brokers reach this one; nil where it listens to none.
    public let meshAddress: HostPort?
    public let nodeID: Int32
    public let clusterID: String

    /// How long clients are sent on to the new leaders before their connections end. One that loses
    /// its connection first pauses before it looks for the new leader (librdkafka for up to a
    /// second).
    private static let sendingAway = Duration.milliseconds(250)

    private let group: MultiThreadedEventLoopGroup
    private let shared: SharedParts
    private let channels: [any Channel]
    private let store: DataStore
    private let isStopping = Atomic<Bool>(false)

    init(
        listeners: [ListenerConfiguration], meshAddress: HostPort?,
        group: MultiThreadedEventLoopGroup,
        shared: SharedParts, channels: [any Channel], store: DataStore
    ) {
        self.listeners = listeners
        self.meshAddress = meshAddress
        self.nodeID = store.nodeID.rawValue
        self.clusterID = store.clusterID
        self.group = group
        self.shared = shared
        self.channels = channels
        self.store = store
    }

    /// Opens the data directory, recovers its logs, binds the listeners and begins to serve.
    ///
    /// Fails before anything is changed where the directory is in use or a port is taken.
    public static func start(
        _ configuration: BrokerConfiguration, logger: Logger,
        inspection codec: (any InspectionCodec)? = nil
    ) async throws(BrokerStartError) -> BrokerServer {
        let began = Clock.now().instant
        let opening = try StoreOpening(root: configuration.dataDirectory)
        let loops = configuration.eventLoops ?? System.coreCount
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, loops))
        let events = BrokerEvents(logger: logger)
        let store: DataStore
        do throws(BrokerStartError) {
            store = try await Placing(
                opening: opening, configuration: configuration, events: events
            ).run(on: group.next())
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        let shared = SharedParts.make(configuration, store: store, group: group, events: events)
        do throws(BrokerStartError) {
            let channels = try await bind(configuration, group: group, shared: shared)
            let listeners = zip(configuration.listeners, channels).map(bound)
            let meshAddress = try await Assembly(
                configuration, store: store, shared: shared, group: group, codec: codec
            ).run(advertising: listeners)
            for failure in (try? await shared.progress.whenReady.get()) ?? [] {
                events.partitionFailed(failure)
            }
            let admin = await admin(store, shared, codec, events)
            for channel in channels {
                try await accept(on: channel)
            }
            let took = Clock.now().instant.milliseconds(since: began)
            events.started(
                topics: store.chosen.entries.count { $0.key.hasPrefix("topic/") },
                milliseconds: took)
            return BrokerServer(
                listeners: listeners, meshAddress: meshAddress, group: group, shared: shared,
                channels: channels + [admin].compactMap { $0 }, store: store)
        } catch {
            shared.progress.abandon()
            for mailbox in shared.mailboxes { try? await mailbox.closeMesh().get() }
            try? await shared.diskThreads.shutdownGracefully()
            await shared.tables.stop()
            await shared.registers.stop()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Lets operators of this machine in, where their questions can be read.
    private static func admin(
        _ store: DataStore, _ shared: SharedParts, _ codec: (any InspectionCodec)?,
        _ events: BrokerEvents
    ) async -> (any Channel)? {
        guard codec != nil else { return nil }
        let mailbox = shared.mailboxes[0]
        do {
            let channel = try await AdminSocket.listen(
                in: store.opening.root, on: mailbox.eventLoop
            ) { mailbox.reactorOnLoop?.mesh?.inspector }
            if channel == nil { events.adminSocketFailed("the data directory's path is too long") }
            return channel
        } catch {
            events.adminSocketFailed("\(error)")
            return nil
        }
    }

    /// Returns when the mesh shuts this broker out for good, with the reason; nil when cancelled.
    ///
    /// Whoever runs it has to shut it down then: another process holds its place.
    public func whenFenced() async -> String? {
        for await reason in shared.progress.fences { return reason }
        return nil
    }

    /// Has others lead what this broker leads, stops accepting, answers what was begun, flushes
    /// every log and marks the directory clean.
    public func shutdown() async {
        guard !isStopping.exchange(true, ordering: .relaxed) else { return }
        // Clients are served meanwhile: whoever asks for what has moved hears where it is.
        if let report = await shared.mailboxes[0].handOver() {
            shared.events.handedOver(report)
            if report.moved > 0, shared.openConnections.load(ordering: .relaxed) > 0 {
                try? await Task.sleep(for: Self.sendingAway)
            }
        }
        for channel in channels { try? await channel.close() }
        AdminSocket.remove(from: store.opening.root)
        await shared.mailboxes[0].leaveMesh()
        for mailbox in shared.mailboxes { try? await mailbox.drainConnections().get() }
        for mailbox in shared.mailboxes { mailbox.post(.shard(.stop)) }
        let clean = (try? await shared.progress.whenStopped.get()) ?? false
        shared.events.stopped(clean: clean)
        shared.mailboxes[0].post(.mesh(.saveFeeds(all: true)))
        for mailbox in shared.mailboxes { try? await mailbox.closeMesh().get() }
        await copiesWritten()
        for mailbox in shared.mailboxes { mailbox.detach() }
        try? await shared.diskThreads.shutdownGracefully()
        try? await shared.maintenanceThread.shutdownGracefully()
        await shared.tables.stop()
        await shared.registers.stop()
        // Last of all: the mark says what the logs are, so nobody may remove one any more.
        if clean { store.markClean() }
        try? await group.shutdownGracefully()
    }

    /// Behind what was given to the thread before: the pool would drop it.
    private func copiesWritten() async {
        let thread = shared.maintenanceThread
        await withCheckedContinuation { (last: CheckedContinuation<Void, Never>) in
            thread.submit { _ in last.resume() }
        }
    }

    /// Binds every listener without accepting yet: a port that is taken is found before recovery,
    /// and clients that come early wait in the backlog.
    private static func bind(
        _ configuration: BrokerConfiguration, group: MultiThreadedEventLoopGroup,
        shared: SharedParts
    ) async throws(BrokerStartError) -> [any Channel] {
        var channels: [any Channel] = []
        for listener in configuration.listeners {
            do {
                let acceptor = Acceptor(
                    listener: listener.name, shared: shared, limits: configuration.limits)
                channels.append(try await acceptor.bind(listener.bind, group: group))
            } catch {
                for channel in channels { try? await channel.close() }
                throw .listener(
                    "\(listener.bind): can't listen there (\(error)). Is another broker running? "
                        + "Choose another address with --kafka HOST:PORT")
            }
        }
        return channels
    }

    private static func accept(on channel: any Channel) async throws(BrokerStartError) {
        do {
            try await channel.setOption(.autoRead, value: true).get()
        } catch {
            throw .listener("the listener ended while the broker started: \(error)")
        }
    }

    private static func bound(
        _ configured: ListenerConfiguration, _ channel: any Channel
    ) -> ListenerConfiguration {
        var listener = configured
        if let port = channel.localAddress?.port { listener.bind.port = port }
        if listener.advertise == nil { listener.advertise = listener.bind }
        if listener.advertise?.port == 0 { listener.advertise?.port = listener.bind.port }
        return listener
    }
}

/// Why a broker did not start; nothing was changed on disk.
public enum BrokerStartError: Error, CustomStringConvertible {
    case dataDirectory(String)
    case listener(String)
    case mesh(String)

    public var description: String {
        switch self {
        case .dataDirectory(let reason), .listener(let reason), .mesh(let reason): reason
        }
    }
}
