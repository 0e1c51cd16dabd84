import Model
import Testing

@testable import Paxos

/// A rule of roster changes, removals or leases, and the schedules that miss it.
struct VoterMutation: Sendable, CustomTestStringConvertible {
    typealias Rule = WritableKeyPath<RegisterRules, Bool> & Sendable

    let name: String
    let rule: any Rule
    let plan: VoterPlan
    /// Where the usual run begins to search, and how many seeds it tries: near one that is known
    /// to miss the rule, so that the run is short. Whoever changes the mesh measures it anew.
    let from: UInt64
    let seeds: UInt64

    init(
        _ name: String, _ rule: any Rule, _ plan: VoterPlan, from: UInt64 = 0, seeds: UInt64 = 200
    ) {
        self.name = name
        self.rule = rule
        self.plan = plan
        self.from = from
        self.seeds = seeds
    }

    var testDescription: String { name }

    static let all: [VoterMutation] = [
        VoterMutation("registersRepaired", \.registersRepaired, .growth),
        VoterMutation("generationChecked", \.generationChecked, .growth),
        VoterMutation("oldVotersSealed", \.oldVotersSealed, .growth, from: 650),
        VoterMutation("jointInBothPhases", \.jointInBothPhases, .growth, from: 330),
        VoterMutation("storesCounted", \.storesCounted, .wipes, from: 150),
        VoterMutation("rejoinersForget", \.rejoinersForget, .deletions),
        VoterMutation("floorChecked", \.floorChecked, .removals, from: 340),
        VoterMutation("floorChecked, by time", \.floorChecked, .timed),
        VoterMutation("heldMayBeAccepted", \.heldMayBeAccepted, .holds),
        VoterMutation("storeChecked", \.storeChecked, .wipes),
        VoterMutation("holdsHeeded", \.holdsHeeded, .holds),
    ]

    /// Rules that no search has missed so far, though fixed schedules do: the table says so.
    static let unseen: [VoterMutation] = [
        VoterMutation("promisesRepaired", \.promisesRepaired, .handover),
        VoterMutation("givenIsNotChosen", \.givenIsNotChosen, .handover),
        VoterMutation("floorInherited", \.floorInherited, .handover),
    ]
}

/// Every rule has a schedule that misses it.
@Suite struct VoterMutationTests {
    @Test("Section 15: every rule has a schedule that misses it", arguments: VoterMutation.all)
    func everyRuleIsNeeded(mutation: VoterMutation) {
        let plan = mutation.plan.without(mutation.rule)
        let seeds = mutation.from..<mutation.from + mutation.seeds
        let found = seeds.first { VoterMesh.run(plan, seed: $0).violation != nil }
        #expect(found != nil)
        if let found {
            print("\(mutation.name): missed by seed \(found) of those from \(mutation.from)")
            #expect(VoterMesh.run(mutation.plan, seed: found).violation == nil)
        }
    }

    /// How many of so many seeds miss each rule, and the gaps between them: the table.
    @Test(.enabled(if: VoterSearch.isLong))
    func table() {
        for mutation in VoterMutation.all {
            let plan = mutation.plan.without(mutation.rule)
            let missed = VoterSearch.seeds.filter { VoterMesh.run(plan, seed: $0).violation != nil }
            var gaps: [UInt64] = []
            var last = VoterSearch.seeds.lowerBound
            for seed in missed {
                gaps.append(seed - last + 1)
                last = seed + 1
            }
            gaps.sort()
            let median = gaps.isEmpty ? "none" : "\(gaps[gaps.count / 2])"
            let first = missed.first.map { "\($0)" } ?? "none"
            print(
                "| \(mutation.name) | \(missed.count) of \(VoterSearch.seeds.count) "
                    + "| first \(first) | median seeds to kill \(median) |")
        }
    }
}
