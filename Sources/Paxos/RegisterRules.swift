/// The rules that keep registers linearizable, each of which a test may switch off.
///
/// A rule whose absence no search notices is either superfluous or untested; the searches of
/// `PaxosTests` find a violation for every one of these, and none when all are on.
package struct RegisterRules: Hashable, Sendable {
    /// Section 4: an accept does not erase the promise.
    package var promiseOutlivesAccept = true
    /// Section 4: an accept raises `maxSeen` as a prepare does.
    package var acceptRaisesPromise = true
    /// Section 6: what is answered is on disk.
    package var persistBeforeReply = true
    /// Section 6: what a read shows is on disk.
    package var readsWaitForPersist = true
    /// Section 7: a wiped disk is another voter.
    package var storeChecked = true
    /// Section 8: an older roster is refused.
    package var generationChecked = true
    /// Section 9: ballots at or below the floor are refused.
    package var floorChecked = true
    /// Section 9: a register with a promise above its tombstone is not removed.
    package var removalChecksPromise = true
    /// A proposer goes on with the accepted value of the highest ballot.
    package var highestAcceptedWins = true
    /// A value is chosen once a quorum accepted it.
    package var chosenNeedsQuorum = true
    /// Section 3: a restarted proposer's ballots differ from those of its earlier lives.
    package var bootInBallot = true
    /// Section 5: a change whose operation id is in the register is not made again.
    package var operationsRemembered = true
    /// Beyond the reference: a change is not made again where its register may have forgotten it.
    package var historyChecked = true
    /// Section 5: an abandoned change of which an accept is under way is settled by a higher
    /// ballot first.
    package var ambiguitySettled = true
    /// A read ends only where a quorum shows the same ballot.
    package var readsAgree = true

    /// Section 7: a quorum counts stores, and not node ids that may have been given to others.
    package var storesCounted = true
    /// Section 8: what a roster change brings in is given every register before it votes alone.
    package var registersRepaired = true
    /// Section 8: a majority of the old voters refuses older rosters before they are read.
    package var oldVotersSealed = true
    /// Section 8: under a joint roster an accept needs both majorities, as a prepare does.
    package var jointInBothPhases = true
    /// Beyond the reference: promises are given to new voters as well as values.
    package var promisesRepaired = true
    /// Beyond the reference: what a repair gave to a quorum is not chosen by that.
    package var givenIsNotChosen = true
    /// Section 9: a new voter refuses what the old ones refuse for ever.
    package var floorInherited = true
    /// Beyond the reference: a store that was left out and comes back forgets what it held.
    package var rejoinersForget = true
    /// Section 12: no accept while a lease that it would break may hold.
    package var holdsHeeded = true
    /// Sections 5 and 12: what was held somewhere may have been accepted elsewhere.
    package var heldMayBeAccepted = true

    package init() {}
}
