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

/// A broker that votes: its store is part of its identity, because a wiped disk has forgotten its
/// promises and is another voter (reference, section 7).
public struct Voter: Hashable, Sendable {
    public let node: NodeID
    public let store: StoreID
    public let key: PublicKey

    public init(node: NodeID, store: StoreID, key: PublicKey) {
        self.node = node
        self.store = store
        self.key = key
    }
}

/// Who votes: the value of the register `roster`.
///
/// While `next` is there a change is under way, and a quorum is a majority of both sets, in both
/// phases (reference, section 8). Voters are in order of their node ids.
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

    /// Everybody that is asked: the voters, then those of `next` that are not among them.
    public var everyone: [Voter] {
        guard let next else { return voters }
        return voters + next.filter { voter in !voters.contains { $0.node == voter.node } }
    }

    /// Whether `nodes`, each named once, decide: a majority of the voters, and of `next`.
    public func isQuorum(_ nodes: [NodeID]) -> Bool {
        Self.isMajority(nodes, of: voters) && (next.map { Self.isMajority(nodes, of: $0) } ?? true)
    }

    private static func isMajority(_ nodes: [NodeID], of voters: [Voter]) -> Bool {
        let count = voters.count { nodes.contains($0.node) }
        return count > voters.count / 2
    }
}
