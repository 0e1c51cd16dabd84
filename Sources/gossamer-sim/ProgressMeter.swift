import Foundation

/// One line on standard error that is drawn again after each seed, where that is a terminal.
struct ProgressMeter {
    private let count: Int
    private let isShown: Bool

    init(of count: Int) {
        self.count = count
        isShown = count > 1 && isatty(STDERR_FILENO) == 1
    }

    /// Back to the line's start, and nothing on it (ECMA-48: EL).
    func erase() { write("\r\u{1B}[K") }

    func show(_ tally: MeshTally) {
        let pace = tally.secondsPerSeed > 0 ? 1 / tally.secondsPerSeed : 0
        let left = FigureReport.text(Double(count - tally.seeds) * tally.secondsPerSeed / 60, 0)
        write(
            "\(tally.seeds) of \(count) seeds, \(tally.broken.count) violations, "
                + "\(tally.thin) thin, \(FigureReport.text(pace, 2)) seeds per second, "
                + "\(left) min left")
    }

    private func write(_ text: String) {
        guard isShown else { return }
        FileHandle.standardError.write(Data(text.utf8))
    }
}
