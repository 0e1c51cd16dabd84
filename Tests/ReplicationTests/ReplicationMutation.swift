import Model
import Replication

/// A rule, the schedules that miss it, and a seed that is known to.
///
/// Whoever changes the mesh measures `seed` and `oneIn` anew.
struct ReplicationMutation: Sendable, CustomStringConvertible {
    typealias Rule = WritableKeyPath<ReplicationRules, Bool> & Sendable

    let name: String
    let rule: any Rule
    let plan: SearchPlan
    /// The first from 0 on.
    let seed: UInt64
    /// How many seeds it takes on average.
    let oneIn: Int

    init(
        _ name: String, _ rule: any Rule, _ plan: SearchPlan, seed: UInt64, oneIn: Int
    ) {
        self.name = name
        self.rule = rule
        self.plan = plan
        self.seed = seed
        self.oneIn = oneIn
    }

    var description: String { name }

    /// The rule as it is named in the source.
    var key: String {
        guard let last = "\(rule)".split(separator: ".").last else { return name }
        return String(last)
    }

    static let all: [ReplicationMutation] = [
        .init("union, usual", \.unionWhileUnknown, .usual, seed: 1408, oneIn: 500),
        .init("union, voters", \.unionWhileUnknown, .voters, seed: 244, oneIn: 120),
        .init("min ISR gate", \.minInSyncGate, .usual, seed: 138, oneIn: 60),
        .init("ELR kept", \.eligibleKept, .usual, seed: 154, oneIn: 210),
        .init("ELR cleared", \.eligibleCleared, .usual, seed: 1, oneIn: 18),
        .init("log epoch", \.logEpochChecked, .usual, seed: 0, oneIn: 3),
        .init("admission", \.admissionChecked, .usual, seed: 81, oneIn: 91),
        .init("epoch fencing", \.epochFencing, .usual, seed: 81, oneIn: 160),
        .init("truncation by epoch", \.truncationByEpoch, .usual, seed: 11, oneIn: 20),
        .init("synced ends", \.watermarkFromSynced, .powerCuts, seed: 2397, oneIn: 900),
        .init("expansion", \.expandAtWatermark, .usual, seed: 172, oneIn: 320),
        .init("own epoch", \.newEpochGate, .usual, seed: 9, oneIn: 20),
        .init("send time", \.leaseFromSendTime, .slowLeases, seed: 1473, oneIn: 10_000),
        .init("voter restart", \.voterRestartWaits, .voters, seed: 832, oneIn: 1300),
        .init("deposed lease", \.deposedLeaseRespected, .voters, seed: 26, oneIn: 12),
        .init("campaign promise", \.campaignPromiseRespected, .voters, seed: 578, oneIn: 520),
        .init("promise of the copy", \.promiseOfTheCopy, .deaf, seed: 21277, oneIn: 15_000),
        .init("depositions", \.depositionsCounted, .voters, seed: 666, oneIn: 1000),
        .init("epoch raised", \.epochRaised, .usual, seed: 7, oneIn: 3),
    ]
}
