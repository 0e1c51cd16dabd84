public import Model

/// The version of the roster: every message carries it, and whoever has a newer one refuses it.
///
/// 0 is "no roster": an acceptor that nobody told who votes.
public struct RosterGeneration: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let none = RosterGeneration(0)

    @inlinable public static func < (left: RosterGeneration, right: RosterGeneration) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// Who a voter is: a wiped disk under the same node id has forgotten its promises and is another
/// one (reference, section 7).
public struct VoterID: Hashable, Comparable, Sendable {
    public let node: NodeID
    public let store: StoreID

    public init(node: NodeID, store: StoreID) {
        self.node = node
        self.store = store
    }

    public static func < (left: VoterID, right: VoterID) -> Bool {
        (left.node, left.store) < (right.node, right.store)
    }
}

/// A broker that votes, with the key by which it is known.
public struct Voter: Hashable, Sendable {
    public let node: NodeID
    public let store: StoreID
    public let key: PublicKey
    /// The generation of the joint roster that brought it in; none for a mesh's first voters. A
    /// store that voted before, was left out and comes back forgets what it held until then: its
    /// registers may have been removed meanwhile, and nobody may see them again.
    public let since: RosterGeneration

    public init(
        node: NodeID, store: StoreID, key: PublicKey, since: RosterGeneration = .none
    ) {
        self.node = node
        self.store = store
        self.key = key
        self.since = since
    }

    public var id: VoterID { VoterID(node: node, store: store) }
}

/// Who votes: the value of the register `roster`.
///
/// While `next` is there a change is under way, and a quorum is a majority of both sets, in both
/// phases (reference, section 8). Voters are in order of their node ids. Every roster but the
/// first follows another one: a joint one keeps the voters, a settled one has the `next` before it.
public struct Roster: Hashable, Sendable {
    /// The register that holds it.
    public static let key = "roster"

    public let generation: RosterGeneration
    public let voters: [Voter]
    public let next: [Voter]?
    /// Ballots at or below it are refused for ever; new voters inherit it (reference, section 9).
    public let floor: Ballot
    public let cluster: String

    public init(
        generation: RosterGeneration, voters: [Voter], next: [Voter]? = nil,
        floor: Ballot = .zero, cluster: String
    ) {
        self.generation = generation
        self.voters = voters.sorted { $0.node < $1.node }
        self.next = next?.sorted { $0.node < $1.node }
        self.floor = floor
        self.cluster = cluster
    }

    /// Everybody that is asked: the voters, then those of `next` that are not among them. A node
    /// whose disk was wiped and is being replaced is there with both of its stores.
    public var everyone: [Voter] {
        guard let next else { return voters }
        return voters + next.filter { voter in !voters.contains { $0.id == voter.id } }
    }

    /// The entry of this store, where it votes or is about to.
    public func voter(_ id: VoterID) -> Voter? {
        voters.first { $0.id == id } ?? next?.first { $0.id == id }
    }

    /// Whether `stores`, each named once, decide: a majority of the voters, and of `next`.
    public func isQuorum(_ stores: [VoterID]) -> Bool { isQuorum(stores, rules: RegisterRules()) }

    func isQuorum(_ stores: [VoterID], rules: RegisterRules) -> Bool {
        Self.isMajority(stores, of: voters, rules: rules)
            && (next.map { Self.isMajority(stores, of: $0, rules: rules) } ?? true)
    }

    static func isMajority(
        _ stores: [VoterID], of voters: [Voter], rules: RegisterRules = RegisterRules()
    ) -> Bool {
        let count = voters.count { voter in
            rules.storesCounted
                ? stores.contains(voter.id) : stores.contains { $0.node == voter.node }
        }
        return count > voters.count / 2
    }
}

/// The bounds that other parts have to know of.
public enum PaxosLimits {
    /// How many brokers may vote.
    public static let votersMaximum = Limits.votersMaximum
}

/// The steps from one roster to the next (reference, section 8).
extension Roster {
    /// The joint roster on the way to `target`: a change, or where `target` are the voters
    /// themselves, the way back from one.
    func joint(to target: [Voter]) -> Roster {
        let generation = RosterGeneration(self.generation.rawValue + 1)
        let next = target.map { voter in
            voters.first { $0.id == voter.id }
                ?? Voter(
                    node: voter.node, store: voter.store, key: voter.key, since: generation)
        }
        return Roster(
            generation: generation, voters: voters, next: next, floor: floor, cluster: cluster)
    }

    /// What ends a joint roster.
    func settled(floor: Ballot) -> Roster {
        guard let next else { preconditionFailure("only a joint roster is settled") }
        return Roster(
            generation: RosterGeneration(generation.rawValue + 1), voters: next,
            floor: max(self.floor, floor), cluster: cluster)
    }

    /// Whether it may come after `before`. Of rosters further apart nothing more can be said than
    /// that the cluster is the same and the generation higher.
    func follows(_ before: Roster) -> Bool {
        guard cluster == before.cluster, generation > before.generation else { return false }
        guard generation.rawValue - before.generation.rawValue == 1 else { return true }
        if next != nil { return Self.areSame(voters, before.voters) }
        return before.next.map { Self.areSame(voters, $0) } ?? false
    }

    /// Both in order of their node ids.
    static func areSame(_ left: [Voter], _ right: [Voter]) -> Bool {
        left.map(\.id) == right.map(\.id)
    }
}
