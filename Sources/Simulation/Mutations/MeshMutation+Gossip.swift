import Gossip
import Node

extension MeshMutation {
    /// The rules of `SafetyRules.gossip`.
    package static let gossip: [MeshMutation] = [
        MeshMutation(
            "gossip.refutation", "a member that is accused does not answer", \.gossip.refutation),
        MeshMutation(
            "gossip.refutesStaleAlive", "a record about this member from nowhere is not refuted",
            \.gossip.refutesStaleAlive, .wipes),
        MeshMutation(
            "gossip.indirectProbes", "a member is doubted without others being asked",
            \.gossip.indirectProbes),
        MeshMutation(
            "gossip.ignoresSelfAccusation", "a member believes an accusation that it made itself",
            \.gossip.ignoresSelfAccusation),
        MeshMutation(
            "gossip.countsAccusersOnce", "one accuser counts as often as it speaks",
            \.gossip.countsAccusersOnce),
        MeshMutation(
            "gossip.remoteDeadIsSuspect", "what another holds for dead is dead without a suspicion",
            \.gossip.remoteDeadIsSuspect, .networks),
        MeshMutation(
            "gossip.ordersBoots", "a record of an older boot is news", \.gossip.ordersBoots,
            .restarts),
        MeshMutation(
            "gossip.ordersByBallot", "an older value of a register replaces a newer one",
            \.gossip.ordersByBallot),
        MeshMutation(
            "gossip.dropsOldTombstones", "tombstones stay in the table for ever",
            \.gossip.dropsOldTombstones),
        MeshMutation(
            "gossip.checksSignatures", "a record that nobody signed is news",
            \.gossip.checksSignatures),
        MeshMutation(
            "gossip.antiEntropy", "tables are never compared", \.gossip.antiEntropy, .networks),
        MeshMutation(
            "gossip.contactsDead", "members that are held for dead are never tried again",
            \.gossip.contactsDead, .networks),
        MeshMutation(
            "gossip.contactsSeeds", "seeds are never tried again", \.gossip.contactsSeeds, .networks
        ),
        MeshMutation(
            "gossip.selfIsolation", "a broker that hears nobody doubts the others",
            \.gossip.selfIsolation, .networks),
        MeshMutation(
            "gossip.restartsSuspicions",
            "a broker that hears the others again concludes from when it did not",
            \.gossip.restartsSuspicions, .networks),
        MeshMutation(
            "gossip.doubtsDeaths", "a verdict counts that speaks against what a member heard",
            \.gossip.doubtsDeaths, .networks),
        MeshMutation(
            "gossip.distrustsLateTimers", "a process that was paused doubts the others",
            \.gossip.distrustsLateTimers, .networks),
    ]
}
