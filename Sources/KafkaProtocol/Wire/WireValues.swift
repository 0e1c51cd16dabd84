import Model
import NIOCore

extension Int8: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&self)
    }
}

extension Int16: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&self)
    }
}

extension Int32: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&self)
    }
}

extension Int64: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&self)
    }
}

extension UInt16: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&self)
    }
}

extension Bool: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitBool(&self)
    }
}

extension String: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitString(&self)
    }
}

extension ByteBuffer: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitBytes(&self)
    }
}

extension Array: WireValue where Element: WireValue {
    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitArray(&self)
    }
}

extension TopicID: WireValue {
    init() { self = .zero }

    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitTopicID(&self)
    }
}

extension ErrorCode: WireValue {
    init() { self = .none }

    @inline(__always)
    mutating func traverse<V: WireVisitor & ~Copyable>(_ wire: inout V) throws(WireError) {
        try wire.visitInteger(&rawValue)
    }
}
