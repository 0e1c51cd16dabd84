import NIOCore

/// The UDP socket of the mesh address: hands every datagram to the transport.
///
/// A peer's port-unreachable is news of that peer only. Where NIO closes the channel on an error of
/// a send, the transport binds another.
/// Owned by its channel, on the transport's loop.
final class DatagramSocket: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private weak var transport: MeshTransport?

    init(transport: MeshTransport) { self.transport = transport }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        transport?.received(datagram: unwrapInboundIn(data).data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        transport?.statistics.datagramDrops.add(.sendFailed)
    }
}
