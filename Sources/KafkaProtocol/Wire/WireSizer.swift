import Model
import NIOCore

/// The pass that measures: adds up what the writer is going to store.
///
/// It also refuses what has no encoding, so that the writer after it cannot fail. Values are only
/// looked at; they are `inout` because the reader's traversal is the same one.
struct WireSizer: WireVisitor, ~Copyable {
    let version: Int16
    let isFlexible: Bool
    /// Bytes of the message without the deferred records.
    private(set) var size = 0
    /// Bytes of the records that somebody else is going to send.
    private(set) var deferredSize = 0

    init(version: Int16, flexible: Bool) {
        self.version = version
        isFlexible = flexible
    }

    @inline(__always)
    static func varintSize(_ value: Int) -> Int {
        value < 0x80 ? 1 : (64 - value.leadingZeroBitCount + 6) / 7
    }

    @inline(__always)
    private mutating func addLength(_ length: Int, legacyWidth: Int) {
        size += isFlexible ? Self.varintSize(length + 1) : legacyWidth
    }

    @inline(__always)
    mutating func visitBool(_ value: inout Bool) throws(WireError) { size += 1 }

    @inline(__always)
    mutating func visitInteger<T: FixedWidthInteger>(_ value: inout T) throws(WireError) {
        size += MemoryLayout<T>.size
    }

    @inline(__always)
    mutating func visitTopicID(_ value: inout TopicID) throws(WireError) { size += 16 }

    mutating func visitString(_ value: inout String) throws(WireError) {
        let length = value.utf8.count
        guard isFlexible || length <= WireLimits.legacyStringLengthMax else {
            throw .tooLong(length)
        }
        addLength(length, legacyWidth: 2)
        size += length
    }

    mutating func visitString(_ value: inout String?, nullable: Bool) throws(WireError) {
        if var text = value {
            try visitString(&text)
        } else {
            size += isFlexible ? 1 : 2
        }
    }

    mutating func visitBytes(_ value: inout ByteBuffer) throws(WireError) {
        addLength(value.readableBytes, legacyWidth: 4)
        size += value.readableBytes
    }

    mutating func visitBytes(_ value: inout ByteBuffer?, nullable: Bool) throws(WireError) {
        if var bytes = value {
            try visitBytes(&bytes)
        } else {
            size += isFlexible ? 1 : 4
        }
    }

    mutating func visitRecords(_ value: inout ByteBuffer?) throws(WireError) {
        try visitBytes(&value, nullable: true)
    }

    mutating func visitRecords(_ value: inout FetchResponse.Records) throws(WireError) {
        switch value {
        case .null:
            size += isFlexible ? 1 : 4
        case .bytes(var bytes):
            try visitBytes(&bytes)
        case .deferred(let count):
            guard (0...WireLimits.messageSizeMax).contains(count) else { throw .tooLong(count) }
            addLength(count, legacyWidth: 4)
            deferredSize += count
        }
    }

    mutating func visitArray<T: WireValue>(_ value: inout [T]) throws(WireError) {
        guard value.count <= WireLimits.elementCountMax else { throw .tooLong(value.count) }
        addLength(value.count, legacyWidth: 4)
        for element in value {
            var copy = element
            try copy.traverse(&self)
        }
    }

    mutating func visitArray<T: WireValue>(
        _ value: inout [T]?, nullable: Bool
    ) throws(WireError) {
        if var array = value {
            try visitArray(&array)
        } else {
            size += isFlexible ? 1 : 4
        }
    }

    mutating func visitOptional<T: WireStruct>(_ value: inout T?) throws(WireError) {
        size += 1
        if var present = value { try present.traverse(&self) }
    }

    @inline(__always)
    mutating func visitTags<T: WireStruct>(of value: inout T) throws(WireError) {
        guard isFlexible else { return }
        var present = value.presentTags(version: version)
        size += Self.varintSize(present.nonzeroBitCount)
        while present != 0 {
            let tag = UInt32(present.trailingZeroBitCount)
            present &= present - 1
            var field = WireSizer(version: version, flexible: true)
            _ = try value.acceptTag(tag, &field)
            size += Self.varintSize(Int(tag)) + Self.varintSize(field.size) + field.size
        }
    }
}
