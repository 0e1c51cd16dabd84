import ArgumentParser
import Simulation

/// `gossamer-sim mesh`: whole meshes with faults and clients, one seed after the other.
struct MeshRuns: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mesh",
        abstract: "Run whole meshes with faults and clients; exit 1 where a promise was broken.",
        discussion: """
            EXAMPLES:
              gossamer-sim mesh --seed 42
              gossamer-sim mesh --seeds 1..1000
              gossamer-sim mesh --seed 42 --trace
            """)

    @Option(help: "The one seed to run.")
    var seed: UInt64?

    @Option(help: "The seeds to run, as in 1..1000.")
    var seeds: String?

    @Flag(help: "Print what happened, with the time in milliseconds.")
    var trace = false

    private func range() throws -> ClosedRange<UInt64> {
        if let seed { return seed...seed }
        let ends = (seeds ?? "1..10").split(separator: ".", omittingEmptySubsequences: true)
        guard ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]),
            first <= last
        else {
            throw ValidationError("--seeds \(seeds ?? ""): expected A..B, for example 1..1000")
        }
        return first...last
    }

    func run() throws {
        var failed = 0
        for seed in try range() {
            let world = MeshWorld(seed: seed, traced: trace)
            let verdict = world.run()
            for line in world.trace ?? [] { print(line) }
            let counts = verdict.counts
            let kinds = counts.kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            print(
                "seed \(seed): \(verdict.violation ?? "clean"); \(world.options.brokers) brokers, "
                    + "\(verdict.milliseconds) ms, \(counts.events) events, "
                    + "\(counts.faults) faults (\(kinds.joined(separator: ", "))), "
                    + "\(counts.elections) leaderships, \(counts.acknowledged) acknowledged, "
                    + "\(counts.consumed) consumed, \(counts.commits) commits, "
                    + "\(counts.retries) retries, \(counts.epochBumps) epoch bumps")
            print("trace hash: \(String(verdict.hash, radix: 16))")
            if verdict.violation != nil { failed += 1 }
        }
        if failed > 0 { throw ExitCode(1) }
    }
}
