import Model
import NIOCore

/// Why bytes are no message of ours; nothing was done with them.
public enum PaxosCodecError: Error, Hashable, Sendable {
    /// The bytes end before the message does.
    case truncated
    /// The message ends before the bytes do.
    case trailingBytes(Int)
    case unknownVersion(UInt8)
    case unknownKind(UInt8)
    /// A length or a count is above its bound.
    case tooLong(Int, maximum: Int)
    /// A string is not UTF-8.
    case badText
    /// A flag is neither set nor unset.
    case badFlag(UInt8)
    /// A ballot's counter is above 48 bits, or a roster's generation above 62.
    case badCounter(UInt64)
    /// Keys or voters are not in ascending order, or twice there.
    case unordered
    /// Nobody votes, or nothing is asked.
    case empty
}

/// Reads fields one after the other and never beyond the end.
///
/// Integers are in network order. A text is a u16 length and that many bytes of UTF-8; bytes are a
/// u32 length and themselves; a ballot is counter u64, node i32, boot u64.
struct PaxosReader {
    private var buffer: ByteBuffer

    init(_ buffer: ByteBuffer) { self.buffer = buffer }

    mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) throws(PaxosCodecError)
        -> I
    {
        guard let value = buffer.readInteger(as: type) else { throw .truncated }
        return value
    }

    mutating func flag() throws(PaxosCodecError) -> Bool {
        let byte = try integer(UInt8.self)
        guard byte <= 1 else { throw .badFlag(byte) }
        return byte == 1
    }

    mutating func count(atMost maximum: Int) throws(PaxosCodecError) -> Int {
        let count = Int(try integer(UInt16.self))
        guard count <= maximum else { throw .tooLong(count, maximum: maximum) }
        return count
    }

    mutating func text(atMost maximum: Int) throws(PaxosCodecError) -> String {
        let length = try count(atMost: maximum)
        guard let bytes = buffer.readSlice(length: length) else { throw .truncated }
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw .badText
        }
        return text
    }

    mutating func bytes(atMost maximum: Int) throws(PaxosCodecError) -> ByteBuffer {
        let length = Int(try integer(UInt32.self))
        guard length <= maximum else { throw .tooLong(length, maximum: maximum) }
        guard let bytes = buffer.readSlice(length: length) else { throw .truncated }
        return bytes
    }

    mutating func ballot() throws(PaxosCodecError) -> Ballot {
        let counter = try integer(UInt64.self)
        guard counter <= Limits.counterMaximum else { throw .badCounter(counter) }
        let node = NodeID(try integer())
        return Ballot(counter: counter, proposer: node, boot: BootEpoch(try integer()))
    }

    mutating func store() throws(PaxosCodecError) -> StoreID {
        let high = try integer(UInt64.self)
        return StoreID(high: high, low: try integer())
    }

    mutating func key() throws(PaxosCodecError) -> String {
        try text(atMost: ChosenValue.keyBytesMaximum)
    }

    /// Keys in ascending order, each with what `element` reads after it.
    mutating func registers<Element>(
        _ element: (inout PaxosReader, String) throws(PaxosCodecError) -> Element
    ) throws(PaxosCodecError) -> [Element] {
        let count = try count(atMost: Limits.registersPerMessage)
        guard count > 0 else { throw .empty }
        var elements: [Element] = []
        var last: String?
        for _ in 0..<count {
            let key = try key()
            if let last, last >= key { throw .unordered }
            last = key
            elements.append(try element(&self, key))
        }
        return elements
    }

    mutating func version() throws(PaxosCodecError) {
        let version = try integer(UInt8.self)
        guard version == ByteBuffer.paxosVersion else { throw .unknownVersion(version) }
    }

    /// Whatever is left is a value; only an `Envelope` ends so.
    mutating func rest() -> ByteBuffer {
        let rest = buffer.slice()
        buffer.moveReaderIndex(to: buffer.writerIndex)
        return rest
    }

    func finish() throws(PaxosCodecError) {
        guard buffer.readableBytes == 0 else { throw .trailingBytes(buffer.readableBytes) }
    }
}

/// The writing half; whoever writes keeps to the bounds that the reader checks.
extension ByteBuffer {
    static let paxosVersion: UInt8 = 1

    mutating func writeText(_ text: String) {
        writeInteger(UInt16(text.utf8.count))
        writeString(text)
    }

    mutating func writeBytes32(_ bytes: ByteBuffer) {
        writeInteger(UInt32(bytes.readableBytes))
        writeImmutableBuffer(bytes)
    }

    mutating func writeBallot(_ ballot: Ballot) {
        writeInteger(ballot.counter)
        writeInteger(ballot.proposer.rawValue)
        writeInteger(ballot.boot.rawValue)
    }

    mutating func writeStore(_ store: StoreID) {
        writeInteger(store.high)
        writeInteger(store.low)
    }

    mutating func writeCount(_ count: Int) { writeInteger(UInt16(count)) }

    mutating func writeFlag(_ flag: Bool) { writeInteger(flag ? 1 : 0 as UInt8) }
}
