internal import Model
internal import NIOCore
internal import OrderedCollections

/// One consumer group: its members, where its rebalance stands, and its committed offsets.
///
///     Empty --join--> PreparingRebalance --all joined or timeout--> CompletingRebalance -----+
///       ^                ^      |                                                            |
///       |                |      | nobody left                    leader's sync is in the log |
///       +----------------|------+                                                            v
///                        +--------------- join, leave, failure ------------------------- Stable
///
/// A value inside `GroupCoordinator.groups`, changed in place. Invariants: the generation never
/// goes back; `awaitingJoin` counts the members with a join token; every protocol count is that of
/// the members which offer it, and while there are members one protocol is offered by all of them.
struct Group {
    let id: String
    private(set) var state = GroupState.empty
    /// When the state was entered, by the wall clock; `.none` if an old record did not say.
    var stateTimestamp: Timestamp
    /// nil for a group that only stores offsets (a "simple" group).
    var protocolType: String?
    /// The protocol of the current generation.
    var protocolName: String?
    var generation: Int32 = 0
    var leaderID: String?
    var members: OrderedDictionary<String, Member> = [:]
    /// Member ids by instance id; looked up, never iterated.
    var staticMembers: [String: String] = [:]
    /// Ids given out under KIP-394 and not used yet, with the moment they lapse.
    var pendingMembers: OrderedDictionary<String, Instant> = [:]
    var awaitingJoin = 0
    /// How many members offer each protocol; looked up, never iterated.
    var protocolCounts: [String: Int] = [:]
    /// The topics in use, if the group is one of consumers whose metadata we can read.
    var subscribedTopics: Set<String>?

    /// What acknowledged appends have committed; iterated only in sorted order.
    var offsets: [OffsetKey: OffsetCommitValue] = [:]
    /// Appends whose result this group waits for: it must not be forgotten meanwhile.
    var appendsInFlight = 0
    /// Whether the log holds a record of the group itself, which its removal must cover.
    var isInLog = false

    /// When the members that did not join are given up.
    var joinDeadline: Instant?
    /// How much longer the first join of an empty group may be extended; nil outside of it.
    var initialDelayRemaining: Int64?
    /// Whether somebody joined since the initial delay was last extended.
    var newMemberArrived = false
    /// When the members that did not sync are given up.
    var syncDeadline: Instant?
    /// The append that carries the assignment of this generation.
    var assignmentAppend: AppendToken?
    /// The one entry of the timer queue that counts.
    var scheduled: Instant?

    init(id: String, now: Now) {
        self.id = id
        self.stateTimestamp = now.wall
    }

    mutating func transition(to state: GroupState, now: Now) {
        self.state = state
        stateTimestamp = now.wall
    }

    /// Whether forgetting it loses nothing.
    var isDisposable: Bool {
        state == .empty && pendingMembers.isEmpty && offsets.isEmpty && appendsInFlight == 0
            && !isInLog
    }

    var isOfConsumers: Bool { protocolType == ConsumerSubscription.protocolType }

    /// The longest any member may take to join.
    var rebalanceTimeoutMilliseconds: Int64 {
        Int64(members.values.map(\.rebalanceTimeoutMilliseconds).max() ?? 0)
    }

    // MARK: Timers

    /// Asks to be looked at no later than `deadline`.
    mutating func arm(_ deadline: Instant, _ outbox: inout Outbox) {
        if let scheduled, scheduled <= deadline { return }
        scheduled = deadline
        outbox.timers.push(TimerQueue.Entry(moment: deadline, groupID: id))
    }

    /// The earliest moment at which something here is due.
    var nextDeadline: Instant? {
        var earliest = joinDeadline
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            earliest = min(earliest ?? deadline, deadline)
        }
        consider(syncDeadline)
        for deadline in pendingMembers.values { consider(deadline) }
        for member in members.values where member.canExpire { consider(member.deadline) }
        return earliest
    }

    /// The member has shown life: its session starts anew.
    mutating func resetSession(_ memberID: String, _ outbox: inout Outbox) {
        guard let timeout = members[memberID]?.sessionTimeoutMilliseconds else { return }
        setDeadline(of: memberID, inMilliseconds: Int64(timeout), &outbox)
    }

    mutating func setDeadline(
        of memberID: String, inMilliseconds milliseconds: Int64, _ outbox: inout Outbox
    ) {
        let deadline = outbox.now.instant.advanced(byMilliseconds: milliseconds)
        members[memberID]?.deadline = deadline
        arm(deadline, &outbox)
    }

    // MARK: Members

    mutating func add(_ member: Member) {
        if let instance = member.groupInstanceID { staticMembers[instance] = member.id }
        if leaderID == nil { leaderID = member.id }
        if member.joinToken != nil { awaitingJoin += 1 }
        count(member.protocols, by: 1)
        members[member.id] = member
        pendingMembers[member.id] = nil
    }

    /// Takes a member or a pending id out; what it waits for is answered, never forgotten.
    mutating func remove(_ memberID: String, _ outbox: inout Outbox) {
        pendingMembers[memberID] = nil
        guard members[memberID] != nil else { return }
        answerJoin(
            memberID, GroupResponse.Join(error: .unknownMemberID, memberID: ""), &outbox)
        answerSync(memberID, GroupResponse.Sync(error: .unknownMemberID), &outbox)
        guard let member = members.removeValue(forKey: memberID) else { return }
        count(member.protocols, by: -1)
        if let instance = member.groupInstanceID { staticMembers[instance] = nil }
        if leaderID == memberID { leaderID = members.keys.first }
    }

    /// A known member joins again: with new metadata, waiting for the next generation.
    mutating func update(
        _ memberID: String, from request: GroupRequest.Join, token: RequestToken,
        _ outbox: inout Outbox
    ) {
        guard var member = members[memberID] else { return }
        // An older join of the same member has been given up by its client.
        answerJoin(
            memberID, GroupResponse.Join(error: .rebalanceInProgress, memberID: memberID), &outbox)
        count(member.protocols, by: -1)
        member.protocols = request.keptProtocols
        count(member.protocols, by: 1)
        member.rebalanceTimeoutMilliseconds = request.rebalanceTimeoutMilliseconds
        member.sessionTimeoutMilliseconds = request.sessionTimeoutMilliseconds
        member.joinToken = token
        awaitingJoin += 1
        members[memberID] = member
    }

    mutating func answerJoin(
        _ memberID: String, _ response: GroupResponse.Join, _ outbox: inout Outbox
    ) {
        guard let token = members[memberID]?.joinToken else { return }
        members[memberID]?.joinToken = nil
        awaitingJoin -= 1
        outbox.reply(token, .join(response))
    }

    /// True if somebody waited.
    @discardableResult
    mutating func answerSync(
        _ memberID: String, _ response: GroupResponse.Sync, _ outbox: inout Outbox
    ) -> Bool {
        guard let token = members[memberID]?.syncToken else { return false }
        members[memberID]?.syncToken = nil
        outbox.reply(token, .sync(response))
        return true
    }

    /// KIP-345 first: a static identity must belong to the member id that claims it.
    func validate(memberID: String, groupInstanceID: String?) -> GroupError? {
        if let groupInstanceID {
            guard let current = staticMembers[groupInstanceID] else { return .unknownMemberID }
            if current != memberID { return .fencedInstanceID }
        }
        return members[memberID] == nil ? .unknownMemberID : nil
    }

    // MARK: Protocols

    mutating func count(_ protocols: [MemberProtocol], by change: Int) {
        for offered in protocols {
            let count = protocolCounts[offered.name, default: 0] + change
            protocolCounts[offered.name] = count == 0 ? nil : count
        }
    }

    /// Whether a member with these protocols can be part of the group.
    func supports(type: String, protocols: [MemberProtocol]) -> Bool {
        if members.isEmpty { return !type.isEmpty && !protocols.isEmpty }
        return protocolType == type
            && protocols.contains { protocolCounts[$0.name] == members.count }
    }

    /// The protocol that all members offer and most prefer; of equals, the one whose vote came
    /// first. nil only where there are no members.
    func selectProtocol() -> String? {
        guard let first = members.values.first else { return nil }
        let candidates = first.protocols.map(\.name).filter {
            protocolCounts[$0] == members.count
        }
        var votes: OrderedDictionary<String, Int> = [:]
        for member in members.values {
            guard let vote = member.vote(among: candidates) else { continue }
            votes[vote, default: 0] += 1
        }
        guard let most = votes.values.max() else { return nil }
        return votes.first { $0.value == most }?.key
    }

    /// The topics that all members together subscribe to, or nil where that can't be known.
    func computeSubscribedTopics() -> Set<String>? {
        guard isOfConsumers else { return nil }
        guard let protocolName else { return members.isEmpty ? [] : nil }
        var all: Set<String> = []
        for member in members.values {
            let metadata = member.metadata(for: protocolName)
            guard let topics = ConsumerSubscription.topics(in: metadata) else { return nil }
            all.formUnion(topics)
        }
        return all
    }
}
