import Foundation

/// Bytes as base64 (RFC 4648).
enum Base64 {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        Data(bytes).base64EncodedString()
    }
}
