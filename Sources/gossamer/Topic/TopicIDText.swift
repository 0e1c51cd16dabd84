import Foundation
import Model

/// Topic ids as Kafka's tools print them: 16 bytes in URL-safe base64 without padding.
enum TopicIDText {
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
