/// The rules that keep the offsets and the generations of groups, each of which a test may switch
/// off.
///
/// A rule whose absence no search notices is either superfluous or untested. All are on in
/// production; only this package can switch one off.
package struct GroupRules: Hashable, Sendable {
    /// A commit is visible, and answered, once the log has it.
    package var commitsAwaitLog = true
    /// A commit of an older generation is refused: another member has its partitions now.
    package var generationsFenced = true
    /// KIP-345: a commit of no member, or of one that was replaced under its instance id, is
    /// refused.
    package var membersValidated = true
    /// KIP-345: the log has an assignment before a member is given it.
    package var assignmentsAwaitLog = true
    /// A coordinator has read its slot whole before it answers.
    package var slotReadWhole = true
    /// A coordinator that lost its slot forgets it, and reads it anew when it has it again.
    package var slotForgotten = true
    /// An offset that was deleted is gone for whoever reads the slot.
    package var tombstonesRead = true

    package init() {}
}
