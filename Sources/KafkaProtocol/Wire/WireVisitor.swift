import Model
import NIOCore

/// One pass over the fields of a message: reading, measuring or writing them.
///
/// Each message names its fields once, in wire order, with the versions that carry them; the
/// visitor decides what happens to a field. Decoding, sizing and encoding can therefore not drift
/// apart. Visitors are internal and every message has concrete entry points in this module, since
/// a generic traversal called from another module is not specialised and runs 100 times slower.
///
///     legacy      [int16 length][string]   [int32 length][bytes]   [int32 count][elements]
///     flexible    [length + 1  ][string]   [length + 1  ][bytes]   [count + 1  ][elements]
///                 (unsigned varints, 0 is null), and every struct ends with its tagged fields:
///                 [count]{[tag][size][field]}
protocol WireVisitor: ~Copyable {
    /// The version of the message that the pass is about.
    var version: Int16 { get }
    /// Whether that version has the flexible encoding (KIP-482).
    var isFlexible: Bool { get }

    mutating func visitBool(_ value: inout Bool) throws(WireError)
    mutating func visitInteger<T: FixedWidthInteger>(_ value: inout T) throws(WireError)
    mutating func visitTopicID(_ value: inout TopicID) throws(WireError)
    mutating func visitString(_ value: inout String) throws(WireError)
    mutating func visitString(_ value: inout String?, nullable: Bool) throws(WireError)
    mutating func visitBytes(_ value: inout ByteBuffer) throws(WireError)
    mutating func visitBytes(_ value: inout ByteBuffer?, nullable: Bool) throws(WireError)
    mutating func visitRecords(_ value: inout ByteBuffer?) throws(WireError)
    mutating func visitRecords(_ value: inout FetchResponse.Records) throws(WireError)
    mutating func visitArray<T: WireValue>(_ value: inout [T]) throws(WireError)
    mutating func visitArray<T: WireValue>(
        _ value: inout [T]?, nullable: Bool
    ) throws(WireError)
    mutating func visitOptional<T: WireStruct>(_ value: inout T?) throws(WireError)
    mutating func visitTags<T: WireStruct>(of value: inout T) throws(WireError)
}

/// Whatever can stand as a field or as an element of an array.
protocol WireValue {
    /// The value with every field at its default, which is also its smallest encoding.
    init()
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError)
}

/// A group of fields: a message or a part of one.
///
/// `accept` names the ordinary fields; the two others name the tagged ones, where a struct has any.
/// The tag section itself is visited by `traverse`, so that no message can forget it.
protocol WireStruct: WireValue {
    mutating func accept<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError)
    /// Bit n is set where tagged field n exists in `version` and is not at its default.
    func presentTags(version: Int16) -> UInt32
    /// Visits tagged field `tag`; false where this version does not know it.
    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool
}

extension WireStruct {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try accept(&wire)
        try wire.visitTags(of: &self)
    }

    @inline(__always)
    func presentTags(version: Int16) -> UInt32 { 0 }

    @inline(__always)
    mutating func acceptTag<V: WireVisitor & ~Copyable>(
        _ tag: UInt32, _ wire: inout V
    ) throws(WireError) -> Bool { false }
}

/// The spelling that messages use: a field, and the versions from `since` to `until` that carry it.
extension WireVisitor where Self: ~Copyable {
    @inline(__always)
    func carries(_ since: Int16, _ until: Int16) -> Bool { version >= since && version <= until }

    @inline(__always)
    mutating func visit<T: WireValue>(
        _ value: inout T, since: Int16 = 0, until: Int16 = .max
    ) throws(WireError) {
        if carries(since, until) { try value.traverse(&self) }
    }

    @inline(__always)
    mutating func visit(
        _ value: inout String?, nullableSince: Int16 = 0, since: Int16 = 0, until: Int16 = .max
    ) throws(WireError) {
        if carries(since, until) {
            try visitString(&value, nullable: version >= nullableSince)
        }
    }

    @inline(__always)
    mutating func visit(
        _ value: inout ByteBuffer?, nullableSince: Int16 = 0, since: Int16 = 0, until: Int16 = .max
    ) throws(WireError) {
        if carries(since, until) {
            try visitBytes(&value, nullable: version >= nullableSince)
        }
    }

    @inline(__always)
    mutating func visit<T: WireValue>(
        _ value: inout [T]?, nullableSince: Int16 = 0, since: Int16 = 0, until: Int16 = .max
    ) throws(WireError) {
        if carries(since, until) {
            try visitArray(&value, nullable: version >= nullableSince)
        }
    }

    @inline(__always)
    mutating func visit<T: WireStruct>(
        _ value: inout T?, since: Int16 = 0, until: Int16 = .max
    ) throws(WireError) {
        if carries(since, until) { try visitOptional(&value) }
    }
}
