import NIOCore

/// What a record holds, once opened. One byte says what follows:
///
///     ping    0 | kept u8                (1: the sender wants the link to stay, idle or not)
///     whole   1 | stream u16 | kind u8 | message
///     first   2 | stream u16 | kind u8 | message length u32 | its first bytes
///     more    3 | stream u16 | bytes
///     credit  4 | stream u16 | bytes u32
///     rekey   5                          (the next record has the next key)
///     goodbye 6 | reason u8
enum LinkRecord: Equatable {
    case ping(isKept: Bool)
    case whole(StreamID, MessageKind, ByteBuffer)
    case first(StreamID, MessageKind, length: Int, ByteBuffer)
    case more(StreamID, ByteBuffer)
    case credit(StreamID, bytes: Int)
    case rekey
    case goodbye(Goodbye)

    /// Why a side ends a link; shown to the operator of the other.
    enum Goodbye: UInt8 {
        case idle = 1
        case superseded = 2
        case asked = 3
        case shuttingDown = 4
        case violation = 5
        case queueFull = 6
        case duplicateStore = 7

        /// What it means for the side that hears it.
        var reason: CloseReason {
            switch self {
            case .superseded: .superseded
            case .duplicateStore: .duplicateStore
            case .idle, .asked, .shuttingDown, .violation, .queueFull: .byPeer
            }
        }
    }

    private static let rekeyByte: UInt8 = 5

    /// Looked at by the record layer, which changes its key behind such a record.
    static func isRekey(_ content: ByteBuffer) -> Bool {
        content.readableBytes == 1
            && content.getInteger(at: content.readerIndex, as: UInt8.self) == rekeyByte
    }

    init(_ content: ByteBuffer) throws(LinkViolation) {
        var bytes = content
        switch bytes.readInteger(as: UInt8.self) {
        case 0:
            guard let kept = bytes.readInteger(as: UInt8.self), kept <= 1 else {
                throw .malformed
            }
            self = .ping(isKept: kept == 1)
        case 1:
            guard let (stream, kind) = bytes.readMultipleIntegers(as: (UInt16, UInt8).self) else {
                throw .malformed
            }
            self = .whole(StreamID(rawValue: stream), MessageKind(rawValue: kind), bytes)
            return
        case 2:
            guard
                let (stream, kind, length) = bytes.readMultipleIntegers(
                    as: (UInt16, UInt8, UInt32).self)
            else { throw .malformed }
            self = .first(
                StreamID(rawValue: stream), MessageKind(rawValue: kind), length: Int(length), bytes)
            return
        case 3:
            guard let stream = bytes.readInteger(as: UInt16.self) else { throw .malformed }
            self = .more(StreamID(rawValue: stream), bytes)
            return
        case 4:
            guard let (stream, count) = bytes.readMultipleIntegers(as: (UInt16, UInt32).self)
            else { throw .malformed }
            self = .credit(StreamID(rawValue: stream), bytes: Int(count))
        case Self.rekeyByte: self = .rekey
        case 6:
            guard let reason = bytes.readInteger(as: UInt8.self).flatMap(Goodbye.init) else {
                throw .malformed
            }
            self = .goodbye(reason)
        default: throw .malformed
        }
        guard bytes.readableBytes == 0 else { throw .malformed }
    }

    func write(into out: inout ByteBuffer) {
        switch self {
        case .ping(let isKept): out.writeMultipleIntegers(UInt8(0), UInt8(isKept ? 1 : 0))
        case .whole(let stream, let kind, let bytes):
            out.writeMultipleIntegers(UInt8(1), stream.rawValue, kind.rawValue)
            out.writeImmutableBuffer(bytes)
        case .first(let stream, let kind, let length, let bytes):
            out.writeMultipleIntegers(UInt8(2), stream.rawValue, kind.rawValue, UInt32(length))
            out.writeImmutableBuffer(bytes)
        case .more(let stream, let bytes):
            out.writeMultipleIntegers(UInt8(3), stream.rawValue)
            out.writeImmutableBuffer(bytes)
        case .credit(let stream, let count):
            out.writeMultipleIntegers(UInt8(4), stream.rawValue, UInt32(count))
        case .rekey: out.writeInteger(Self.rekeyByte)
        case .goodbye(let reason): out.writeMultipleIntegers(UInt8(6), reason.rawValue)
        }
    }
}
