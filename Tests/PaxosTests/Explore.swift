import Model
import Testing

@testable import Paxos

@Suite struct Explore {
    static var all: [(String, WritableKeyPath<SafetyRules, Bool>, SearchPlan)] {
        var delete = SearchPlan.usual
        delete.deletes = 25
        delete.collects = true
        delete.operations = 7
        delete.stuck = 15
        var wipes = SearchPlan.usual
        wipes.wipes = true
        wipes.acceptorCrashes = 0
        var roster = SearchPlan.usual
        roster.newRoster = true
        roster.acceptorCrashes = 0
        var boots = SearchPlan.usual
        boots.reads = 0
        boots.conditional = 0
        boots.proposerCrashes = 6
        boots.proposers = 2
        boots.sameSeeds = true
        let usual = SearchPlan.usual
        return [
            ("promiseOutlivesAccept", \.promiseOutlivesAccept, usual),
            ("acceptRaisesPromise", \.acceptRaisesPromise, usual),
            ("persistBeforeReply", \.persistBeforeReply, usual),
            ("readsWaitForPersist", \.readsWaitForPersist, usual),
            ("storeChecked", \.storeChecked, wipes),
            ("generationChecked", \.generationChecked, roster),
            ("floorChecked", \.floorChecked, delete),
            ("removalChecksPromise", \.removalChecksPromise, delete),
            ("highestAcceptedWins", \.highestAcceptedWins, usual),
            ("chosenNeedsQuorum", \.chosenNeedsQuorum, usual),
            ("bootInBallot", \.bootInBallot, boots),
            ("operationsRemembered", \.operationsRemembered, usual),
            ("historyChecked", \.historyChecked, delete),
            ("ambiguitySettled", \.ambiguitySettled, usual),
            ("readsAgree", \.readsAgree, usual),
        ]
    }

    @Test func explore() {
        let count: UInt64 = 1500
        for (name, rule, plan) in Self.all {
            var off: [UInt64] = []
            var on: [UInt64] = []
            var live = 0
            for seed in 0..<count {
                if !SearchMesh.run(plan.without(rule), seed: seed).isLinearizable { off.append(seed) }
                if plan.deletes + plan.proposerCrashes > 1 || plan.wipes || plan.newRoster {
                    let result = SearchMesh.run(plan, seed: seed)
                    if !result.isLinearizable { on.append(seed) }
                    if result.isLive { live += 1 }
                }
            }
            print(name, "off", off.count, off.prefix(3), "on", on.prefix(5), "live", live)
        }
    }
}
