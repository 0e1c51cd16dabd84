import Model
import NIOCore

@testable import KafkaProtocol

/// A visitor that fills a message with content from a seed instead of reading it.
///
/// Since it runs through the same traversal, it reaches every field that a version carries, and
/// only those: what it leaves alone must come back as the default.
struct GeneratingVisitor: WireVisitor {
    let version: Int16
    let isFlexible: Bool
    var generator: SeededGenerator
    /// Whether array and string sizes are drawn small, so that frames stay short.
    var depth = 0

    init(version: Int16, flexible: Bool, seed: UInt64) {
        self.version = version
        isFlexible = flexible
        generator = SeededGenerator(seed: seed)
    }

    private mutating func draw(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &generator)
    }

    mutating func visitBool(_ value: inout Bool) throws(WireError) {
        value = Bool.random(using: &generator)
    }

    mutating func visitInteger<T: FixedWidthInteger>(_ value: inout T) throws(WireError) {
        value = T(truncatingIfNeeded: generator.next())
    }

    mutating func visitTopicID(_ value: inout TopicID) throws(WireError) {
        value = .random(using: &generator)
    }

    mutating func visitString(_ value: inout String) throws(WireError) {
        let alphabet = ["a", "B", "7", "-", "ü", "漢", "🜂"]
        let length = draw(40) == 0 ? 130 : draw(8)
        value = ""
        for _ in 0..<length { value += alphabet[draw(alphabet.count)] }
    }

    mutating func visitString(_ value: inout String?, nullable: Bool) throws(WireError) {
        if nullable, draw(3) == 0 {
            value = nil
        } else {
            var text = ""
            try visitString(&text)
            value = text
        }
    }

    mutating func visitBytes(_ value: inout ByteBuffer) throws(WireError) {
        value = ByteBuffer()
        for _ in 0..<draw(12) { value.writeInteger(UInt8(draw(256))) }
    }

    mutating func visitBytes(_ value: inout ByteBuffer?, nullable: Bool) throws(WireError) {
        if nullable, draw(3) == 0 {
            value = nil
        } else {
            var bytes = ByteBuffer()
            try visitBytes(&bytes)
            value = bytes
        }
    }

    mutating func visitRecords(_ value: inout ByteBuffer?) throws(WireError) {
        try visitBytes(&value, nullable: true)
    }

    mutating func visitRecords(_ value: inout FetchResponse.Records) throws(WireError) {
        var bytes: ByteBuffer?
        try visitBytes(&bytes, nullable: true)
        if let bytes { value = .bytes(bytes) } else { value = .null }
    }

    mutating func visitArray<T: WireValue>(_ value: inout [T]) throws(WireError) {
        value = []
        depth += 1
        for _ in 0..<draw(4) {
            var element = T()
            try element.traverse(&self)
            value.append(element)
        }
        depth -= 1
    }

    mutating func visitArray<T: WireValue>(
        _ value: inout [T]?, nullable: Bool
    ) throws(WireError) {
        if nullable, draw(4) == 0 {
            value = nil
        } else {
            var array: [T] = []
            try visitArray(&array)
            value = array
        }
    }

    mutating func visitOptional<T: WireStruct>(_ value: inout T?) throws(WireError) {
        if draw(3) == 0 {
            value = nil
        } else {
            var present = T()
            try present.traverse(&self)
            value = present
        }
    }

    mutating func visitTags<T: WireStruct>(of value: inout T) throws(WireError) {
        guard isFlexible else { return }
        for tag in UInt32(0)..<8 where draw(3) > 0 { _ = try value.acceptTag(tag, &self) }
    }
}
