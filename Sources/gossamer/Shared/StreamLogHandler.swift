import Foundation
import Logging

/// How a log line looks: for people, or one JSON object a line for collectors.
enum LogFormat: String, CaseIterable, Sendable {
    case text
    case json
}

/// Writes each log event as one line on standard error with a single `write`.
///
/// A line is one system call, so lines of several threads never mix and none is lost in a buffer
/// when the process dies. Metadata keys are sorted: the same event is the same text.
struct StreamLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let format: LogFormat
    private let write: @Sendable (String) -> Void
    private let clock: @Sendable () -> Int64

    init(
        level: Logger.Level, format: LogFormat,
        clock: @escaping @Sendable () -> Int64 = { WallClock.milliseconds() },
        write: @escaping @Sendable (String) -> Void = { Terminal.complain($0) }
    ) {
        self.logLevel = level
        self.format = format
        self.clock = clock
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let more = event.metadata { fields.merge(more) { $1 } }
        if let error = event.error { fields["error"] = "\(error)" }
        let time = WallClock.text(milliseconds: clock())
        let pairs = fields.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
        switch format {
        case .text: write(Self.text(time, event, pairs))
        case .json: write(Self.json(time, event, pairs))
        }
    }

    private static func text(
        _ time: String, _ event: LogEvent, _ pairs: [(String, String)]
    ) -> String {
        var line = "\(time) \(event.level.rawValue) \(escaped(event.message.description))"
        for (key, value) in pairs {
            let plain =
                !value.isEmpty
                && value.unicodeScalars.allSatisfy {
                    $0.value > 0x20 && $0.value != 0x7F && $0 != "\"" && $0 != "="
                }
            line += plain ? " \(key)=\(value)" : " \(key)=\(quoted(value))"
        }
        return line
    }

    private static func json(
        _ time: String, _ event: LogEvent, _ pairs: [(String, String)]
    ) -> String {
        var line = "{\"time\":\(quoted(time)),\"level\":\(quoted(event.level.rawValue))"
        line += ",\"message\":\(quoted(event.message.description))"
        for (key, value) in pairs { line += ",\(quoted(key)):\(quoted(value))" }
        return line + "}"
    }

    /// A JSON string, also used for text values with blanks: no value can forge a second line.
    static func quoted(_ text: String) -> String { "\"\(escaped(text, quotes: true))\"" }

    private static func escaped(_ text: String, quotes: Bool = false) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let hex = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }
}
