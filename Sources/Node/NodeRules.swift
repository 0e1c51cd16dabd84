/// The rules that hold the machines of a broker together, each of which a test may switch off.
///
/// A rule whose absence no search notices is either superfluous or untested. All are on in
/// production; only this package can switch one off. Sections are those of the reference on Paxos
/// and leadership.
package struct NodeRules: Hashable, Sendable {
    /// Section 12, rule 3: a leader serves while it holds a lease, or its followers' promises.
    package var servesWithinLease = true
    /// Section 12, rule 3, for groups: so does a coordinator.
    package var coordinatesWithinLease = true
    /// Section 12: a leader serves what its register says in this process's time, not what a table
    /// remembers.
    package var servesWhatIsConfirmed = true
    /// Section 12, rule 4: a leader agrees to be deposed once its shard has stopped serving.
    package var agreesOnceStopped = true
    /// Section 12: leadership is given away once the shard has stopped serving.
    package var movesOnceStopped = true
    /// Section 12: at a stop the lease is given back once no shard serves any more.
    package var releasesOnceStopped = true
    /// Consumers are given what is committed, and nothing behind it.
    package var consumersSeeCommitted = true
    /// What is pipelined behind a batch that was refused is refused too.
    package var pipelinedRefused = true
    /// What was sent over a link that is gone is asked for again.
    package var streamsBeginAnew = true
    /// Section 7: a process is told apart from those that another disk had under its node id.
    package var livesAboveBoots = true
    /// Section 3: a process has its boot number on disk before it says anything.
    package var bootsRecorded = true
    /// Section 11: a process that did not stop in order counts as one that may have lost something.
    package var logEpochRaised = true

    package init() {}
}
