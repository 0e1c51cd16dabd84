internal import NIOCore

/// A request on its way through the pipeline, with the promise of its answer.
struct OutboundRequest {
    let frame: ByteBuffer
    let correlationID: Int32
    let timeout: TimeAmount
    /// Produce with acks=0 is never answered; its promise is kept once the bytes are written.
    let isAnswered: Bool
    let promise: EventLoopPromise<ByteBuffer>
}

/// Cuts responses out of the stream and gives each to the oldest unanswered request.
///
/// A broker answers in the order of the requests, so a queue is enough; a correlation id that does
/// not fit, an oversized length or a request past its time end the connection, because after any of
/// them the order can no longer be trusted. Owned by the connection's event loop.
final class ResponseCorrelator: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = OutboundRequest
    typealias OutboundOut = ByteBuffer

    /// Why the connection was ended from this side.
    enum Failure: Error {
        case timedOut
        case closed
        case correlation
        case length(Int32)
    }

    /// Largest answer taken: what a fetch asks for plus one batch of any size that a broker stores.
    private static let frameBytesMax: Int32 = 256 * 1024 * 1024

    private struct Pending {
        let correlationID: Int32
        let promise: EventLoopPromise<ByteBuffer>
        let timer: Scheduled<Void>
    }

    private var pending = CircularBuffer<Pending>()
    private var bytes = ByteBuffer()
    private var failure: Failure?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let request = unwrapOutboundIn(data)
        if let failure {
            request.promise.fail(failure)
            promise?.fail(failure)
            return
        }
        guard request.isAnswered else {
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            written.futureResult.map { ByteBuffer() }.cascade(to: request.promise)
            context.write(wrapOutboundOut(request.frame), promise: written)
            return
        }
        let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let timer = context.eventLoop.scheduleTask(in: request.timeout) {
            let (handler, context) = box.value
            handler.end(.timedOut, context)
        }
        pending.append(
            Pending(
                correlationID: request.correlationID, promise: request.promise, timer: timer))
        context.write(wrapOutboundOut(request.frame), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        if bytes.readableBytes == 0 {
            bytes = part
        } else {
            bytes.writeBuffer(&part)
        }
        while let length = bytes.getInteger(at: bytes.readerIndex, as: Int32.self) {
            guard length >= 4, length <= Self.frameBytesMax else {
                return end(.length(length), context)
            }
            guard bytes.readableBytes >= 4 + Int(length) else { break }
            bytes.moveReaderIndex(forwardBy: 4)
            guard let frame = bytes.readSlice(length: Int(length)) else { break }
            guard let oldest = pending.popFirst(),
                frame.getInteger(at: frame.readerIndex, as: Int32.self) == oldest.correlationID
            else { return end(.correlation, context) }
            oldest.timer.cancel()
            oldest.promise.succeed(frame)
        }
        if bytes.readableBytes == 0 { bytes = ByteBuffer() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.closed, context)
    }

    private func end(_ reason: Failure, _ context: ChannelHandlerContext) {
        fail(reason)
        context.close(promise: nil)
    }

    private func fail(_ reason: Failure) {
        failure = failure ?? reason
        while let request = pending.popFirst() {
            request.timer.cancel()
            request.promise.fail(reason)
        }
    }
}
