/// The rules that keep records once and in order on one disk, each of which a test may switch off.
///
/// A rule whose absence no search notices is either superfluous or untested. All are on in
/// production; only this package can switch one off.
package struct StorageRules: Hashable, Sendable {
    /// KIP-98: a batch that is in the log already is answered, and not appended again.
    package var duplicatesAnswered = true
    /// KIP-98: a producer's batches are appended without gaps between their sequences.
    package var sequencesChecked = true
    /// KIP-98: whoever opens a log finds out what its producers wrote last.
    package var producersRecovered = true
    /// What recovery found is on the device before anybody reads it.
    package var recoveredSynced = true

    package init() {}
}
