import DequeModule
import NIOCore

/// What a link has still to send: messages of several streams, cut into records by turns.
///
/// Control goes first; the other streams take turns, record by record, as far as their credit
/// goes. Bounded in bytes: whoever fills it is told, and decides between dropping and closing.
/// Pure; owned by its link. Costs nothing per byte until a record is written.
struct OutgoingMessages {
    private struct Message {
        let kind: MessageKind
        var rest: ByteBuffer
        let length: Int
        var hasBegun = false
    }

    private struct Lane {
        let stream: StreamID
        var messages = Deque<Message>()
        /// What the receiver takes yet; negative where a great message began on the last of it.
        var credit = Limits.streamCreditBytes

        func mayGoOn(unfinished: Int) -> Bool {
            guard let first = messages.first else { return false }
            if stream == .control || first.hasBegun { return true }
            let fits =
                first.length <= Limits.recordPayloadBytes
                || unfinished < Limits.unfinishedMessages
            return fits && credit > 0
        }
    }

    private let bytesMaximum: Int
    private(set) var bytes = 0
    /// Messages that aren't wholly sent.
    var count: Int { lanes.reduce(0) { $0 + $1.messages.count } }
    /// Control is the first.
    private var lanes = [Lane(stream: .control)]
    private var turn = 0
    /// Begun on streams with credit, and not ended.
    private var unfinished = 0

    init(bytesMaximum: Int) { self.bytesMaximum = bytesMaximum }

    var isEmpty: Bool { bytes == 0 && lanes.allSatisfy { $0.messages.isEmpty } }

    /// Takes a message, or says why not. One always fits into an empty queue.
    mutating func append(_ message: ByteBuffer, kind: MessageKind, stream: StreamID)
        -> MessageDrop?
    {
        guard message.readableBytes <= Limits.messageBytes else { return .tooLong }
        guard bytes == 0 || bytes + message.readableBytes <= bytesMaximum else {
            return .queueFull
        }
        guard let lane = lane(of: stream) else { return .tooManyStreams }
        lanes[lane].messages.append(
            Message(kind: kind, rest: message, length: message.readableBytes))
        bytes += message.readableBytes
        return nil
    }

    private mutating func lane(of stream: StreamID) -> Int? {
        if let lane = lanes.firstIndex(where: { $0.stream == stream }) { return lane }
        guard lanes.count <= Limits.streams else { return nil }
        lanes.append(Lane(stream: stream))
        return lanes.count - 1
    }

    /// The receiver consumed so many bytes of a stream; false where it never had them.
    mutating func grant(_ count: Int, to stream: StreamID) -> Bool {
        guard stream != .control, let lane = lanes.firstIndex(where: { $0.stream == stream })
        else { return false }
        let credit = lanes[lane].credit + count
        guard credit <= Limits.streamCreditBytes else { return false }
        lanes[lane].credit = credit
        return true
    }

    /// The next record; nil where nothing may go.
    mutating func next() -> LinkRecord? {
        guard let lane = nextLane() else { return nil }
        var message = lanes[lane].messages[0]
        let stream = lanes[lane].stream
        let count = min(message.rest.readableBytes, Limits.recordPayloadBytes)
        let piece = message.rest.readSlice(length: count) ?? ByteBuffer()
        bytes -= count
        let isBegin = !message.hasBegun
        if isBegin, stream != .control { lanes[lane].credit -= message.length }
        message.hasBegun = true
        if stream != .control, count < message.length {
            if isBegin { unfinished += 1 }
            if message.rest.readableBytes == 0 { unfinished -= 1 }
        }
        if message.rest.readableBytes == 0 {
            lanes[lane].messages.removeFirst()
        } else {
            lanes[lane].messages[0] = message
        }
        guard isBegin else { return .more(stream, piece) }
        if count == message.length { return .whole(stream, message.kind, piece) }
        return .first(stream, message.kind, length: message.length, piece)
    }

    private mutating func nextLane() -> Int? {
        if lanes[0].mayGoOn(unfinished: unfinished) { return 0 }
        for step in 1...lanes.count {
            let lane = (turn + step) % lanes.count
            if lanes[lane].mayGoOn(unfinished: unfinished) {
                turn = lane
                return lane
            }
        }
        return nil
    }
}
