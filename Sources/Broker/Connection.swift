import KafkaProtocol
import Model
import NIOCore
import Routes
import Storage

/// One client's connection: cuts requests, keeps their answers in order, and stops reading where
/// the client does not keep up.
///
/// Owned by its event loop. Requests are taken as they come and may be answered out of order; the
/// answers leave in the order of the requests, as Kafka's protocol demands. Reading stops while
/// too many requests are unanswered, while the socket does not take what is written, or while the
/// broker holds too many bytes of unfinished requests: the kernel's window then stops the client.
final class Connection: ChannelInboundHandler, ClientConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = IOData

    /// Requests of one connection that may wait for their answers: clients pipeline five or so.
    static let inFlightMaximum = 64

    let id: UInt64
    let listener: String
    let clientHost: String
    /// The last client id seen, for log lines and group members.
    private(set) var clientID = ""
    /// Holds this connection too, until the channel is inactive.
    private let reactor: Reactor
    private var context: ChannelHandlerContext?
    private var cutter: FrameCutter
    private var places = AnswerQueue()
    private var isTaking = false
    private var isClosing = false
    private var wantsFlush = false
    private var readOutstanding = false
    private var countedBytes = 0
    /// Fetches that wait in shards, to be forgotten when the client leaves.
    var waitingFetches: Set<UInt64> = []
    private(set) var lastHeard: Instant
    /// When the unfinished frame began.
    private(set) var frameBegan: Instant?

    init(id: UInt64, listener: String, clientHost: String, reactor: Reactor) {
        self.id = id
        self.listener = listener
        self.clientHost = clientHost
        self.reactor = reactor
        self.cutter = FrameCutter(frameMaximum: reactor.limits.requestBytes)
        self.lastHeard = Clock.now().instant
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        reactor.add(self)
        readOutstanding = true
        context.read()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        reactor.count(bytes: -countedBytes)
        countedBytes = 0
        places.removeAll()
        reactor.remove(self)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastHeard = reactor.now.instant
        cutter.append(unwrapInboundIn(data))
        takeFrames()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readOutstanding = false
        flushIfWanted()
        readIfPossible()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resume() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reactor.events.connectionFailed(self, error)
        context.close(promise: nil)
    }

    /// Takes what had to wait, sends what is due and reads on; called after answers came and when
    /// memory or the socket has room again.
    func resume() {
        guard context != nil, !isTaking else { return }
        takeFrames()
        flushIfWanted()
        readIfPossible()
    }

    private var hasRoom: Bool {
        guard let context, !isClosing else { return false }
        return places.count < Self.inFlightMaximum && context.channel.isWritable
    }

    /// Takes whole frames while there is room; answers that come at once make room for more.
    private func takeFrames() {
        guard !isTaking else { return }
        isTaking = true
        var took = false
        repeat {
            took = false
            reactor.beginBatch()
            do throws(FrameCutter.Violation) {
                while hasRoom, let frame = try cutter.next() {
                    // Whatever is left began after this frame ended.
                    frameBegan = nil
                    take(frame)
                    took = true
                }
            } catch {
                reactor.events.frameRefused(self, error)
                close()
            }
            reactor.endBatch()
        } while took && hasRoom
        isTaking = false
        recount()
        cutter.release(keepingCapacity: true)
    }

    private func take(_ frame: ByteBuffer) {
        var body = frame
        do throws(WireError) {
            let header = try RequestHeader.decode(&body)
            if let name = header.clientID, name != clientID { clientID = name }
            let exchange = Exchange(
                connection: self, number: places.makePlace(), header: header)
            try reactor.route(exchange, body)
        } catch {
            reactor.events.requestRefused(self, error)
            close()
        }
    }

    /// Holds the bytes of the unfinished frame in the loop's account, and its age.
    private func recount() {
        let bytes = cutter.pendingBytes
        reactor.count(bytes: bytes - countedBytes)
        countedBytes = bytes
        // Nothing is left, or what is left began behind a whole frame.
        if bytes == 0 || frameBegan == nil { reactor.endOverdraft(self) }
        if bytes == 0 {
            frameBegan = nil
        } else if frameBegan == nil {
            frameBegan = reactor.now.instant
        }
    }

    private func readIfPossible() {
        guard let context, !readOutstanding, hasRoom else { return }
        guard reactor.mayRead(self, holding: countedBytes) else { return }
        readOutstanding = true
        context.read()
    }

    /// Puts an answer in its place and writes what is due; late answers of a closed connection go.
    func answer(_ number: UInt64, _ pieces: [Piece]?) {
        guard context != nil, places.answer(number, pieces) else { return }
        while let due = places.next() {
            for piece in due { write(piece) }
        }
        reactor.settleAfterTurn(self)
    }

    private func write(_ piece: Piece) {
        guard let context else { return }
        wantsFlush = true
        switch piece {
        case .bytes(let bytes):
            context.write(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
        case .file(let slice):
            SharedFileRegion.write(slice, to: context)
        }
    }

    private func flushIfWanted() {
        guard wantsFlush else { return }
        wantsFlush = false
        context?.flush()
    }

    /// Sends what was answered before, then closes.
    func close() {
        isClosing = true
        flushIfWanted()
        context?.close(promise: nil)
    }

    /// Whether the broker, and not the client, is why an unfinished frame does not go on.
    var isHeldBack: Bool { !hasRoom }

    /// No requests wait for their answers and nothing is half received: safe to close politely.
    var isQuiet: Bool { places.isEmpty && !cutter.isGathering }
}
