import Broker
import Foundation
import NIOCore

/// Questions and answers about the mesh as JSON: one form for the admin socket, for links and for
/// `-o json`.
struct InspectionJSON: InspectionCodec {
    func question(from bytes: ByteBuffer) -> InspectionQuestion? { decode(bytes) }

    func bytes(of question: InspectionQuestion) -> ByteBuffer { encode(question) }

    func answers(from bytes: ByteBuffer) -> InspectionAnswers? { decode(bytes) }

    func bytes(of answers: InspectionAnswers) -> ByteBuffer { encode(answers) }

    /// Reads any report from text.
    static func decoded<Value: Decodable>(_ text: String) -> Value? {
        InspectionJSON().decode(ByteBuffer(string: text))
    }

    private func decode<Value: Decodable>(_ bytes: ByteBuffer) -> Value? {
        try? JSONDecoder().decode(Value.self, from: Data(bytes.readableBytesView))
    }

    /// Numbers and texts only: nothing that JSON has no form for.
    private func encode(_ value: some Encodable) -> ByteBuffer {
        ByteBuffer(bytes: (try? JSONEncoder().encode(value)) ?? Data("{}".utf8))
    }
}
