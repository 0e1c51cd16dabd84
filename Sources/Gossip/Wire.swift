internal import Model
internal import NIOCore

/// Why bytes from a peer were refused: nothing was applied, and the peer's counter was raised.
public enum GossipDecodeError: Error, Hashable, Sendable {
    case truncated
    case trailingBytes
    case unsupportedVersion(UInt8)
    case unknownKind(UInt8)
    case overLimit
    case invalidText
    case invalidValue
}

/// Length-checked reads: each either takes what it names or throws.
extension ByteBuffer {
    mutating func take<Value: FixedWidthInteger>(
        _ type: Value.Type
    ) throws(GossipDecodeError) -> Value {
        guard let value = readInteger(as: type) else { throw .truncated }
        return value
    }

    mutating func takeBytes(_ count: Int) throws(GossipDecodeError) -> ByteBuffer {
        guard let bytes = readSlice(length: count) else { throw .truncated }
        return bytes
    }

    /// A text behind its 16-bit length.
    mutating func takeText(maximum: Int) throws(GossipDecodeError) -> String {
        let length = Int(try take(UInt16.self))
        guard length <= maximum else { throw .overLimit }
        let bytes = try takeBytes(length)
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw .invalidText
        }
        return text
    }

    mutating func takeBallot() throws(GossipDecodeError) -> Ballot {
        let counter = try take(UInt64.self)
        let proposer = NodeID(try take(Int32.self))
        return Ballot(
            counter: counter, proposer: proposer, boot: BootEpoch(try take(UInt64.self)))
    }

    mutating func takeWords() throws(GossipDecodeError) -> InlineWords4 {
        let a = try take(UInt64.self)
        let b = try take(UInt64.self)
        let c = try take(UInt64.self)
        return InlineWords4(a, b, c, try take(UInt64.self))
    }

    mutating func takeSignature() throws(GossipDecodeError) -> Signature {
        let r = try takeWords()
        return Signature(r: r, s: try takeWords())
    }

    /// Nothing is left over that the version does not know.
    func finish() throws(GossipDecodeError) {
        guard readableBytes == 0 else { throw .trailingBytes }
    }

    mutating func writeText(_ text: String) {
        writeInteger(UInt16(text.utf8.count))
        writeString(text)
    }

    mutating func writeBallot(_ ballot: Ballot) {
        writeMultipleIntegers(
            ballot.counter, ballot.proposer.rawValue, ballot.boot.rawValue)
    }

    mutating func writeWords(_ words: InlineWords4) {
        writeMultipleIntegers(words.a, words.b, words.c, words.d)
    }

    mutating func writeSignature(_ signature: Signature) {
        writeWords(signature.r)
        writeWords(signature.s)
    }

    static let ballotBytes = 20
    static let signatureBytes = 64
}
