internal import Model
internal import NIOCore

extension SlotRecord {
    /// The record that stores an offset, or its tombstone where the value is nil.
    ///
    /// Names must fit an int16 length, which the coordinator checks when it takes a request.
    public init(_ key: OffsetCommitKey, _ value: OffsetCommitValue?) {
        var keyBytes = ByteBuffer()
        keyBytes.writeInteger(Int16(1))
        keyBytes.writeShortString(key.groupID)
        keyBytes.writeShortString(key.topic)
        keyBytes.writeInteger(key.partition.rawValue)
        self.init(key: keyBytes, value: value?.encoded())
    }

    /// The record that stores a group, or its tombstone where the value is nil.
    public init(groupID: String, _ value: GroupMetadataValue?) {
        var keyBytes = ByteBuffer()
        keyBytes.writeInteger(Int16(2))
        keyBytes.writeShortString(groupID)
        self.init(key: keyBytes, value: value?.encoded())
    }
}

extension OffsetCommitValue {
    func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        if let expireTimestamp {
            bytes.writeInteger(Int16(1))
            bytes.writeInteger(offset.rawValue)
            bytes.writeShortString(metadata)
            bytes.writeInteger(commitTimestamp.milliseconds)
            bytes.writeInteger(expireTimestamp.milliseconds)
        } else {
            bytes.writeInteger(Int16(3))
            bytes.writeInteger(offset.rawValue)
            bytes.writeInteger(leaderEpoch.rawValue)
            bytes.writeShortString(metadata)
            bytes.writeInteger(commitTimestamp.milliseconds)
        }
        return bytes
    }
}

extension GroupMetadataValue {
    func encoded() -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(Int16(3))
        bytes.writeShortString(protocolType)
        bytes.writeInteger(generation)
        bytes.writeNullableShortString(protocolName)
        bytes.writeNullableShortString(leaderID)
        bytes.writeInteger(currentStateTimestamp.milliseconds)
        bytes.writeInteger(Int32(members.count))
        for member in members {
            bytes.writeShortString(member.memberID)
            bytes.writeNullableShortString(member.groupInstanceID)
            bytes.writeShortString(member.clientID)
            bytes.writeShortString(member.clientHost)
            bytes.writeInteger(member.rebalanceTimeoutMilliseconds)
            bytes.writeInteger(member.sessionTimeoutMilliseconds)
            bytes.writeSizedBytes(member.subscription)
            bytes.writeSizedBytes(member.assignment)
        }
        return bytes
    }
}

extension ByteBuffer {
    fileprivate mutating func writeShortString(_ string: String) {
        precondition(string.utf8.count <= Bound.nameBytes, "names are checked with the request")
        writeInteger(Int16(string.utf8.count))
        writeString(string)
    }

    fileprivate mutating func writeNullableShortString(_ string: String?) {
        guard let string else {
            writeInteger(Int16(-1))
            return
        }
        writeShortString(string)
    }

    fileprivate mutating func writeSizedBytes(_ bytes: ByteBuffer) {
        writeInteger(Int32(bytes.readableBytes))
        writeImmutableBuffer(bytes)
    }
}
