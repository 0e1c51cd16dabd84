import NIOCore

/// Puts a link's records together to messages, within what the peer's standing allows.
///
/// Memory grows with the bytes that came, up to `Limits.assemblyBytes` over all streams. Pure;
/// owned by its link. A message in one record is a slice of it; longer ones are copied once.
struct IncomingMessages {
    /// What a record led to.
    enum Event: Equatable {
        case nothing
        /// The peer wants the link to stay although nothing is said.
        case kept
        case message(StreamID, MessageKind, ByteBuffer)
        case credit(StreamID, bytes: Int)
        case goodbye(LinkRecord.Goodbye)
    }

    private struct Lane {
        let stream: StreamID
        var kind = MessageKind(rawValue: 0)
        var gathered = ByteBuffer()
        /// Of the unfinished message; 0 where there is none.
        var length = 0
        var credit = Limits.streamCreditBytes
        /// Consumed by the owner and not granted to the sender yet.
        var consumed = 0
    }

    private var lanes = [Lane(stream: .control)]
    private var gatheredBytes = 0
    /// Nil for peers that may send any number.
    private var messagesLeft: Int?
    private var messageMaximum: Int

    init(standing: Standing) {
        messagesLeft = standing == .candidate ? Limits.candidateMessages : nil
        messageMaximum =
            standing == .candidate ? Limits.candidateMessageBytes : Limits.messageBytes
    }

    /// The peer was admitted.
    mutating func lift() {
        messagesLeft = nil
        messageMaximum = Limits.messageBytes
    }

    mutating func take(_ record: LinkRecord) throws(LinkViolation) -> Event {
        switch record {
        case .ping(let isKept): return isKept ? .kept : .nothing
        case .rekey: return .nothing
        case .goodbye(let reason): return .goodbye(reason)
        case .credit(let stream, let bytes): return .credit(stream, bytes: bytes)
        case .whole(let stream, let kind, let bytes):
            _ = try begin(stream, length: bytes.readableBytes)
            return .message(stream, kind, bytes)
        case .first(let stream, let kind, let length, let bytes):
            guard length > bytes.readableBytes, bytes.readableBytes > 0 else { throw .malformed }
            let lane = try begin(stream, length: length)
            lanes[lane].kind = kind
            lanes[lane].length = length
            try gather(bytes, lane)
            return .nothing
        case .more(let stream, let bytes):
            guard let lane = lanes.firstIndex(where: { $0.stream == stream }),
                lanes[lane].length > 0, bytes.readableBytes > 0
            else { throw .malformed }
            try gather(bytes, lane)
            guard lanes[lane].gathered.readableBytes == lanes[lane].length else {
                return .nothing
            }
            let message = lanes[lane].gathered
            gatheredBytes -= lanes[lane].length
            lanes[lane].gathered = ByteBuffer()
            lanes[lane].length = 0
            return .message(stream, lanes[lane].kind, message)
        }
    }

    private mutating func begin(_ stream: StreamID, length: Int) throws(LinkViolation) -> Int {
        guard length <= messageMaximum else { throw .messageTooLong }
        if let left = messagesLeft {
            guard left > 0 else { throw .tooMany }
            messagesLeft = left - 1
        }
        let lane = try lane(of: stream)
        guard lanes[lane].length == 0 else { throw .malformed }
        if stream != .control {
            guard lanes[lane].credit > 0 else { throw .creditExceeded }
            lanes[lane].credit -= length
        }
        return lane
    }

    private mutating func lane(of stream: StreamID) throws(LinkViolation) -> Int {
        if let lane = lanes.firstIndex(where: { $0.stream == stream }) { return lane }
        guard messagesLeft == nil, lanes.count <= Limits.streams else { throw .tooMany }
        lanes.append(Lane(stream: stream))
        return lanes.count - 1
    }

    private mutating func gather(_ bytes: ByteBuffer, _ lane: Int) throws(LinkViolation) {
        let total = lanes[lane].gathered.readableBytes + bytes.readableBytes
        guard total <= lanes[lane].length else { throw .malformed }
        guard gatheredBytes + bytes.readableBytes <= Limits.assemblyBytes else {
            throw .messageTooLong
        }
        gatheredBytes += bytes.readableBytes
        lanes[lane].gathered.writeImmutableBuffer(bytes)
    }

    /// The owner consumed so many bytes of a stream. Returns what to grant to the sender: half a
    /// window at least, so that credit costs little.
    mutating func consume(_ count: Int, of stream: StreamID) -> Int? {
        guard stream != .control, let lane = lanes.firstIndex(where: { $0.stream == stream })
        else { return nil }
        let outstanding = Limits.streamCreditBytes - lanes[lane].credit - lanes[lane].consumed
        lanes[lane].consumed += min(count, outstanding)
        guard lanes[lane].consumed >= Limits.streamCreditBytes / 2 else { return nil }
        let granted = lanes[lane].consumed
        lanes[lane].consumed = 0
        lanes[lane].credit += granted
        return granted
    }
}
