import Coordination
import Node

extension MeshMutation {
    /// The rules of `SafetyRules.groups`.
    package static let groups: [MeshMutation] = [
        MeshMutation(
            "groups.commitsAwaitLog", "a commit is visible and answered before the log has it",
            \.groups.commitsAwaitLog),
        MeshMutation(
            "groups.generationsFenced", "a commit of an older generation is taken",
            \.groups.generationsFenced),
        MeshMutation(
            "groups.membersValidated", "a commit of somebody who is no member any more is taken",
            \.groups.membersValidated),
        MeshMutation(
            "groups.assignmentsAwaitLog",
            "members are given an assignment that the log does not have",
            \.groups.assignmentsAwaitLog),
        MeshMutation(
            "groups.slotReadWhole", "a coordinator answers before it has read its slot whole",
            \.groups.slotReadWhole, .restarts),
        MeshMutation(
            "groups.slotForgotten", "a coordinator whose slot comes back goes on with what it knew",
            \.groups.slotForgotten, .networks),
        MeshMutation(
            "groups.tombstonesRead", "a coordinator reads offsets that were deleted",
            \.groups.tombstonesRead),
    ]
}
