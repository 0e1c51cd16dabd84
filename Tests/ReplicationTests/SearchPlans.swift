import Model
import Replication

/// The kinds of schedules, each with what its rules are about.
extension SearchPlan {
    static let usual = SearchPlan()

    /// Leaders give their leaderships away, and leave.
    static let leaving: SearchPlan = {
        var plan = SearchPlan()
        plan.leaves = true
        plan.transfers = 6
        return plan
    }()

    /// `flush: sync`: unclean starts lose nothing that was acknowledged, so more happen.
    static let synced: SearchPlan = {
        var plan = SearchPlan()
        plan.sync = true
        plan.uncleanRestarts = 4
        return plan
    }()

    /// All brokers lose power at once.
    static let powerCuts: SearchPlan = {
        var plan = SearchPlan()
        plan.sync = true
        plan.powerCuts = 2
        plan.wipes = 0
        return plan
    }()

    /// Five replicas of which two may fail, and three are needed.
    static let five: SearchPlan = {
        var plan = SearchPlan()
        plan.replicas = 5
        plan.minInSync = 3
        plan.tolerated = 2
        plan.uncleanRestarts = 4
        plan.wipes = 2
        plan.linkBreaks = 8
        plan.pauses = 3
        return plan
    }()

    static let fiveSynced: SearchPlan = {
        var plan = SearchPlan.five
        plan.sync = true
        return plan
    }()

    /// Links and processes that are hardly ever well.
    static let rough: SearchPlan = {
        var plan = SearchPlan()
        plan.linkBreaks = 12
        plan.stalls = 16
        plan.pauses = 5
        plan.loss = 25
        return plan
    }()

    /// Voters that restart and are cut off: nothing is lost, and leases are what matters.
    static let voters: SearchPlan = {
        var plan = SearchPlan()
        plan.voterRestarts = 5
        plan.voterCuts = 14
        plan.pauses = 4
        plan.cleanRestarts = 1
        plan.uncleanRestarts = 0
        plan.wipes = 0
        plan.transfers = 3
        return plan
    }()

    /// Voters that are hardly ever reached, so that promises count, and brokers that restart and
    /// give away what they have hardly begun to lead.
    static let passing: SearchPlan = {
        var plan = SearchPlan.voters
        plan.cleanRestarts = 8
        plan.transfers = 60
        plan.givesUnserved = true
        return plan
    }()

    /// Renewals whose answers come late.
    static let slowLeases: SearchPlan = {
        var plan = SearchPlan.voters
        plan.slowLeases = 70
        return plan
    }()

    /// Clocks that drift apart by all that is tolerated.
    static let clocks: SearchPlan = {
        var plan = SearchPlan()
        plan.drift = 100
        plan.pauses = 6
        plan.voterCuts = 10
        return plan
    }()

    /// Brokers that do not reach the voters, and hear nothing of what these decide.
    static let deaf: SearchPlan = {
        var plan = SearchPlan()
        plan.gossip = 1
        plan.forgetMilliseconds = 4_000
        plan.length = 12_000

        plan.voterCuts = 14
        plan.uncleanRestarts = 10
        plan.wipes = 0
        plan.linkBreaks = 14
        plan.faultMilliseconds = 6_000
        return plan
    }()
}
