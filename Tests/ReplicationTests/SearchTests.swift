import Model
import Replication
import Testing

/// Random schedules: with all rules on none violates, with any one off some do.
@Suite struct ReplicationSearchTests {
    static let kinds: [(String, SearchPlan)] = [
        ("usual", .usual), ("leaving", .leaving), ("synced", .synced), ("power cuts", .powerCuts),
        ("five", .five),
        ("five synced", .fiveSynced), ("rough", .rough), ("voters", .voters),
        ("slow leases", .slowLeases), ("clocks", .clocks), ("deaf", .deaf),
    ]

    @Test(arguments: kinds)
    func nothingIsLostNobodyLeadsTwiceAndAllHeals(kind: (name: String, plan: SearchPlan)) {
        var acknowledged = 0
        for seed in 0..<60 as Range<UInt64> {
            let result = SearchMesh.run(kind.plan, seed: seed)
            #expect(result.violation == nil, "seed \(seed)")
            acknowledged += result.acknowledged
        }
        #expect(acknowledged > 300, "a search in which nothing happens finds nothing")
    }

    @Test("Every rule has a schedule that misses it", arguments: ReplicationMutation.all)
    func everyRuleIsNeeded(mutation: ReplicationMutation) {
        let plan = mutation.plan.without(mutation.rule)
        let missed = SearchMesh.run(plan, seed: mutation.seed)
        #expect(missed.violation != nil)
        #expect(SearchMesh.run(mutation.plan, seed: mutation.seed).violation == nil)
    }

    @Test func theSameSeedComesToTheSame() {
        for (_, plan) in Self.kinds {
            let first = SearchMesh.run(plan, seed: 5)
            #expect(first == SearchMesh.run(plan, seed: 5))
            #expect(first.trace != SearchMesh.run(plan, seed: 6).trace)
        }
    }
}
