import Glibc
import NIOCore
import NIOPosix

/// The way in for operators on this machine: a socket in the data directory that only the owner of
/// the directory can open.
///
///     0   length of the question, UInt32, at most 64 KiB
///     4   the question; the answer comes back in the same form, of any length
///
/// Served on the control loop, one question after the other on each connection.
enum AdminSocket {
    static let name = "admin.sock"
    /// A question is a line of text.
    static let questionBytesMaximum = 64 * 1024
    /// Terminals and scripts of one machine.
    private static let connectionsMaximum = 64
    /// `sockaddr_un` holds no more.
    private static let pathBytesMaximum = 107

    /// Takes the name away at a stop, so that nobody knocks where nobody is.
    static func remove(from root: String) { unsafe unlink("\(root)/\(name)") }

    /// Listens; nil where the path is too long for a socket. A socket that a killed process left
    /// behind is replaced: the lock of the directory says that nobody else uses it.
    static func listen(
        in root: String, on loop: any EventLoop, inspector: @escaping @Sendable () -> Inspector?
    ) async throws -> (any Channel)? {
        let path = "\(root)/\(name)"
        guard path.utf8.count <= pathBytesMaximum else { return nil }
        unsafe unlink(path)
        // Bound where nobody else can look, and shown only once its mode is right.
        let hidden = "\(root)/.admin"
        unsafe mkdir(hidden, 0o700)
        guard unsafe chmod(hidden, 0o700) == 0 else { return nil }
        let first = "\(hidden)/s"
        unsafe unlink(first)
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: Int32(connectionsMaximum))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AdminConnection(inspector: inspector))
                }
            }
            .bind(unixDomainSocketPath: first).get()
        guard unsafe chmod(first, 0o600) == 0, unsafe rename(first, path) == 0 else {
            try? await channel.close()
            return nil
        }
        return channel
    }
}

/// One operator's connection; owned by the control loop.
private final class AdminConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let inspector: () -> Inspector?
    private var received = ByteBuffer()
    private var isAnswering = false

    init(inspector: @escaping () -> Inspector?) { self.inspector = inspector }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        serve(context)
    }

    private func serve(_ context: ChannelHandlerContext) {
        guard !isAnswering,
            let length = received.getInteger(at: received.readerIndex, as: UInt32.self)
        else { return }
        guard length <= AdminSocket.questionBytesMaximum, let inspector = inspector() else {
            return context.close(promise: nil)
        }
        guard received.readableBytes >= 4 + Int(length) else { return }
        received.moveReaderIndex(forwardBy: 4)
        let question = received.readSlice(length: Int(length)) ?? ByteBuffer()
        received.discardReadBytes()
        isAnswering = true
        inspector.ask(question, by: "local operator") { answer in
            var frame = ByteBuffer()
            frame.writeInteger(UInt32(clamping: answer.readableBytes))
            frame.writeImmutableBuffer(answer)
            context.writeAndFlush(self.wrapOutboundOut(frame), promise: nil)
            self.isAnswering = false
            self.serve(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
