internal import Model
internal import OrderedCollections

extension Group {
    /// What is wrong with the group, in words; nil if nothing is.
    ///
    /// Tests ask after every input of a random schedule. It is linear in the group, so production
    /// code does not.
    var violation: String? {
        if awaitingJoin != members.values.filter({ $0.joinToken != nil }).count {
            return "awaitingJoin is \(awaitingJoin)"
        }
        if let leaderID, members[leaderID] == nil { return "the leader is not a member" }
        if leaderID == nil && !members.isEmpty { return "members without a leader" }
        if state == .empty && !members.isEmpty { return "an empty group with members" }
        if state == .stable && protocolName == nil { return "stable without a protocol" }
        var counts: [String: Int] = [:]
        for member in members.values {
            for offered in member.protocols { counts[offered.name, default: 0] += 1 }
            if let instance = member.groupInstanceID, staticMembers[instance] != member.id {
                return "instance \(instance) is not that of \(member.id)"
            }
            if member.syncToken != nil && state != .completingRebalance {
                return "\(member.id) awaits a sync while \(state.rawValue)"
            }
        }
        if counts != protocolCounts { return "protocol counts are \(protocolCounts)" }
        if !members.isEmpty && !counts.values.contains(members.count) {
            return "no protocol is common to all"
        }
        if let next = nextDeadline, (scheduled ?? Instant(nanoseconds: .max)) > next {
            return "a deadline is not scheduled"
        }
        return nil
    }
}

extension GroupCoordinator {
    /// The first violation in the slot; timers do not run before it is loaded.
    var violation: String? {
        guard case .active = phase else { return nil }
        for group in groups.values {
            if let violation = group.violation { return "\(group.id): \(violation)" }
        }
        return nil
    }
}
