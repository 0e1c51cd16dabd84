internal import Model
internal import NIOCore

/// What a group needs from its coordinator while it handles one input: the moment, the settings,
/// chance, and the ways out (replies, appends, timers).
///
/// One lives in each coordinator, apart from the groups, so that a group can be changed in place
/// while it writes here. It also remembers what waits for the log, because an effect is visible
/// only once its append is acknowledged.
struct Outbox {
    let configuration: GroupConfiguration
    let rules: GroupRules
    var generator: SeededGenerator
    var now = Now(instant: Instant(nanoseconds: 0), wall: .none)
    var effects: [GroupCoordinator.Effect] = []
    var timers = TimerQueue()
    /// Waits for the log by token. Looked up and changed, never iterated in its own order.
    private(set) var appends: [AppendToken: PendingAppend] = [:]
    private(set) var lastToken = AppendToken(0)

    init(configuration: GroupConfiguration, generator: SeededGenerator, rules: GroupRules) {
        self.configuration = configuration
        self.rules = rules
        self.generator = generator
    }

    /// False while the log has stalled for so long that no more commits are taken.
    var canAppend: Bool { appends.count < configuration.maximumPendingAppends }

    mutating func reply(_ token: RequestToken, _ response: GroupResponse) {
        effects.append(.reply(token, response))
    }

    /// Sends records to the log and remembers what to do with the result.
    mutating func append(_ records: [SlotRecord], then pending: PendingAppend) -> AppendToken {
        lastToken = AppendToken(lastToken.rawValue + 1)
        appends[lastToken] = pending
        effects.append(.append(lastToken, records: records))
        return lastToken
    }

    /// Takes out what waited for this append; nil for one from before a move of the slot.
    mutating func finish(_ token: AppendToken) -> PendingAppend? {
        appends.removeValue(forKey: token)
    }

    /// Everything that waits, oldest first.
    mutating func drainAppends() -> [PendingAppend] {
        let drained = appends.sorted { $0.key < $1.key }.map(\.value)
        appends.removeAll()
        return drained
    }

    /// The offsets that acknowledged appends will still add to this group, in a fixed order.
    func pendingCommits(of groupID: String) -> [OffsetKey] {
        var keys: [OffsetKey] = []
        for (_, pending) in appends.sorted(by: { $0.key < $1.key }) {
            if case .commit(let commit) = pending, commit.groupID == groupID {
                keys.append(contentsOf: commit.offsets.map(\.key))
            }
        }
        return keys
    }

    /// The same of all groups.
    var pendingOffsets: Set<OffsetCommitKey> {
        var keys: Set<OffsetCommitKey> = []
        // A set does not depend on the order.
        for case .commit(let commit) in appends.values {
            for (key, _) in commit.offsets {
                keys.insert(
                    OffsetCommitKey(
                        groupID: commit.groupID, topic: key.topic, partition: key.partition))
            }
        }
        return keys
    }

    /// An id that no other member of the slot has, with a prefix that people recognise.
    mutating func makeMemberID(prefix: String) -> String {
        var short = prefix
        while short.utf8.count > Bound.memberIDPrefixBytes { short.removeLast() }
        let id = TopicID.random(using: &generator)  // the same 128 random bits as a UUID
        let digits = hexadecimal(id.high) + hexadecimal(id.low)
        var uuid = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { uuid.append("-") }
            uuid.append(digit)
        }
        return short + "-" + uuid
    }

    private func hexadecimal(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// What happens when the log has taken (or refused) an append.
enum PendingAppend {
    /// Offsets to make visible, and the request that waits for that.
    case commit(PendingCommit)
    /// The leader's assignment of one generation, to be given out.
    case assignment(groupID: String, generation: Int32, [String: ByteBuffer])
    /// A static member came back under a new id while the group was stable.
    case staticReplacement(StaticReplacement)
    /// The group became empty; nobody waits.
    case emptyGroup(groupID: String)
    /// Tombstones; the progress is shared by all appends of one removal.
    case removal(removal: UInt64, groupID: String, [OffsetKey])
}

/// Offsets on their way into the log.
struct PendingCommit {
    var groupID: String
    var token: RequestToken
    /// The outcomes as they are if the append succeeds.
    var topics: [Topic<PartitionOutcome>]
    var offsets: [(key: OffsetKey, value: OffsetCommitValue)]
}

/// A static member's change of id on its way into the log (KIP-345).
struct StaticReplacement {
    var groupID: String
    /// The member as it was, to go back to where the log refuses.
    var old: Member
    var newMemberID: String
    /// The JoinGroup that waits.
    var token: RequestToken
    /// Who led before, which answers below version 9 keep naming.
    var oldLeaderID: String
    var supportsSkippingAssignment: Bool
}

/// A partition of a topic by name, as offsets are keyed.
struct OffsetKey: Hashable, Comparable {
    var topic: String
    var partition: PartitionIndex

    static func < (left: OffsetKey, right: OffsetKey) -> Bool {
        if left.topic != right.topic { return left.topic < right.topic }
        return left.partition < right.partition
    }
}
