import Model
import Testing

@testable import Paxos

/// Random schedules: with all rules on none violates, with any one off some do.
@Suite struct SearchTests {
    @Test(arguments: [1, 3, 5])
    func registersAreLinearizable(voters: Int) {
        var plan = SearchPlan.usual
        plan.voters = voters
        var live = 0
        var chosen = 0
        let clock = ContinuousClock()
        let start = clock.now
        for seed in 0..<500 as Range<UInt64> {
            let result = SearchMesh.run(plan, seed: seed)
            #expect(result.isLinearizable, "seed \(seed)")
            live += result.isLive ? 1 : 0
            chosen += result.chosen
        }
        print("voters \(voters) live \(live) chosen \(chosen) took \(clock.now - start)")
        #expect(live == 500)
    }
}
