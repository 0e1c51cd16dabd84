import Model

@testable import Paxos

/// What a random schedule with changing voters is made of; the seed decides the rest.
struct VoterPlan: Sendable {
    /// The voters to begin with, by their slots, and the sets that follow each other.
    var voters = [0]
    var changes = [[0, 1, 2], [0, 1, 2, 3, 4], [2, 3, 4]]
    var slots = 5
    var keys = 2
    var proposers = 3
    var operations = 20
    /// Percentages.
    var loss = 6
    var duplication = 8
    var stuck = 6
    var slowSyncs = 10
    var reads = 30
    var conditional = 10
    var deletes = 0
    /// How often a broker hears of a chosen roster by itself.
    var gossip = 30
    /// How often a change that is under way is taken back instead of finished.
    var rollBacks = 8
    /// How often an accept is held, and for how long at most.
    var holds = 0
    var holdLength = 60
    /// Voters that are cut off for a while.
    var cuts = 3
    var acceptorCrashes = 4
    var proposerCrashes = 2
    /// Disks that come back empty under another store id.
    var wipes = 0
    var sweeps = false
    /// Tombstones go after a while wherever they lie, without asking anybody.
    var sweepsByTime = false
    /// Operations start within this time.
    var length: Int64 = 1200
    var roundTimeout: Int64 = 50
    var rules = RegisterRules()

    func without(_ rule: WritableKeyPath<RegisterRules, Bool>) -> VoterPlan {
        var plan = self
        plan.rules[keyPath: rule] = false
        return plan
    }

    /// From one voter to three, five, and another three.
    static let growth = VoterPlan()

    /// Three, one of whom is exchanged again and again for one who was there before.
    static let rotation: VoterPlan = {
        var plan = VoterPlan()
        plan.voters = [0, 1, 2]
        plan.changes = [[1, 2, 3], [2, 3, 0], [3, 0, 1], [0, 1, 2]]
        plan.slots = 4
        return plan
    }()

    /// Deletes, sweeps, and messages from before that come after, while voters come and go.
    static let deletions: VoterPlan = {
        var plan = VoterPlan()
        plan.voters = [0, 1, 2]
        plan.changes = [[1, 2, 3], [0, 1, 2]]
        plan.slots = 4
        plan.keys = 1
        plan.operations = 24
        plan.deletes = 35
        plan.sweeps = true
        plan.stuck = 15
        plan.acceptorCrashes = 2
        plan.cuts = 2
        return plan
    }()

    /// Deletes, sweeps, and a majority that gives way to another.
    static let handover: VoterPlan = {
        var plan = VoterPlan.deletions
        plan.changes = [[2, 3, 4], [0, 1, 2]]
        plan.slots = 5
        plan.loss = 14
        plan.stuck = 10
        return plan
    }()

    /// The same with voters that stay.
    static let removals: VoterPlan = {
        var plan = VoterPlan.deletions
        plan.changes = []
        plan.slots = 3
        plan.stuck = 25
        plan.loss = 4
        return plan
    }()

    static let timed: VoterPlan = {
        var plan = VoterPlan.removals
        plan.sweepsByTime = true
        return plan
    }()

    /// Leases that hold accepts back, now here, now there.
    static let holds: VoterPlan = {
        var plan = VoterPlan()
        plan.voters = [0, 1, 2]
        plan.changes = [[2, 3, 4]]
        plan.holds = 35
        return plan
    }()

    /// Voters that lose their disks and are replaced by themselves.
    static let wipes: VoterPlan = {
        var plan = VoterPlan()
        plan.voters = [0, 1, 2]
        plan.changes = [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
        plan.slots = 3
        plan.wipes = 3
        plan.acceptorCrashes = 1
        return plan
    }()
}

/// What a schedule came to.
struct VoterResult: Equatable {
    let isLinearizable: Bool
    /// Whether no order explains what was told; neither where nobody can say.
    let isViolated: Bool
    /// Whether the last reads, in a healed network, were answered.
    let isLive: Bool
    let chosen: Int
    /// Roster changes that were finished, and those among them that were wanted.
    let changes: Int
    let isComplete: Bool
    /// Registers that were removed, and accepts that were held.
    let removed: Int
    let held: Int
    /// Accepts that were to be held back and were not.
    let broken: Int

    /// What went wrong, in words.
    var violation: String? {
        if isViolated { return "not linearizable" }
        if broken > 0 { return "a voter accepts what a lease has it hold back" }
        if !isLive { return "the last reads are not answered, though all is healed" }
        return isComplete ? nil : "roster changes do not end, though all is healed"
    }
}
