import Model
import NIOCore

/// The pass that decodes: reads each field from a frame that nobody vouches for.
///
/// Every read checks the bytes left first; no length is believed before it was compared with them.
/// `records` become slices of the frame (they keep it alive and copy nothing), other byte fields
/// are copied, since they outlive the request. Lives within one closure over the frame's bytes.
///
/// Safe although it holds a pointer: `offset <= end <= base.count` always, and the pointer never
/// leaves the closure that lent it.
@safe struct WireReader: WireVisitor, ~Copyable {
    let version: Int16
    let isFlexible: Bool
    private let frame: ByteBuffer
    private let base: UnsafeRawBufferPointer
    private var offset = 0
    private var end: Int

    init(_ bytes: UnsafeRawBufferPointer, of frame: ByteBuffer, version: Int16, flexible: Bool) {
        self.version = version
        isFlexible = flexible
        self.frame = frame
        unsafe base = bytes
        end = bytes.count
    }

    var remaining: Int { end - offset }

    @inline(__always)
    private mutating func take(_ count: Int) throws(WireError) -> Int {
        guard count <= end - offset else { throw .truncated }
        let start = offset
        offset += count
        return start
    }

    @inline(__always)
    private mutating func integer<T: FixedWidthInteger>(_: T.Type) throws(WireError) -> T {
        let start = try take(MemoryLayout<T>.size)
        return T(bigEndian: unsafe base.loadUnaligned(fromByteOffset: start, as: T.self))
    }

    /// Seven bits a byte, the lowest first; at most 32 bits in at most five bytes.
    @inline(__always)
    mutating func unsignedVarint() throws(WireError) -> UInt32 {
        guard offset < end else { throw .truncated }
        let first = unsafe base[offset]
        if first < 0x80 {
            offset += 1
            return UInt32(first)
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(WireError) -> UInt32 {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), through: 28, by: 7) {
            let byte = try integer(UInt8.self)
            if shift == 28, byte > 0x0F { throw .varintTooLong }
            value |= UInt32(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw .varintTooLong
    }

    /// A length or a count, nil for null; the legacy form is a `Width`.
    @inline(__always)
    private mutating func length<Width: FixedWidthInteger>(
        _ width: Width.Type
    ) throws(WireError) -> Int? {
        if isFlexible {
            let value = try unsignedVarint()
            return value == 0 ? nil : Int(value) - 1
        }
        let value = try integer(width)
        if value >= 0 { return Int(value) }
        guard value == -1 else { throw .negativeLength(Int32(value)) }
        return nil
    }

    mutating func visitBool(_ value: inout Bool) throws(WireError) {
        value = try integer(UInt8.self) != 0
    }

    @inline(__always)
    mutating func visitInteger<T: FixedWidthInteger>(_ value: inout T) throws(WireError) {
        value = try integer(T.self)
    }

    mutating func visitTopicID(_ value: inout TopicID) throws(WireError) {
        let high = try integer(UInt64.self)
        value = TopicID(high: high, low: try integer(UInt64.self))
    }

    private mutating func string(_ length: Int) throws(WireError) -> String {
        let start = try take(length)
        let slice = unsafe UnsafeRawBufferPointer(rebasing: base[start..<start + length])
        guard let text = unsafe String(validating: slice, as: UTF8.self) else {
            throw .invalidUTF8
        }
        return text
    }

    mutating func visitString(_ value: inout String) throws(WireError) {
        guard let length = try length(Int16.self) else { throw .nullNotAllowed }
        value = try string(length)
    }

    mutating func visitString(_ value: inout String?, nullable: Bool) throws(WireError) {
        if let length = try length(Int16.self) {
            value = try string(length)
        } else {
            guard nullable else { throw .nullNotAllowed }
            value = nil
        }
    }

    mutating func visitBytes(_ value: inout ByteBuffer) throws(WireError) {
        guard let length = try length(Int32.self) else { throw .nullNotAllowed }
        let start = try take(length)
        let slice = unsafe UnsafeRawBufferPointer(rebasing: base[start..<start + length])
        value = unsafe ByteBuffer(bytes: slice)
    }

    mutating func visitBytes(_ value: inout ByteBuffer?, nullable: Bool) throws(WireError) {
        guard let length = try length(Int32.self) else {
            guard nullable else { throw .nullNotAllowed }
            value = nil
            return
        }
        let start = try take(length)
        let slice = unsafe UnsafeRawBufferPointer(rebasing: base[start..<start + length])
        value = unsafe ByteBuffer(bytes: slice)
    }

    mutating func visitRecords(_ value: inout ByteBuffer?) throws(WireError) {
        guard let length = try length(Int32.self) else {
            value = nil
            return
        }
        let start = try take(length)
        guard let slice = frame.getSlice(at: frame.readerIndex + start, length: length) else {
            throw .truncated
        }
        value = slice
    }

    mutating func visitRecords(_ value: inout FetchResponse.Records) throws(WireError) {
        var bytes: ByteBuffer?
        try visitRecords(&bytes)
        if let bytes { value = .bytes(bytes) } else { value = .null }
    }

    @inline(__always)
    private mutating func elements<T: WireValue>(
        _ count: Int, into value: inout [T]
    ) throws(WireError) {
        value = []
        guard count > 0 else { return }
        guard count <= WireLimits.elementCountMax else { throw .tooManyElements(count) }
        var sizer = WireSizer(version: version, flexible: isFlexible)
        var smallest = T()
        try smallest.traverse(&sizer)
        guard count <= remaining / max(1, sizer.size) else { throw .tooManyElements(count) }
        value.reserveCapacity(min(count, WireLimits.reservedElementCountMax))
        for _ in 0..<count {
            var element = T()
            try element.traverse(&self)
            value.append(element)
        }
    }

    mutating func visitArray<T: WireValue>(_ value: inout [T]) throws(WireError) {
        guard let count = try length(Int32.self) else { throw .nullNotAllowed }
        try elements(count, into: &value)
    }

    mutating func visitArray<T: WireValue>(
        _ value: inout [T]?, nullable: Bool
    ) throws(WireError) {
        guard let count = try length(Int32.self) else {
            guard nullable else { throw .nullNotAllowed }
            value = nil
            return
        }
        var array: [T] = []
        try elements(count, into: &array)
        value = array
    }

    mutating func visitOptional<T: WireStruct>(_ value: inout T?) throws(WireError) {
        let marker = try integer(Int8.self)
        guard marker >= 0 else {
            guard marker == -1 else { throw .negativeLength(Int32(marker)) }
            value = nil
            return
        }
        var present = T()
        try present.traverse(&self)
        value = present
    }

    @inline(__always)
    mutating func visitTags<T: WireStruct>(of value: inout T) throws(WireError) {
        guard isFlexible else { return }
        let count = try unsignedVarint()
        if count > 0 { try tags(count, of: &value) }
    }

    private mutating func tags<T: WireStruct>(
        _ count: UInt32, of value: inout T
    ) throws(WireError) {
        guard count <= WireLimits.tagCountMax else { throw .tooManyTags(count) }
        var lowest: UInt64 = 0
        for _ in 0..<count {
            let tag = try unsignedVarint()
            guard tag >= lowest else { throw .tagsOutOfOrder(tag) }
            lowest = UInt64(tag) + 1
            let size = Int(try unsignedVarint())
            guard size <= remaining else { throw .truncated }
            let outerEnd = end
            end = offset + size
            if try value.acceptTag(tag, &self) {
                guard offset == end else { throw .tagSizeMismatch(tag) }
            } else {
                offset = end
            }
            end = outerEnd
        }
    }
}
