import Foundation
import Simulation
import Testing

@testable import Gossip

/// A rule of gossip, and the schedules that miss it.
struct GossipMutation: Sendable, CustomTestStringConvertible {
    typealias Rule = WritableKeyPath<GossipRules, Bool> & Sendable

    let name: String
    let rule: any Rule
    let plan: GossipPlan

    init(_ name: String, _ rule: any Rule, _ faults: GossipPlan.Fault...) {
        self.name = name
        self.rule = rule
        plan = GossipPlan(faults: faults)
    }

    var testDescription: String { name }

    static let all: [GossipMutation] = [
        GossipMutation("refutation", \.refutation, .pause),
        GossipMutation("refutesStaleAlive", \.refutesStaleAlive, .forgotten),
        GossipMutation("indirectProbes", \.indirectProbes, .brokenPath),
        GossipMutation("ignoresSelfAccusation", \.ignoresSelfAccusation, .selfAccusation),
        GossipMutation("countsAccusersOnce", \.countsAccusersOnce, .slander),
        GossipMutation("remoteDeadIsSuspect", \.remoteDeadIsSuspect, .wrongMemory),
        GossipMutation("ordersBoots", \.ordersBoots, .echo),
        GossipMutation("ordersByBallot", \.ordersByBallot, .values, .crash),
        GossipMutation("dropsOldTombstones", \.dropsOldTombstones, .values),
        GossipMutation("checksSignatures", \.checksSignatures, .forgery),
        GossipMutation("antiEntropy", \.antiEntropy, .lostRumours),
        GossipMutation("contactsDead", \.contactsDead, .split, .wholeRestart),
        GossipMutation("contactsSeeds", \.contactsSeeds, .orphan),
        GossipMutation("selfIsolation", \.selfIsolation, .cutOff),
        GossipMutation("restartsSuspicions", \.restartsSuspicions, .cutOff),
        GossipMutation("doubtsDeaths", \.doubtsDeaths, .verdict),
        GossipMutation("distrustsLateTimers", \.distrustsLateTimers, .pause),
    ]
}

@Suite struct GossipSearchTests {
    /// `SEEDS=0..2000` runs as many; the usual run is short.
    private static let seeds: Range<UInt64> = {
        let words = ProcessInfo.processInfo.environment["SEEDS"]?.split(separator: ".") ?? []
        let bounds = words.compactMap { UInt64($0) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return 0..<3 }
        return bounds[0]..<bounds[1]
    }()

    @Test("Whatever goes wrong, nothing is broken", arguments: GossipMutation.all)
    func everythingHolds(mutation: GossipMutation) {
        for seed in Self.seeds {
            let violation = SearchMesh.run(mutation.plan, seed: seed)
            #expect(violation == nil, "\(mutation.name), seed \(seed): \(violation ?? "")")
        }
    }

    @Test("Every rule has a schedule that misses it", arguments: GossipMutation.all)
    func everyRuleIsNeeded(mutation: GossipMutation) {
        let plan = mutation.plan.without(mutation.rule)
        #expect((0..<20 as Range<UInt64>).contains { SearchMesh.run(plan, seed: $0) != nil })
    }
}

/// How many searches are made for each rule; none but where the test run asks for them.
enum MutationRuns {
    static let searches =
        ProcessInfo.processInfo.environment["MUTATION_RUNS"].flatMap { UInt64($0) } ?? 0
}

/// What `scripts/mutations` makes the table of: for each rule some searches from other seeds, a
/// line of JSON for each.
@Suite(.enabled(if: MutationRuns.searches > 0)) struct MutationTable {
    private static let limit: UInt64 = 1_000

    @Test(arguments: GossipMutation.all)
    func gossip(mutation: GossipMutation) {
        let plan = mutation.plan.without(mutation.rule)
        for number in 0..<MutationRuns.searches {
            let from = number * 100_000
            let found = (from..<from + Self.limit).first { SearchMesh.run(plan, seed: $0) != nil }
            let what = found.flatMap { SearchMesh.run(plan, seed: $0) } ?? ""
            let end = found.map {
                #","seeds":\#($0 - from + 1),"seed":\#($0),"violation":"\#(what)""#
            }
            print(
                #"{"rule":"gossip.\#(mutation.name)","search":"gossip","from":\#(from),"#
                    + #""tried":\#(found.map { $0 - from + 1 } ?? Self.limit)\#(end ?? "")}"#)
        }
    }
}
