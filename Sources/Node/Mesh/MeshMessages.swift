public import Model
public import NIOCore

/// What a message between brokers is about; the number is on the wire and never changes.
public enum MeshMessageKind: UInt8, Hashable, Sendable, CaseIterable {
    /// Above 127, so that a full queue may drop it: gossip repeats itself.
    case gossip = 129
    case paxosRequest = 2
    case paxosReply = 3
    /// A broker that proved the secret asks to be let in.
    case join = 4
    case joinAnswer = 5
    /// A question of an operator, and its answer.
    case inspect = 6
    case inspectAnswer = 7
    /// Blank brokers find out which of them begins a mesh.
    case form = 8
    /// What leaders and followers of partitions say to each other.
    case replication = 9
}

/// Who asks to be let in; key, store and boot are those that its handshake proved.
public struct JoinClaim: Hashable, Sendable {
    public let key: PublicKey
    public let store: StoreID
    public let boot: BootEpoch
    /// The node id that it wants; nil takes the lowest that was never given.
    public let node: NodeID?

    public init(key: PublicKey, store: StoreID, boot: BootEpoch, node: NodeID?) {
        self.key = key
        self.store = store
        self.boot = boot
        self.node = node
    }
}

/// What a broker hears that asked to be let in.
///
///     version u8 = 1
///     admitted u8      1: node id i32, cluster id u8 + bytes, count u32, chosen values
///                      0: retry u8, reason u16 + bytes
///     chosen value     key u16 + bytes, ballot (u64, i32, u64), length i32 (-1: tombstone), bytes
///
/// The values are the roster and all admissions: with them the newcomer knows whom to trust.
public enum JoinAnswer: Hashable, Sendable {
    case admitted(node: NodeID, cluster: String, values: [ChosenValue])
    /// In words; `canRetry` where nothing is wrong with the question.
    case refused(String, canRetry: Bool)

    /// More than any mesh has members and voters.
    private static let valuesMaximum: UInt32 = 100_000

    /// Why bytes are not an answer.
    public enum DecodeError: Error, Hashable {
        case truncated
        case version(UInt8)
        case outOfRange
    }

    public func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt8(1))
        switch self {
        case .admitted(let node, let cluster, let values):
            bytes.writeMultipleIntegers(UInt8(1), node.rawValue, UInt8(cluster.utf8.count))
            bytes.writeString(cluster)
            bytes.writeInteger(UInt32(values.count))
            for value in values { value.write(into: &bytes) }
        case .refused(let reason, let canRetry):
            let text = ByteBuffer(string: String(reason.prefix(1_000)))
            bytes.writeMultipleIntegers(
                UInt8(0), UInt8(canRetry ? 1 : 0), UInt16(text.readableBytes))
            bytes.writeImmutableBuffer(text)
        }
        return bytes
    }

    public init(decoding bytes: ByteBuffer) throws(DecodeError) {
        var bytes = bytes
        guard let version: UInt8 = bytes.readInteger() else { throw .truncated }
        guard version == 1 else { throw .version(version) }
        guard let isAdmitted: UInt8 = bytes.readInteger() else { throw .truncated }
        if isAdmitted == 1 {
            guard let node: Int32 = bytes.readInteger(), let length: UInt8 = bytes.readInteger(),
                let cluster = bytes.readText(length: Int(length)),
                let count: UInt32 = bytes.readInteger()
            else { throw .truncated }
            guard node >= 0, count <= Self.valuesMaximum else { throw .outOfRange }
            var values: [ChosenValue] = []
            for _ in 0..<count {
                guard let value = ChosenValue(readingFrom: &bytes) else { throw .truncated }
                values.append(value)
            }
            self = .admitted(node: NodeID(node), cluster: cluster, values: values)
        } else {
            guard let canRetry: UInt8 = bytes.readInteger(),
                let length: UInt16 = bytes.readInteger(),
                let reason = bytes.readText(length: Int(length))
            else { throw .truncated }
            self = .refused(reason, canRetry: canRetry == 1)
        }
        guard bytes.readableBytes == 0 else { throw .outOfRange }
    }
}

extension ByteBuffer {
    /// Text as it was written: bytes that are no UTF-8 are none. Repaired, they would be longer
    /// than what they were read from, and the lengths in front of texts have few bytes.
    mutating func readText(length: Int) -> String? {
        guard let slice = readSlice(length: length) else { return nil }
        return String(validating: slice.readableBytesView, as: UTF8.self)
    }
}

extension ChosenValue {
    /// Key, ballot and value, each with its length.
    func write(into bytes: inout ByteBuffer) {
        bytes.writeInteger(UInt16(key.utf8.count))
        bytes.writeString(key)
        writeBody(into: &bytes)
    }

    /// Ballot and value: what is stored under the key.
    func writeBody(into bytes: inout ByteBuffer) {
        bytes.writeMultipleIntegers(
            ballot.counter, ballot.proposer.rawValue, ballot.boot.rawValue)
        bytes.writeInteger(value.map { Int32($0.readableBytes) } ?? -1)
        if let value { bytes.writeImmutableBuffer(value) }
    }

    init?(readingFrom bytes: inout ByteBuffer) {
        guard let length: UInt16 = bytes.readInteger(), length <= Self.keyBytesMaximum,
            let key = bytes.readText(length: Int(length))
        else { return nil }
        self.init(key: key, readingBodyFrom: &bytes)
    }

    init?(key: String, readingBodyFrom bytes: inout ByteBuffer) {
        guard let counter: UInt64 = bytes.readInteger(), let proposer: Int32 = bytes.readInteger(),
            let boot: UInt64 = bytes.readInteger(), let length: Int32 = bytes.readInteger(),
            length >= -1, length <= Self.valueBytesMaximum
        else { return nil }
        var value: ByteBuffer?
        if length >= 0 {
            guard let slice = bytes.readSlice(length: Int(length)) else { return nil }
            value = slice
        }
        let ballot = Ballot(counter: counter, proposer: NodeID(proposer), boot: BootEpoch(boot))
        self.init(key: key, ballot: ballot, value: value)
    }
}
