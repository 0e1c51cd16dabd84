import Foundation
import UnixSignals

/// How a view that runs on and on comes to its end: Ctrl-C, or a reader that has gone.
enum Interruption {
    /// Set by the first signal; the second one ends the process where it is.
    static func flag() async -> StopFlag {
        _ = signal(SIGPIPE, SIG_IGN)
        let stop = StopFlag()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        Task {
            for await _ in signals {
                if stop.isSet { _exit(130) }
                stop.set()
            }
        }
        return stop
    }

    /// Waits, but not on after a signal; a pipe that nobody reads any more sets the flag too.
    static func pause(milliseconds: Int, _ stop: StopFlag) async throws {
        var left = milliseconds
        while left > 0, !stop.isSet {
            let slice = min(left, 50)
            try await Task.sleep(for: .milliseconds(slice))
            left -= slice
            if Terminal.isUnread { stop.set() }
        }
    }
}

/// A view that is drawn again and again: in place on a terminal, one below the other elsewhere.
enum LiveView {
    /// Erases the screen and starts at its top (ECMA-48: CUP, ED).
    private static let erasure = "\u{1B}[H\u{1B}[2J"

    /// Draws what `render` makes until it is interrupted.
    static func run(
        everyMilliseconds interval: Int, render: () async throws -> String
    ) async throws {
        let stop = await Interruption.flag()
        while !stop.isSet {
            let text = try await render()
            Terminal.print((Terminal.isScreen ? erasure : "") + text)
            if !Terminal.isScreen { Terminal.print("") }
            try await Interruption.pause(milliseconds: interval, stop)
        }
    }
}

/// Asks before something is done that can't be taken back.
enum Confirmation {
    /// Passes where `isGiven`, and where nobody sits at a terminal to be asked.
    static func ask(_ consequence: String, isGiven: Bool) throws {
        guard !isGiven, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return }
        Terminal.complain(consequence)
        Terminal.complain("Go on? [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        guard answer == "y" || answer == "yes" else { throw CommandFailure("nothing was done") }
    }
}
