import ArgumentParser
import Foundation
import Simulation

/// Runs whole meshes whose brokers lack one rule, until a checker notices.
///
/// A program of its own, of which no package is made: what is shipped can't switch a rule off.
@main
struct Mutants: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossamer-mutants",
        abstract: "Run whole meshes without one rule; a line of JSON for each seed.",
        discussion: """
            One rule is switched off in every broker of a simulated mesh, and seeds are run one \
            after the other until a promise is broken. `scripts/mutations` runs this for all \
            rules and writes the table.

            EXAMPLES:
              gossamer-mutants --list
              gossamer-mutants --rule replication.epochFencing --from 1 --limit 50
              gossamer-mutants --rule node.bootsRecorded --from 7 --limit 1 --trace
              gossamer-mutants --plan wipes --from 1 --limit 50   # with every rule
            """)

    @Flag(help: "Print the rules, a line of JSON for each.")
    var list = false

    @Option(help: "The rule to switch off, as --list names it. None: every rule is on.")
    var rule: String?

    @Flag(help: "Switch off the rule that covers it as well, where --list names one.")
    var uncovered = false

    @Option(help: "How the meshes are run: \(Self.plans). Default: as the rule's row says.")
    var plan: String?

    @Option(help: "The first seed.")
    var from: UInt64 = 1

    @Option(help: "How many seeds are run at most.")
    var limit: UInt64 = 100

    @Flag(help: "Go on after a violation.")
    var all = false

    @Flag(help: "Print what happened, with the time in milliseconds.")
    var trace = false

    private static let plans = MeshMutation.Plan.allCases.map(\.rawValue).joined(separator: ", ")

    private struct Row: Encodable {
        let rule: String
        let bug: String
        let plan: String
        let cover: String?
        let why: String?
    }

    private struct Run: Encodable {
        let rule: String
        let plan: String
        let seed: UInt64
        let violation: String?
        let acknowledged: Int
        let traceHash: String
    }

    func validate() throws {
        guard plan == nil || MeshMutation.Plan(rawValue: plan ?? "") != nil else {
            throw ValidationError("--plan \(plan ?? ""): expected one of \(Self.plans)")
        }
        guard rule == nil || mutation != nil else {
            throw ValidationError("--rule \(rule ?? ""): expected one that --list names")
        }
        guard !uncovered || mutation?.cover != nil else {
            throw ValidationError("--uncovered: expected a --rule for which --list names a cover")
        }
    }

    private var mutation: MeshMutation? { MeshMutation.all.first { $0.name == rule } }

    func run() throws {
        let wanted = plan.flatMap { MeshMutation.Plan(rawValue: $0) }
        if list {
            for mutation in MeshMutation.all {
                try tell(
                    Row(
                        rule: mutation.name, bug: mutation.bug, plan: mutation.plan.rawValue,
                        cover: mutation.cover?.name, why: mutation.cover?.why))
            }
            return
        }
        for seed in from..<from + limit {
            let plan = wanted ?? mutation?.plan ?? .any
            let verdict: MeshVerdict
            if let mutation {
                let run = mutation.run(
                    seed: seed, plan: plan, uncovered: uncovered, traced: trace)
                for line in run.trace { print(line) }
                verdict = run.verdict
            } else {
                verdict = MeshMutation.clean(plan, seed: seed)
            }
            try tell(
                Run(
                    rule: rule ?? "none", plan: plan.rawValue, seed: seed,
                    violation: verdict.violation, acknowledged: verdict.counts.acknowledged,
                    traceHash: String(verdict.hash, radix: 16)))
            if verdict.violation != nil, !all { return }
        }
    }

    private func tell(_ row: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(row), as: UTF8.self))
        _ = fflush(nil)
    }
}
