import NIOCore
import NIOPosix
import Synchronization

/// Takes connections on one listener and gives each to the reactor of the loop it landed on.
struct Acceptor: Sendable {
    /// Connections that the kernel holds while the loops are busy.
    static let backlog: Int32 = 4_096
    /// A socket is not read and its client's requests wait while more than this is unsent; enough
    /// for the kernel to be kept busy, small against ten thousand slow consumers.
    static let unsentBytesMaximum = 512 * 1024

    let listener: String
    let shared: SharedParts
    let limits: BrokerLimits

    func bind(_ address: HostPort, group: MultiThreadedEventLoopGroup) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: false)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 512, initial: 2_048, maximum: 256 * 1024)
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: Self.unsentBytesMaximum / 4, high: Self.unsentBytesMaximum)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.adopt(channel) }
            }
            .bind(host: address.host, port: address.port).get()
    }

    /// Why a connection was closed at once.
    private enum Refusal: Error { case tooManyConnections, stopping }

    private func adopt(_ channel: any Channel) throws {
        let open = shared.openConnections.add(1, ordering: .relaxed).newValue
        guard open <= limits.connections else {
            shared.openConnections.subtract(1, ordering: .relaxed)
            shared.events.connectionsExhausted(limit: limits.connections)
            throw Refusal.tooManyConnections
        }
        guard
            let mailbox = shared.mailboxes.first(where: { $0.isOn(channel.eventLoop) }),
            let reactor = mailbox.reactorOnLoop
        else {
            shared.openConnections.subtract(1, ordering: .relaxed)
            throw Refusal.stopping
        }
        let number = shared.nextConnection.add(1, ordering: .relaxed).newValue
        let connection = Connection(
            id: number, listener: listener,
            clientHost: channel.remoteAddress?.ipAddress ?? "unknown", reactor: reactor)
        try channel.pipeline.syncOperations.addHandler(connection)
    }
}
