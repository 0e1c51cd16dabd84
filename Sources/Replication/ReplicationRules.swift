/// The rules that keep acknowledged records and leaders unique, each of which a test may switch
/// off.
///
/// A rule whose absence no search notices is either superfluous or untested; the searches of
/// `ReplicationTests` find a violation for every one of these but `onlyServersRelease`, which
/// unit tests show, and none when all are on. Sections are those of the reference on Paxos and
/// leadership.
package struct ReplicationRules: Hashable, Sendable {
    /// Section 11: while a change of the in-sync set is undecided, both sets count.
    package var unionWhileUnknown = true
    /// KIP-966: below `min.insync.replicas` nothing is committed.
    package var minInSyncGate = true
    /// KIP-966: who left a set that is too small stays electable.
    package var eligibleKept = true
    /// KIP-966: nobody stays electable once records are committed without it.
    package var eligibleCleared = true
    /// Section 11: an unclean start takes a broker out of every in-sync set.
    package var logEpochChecked = true
    /// Section 7: a wiped disk is another replica.
    package var admissionChecked = true
    /// Section 12, rule 1: a follower refuses appends of an older epoch.
    package var epochFencing = true
    /// KIP-101, KIP-279: logs part where their epochs do, not at the high watermark.
    package var truncationByEpoch = true
    /// Design, section 5: with `flush: sync` only what is synced is acknowledged.
    package var watermarkFromSynced = true
    /// KAFKA-7128: a follower joins at the high watermark of this epoch.
    package var expandAtWatermark = true
    /// KIP-207: no end is told before this epoch's start is committed.
    package var newEpochGate = true
    /// Section 12, rule 2: a lease counts from the time its renewal was sent.
    package var leaseFromSendTime = true
    /// Section 12, rule 6: a voter that restarted waits one lease for everybody.
    package var voterRestartWaits = true
    /// Section 12, rule 4: a leader is deposed once the lease that was granted to it has lapsed.
    package var deposedLeaseRespected = true
    /// Section 12, rule 5: who acknowledged a leader does not campaign against it.
    package var campaignPromiseRespected = true
    /// Beyond the reference: only the copy that the register names promises. One that started
    /// uncleanly may have forgotten a newer epoch that it knew of.
    package var promiseOfTheCopy = true
    /// Beyond the reference: only a leader that has served frees its successor, by its consent,
    /// from what that one may have promised to leaders before.
    package var onlyServersRelease = true
    /// Beyond the reference: a voter that accepted a successor grants to the deposed leader only
    /// once that has asked whether it still leads.
    package var depositionsCounted = true
    /// Every change of leader has an epoch of its own, also that of a leader to itself.
    package var epochRaised = true

    package init() {}
}
