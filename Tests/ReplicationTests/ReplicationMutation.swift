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

    static let all: [ReplicationMutation] = [
        .init("union, usual", \.unionWhileUnknown, .usual, seed: 367, oneIn: 580),
        .init("union, voters", \.unionWhileUnknown, .voters, seed: 402, oneIn: 92),
        .init("min ISR gate", \.minInSyncGate, .usual, seed: 207, oneIn: 180),
        .init("ELR kept", \.eligibleKept, .usual, seed: 811, oneIn: 450),
        .init("ELR cleared", \.eligibleCleared, .usual, seed: 63, oneIn: 47),
        .init("log epoch", \.logEpochChecked, .usual, seed: 0, oneIn: 2),
        .init("admission", \.admissionChecked, .usual, seed: 0, oneIn: 65),
        .init("epoch fencing", \.epochFencing, .usual, seed: 209, oneIn: 120),
        .init("truncation by epoch", \.truncationByEpoch, .usual, seed: 16, oneIn: 11),
        .init("synced ends", \.watermarkFromSynced, .powerCuts, seed: 1437, oneIn: 790),
        .init("expansion", \.expandAtWatermark, .usual, seed: 50, oneIn: 200),
        .init("own epoch", \.newEpochGate, .usual, seed: 11, oneIn: 7),
        .init("send time", \.leaseFromSendTime, .slowLeases, seed: 1_734, oneIn: 7_000),
        .init("voter restart", \.voterRestartWaits, .voters, seed: 194, oneIn: 530),
        .init("deposed lease", \.deposedLeaseRespected, .voters, seed: 1, oneIn: 9),
        .init("campaign promise", \.campaignPromiseRespected, .voters, seed: 351, oneIn: 490),
        .init("depositions", \.depositionsCounted, .voters, seed: 208, oneIn: 650),
        .init("epoch raised", \.epochRaised, .usual, seed: 7, oneIn: 3),
    ]
}
