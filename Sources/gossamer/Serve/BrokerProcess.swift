import Broker
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// The process around a broker: logging, the lines that scripts wait for, and signals.
enum BrokerProcess {
    /// Starts a broker and returns after it was stopped cleanly.
    static func run(_ settings: ServeSettings) async throws {
        let (level, format) = (settings.logLevel, settings.logFormat)
        LoggingSystem.bootstrap { _ in StreamLogHandler(level: level, format: format) }
        let logger = Logger(label: "gossamer")
        var configuration = settings.broker
        configuration.softwareVersion = Version.number
        let server: BrokerServer
        do {
            server = try await BrokerServer.start(
                configuration, logger: logger, inspection: InspectionJSON())
        } catch {
            throw CommandFailure("\(error)")
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let service = BrokerService(server: server, dataDirectory: settings.broker.dataDirectory)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: quiet))
        try await group.run()
    }
}

/// A started broker as a service: says that it is ready, waits for the end, shuts down cleanly.
private struct BrokerService: Service {
    let server: BrokerServer
    let dataDirectory: String

    func run() async throws {
        // Before "ready" is printed, so that no signal sent after it can be missed.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let impatience = Task { await Self.exitOnSecondSignal(signals) }
        announce()
        let fence = await Self.fenceOrStop(server)
        await server.shutdown()
        impatience.cancel()
        if let fence { throw CommandFailure(fence) }
    }

    /// Returns when the broker is asked to stop, or the reason when its mesh shuts it out.
    private static func fenceOrStop(_ server: BrokerServer) async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask {
                // A cancelled group ends the same way as an asked one.
                try? await gracefulShutdown()
                return nil
            }
            group.addTask { await server.whenFenced() }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// Tells on standard output what scripts wait for; the signal handlers are already in place.
    private func announce() {
        for listener in server.listeners {
            let advertised = listener.advertise.map { " advertised \($0)" } ?? ""
            Terminal.print("listening \(listener.name) \(listener.bind)\(advertised)")
        }
        if let address = server.meshAddress {
            Terminal.print(
                "listening mesh \(address) node \(server.nodeID) cluster \(server.clusterID)")
        }
        Terminal.print("data \(dataDirectory)")
        Terminal.print("ready")
    }

    /// A clean stop may take as long as the disk does; whoever asks twice does not want to wait.
    private static func exitOnSecondSignal(_ signals: UnixSignalsSequence) async {
        var isAsked = false
        for await signal in signals {
            if isAsked { _exit(128 + (signal == .sigint ? SIGINT : SIGTERM)) }
            isAsked = true
        }
    }
}
