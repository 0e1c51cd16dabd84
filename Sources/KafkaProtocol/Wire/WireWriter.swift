import Model
import NIOCore

/// The pass that encodes: stores each field into room that a `WireSizer` has measured.
///
/// Deferred records leave a cut in the bytes: their length is written, their bytes come from
/// elsewhere. Safe although it holds a pointer: each store checks the room left, and the pointer
/// never leaves the closure that lent it.
@safe struct WireWriter: WireVisitor, ~Copyable {
    let version: Int16
    let isFlexible: Bool
    /// Where deferred records belong, as offsets into the bytes written.
    private(set) var cuts: [Int] = []
    private(set) var offset = 0
    private let base: UnsafeMutableRawBufferPointer
    private let limit: Int

    init(_ bytes: UnsafeMutableRawBufferPointer, version: Int16, flexible: Bool) {
        self.version = version
        isFlexible = flexible
        unsafe base = bytes
        limit = bytes.count
    }

    @inline(__always)
    private mutating func claim(_ count: Int) -> Int {
        precondition(count <= limit - offset, "the sizer and the writer disagree")
        let start = offset
        offset += count
        return start
    }

    @inline(__always)
    private mutating func store<T: FixedWidthInteger>(_ value: T) {
        let start = claim(MemoryLayout<T>.size)
        unsafe base.storeBytes(of: value.bigEndian, toByteOffset: start, as: T.self)
    }

    @inline(__always)
    private mutating func storeVarint(_ value: Int) {
        var rest = UInt32(value)
        while rest >= 0x80 {
            store(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        store(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    private mutating func storeLength<Width: FixedWidthInteger>(_ length: Int, _: Width.Type) {
        if isFlexible { storeVarint(length + 1) } else { store(Width(length)) }
    }

    @inline(__always)
    private mutating func storeNull<Width: FixedWidthInteger>(
        _: Width.Type, nullable: Bool
    ) {
        if nullable {
            if isFlexible { storeVarint(0) } else { store(Width(truncatingIfNeeded: -1)) }
        } else {
            storeLength(0, Width.self)
        }
    }

    @inline(__always)
    mutating func visitBool(_ value: inout Bool) throws(WireError) { store(value ? 1 : 0 as UInt8) }

    @inline(__always)
    mutating func visitInteger<T: FixedWidthInteger>(_ value: inout T) throws(WireError) {
        store(value)
    }

    @inline(__always)
    mutating func visitTopicID(_ value: inout TopicID) throws(WireError) {
        store(value.high)
        store(value.low)
    }

    mutating func visitString(_ value: inout String) throws(WireError) {
        value.withUTF8 { text in
            storeLength(text.count, Int16.self)
            let start = claim(text.count)
            unsafe UnsafeMutableRawBufferPointer(rebasing: base[start...])
                .copyMemory(from: UnsafeRawBufferPointer(text))
        }
    }

    mutating func visitString(_ value: inout String?, nullable: Bool) throws(WireError) {
        if var text = value {
            try visitString(&text)
        } else {
            storeNull(Int16.self, nullable: nullable)
        }
    }

    mutating func visitBytes(_ value: inout ByteBuffer) throws(WireError) {
        storeLength(value.readableBytes, Int32.self)
        let start = claim(value.readableBytes)
        unsafe value.withUnsafeReadableBytes { bytes in
            unsafe UnsafeMutableRawBufferPointer(rebasing: base[start...]).copyMemory(from: bytes)
        }
    }

    mutating func visitBytes(_ value: inout ByteBuffer?, nullable: Bool) throws(WireError) {
        if var bytes = value {
            try visitBytes(&bytes)
        } else {
            storeNull(Int32.self, nullable: nullable)
        }
    }

    mutating func visitRecords(_ value: inout ByteBuffer?) throws(WireError) {
        try visitBytes(&value, nullable: true)
    }

    mutating func visitRecords(_ value: inout FetchResponse.Records) throws(WireError) {
        switch value {
        case .null:
            storeNull(Int32.self, nullable: true)
        case .bytes(var bytes):
            try visitBytes(&bytes)
        case .deferred(let count):
            storeLength(count, Int32.self)
            cuts.append(offset)
        }
    }

    mutating func visitArray<T: WireValue>(_ value: inout [T]) throws(WireError) {
        storeLength(value.count, Int32.self)
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
            storeNull(Int32.self, nullable: nullable)
        }
    }

    mutating func visitOptional<T: WireStruct>(_ value: inout T?) throws(WireError) {
        if var present = value {
            store(1 as Int8)
            try present.traverse(&self)
        } else {
            store(-1 as Int8)
        }
    }

    @inline(__always)
    mutating func visitTags<T: WireStruct>(of value: inout T) throws(WireError) {
        guard isFlexible else { return }
        var present = value.presentTags(version: version)
        storeVarint(present.nonzeroBitCount)
        while present != 0 {
            let tag = UInt32(present.trailingZeroBitCount)
            present &= present - 1
            var field = WireSizer(version: version, flexible: true)
            _ = try value.acceptTag(tag, &field)
            storeVarint(Int(tag))
            storeVarint(field.size)
            _ = try value.acceptTag(tag, &self)
        }
    }
}
