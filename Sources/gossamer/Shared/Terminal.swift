import ArgumentParser
import Foundation

/// Standard output and standard error as this program uses them: whole lines, unbuffered, no colour
/// unless a person is watching.
enum Terminal {
    /// Writes a line to standard output.
    static func print(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

    /// Writes a line to standard error.
    static func complain(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

    /// Writes bytes to standard output as they are.
    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// Writes a value as JSON with sorted keys.
    static func printJSON(_ value: some Encodable) throws {
        print(try JSONText.pretty(value))
    }

    /// Whether colour is welcome: a terminal, and the user did not say otherwise (no-color.org).
    static var hasColor: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
            && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Whether a person looks at standard output, in a terminal that can erase its screen.
    static var isScreen: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Whether standard output is a pipe whose reader has gone.
    static var isUnread: Bool {
        var state = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        return unsafe poll(&state, 1, 0) > 0 && state.revents & Int16(POLLERR) != 0
    }

    static func exit(_ code: ExitCode) -> Never { Foundation.exit(code.rawValue) }

    private static func write(_ text: String, to descriptor: Int32) {
        write(Array(text.utf8), to: descriptor)
    }

    /// Repeats a short write; ends the process as a filter should when its reader has gone.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var sent = 0
        while sent < bytes.count {
            let written = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Foundation.write(
                    descriptor, buffer.baseAddress! + sent, buffer.count - sent)
            }
            if written > 0 {
                sent += written
            } else if errno == EPIPE {
                Foundation.exit(0)
            } else if errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                unsafe poll(&waiting, 1, 1_000)
            } else if errno != EINTR {
                return
            }
        }
    }
}

/// JSON as every `-o json` prints it: sorted keys, so that two runs can be compared as text.
enum JSONText {
    static func pretty(_ value: some Encodable) throws -> String {
        try text(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    }

    static func line(_ value: some Encodable) throws -> String {
        try text(value, [.sortedKeys, .withoutEscapingSlashes])
    }

    private static func text(
        _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
    ) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
