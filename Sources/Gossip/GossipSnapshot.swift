public import Model
internal import OrderedCollections

/// What happened since the start, for metrics.
public struct GossipCounters: Hashable, Sendable {
    public var probes: UInt64 = 0
    public var relayedProbes: UInt64 = 0
    /// Probes that were given another period, on a network that loses datagrams.
    public var probesExtended: UInt64 = 0
    public var lateAnswers: UInt64 = 0
    /// Periods that ended late because this member was paused.
    public var latePeriods: UInt64 = 0
    public var suspicions: UInt64 = 0
    public var suspicionsWithheld: UInt64 = 0
    public var accusationsOverLimit: UInt64 = 0
    public var selfAccusations: UInt64 = 0
    public var refutations: UInt64 = 0
    public var deaths: UInt64 = 0
    /// Others' words for a death that what this member knew itself spoke against.
    public var deathsDoubted: UInt64 = 0
    public var datagramsSent: UInt64 = 0
    public var datagramBytesSent: UInt64 = 0
    public var datagramsReceived: UInt64 = 0
    public var messagesSent: UInt64 = 0
    public var messageBytesSent: UInt64 = 0
    public var messagesReceived: UInt64 = 0
    public var refusedPackets: UInt64 = 0
    public var forged: UInt64 = 0
    public var linksOpened: UInt64 = 0
    public var descents: UInt64 = 0
    public var duplicateValues: UInt64 = 0
    public var oldValues: UInt64 = 0
    public var spentTombstones: UInt64 = 0
    public var splitVersions: UInt64 = 0
    public var feedPulls: UInt64 = 0
    public var feedDeltas: UInt64 = 0
    public var feedChanges: UInt64 = 0
    /// What was said of feeds in epochs or boots that there can't have been.
    public var refusedFeeds: UInt64 = 0
}

/// How much waits to be passed on, by class.
public struct RumourLoad: Hashable, Sendable {
    public let members: Int
    public let table: Int
    public let marks: Int
    public let droppedMembers: Int
    public let droppedTable: Int
    public let droppedMarks: Int
    public let transmissionsPerRumour: Int
}

/// A key's version, for `diff`.
public struct TableVersion: Hashable, Sendable {
    public let key: String
    public let ballot: Ballot
    public let hash: ContentHash
    public let isTombstone: Bool
}

/// Values for the command line; none changes the machine.
extension GossipMachine {
    /// All other members, in order of their ids: O(N log N).
    public var memberSnapshots: [MemberSnapshot] {
        members.values.map(MemberSnapshot.init).sorted { $0.node < $1.node }
    }

    public func member(_ node: NodeID) -> MemberSnapshot? {
        members[node].map(MemberSnapshot.init)
    }

    public func status(of node: NodeID) -> MemberStatus? { members[node]?.status }

    /// What this member says of itself.
    public var ownRecord: SelfRecord { record }
    public var healthMultiplier: Int { health }
    public var isSelfIsolated: Bool { isIsolated }
    /// Present members, this one included.
    public var presentMembers: Int { presentCount + 1 }

    /// What the disk should remember: every member that was heard, failed ones too.
    public var persistedMembers: [PersistedMember] {
        members.values.compactMap { member in
            member.record.map { PersistedMember(status: member.status, record: $0) }
        }
    }

    public var tableRoot: UInt64 { table.tree.root }
    public var membersRoot: UInt64 { memberTree.root }
    public var tableCount: Int { table.count }
    public var currentFloor: Ballot { floor }

    public func value(_ key: String) -> ChosenValue? { table[key]?.value }

    /// The versions of keys with a prefix, a page at a time, in no order that means anything.
    ///
    /// A page looks at whole buckets until it has seen `count` keys; `next` is where the one behind
    /// it begins, nil after the last. A key that is the prefix itself is on the first page.
    public func versions(
        prefix: String = "", from bucket: Int = 0, seeing count: Int = .max
    ) -> (page: [TableVersion], next: Int?) {
        var page: [TableVersion] = []
        if bucket == 0, let entry = table[prefix] { page.append(Self.version(entry)) }
        var next = max(0, bucket)
        var seen = 0
        while next < GossipLimits.digestLeaves, seen < count {
            for key in table.keys(inLeaf: next) {
                seen += 1
                guard key.hasPrefix(prefix), bucket > 0 || key != prefix, let entry = table[key]
                else { continue }
                page.append(Self.version(entry))
            }
            next += 1
        }
        return (page, next < GossipLimits.digestLeaves ? next : nil)
    }

    private static func version(_ entry: GossipTable.Entry) -> TableVersion {
        TableVersion(
            key: entry.value.key, ballot: entry.value.ballot, hash: entry.hash,
            isTombstone: entry.value.value == nil)
    }

    public var rumourLoad: RumourLoad {
        RumourLoad(
            members: memberRumours.count, table: tableRumours.count, marks: feedRumours.count,
            droppedMembers: memberRumours.dropped, droppedTable: tableRumours.dropped,
            droppedMarks: feedRumours.dropped, transmissionsPerRumour: transmissionLimit)
    }

    /// This member's row of the heat map: milliseconds since it last heard each, by id.
    public func ages(now: Instant) -> [(node: NodeID, milliseconds: Int64?)] {
        memberSnapshots.map { member in
            (member.node, member.lastHeard.map { now.milliseconds(since: $0) })
        }
    }
}
