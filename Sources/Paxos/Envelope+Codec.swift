import Model
public import NIOCore

extension Envelope {
    /// The bytes that a ballot writes.
    public func encoded() -> ByteBuffer {
        let operationBytes = operations.count * OperationID.encodedBytes
        let size = Self.headerBytes + operationBytes + (value?.readableBytes ?? 0)
        var buffer = ByteBufferAllocator().buffer(capacity: size)
        buffer.writeInteger(ByteBuffer.paxosVersion)
        buffer.writeFlag(value != nil)
        buffer.writeInteger(UInt8(operations.count))
        for operation in operations {
            buffer.writeInteger(operation.node.rawValue)
            buffer.writeInteger(operation.boot.rawValue)
            buffer.writeInteger(operation.sequence)
        }
        if let value { buffer.writeImmutableBuffer(value) }
        return buffer
    }

    public init(decoding bytes: ByteBuffer) throws(PaxosCodecError) {
        var reader = PaxosReader(bytes)
        try reader.version()
        let hasValue = try reader.flag()
        let count = Int(try reader.integer(UInt8.self))
        guard count <= Limits.operationsRemembered else {
            throw .tooLong(count, maximum: Limits.operationsRemembered)
        }
        var operations: [OperationID] = []
        for _ in 0..<count {
            let node = NodeID(try reader.integer())
            let boot = BootEpoch(try reader.integer())
            operations.append(OperationID(node: node, boot: boot, sequence: try reader.integer()))
        }
        let rest = reader.rest()
        guard rest.readableBytes <= ChosenValue.valueBytesMaximum else {
            throw .tooLong(rest.readableBytes, maximum: ChosenValue.valueBytesMaximum)
        }
        guard hasValue || rest.readableBytes == 0 else {
            throw .trailingBytes(rest.readableBytes)
        }
        self.init(value: hasValue ? rest : nil, operations: operations)
    }
}

extension OperationID {
    static let encodedBytes = 20
}

/// The value of the register `roster`, and its form in messages and logs.
///
/// ```
/// +---------+------------+---------+-------+-----------+--------+------------------+
/// | version | generation | cluster | floor | voters    | joint? | next, where      |
/// | u8      | u64        | text    | 20 B  | see below | u8     | joint is 1       |
/// +---------+------------+---------+-------+-----------+--------+------------------+
/// voters: count u16, then for each: node i32, store 2 x u64, public key 4 x u64,
///         and in version 2 the generation that brought it in, u64
/// ```
///
/// Written as version 1 where all are first voters, so that brokers from before 2 read it.
extension Roster {
    public func encode(into buffer: inout ByteBuffer) {
        let isFirst = (voters + (next ?? [])).allSatisfy { $0.since == .none }
        let version = isFirst ? ByteBuffer.paxosVersion : Self.versionWithSince
        buffer.writeInteger(version)
        buffer.writeInteger(generation.rawValue)
        buffer.writeText(cluster)
        buffer.writeBallot(floor)
        Self.write(voters, version, into: &buffer)
        buffer.writeFlag(next != nil)
        if let next { Self.write(next, version, into: &buffer) }
    }

    /// As a register's value.
    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        encode(into: &buffer)
        return buffer
    }

    public init(decoding bytes: ByteBuffer) throws(PaxosCodecError) {
        var reader = PaxosReader(bytes)
        self = try reader.roster()
        try reader.finish()
    }

    static let versionWithSince: UInt8 = 2

    private static func write(
        _ voters: [Voter], _ version: UInt8, into buffer: inout ByteBuffer
    ) {
        buffer.writeCount(voters.count)
        for voter in voters {
            buffer.writeInteger(voter.node.rawValue)
            buffer.writeStore(voter.store)
            buffer.writeInteger(voter.key.words.a)
            buffer.writeInteger(voter.key.words.b)
            buffer.writeInteger(voter.key.words.c)
            buffer.writeInteger(voter.key.words.d)
            if version == versionWithSince { buffer.writeInteger(voter.since.rawValue) }
        }
    }
}

extension PaxosReader {
    mutating func roster() throws(PaxosCodecError) -> Roster {
        let version = try integer(UInt8.self)
        guard version == ByteBuffer.paxosVersion || version == Roster.versionWithSince else {
            throw .unknownVersion(version)
        }
        let generation = RosterGeneration(try integer())
        guard generation.rawValue <= Limits.generationMaximum else {
            throw .badCounter(generation.rawValue)
        }
        let cluster = try text(atMost: Limits.clusterBytesMaximum)
        let floor = try ballot()
        let voters = try voters(version)
        let next = try flag() ? try self.voters(version) : nil
        return Roster(
            generation: generation, voters: voters, next: next, floor: floor, cluster: cluster)
    }

    private mutating func voters(_ version: UInt8) throws(PaxosCodecError) -> [Voter] {
        let count = try count(atMost: Limits.votersMaximum)
        guard count > 0 else { throw .empty }
        var voters: [Voter] = []
        for _ in 0..<count {
            let node = NodeID(try integer())
            if let last = voters.last, last.node >= node { throw .unordered }
            let store = try store()
            let a = try integer(UInt64.self)
            let b = try integer(UInt64.self)
            let c = try integer(UInt64.self)
            let words = InlineWords4(a, b, c, try integer())
            let hasSince = version == Roster.versionWithSince
            let since = hasSince ? RosterGeneration(try integer()) : .none
            voters.append(
                Voter(node: node, store: store, key: PublicKey(words: words), since: since))
        }
        return voters
    }
}
