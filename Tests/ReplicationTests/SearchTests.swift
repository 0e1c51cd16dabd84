import Model
import Replication
import Testing

/// Random schedules: with all rules on none violates, with any one off some do.
@Suite struct ReplicationSearchTests {
    @Test func schedulesViolateNothing() {
        for seed in 0..<100 as Range<UInt64> {
            let result = SearchMesh.run(SearchPlan(), seed: seed)
            #expect(result.violation == nil, "seed \(seed)")
        }
    }
}
