import Node
import Replication

extension MeshMutation {
    /// The rules of `SafetyRules.replication`.
    package static let replication: [MeshMutation] = [
        MeshMutation(
            "replication.unionWhileUnknown", "an undecided in-sync set counts alone",
            \.replication.unionWhileUnknown, .networks),
        MeshMutation(
            "replication.minInSyncGate", "records are committed below min.insync.replicas",
            \.replication.minInSyncGate, .networks),
        MeshMutation(
            "replication.eligibleKept",
            "who left a set that is too small can't be elected any more",
            \.replication.eligibleKept, .restarts),
        MeshMutation(
            "replication.eligibleCleared",
            "who left stays electable while records are committed without it",
            \.replication.eligibleCleared, .restarts),
        MeshMutation(
            "replication.logEpochChecked", "a copy that may have lost something stays in sync",
            \.replication.logEpochChecked, .power),
        MeshMutation(
            "replication.admissionChecked",
            "a copy on another disk passes for the one that was lost",
            \.replication.admissionChecked, .wipes),
        MeshMutation(
            "replication.epochFencing", "a follower takes records of an older leader",
            \.replication.epochFencing, .networks),
        MeshMutation(
            "replication.truncationByEpoch", "a follower cuts its log at the high watermark",
            \.replication.truncationByEpoch, .networks),
        MeshMutation(
            "replication.watermarkFromSynced", "with flush=sync what is not synced counts",
            \.replication.watermarkFromSynced, .synced),
        MeshMutation(
            "replication.expandAtWatermark", "a follower joins the in-sync set wherever it is",
            \.replication.expandAtWatermark, .networks),
        MeshMutation(
            "replication.newEpochGate",
            "a leader tells an end before its epoch's start is committed",
            \.replication.newEpochGate, .networks),
        MeshMutation(
            "replication.leaseFromSendTime", "a lease counts from when its answer came",
            \.replication.leaseFromSendTime, .networks),
        MeshMutation(
            "replication.voterRestartWaits", "a voter that restarted grants at once",
            \.replication.voterRestartWaits, .restarts),
        MeshMutation(
            "replication.deposedLeaseRespected",
            "a voter accepts a successor while it honours the leader's lease",
            \.replication.deposedLeaseRespected, .networks),
        MeshMutation(
            "replication.campaignPromiseRespected",
            "who acknowledged a leader campaigns against it at once",
            \.replication.campaignPromiseRespected, .networks),
        MeshMutation(
            "replication.promiseOfTheCopy",
            "another copy's promise passes for that of the one in the register",
            \.replication.promiseOfTheCopy, .power),
        MeshMutation(
            "replication.onlyServersRelease",
            "any consent frees a successor from what it promised to leaders before",
            \.replication.onlyServersRelease, .moves,
            cover: Cover(
                "node.agreesOnceStopped", \.node.agreesOnceStopped,
                "nobody consents before its shard has stopped")),
        MeshMutation(
            "replication.depositionsCounted",
            "a deposed leader is granted a lease without asking whether it leads",
            \.replication.depositionsCounted, .networks),
        MeshMutation(
            "replication.epochRaised", "a leader that leads again keeps its epoch",
            \.replication.epochRaised, .restarts),
    ]
}
