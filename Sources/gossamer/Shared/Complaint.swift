import ArgumentParser
import Client

/// The command line or the configuration is wrong; nothing was done. Exit code 2.
struct UsageError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A value is not what its place takes; says what was expected and leaves the naming of the
/// place (flag, variable, line of a file) to whoever knows it.
struct Expectation: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ expected: String) { description = "expected \(expected)" }
}

/// The command was understood and could not be done. Exit code 1.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The command was done, and what it looked at is not well. Exit code 10.
struct Unhealthy: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension ExitCode {
    /// The command line or the configuration was refused.
    static let usage = ExitCode(2)
    /// What was inspected is not well.
    static let unhealthy = ExitCode(10)
}

/// What is printed and returned for an error, decided in one place and testable without a process.
struct Complaint: Equatable {
    var text: String
    var code: ExitCode
    /// Help and version texts come through the same door and belong on standard output.
    var isAnswer = false

    init(_ error: any Error) {
        switch error {
        case let error as UsageError:
            self.init(text: "error: \(error)", code: .usage)
        case let error as CommandFailure:
            self.init(text: "error: \(error)", code: .failure)
        case let error as ClientError:
            self.init(text: "error: \(error.complaint)", code: .failure)
        case let error as Unhealthy:
            self.init(text: "unhealthy: \(error)", code: .unhealthy)
        case let error as ExitCode:
            self.init(text: "", code: error)
        default:
            self.init(parsing: error)
        }
    }

    private init(text: String, code: ExitCode, isAnswer: Bool = false) {
        self.text = text
        self.code = code
        self.isAnswer = isAnswer
    }

    private init(parsing error: any Error) {
        let code = Gossamer.exitCode(for: error)
        guard code != .success else {
            self.init(text: Gossamer.fullMessage(for: error), code: .success, isAnswer: true)
            return
        }
        let message = Gossamer.message(for: error)
        guard code == .validationFailure else {
            let text = message.isEmpty ? String(describing: error) : message
            self.init(text: "error: \(text)", code: .failure)
            return
        }
        let full = Gossamer.fullMessage(for: error)
        let usage = full.split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("Usage:") && !$0.hasPrefix("OVERVIEW:") }
            .joined(separator: "\n")
        self.init(text: "error: \(Self.plain(message))\n\(usage)", code: .usage)
    }

    /// Rewrites "The value 'V' is invalid for '--flag <f>': REASON" as "--flag V: REASON".
    static func plain(_ message: String) -> String {
        let opening = "The value '"
        let middle = "' is invalid for '"
        guard message.hasPrefix(opening), let split = message.firstRange(of: middle) else {
            return message
        }
        let value = message[
            message.index(message.startIndex, offsetBy: opening.count)..<split.lowerBound]
        let rest = message[split.upperBound...]
        guard let quote = rest.firstIndex(of: "'") else { return message }
        let name = rest[..<quote].split(separator: " ").first ?? rest[..<quote]
        var reason = rest[rest.index(after: quote)...]
        if reason.hasPrefix(": ") { reason = reason.dropFirst(2) }
        if reason.hasPrefix(" ") { reason = reason.dropFirst(1) }
        return reason.isEmpty
            ? "\(name) \(value): not a value that it takes" : "\(name) \(value): \(reason)"
    }

    /// Prints it where it belongs.
    func report() -> ExitCode {
        if isAnswer {
            Terminal.print(text)
        } else if !text.isEmpty {
            Terminal.complain(text)
        }
        return code
    }
}
