import Foundation
import Model

/// Topic ids as Kafka's tools print them: 16 bytes in URL-safe base64 without padding.
enum TopicIDText {
    /// From hexadecimal digits; nil where they are none, or stand for no topic.
    static func text(hexadecimal digits: String) -> String? {
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.dropFirst(16), radix: 16)
        else { return nil }
        return text(TopicID(high: high, low: low))
    }

    /// Nil for the id that stands for none.
    static func text(_ id: TopicID) -> String? {
        guard id != .zero else { return nil }
        var bytes: [UInt8] = []
        for word in [id.high, id.low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return Data(bytes).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
