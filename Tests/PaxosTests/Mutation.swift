import Model

@testable import Paxos

/// A rule, the schedules that miss it, and the seed from which a search finds one soon.
///
/// A rule that few schedules miss is searched from near a seed that is known to miss it, so that
/// the usual run is short. Whoever changes the mesh measures `from` and `misses` anew.
struct Mutation: Sendable, CustomStringConvertible {
    typealias Rule = WritableKeyPath<RegisterRules, Bool> & Sendable

    let name: String
    let rule: any Rule
    let plan: SearchPlan
    let from: UInt64
    /// How many of 2,000 seeds from 0 miss the rule.
    let misses: Int

    init(_ name: String, _ rule: any Rule, _ plan: SearchPlan, from: UInt64, misses: Int) {
        self.name = name
        self.rule = rule
        self.plan = plan
        self.from = from
        self.misses = misses
    }

    var description: String { name }

    static let all: [Mutation] = [
        Mutation("promiseOutlivesAccept", \.promiseOutlivesAccept, .usual, from: 0, misses: 141),
        Mutation("acceptRaisesPromise", \.acceptRaisesPromise, .usual, from: 210, misses: 2),
        Mutation("persistBeforeReply", \.persistBeforeReply, .crashes, from: 70, misses: 104),
        Mutation("readsWaitForPersist", \.readsWaitForPersist, .single, from: 60, misses: 12),
        Mutation("storeChecked", \.storeChecked, .wipes, from: 20, misses: 34),
        Mutation("generationChecked", \.generationChecked, .newRoster, from: 0, misses: 658),
        Mutation("floorChecked", \.floorChecked, .removals, from: 160, misses: 7),
        Mutation("removalChecksPromise", \.removalChecksPromise, .removals, from: 110, misses: 1),
        Mutation("highestAcceptedWins", \.highestAcceptedWins, .usual, from: 0, misses: 605),
        Mutation("chosenNeedsQuorum", \.chosenNeedsQuorum, .usual, from: 0, misses: 273),
        Mutation("bootInBallot", \.bootInBallot, .reboots, from: 375, misses: 3),
        Mutation("operationsRemembered", \.operationsRemembered, .usual, from: 0, misses: 909),
        Mutation("historyChecked", \.historyChecked, .removals, from: 190, misses: 25),
        Mutation("ambiguitySettled", \.ambiguitySettled, .conditional, from: 1320, misses: 2),
        Mutation("readsAgree", \.readsAgree, .usual, from: 60, misses: 43),
    ]
}

/// The kinds of schedules, each with what its rules are about.
extension SearchPlan {
    static let usual = SearchPlan()

    /// Acceptors that crash often, with slow disks.
    static let crashes: SearchPlan = {
        var plan = SearchPlan()
        plan.acceptorCrashes = 16
        plan.slowSyncs = 60
        return plan
    }()

    /// One voter, as in a mesh of one, that crashes often.
    static let single: SearchPlan = {
        var plan = SearchPlan()
        plan.voters = 1
        plan.reads = 60
        plan.loss = 2
        plan.slowSyncs = 90
        plan.acceptorCrashes = 16
        return plan
    }()

    /// A disk that comes back empty, and with another store id.
    static let wipes: SearchPlan = {
        var plan = SearchPlan()
        plan.wipes = true
        plan.acceptorCrashes = 0
        return plan
    }()

    /// A sealed and copied roster of which stale proposers know nothing.
    static let newRoster: SearchPlan = {
        var plan = SearchPlan()
        plan.newRoster = true
        plan.acceptorCrashes = 0
        return plan
    }()

    /// A delete, its removal, and messages from before that come after; patient proposers, whose
    /// retries do not close the gap, and counters far apart.
    static let removals: SearchPlan = {
        var plan = SearchPlan()
        plan.deletes = 35
        plan.collects = true
        plan.loss = 5
        plan.stuck = 35
        plan.clogged = 5
        plan.counters = 30
        plan.acceptorCrashes = 0
        plan.length = 200
        plan.roundTimeout = 250
        return plan
    }()

    /// A proposer that restarts often, whose request ids come again and whose answers come late.
    static let reboots: SearchPlan = {
        var plan = SearchPlan()
        plan.reads = 0
        plan.conditional = 0
        plan.proposerCrashes = 8
        plan.duplication = 60
        plan.stuck = 40
        plan.slowSyncs = 40
        plan.proposers = 1
        plan.operations = 6
        plan.length = 150
        plan.acceptorCrashes = 0
        plan.sameSeeds = true
        return plan
    }()

    /// Changes that abandon at one value what they wrote at another, over paths that fail.
    static let conditional: SearchPlan = {
        var plan = SearchPlan()
        plan.conditional = 90
        plan.reads = 10
        plan.loss = 30
        plan.clogged = 50
        plan.length = 150
        plan.proposerCrashes = 2
        plan.acceptorCrashes = 0
        plan.operations = 10
        return plan
    }()
}
