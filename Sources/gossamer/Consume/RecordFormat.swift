import Client
import Model
import NIOCore

/// How `consume` prints a record, in the notation of kcat.
///
/// `%t` topic, `%p` partition, `%o` offset, `%k` key, `%v` or `%s` value, `%T` timestamp in
/// milliseconds, `%h` headers as `a=1,b=2`, `%K` and `%S` lengths of key and value (-1 for null),
/// `%%` a percent sign; backslash escapes as in ``Escapes``. Null is printed as nothing.
struct RecordFormat: Equatable, Sendable {
    /// A piece of a parsed format.
    enum Piece: Equatable, Sendable {
        case literal([UInt8])
        case topic, partition, offset, key, value, timestamp, headers, keyLength, valueLength
    }

    let pieces: [Piece]

    /// One value a line.
    static let standard = RecordFormat(pieces: [.value, .literal([10])])

    private init(pieces: [Piece]) { self.pieces = pieces }

    init(_ text: String) throws(UsageError) {
        var pieces: [Piece] = []
        var literal = ""
        var rest = Substring(text)
        func flush() {
            if !literal.isEmpty { pieces.append(.literal(Escapes.bytes(literal))) }
            literal = ""
        }
        while let character = rest.popFirst() {
            guard character == "%" else {
                literal.append(character)
                continue
            }
            guard let code = rest.popFirst() else {
                throw UsageError("--format '\(text)': expected a letter after the last %")
            }
            if code == "%" {
                literal.append("%")
                continue
            }
            guard let piece = Self.codes[code] else {
                throw UsageError(
                    "--format '\(text)': %\(code) is unknown; expected one of "
                        + "%t %p %o %k %v %s %T %h %K %S %%")
            }
            flush()
            pieces.append(piece)
        }
        flush()
        self.pieces = pieces
    }

    private static let codes: [Character: Piece] = [
        "t": .topic, "p": .partition, "o": .offset, "k": .key, "v": .value, "s": .value,
        "T": .timestamp, "h": .headers, "K": .keyLength, "S": .valueLength,
    ]

    /// Appends a record.
    func write(_ consumed: ConsumedRecord, into bytes: inout [UInt8]) {
        let record = consumed.record
        for piece in pieces {
            switch piece {
            case .literal(let literal): bytes += literal
            case .topic: bytes += consumed.topic.utf8
            case .partition: bytes += "\(consumed.partition)".utf8
            case .offset: bytes += "\(record.offset.rawValue)".utf8
            case .key: if let key = record.key { bytes += key.readableBytesView }
            case .value: if let value = record.value { bytes += value.readableBytesView }
            case .timestamp: bytes += "\(record.timestamp.milliseconds)".utf8
            case .keyLength: bytes += "\(record.key?.readableBytes ?? -1)".utf8
            case .valueLength: bytes += "\(record.value?.readableBytes ?? -1)".utf8
            case .headers: Self.write(record.headers, into: &bytes)
            }
        }
    }

    private static func write(_ headers: [RecordField], into bytes: inout [UInt8]) {
        for (index, header) in headers.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes += header.name.readableBytesView
            bytes.append(UInt8(ascii: "="))
            if let value = header.value { bytes += value.readableBytesView }
        }
    }
}

/// A record as one line of JSON, written by hand because a stream of millions goes through it.
enum RecordJSON {
    static func write(_ consumed: ConsumedRecord, into bytes: inout [UInt8]) {
        let record = consumed.record
        bytes += "{\"topic\":\(StreamLogHandler.quoted(consumed.topic))".utf8
        bytes += ",\"partition\":\(consumed.partition),\"offset\":\(record.offset.rawValue)".utf8
        bytes += ",\"timestamp\":\(record.timestamp.milliseconds)".utf8
        field("key", record.key, into: &bytes)
        field("value", record.value, into: &bytes)
        bytes += ",\"headers\":[".utf8
        for (index, header) in record.headers.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            let name = String(decoding: header.name.readableBytesView, as: UTF8.self)
            bytes += "{\"name\":\(StreamLogHandler.quoted(name))".utf8
            field("value", header.value, into: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += "]}\n".utf8
    }

    /// Text as text; bytes that are not UTF-8 as base64 under another name: nothing is lost.
    private static func field(_ name: String, _ value: ByteBuffer?, into bytes: inout [UInt8]) {
        guard let value else {
            bytes += ",\"\(name)\":null".utf8
            return
        }
        if let text = String(validating: value.readableBytesView, as: UTF8.self) {
            bytes += ",\"\(name)\":\(StreamLogHandler.quoted(text))".utf8
        } else {
            bytes += ",\"\(name)Base64\":\"\(Base64.text(value.readableBytesView))\"".utf8
        }
    }
}
