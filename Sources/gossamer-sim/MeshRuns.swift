import ArgumentParser
import Foundation
import Simulation

/// `gossamer-sim mesh`: whole meshes with faults and clients, one seed after the other.
///
/// One thread, one seed at a time: two processes with half of the seeds each use two cores.
struct MeshRuns: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Run whole meshes with faults and clients; exit 1 where a promise was broken.",
        discussion: """
            The control planes, shards, logs and voters are those that brokers run; clock, \
            network, disks and clients are simulated. A seed decides everything: how many \
            brokers, what goes wrong and when. First faults come and go, then all is well, and \
            the mesh has to become whole, answer every client and hold all that it \
            acknowledged. The same seed gives the same run and the same trace hash.

            A run with \(MeshTally.thinBounds) is thin: it proves little and is counted apart. \
            Exit code 1 where a promise was broken, or where more than half of \
            \(MeshTally.judgedSeeds) seeds or more are thin; 0 otherwise.

            A violation is explained on a page: which promise, what went wrong and when, who led, \
            and where the record was. --minimize leaves out faults, partitions and brokers as \
            long as the same promise breaks, and writes what is left as a schedule: a file that \
            --replay runs again, and that may be edited.

            Ctrl-C ends after the seed under way, with the summary of those that ran; a second one \
            ends at once.

            EXAMPLES:
              gossamer-sim --seed 42                      # one run, and its trace hash
              gossamer-sim --seed 42 --trace              # what happened, with milliseconds
              gossamer-sim --seed 42 --minimize           # writes seed-42.json
              gossamer-sim --replay seed-42.json
              gossamer-sim --seeds 1..1000
              gossamer-sim --seeds 1..20000 --out runs    # goes on where it was interrupted
              gossamer-sim --seeds 1..100 -o json | jq 'select(.verdict == "violation")'
            """)

    /// How each run is told.
    enum Form: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(help: "The one seed to run.")
    var seed: UInt64?

    @Option(help: "The seeds to run, as in 1..1000 or 1..7,9,20..30. Without it and --seed: 1..10.")
    var seeds: String?

    @Flag(help: "Print what happened, with the time in milliseconds.")
    var trace = false

    @Flag(help: "Shrink the schedule of a seed, or of --replay, that breaks a promise.")
    var minimize = false

    @Option(
        help: ArgumentHelp(
            "Write the run's schedule to this file. With --minimize the smallest one: by default "
                + "to seed-N.json.", valueName: "file"))
    var schedule: String?

    @Option(help: ArgumentHelp("Run the schedule in this file.", valueName: "file"))
    var replay: String?

    @Option(help: ArgumentHelp("How many runs --minimize may take.", valueName: "runs"))
    var attempts = 400

    @Option(
        name: [.customShort("o"), .customLong("output")],
        help: "text, or json: a line for each seed, and the summary on standard error.")
    var form = Form.text

    @Option(
        help: ArgumentHelp(
            "Append each run to this file, a line of JSON for each; seeds that are in it are not "
                + "run again. Begin another file when the program has changed.",
            valueName: "file"))
    var out: String?

    func validate() throws {
        if seed != nil, seeds != nil {
            throw ValidationError("--seed and --seeds: expected one of them")
        }
        if replay != nil, seed != nil || seeds != nil || out != nil {
            throw ValidationError(
                "--replay: expected neither --seed, --seeds nor --out beside it, the file has all")
        }
        if minimize || schedule != nil, seed == nil, replay == nil {
            throw ValidationError(
                "--minimize and --schedule are for one run: expected --seed or --replay")
        }
        if minimize, out != nil || trace {
            throw ValidationError("--minimize: expected neither --out nor --trace beside it")
        }
        if attempts < 1 { throw ValidationError("--attempts \(attempts): expected 1 or more") }
        if trace, form == .json {
            throw ValidationError("--trace is text: expected no -o json beside it")
        }
        _ = try ranges()
    }

    /// In the order in which they were given.
    private func ranges() throws -> [ClosedRange<UInt64>] {
        if let seed { return [seed...seed] }
        let text = seeds ?? "1..10"
        return try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            let ends = part.firstRange(of: "..").map { dots in
                (UInt64(part[..<dots.lowerBound]), UInt64(part[dots.upperBound...]))
            }
            let (first, last) = ends ?? (UInt64(part), UInt64(part))
            guard let first, let last, first <= last, last < .max else {
                throw ValidationError(
                    "--seeds \(text): expected A..B with A not above B, or several of them as in "
                        + "1..7,9,20..30")
            }
            return first...last
        }
    }

    func run() throws {
        if let replay { return try ScheduledRun(self, from: replay).run() }
        if let seed, minimize || schedule != nil { return try ScheduledRun(self, seed).run() }
        let ranges = try ranges()
        let file = try out.map { path in try RunFile(path: path) }
        let stop = StopRequest()
        var tally = MeshTally()
        let meter = ProgressMeter(of: ranges.reduce(0) { $0 + $1.count })
        for seed in ranges.joined() where !stop.isSet {
            if let earlier = file?.runs[seed] {
                tally.add(earlier, isEarlier: true)
                if self.seed != nil { try tell(earlier) }
                continue
            }
            let world = MeshWorld(seed: seed, traced: trace)
            let verdict = world.run()
            let run = MeshRun(verdict)
            meter.erase()
            for line in world.trace ?? [] { print(line) }
            tally.add(run, isEarlier: false)
            try file?.append(run)
            try tell(run)
            if form == .text, !trace { explain(verdict) }
            meter.show(tally)
        }
        meter.erase()
        if seed == nil { conclude(tally, isInterrupted: stop.isSet) }
        if tally.hasFailed { throw ExitCode(1) }
    }

    /// The page about a violation.
    func explain(_ verdict: MeshVerdict) {
        guard verdict.failure != nil else { return }
        let page = MeshExplanation(of: verdict)
        print("\n\(page.text)\n")
        if !page.isSame {
            print("The run that was made for this page took another way: report that as a defect.")
        }
        print(
            "AGAIN    gossamer-sim --seed \(verdict.seed) --trace\n"
                + "SMALLER  gossamer-sim --seed \(verdict.seed) --minimize\n")
    }

    func tell(_ run: MeshRun) throws {
        switch form {
        case .text: print(run.text + "\ntrace hash: \(run.traceHash)")
        case .json: print(try run.line())
        }
        // Whoever reads a pipe sees each seed when it has ended.
        _ = fflush(nil)
    }

    /// The summary of several seeds, and one number for all that they did.
    private func conclude(_ tally: MeshTally, isInterrupted: Bool) {
        var lines = isInterrupted ? ["interrupted"] : []
        lines += tally.summary
        lines.append("trace hash: \(tally.traceHash)")
        let text = lines.joined(separator: "\n") + "\n"
        switch form {
        case .text: print(text, terminator: "")
        case .json: FileHandle.standardError.write(Data(text.utf8))
        }
    }
}
