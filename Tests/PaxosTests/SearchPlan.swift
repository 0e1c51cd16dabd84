import Model

@testable import Paxos

/// What a random schedule is made of; the seed decides the rest.
struct SearchPlan {
    var voters = 3
    var proposers = 3
    var operations = 8
    /// Percentages.
    var loss = 10
    var duplication = 10
    var stuck = 10
    /// How many paths lose everything for a while.
    var clogged = 20
    var reads = 25
    var conditional = 15
    var deletes = 0
    /// Proposers start with counters below this.
    var counters = 1
    var slowSyncs = 10
    var acceptorCrashes = 4
    var proposerCrashes = 1
    /// Operations start within this time.
    var length: Int64 = 300
    var roundTimeout: Int64 = 40
    var wipes = false
    var newRoster = false
    var collects = false
    /// Every life of a proposer draws the same numbers: its request ids come again.
    var sameSeeds = false
    var rules = RegisterRules()

    func without(_ rule: WritableKeyPath<RegisterRules, Bool>) -> SearchPlan {
        var plan = self
        plan.rules[keyPath: rule] = false
        return plan
    }
}

/// What a schedule came to.
struct SearchResult: Equatable {
    let isLinearizable: Bool
    /// Whether the last read, in a healed network, was answered.
    let isLive: Bool
    let chosen: Int
    /// Whether a register was removed.
    let isCollected: Bool
    /// Of everything that happened, in order.
    let trace: UInt64
}
