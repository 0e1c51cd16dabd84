import Broker
import Client
import Foundation
import KafkaProtocol
import Logging
import NIOCore
import NIOPosix

/// A directory of its own, removed with it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "gossamer-test-" + UUID().uuidString
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Brokers in this process, on ports that the kernel chooses.
enum BrokerFixture {
    static let localhost = HostPort(host: "127.0.0.1", port: 0)

    static func configuration(_ directory: TemporaryDirectory) -> BrokerConfiguration {
        var configuration = BrokerConfiguration(
            dataDirectory: directory.path,
            listeners: [ListenerConfiguration(name: "PLAIN", bind: localhost)])
        configuration.eventLoops = 2
        configuration.offsetsTopicPartitions = 2
        return configuration
    }

    static func start(_ configuration: BrokerConfiguration) async throws -> BrokerServer {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try await BrokerServer.start(configuration, logger: logger)
    }

    /// A broker for as long as `body` runs.
    static func withBroker<T>(
        in directory: TemporaryDirectory = TemporaryDirectory(),
        _ change: (inout BrokerConfiguration) -> Void = { _ in },
        _ body: (BrokerServer) async throws -> T
    ) async throws -> T {
        var configuration = configuration(directory)
        change(&configuration)
        let broker = try await start(configuration)
        do {
            let result = try await body(broker)
            await broker.shutdown()
            return result
        } catch {
            await broker.shutdown()
            throw error
        }
    }
}

extension BrokerServer {
    func address(_ index: Int = 0) -> BrokerAddress {
        BrokerAddress(host: listeners[index].bind.host, port: listeners[index].bind.port)
    }

    /// A client's connection, with versions agreed.
    func connect(_ index: Int = 0) async throws -> BrokerConnection {
        try await BrokerConnection.open(
            address(index), clientID: "test", timeoutMilliseconds: 10_000)
    }
}

/// A connection that sends any bytes, and gets frames until the broker closes it.
struct Stranger {
    private let channel: any Channel
    private var frames: AsyncStream<ByteBuffer>.Iterator

    init(_ address: BrokerAddress) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FrameCollector(continuation))
                }
            }
            .connect(host: address.host, port: address.port).get()
        frames = stream.makeAsyncIterator()
    }

    /// Sends bytes as they are; a connection that is closed already takes none.
    func send(_ bytes: ByteBuffer) async { try? await channel.writeAndFlush(bytes).get() }

    /// Sends bytes that the broker may never take.
    func begin(_ bytes: ByteBuffer) { channel.writeAndFlush(bytes, promise: nil) }

    /// Sends a whole request.
    func send<Request: KafkaRequest>(
        _ request: Request, correlationID: Int32, version: Int16
    ) async throws {
        var frame = ByteBuffer()
        try request.encodeFrame(
            correlationID: correlationID, clientID: "stranger", version: version, into: &frame)
        await send(frame)
    }

    /// The next frame without its length; nil once the broker has closed the connection.
    mutating func next() async -> ByteBuffer? { await frames.next(isolation: #isolation) }

    func close() async { try? await channel.close() }
}

/// Cuts answers out of the stream.
private final class FrameCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let frames: AsyncStream<ByteBuffer>.Continuation
    private var bytes = ByteBuffer()

    init(_ frames: AsyncStream<ByteBuffer>.Continuation) { self.frames = frames }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        bytes.writeBuffer(&part)
        while let length = bytes.getInteger(at: bytes.readerIndex, as: Int32.self),
            bytes.readableBytes >= 4 + Int(length)
        {
            bytes.moveReaderIndex(forwardBy: 4)
            if let frame = bytes.readSlice(length: Int(length)) { frames.yield(frame) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) { frames.finish() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
