public import Model
internal import NIOCore

/// A rumour sent to be watched: every member that it reaches reports from whom and by which hop.
public struct TraceMark: Hashable, Sendable {
    public let id: UInt64
    public let origin: NodeID
    public let hop: UInt8
}

/// What rides on a packet: its kind, its length and its body, so that a rumour is encoded once.
///
///     0        kind: 1 self-record, 2 accusation, 3 chosen value, 4 advert, 5 mark, 6 trace,
///              7 change of a feed, 8 root of all marks, UInt64
///     1        length, UInt16
///     3        body
enum Part: Hashable {
    case record(SelfRecord)
    case accusation(Accusation)
    case value(ChosenValue)
    case advert(Advert)
    case mark(FeedMark)
    case trace(TraceMark)
    case change(FeedChange)
    case feedRoot(UInt64)

    init(decoding bytes: inout ByteBuffer) throws(GossipDecodeError) {
        let code = try bytes.take(UInt8.self)
        let length = Int(try bytes.take(UInt16.self))
        var body = try bytes.takeBytes(length)
        switch code {
        case 1:
            self = .record(try SelfRecord(decoding: body))
            return
        case 2: self = .accusation(try Accusation(decoding: &body))
        case 3: self = .value(try ChosenValue(decoding: &body))
        case 4: self = .advert(try Advert(decoding: &body))
        case 5: self = .mark(try FeedMark(decoding: &body))
        case 6:
            let id = try body.take(UInt64.self)
            let origin = NodeID(try body.take(Int32.self))
            self = .trace(TraceMark(id: id, origin: origin, hop: try body.take(UInt8.self)))
        case 7: self = .change(try FeedChange(decoding: &body))
        case 8: self = .feedRoot(try body.take(UInt64.self))
        default: throw .unknownKind(code)
        }
        try body.finish()
    }

    func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(code, UInt16(0))
        switch self {
        case .record(let record): bytes.writeImmutableBuffer(record.encoded)
        case .accusation(let accusation): accusation.write(into: &bytes)
        case .value(let value): value.write(into: &bytes)
        case .advert(let advert): advert.write(into: &bytes)
        case .mark(let mark): mark.write(into: &bytes)
        case .change(let change): change.write(into: &bytes)
        case .feedRoot(let root): bytes.writeInteger(root)
        case .trace(let trace):
            bytes.writeMultipleIntegers(trace.id, trace.origin.rawValue, trace.hop)
        }
        bytes.setInteger(UInt16(bytes.readableBytes - 3), at: bytes.readerIndex + 1)
        return bytes
    }

    private var code: UInt8 {
        switch self {
        case .record: 1
        case .accusation: 2
        case .value: 3
        case .advert: 4
        case .mark: 5
        case .trace: 6
        case .change: 7
        case .feedRoot: 8
        }
    }
}
