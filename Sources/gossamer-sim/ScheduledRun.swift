import ArgumentParser
import Foundation
import Simulation

/// One run of a schedule: drawn by a seed or read from a file, kept in a file, or shrunk.
struct ScheduledRun {
    private let options: MeshRuns
    private let file: ScheduleFile?
    private let seed: UInt64

    init(_ options: MeshRuns, from path: String) throws {
        self.options = options
        let file = try ScheduleFile(path: path)
        self.file = file
        seed = file.schedule.seed
    }

    init(_ options: MeshRuns, _ seed: UInt64) {
        self.options = options
        file = nil
        self.seed = seed
    }

    func run() throws {
        let world = MeshWorld(seed: seed, schedule: file?.schedule, traced: options.trace)
        let verdict = world.run()
        for line in world.trace ?? [] { print(line) }
        try options.tell(MeshRun(verdict))
        if let recorded = file?.traceHash, options.form == .text {
            let isSame = recorded == String(verdict.hash, radix: 16)
            print(
                isSame
                    ? "the trace hash is the one in the file"
                    : "the file says trace hash \(recorded): the schedule or the program has "
                        + "changed since")
        }
        let last = options.minimize ? try shrink(verdict) : verdict
        if let path = options.schedule ?? (options.minimize ? "seed-\(seed).json" : nil) {
            try ScheduleFile(last).write(to: path)
            if options.form == .text { print("written: \(path)") }
        }
        if options.form == .text, !options.trace, last.failure != nil {
            print("\n\(MeshExplanation(of: last).text)")
        }
        if last.failure != nil { throw ExitCode(1) }
    }

    private func shrink(_ verdict: MeshVerdict) throws -> MeshVerdict {
        guard let failure = verdict.failure else {
            throw ScheduleFile.Failure(
                description: "--minimize: seed \(seed) breaks no promise; expected one that does")
        }
        var minimizer = MeshMinimizer(
            verdict, promise: failure.promise, runsMaximum: options.attempts,
            report: { FileHandle.standardError.write(Data("\($0)\n".utf8)) })
        minimizer.minimize()
        let best = minimizer.best
        if options.form == .text {
            let shape = best.schedule.options
            print(
                "after \(minimizer.runs) runs: \(verdict.schedule.faults.count) faults became "
                    + "\(best.schedule.faults.count), \(shape.brokers) brokers, "
                    + "\(shape.partitions) partitions")
        }
        try options.tell(MeshRun(best))
        return best
    }
}
