internal import Model
internal import NIOCore

extension SlotRecord {
    /// What the record says; throws where its bytes are not what their version promises.
    public func content() throws(SlotRecordError) -> SlotRecordContent {
        var keyReader = RecordReader(key)
        let version: Int16 = try keyReader.integer()
        switch version {
        case 0, 1:
            let key = OffsetCommitKey(
                groupID: try keyReader.string(), topic: try keyReader.string(),
                partition: PartitionIndex(try keyReader.integer()))
            guard let value else { return .offset(key, nil) }
            return .offset(key, try OffsetCommitValue(decoding: value))
        case 2:
            let groupID = try keyReader.string()
            guard let value else { return .group(id: groupID, nil) }
            return .group(id: groupID, try GroupMetadataValue(decoding: value))
        default:
            return .unknown(keyVersion: version)
        }
    }
}

extension OffsetCommitValue {
    init(decoding bytes: ByteBuffer) throws(SlotRecordError) {
        var reader = RecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard (0...4).contains(version) else { throw .unsupportedValueVersion(version) }
        reader.isFlexible = version >= 4
        let offset: Int64 = try reader.integer()
        let leaderEpoch: Int32 = version >= 3 ? try reader.integer() : -1
        let metadata = try reader.string()
        let committed: Int64 = try reader.integer()
        let expires: Int64 = version == 1 ? try reader.integer() : -1
        try reader.skipTags()
        self.init(
            offset: Offset(offset), leaderEpoch: LeaderEpoch(leaderEpoch), metadata: metadata,
            commitTimestamp: Timestamp(milliseconds: committed),
            expireTimestamp: expires < 0 ? nil : Timestamp(milliseconds: expires))
    }
}

extension GroupMetadataValue {
    init(decoding bytes: ByteBuffer) throws(SlotRecordError) {
        var reader = RecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard (0...4).contains(version) else { throw .unsupportedValueVersion(version) }
        reader.isFlexible = version >= 4
        let protocolType = try reader.string()
        let generation: Int32 = try reader.integer()
        let protocolName = try reader.nullableString()
        let leaderID = try reader.nullableString()
        let timestamp: Int64 = version >= 2 ? try reader.integer() : -1
        let count = try reader.arrayCount()
        var members: [Member] = []
        for _ in 0..<count {
            members.append(try Member(decoding: &reader, version: version))
        }
        try reader.skipTags()
        guard members.isEmpty || protocolName != nil else { throw .inconsistentGroup }
        self.init(
            protocolType: protocolType, generation: generation, protocolName: protocolName,
            leaderID: leaderID, currentStateTimestamp: Timestamp(milliseconds: timestamp),
            members: members)
    }
}

extension GroupMetadataValue.Member {
    fileprivate init(
        decoding reader: inout RecordReader, version: Int16
    ) throws(SlotRecordError) {
        let memberID = try reader.string()
        let groupInstanceID = version >= 3 ? try reader.nullableString() : nil
        let clientID = try reader.string()
        let clientHost = try reader.string()
        let rebalanceTimeout: Int32 = version >= 1 ? try reader.integer() : -1
        let sessionTimeout: Int32 = try reader.integer()
        let subscription = try reader.bytes()
        let assignment = try reader.bytes()
        try reader.skipTags()
        self.init(
            memberID: memberID, groupInstanceID: groupInstanceID, clientID: clientID,
            clientHost: clientHost,
            rebalanceTimeoutMilliseconds: rebalanceTimeout < 0 ? sessionTimeout : rebalanceTimeout,
            sessionTimeoutMilliseconds: sessionTimeout, subscription: subscription,
            assignment: assignment)
    }
}

/// A cursor over one key or value that checks every length against the bytes that are left.
///
/// Nothing is allocated from a length before that check; arrays grow as their elements are read.
/// The bytes that it gives out are copies, so that one record does not keep a whole batch alive.
struct RecordReader {
    private var buffer: ByteBuffer
    /// Compact lengths (unsigned varint of length plus one, 0 for null) and tags (KIP-482).
    var isFlexible = false

    init(_ buffer: ByteBuffer) { self.buffer = buffer }

    mutating func integer<Value: FixedWidthInteger>() throws(SlotRecordError) -> Value {
        guard let value = buffer.readInteger(as: Value.self) else { throw .truncated }
        return value
    }

    mutating func string() throws(SlotRecordError) -> String {
        guard let string = try nullableString() else { throw .truncated }
        return string
    }

    mutating func nullableString() throws(SlotRecordError) -> String? {
        let length: Int
        if isFlexible {
            length = try compactLength()
        } else {
            let short: Int16 = try integer()
            length = Int(short)
        }
        if length == -1 { return nil }
        guard length >= 0, let slice = buffer.readSlice(length: length) else { throw .truncated }
        guard let string = String(validating: slice.readableBytesView, as: UTF8.self) else {
            throw .invalidString
        }
        return string
    }

    mutating func bytes() throws(SlotRecordError) -> ByteBuffer {
        let length: Int
        if isFlexible {
            length = try compactLength()
        } else {
            let long: Int32 = try integer()
            length = Int(long)
        }
        guard length >= 0, let slice = buffer.readSlice(length: length) else { throw .truncated }
        return slice.compacted()
    }

    /// The count of an array whose elements take at least a byte each.
    mutating func arrayCount() throws(SlotRecordError) -> Int {
        let count: Int
        if isFlexible {
            count = try compactLength()
        } else {
            let long: Int32 = try integer()
            count = Int(long)
        }
        guard count >= 0, count <= buffer.readableBytes else { throw .truncated }
        return count
    }

    /// Reads over tagged fields: newer writers may add some, and none changes what we need.
    mutating func skipTags() throws(SlotRecordError) {
        guard isFlexible else { return }
        let count = try unsignedVarint()
        guard Int(count) <= buffer.readableBytes else { throw .truncated }
        for _ in 0..<count {
            _ = try unsignedVarint()
            let size = Int(try unsignedVarint())
            guard size <= buffer.readableBytes else { throw .truncated }
            buffer.moveReaderIndex(forwardBy: size)
        }
    }

    private mutating func compactLength() throws(SlotRecordError) -> Int {
        Int(try unsignedVarint()) - 1
    }

    /// At most five bytes of seven bits, least significant first.
    private mutating func unsignedVarint() throws(SlotRecordError) -> UInt32 {
        var value: UInt64 = 0
        for shift in stride(from: 0, through: 28, by: 7) {
            let byte: UInt8 = try integer()
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte & 0x80 == 0 {
                guard let result = UInt32(exactly: value) else { throw .truncated }
                return result
            }
        }
        throw .truncated
    }
}

extension ByteBuffer {
    /// The same bytes in storage of their own, so that the frame they came in can be freed.
    func compacted() -> ByteBuffer { ByteBuffer(bytes: readableBytesView) }
}
