import KafkaProtocol
import NIOCore
import Testing

/// A frame (header and body, without its length) that other software has made.
struct GoldenFrame: Sendable, CustomTestStringConvertible {
    let source: String
    let kind: MessageKind
    let isRequest: Bool
    let version: Int16
    let bytes: ByteBuffer

    var testDescription: String { "\(kind.name) version \(version) of \(source)" }

    /// Reads lines of `> source key direction version`, each followed by lines of hexadecimal.
    static func parse(_ text: String) -> [GoldenFrame] {
        var frames: [GoldenFrame] = []
        for block in text.split(separator: ">") {
            let lines = block.split(separator: "\n")
            let words = lines[0].split(separator: " ")
            let isRequest = words[2] == "Request"
            let kinds = isRequest ? MessageKind.requests : MessageKind.responses
            let name = String(words[1])
            guard
                let kind = kinds.first(where: { $0.key.name == name }),
                let version = Int16(words[3]),
                let bytes = try? ByteBuffer(plainHexEncodedBytes: lines[1...].joined())
            else { preconditionFailure("not a frame: \(lines[0])") }
            frames.append(
                GoldenFrame(
                    source: String(words[0]), kind: kind, isRequest: isRequest, version: version,
                    bytes: bytes))
        }
        return frames
    }

    static let fromClients = fromClients1 + fromClients2 + fromClients3 + fromClients4
    static let encodedRequests = encodedRequests1 + encodedRequests2 + encodedRequests3
    static let encodedResponses = encodedResponses1 + encodedResponses2 + encodedResponses3
}
