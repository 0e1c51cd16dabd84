public import Model
public import Paxos

/// What an operator wants to become of who votes.
public enum VoterChange: Hashable, Sendable {
    case add(NodeID)
    /// Where the mesh keeps a number of voters by itself, another takes its place.
    case remove(NodeID)
    /// The end of a change that somebody began and did not finish.
    case finish
    /// The voters as they were before the change that is under way.
    case rollBack
}

/// What this broker makes of an operator's wish.
public enum VoterChangeAnswer: Hashable, Sendable {
    /// The change is under way: these shall vote.
    case begun([NodeID])
    /// Nothing was done, and why.
    case refused(String)
}

/// Why a wish was not followed; says what to do.
struct VoterRefusal: Error, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

extension VoterPolicy {
    /// Who votes with one more.
    func adding(
        _ node: NodeID, to roster: Roster, _ candidates: [Candidate]
    ) throws(VoterRefusal) -> [Voter] {
        guard roster.next == nil else { throw Self.underWay }
        guard let candidate = candidates.first(where: { $0.voter.node == node }) else {
            throw VoterRefusal("no member \(node.rawValue): see gossamer gossip members")
        }
        guard roster.voters.allSatisfy({ $0.id != candidate.voter.id }) else {
            throw VoterRefusal("member \(node.rawValue) votes already")
        }
        guard roster.voters.allSatisfy({ $0.node != node }) else {
            throw VoterRefusal(
                "member \(node.rawValue) votes with the disk that it had before: remove it first")
        }
        guard candidate.isEligible else {
            throw VoterRefusal(
                "member \(node.rawValue) is no voter by its own configuration: add voter to its "
                    + "roles, then restart it")
        }
        guard candidate.condition == .healthy else {
            throw VoterRefusal("member \(node.rawValue) is not there: start it first")
        }
        guard roster.voters.count < PaxosLimits.votersMaximum else {
            throw VoterRefusal(
                "\(roster.voters.count) brokers vote, the most that may: remove one first")
        }
        return roster.voters + [candidate.voter]
    }

    /// Who votes without one: another in its place where the mesh would make it a voter again.
    func removing(
        _ node: NodeID, from roster: Roster, _ candidates: [Candidate]
    ) throws(VoterRefusal) -> [Voter] {
        guard roster.next == nil else { throw Self.underWay }
        guard let gone = roster.voters.firstIndex(where: { $0.node == node }) else {
            throw VoterRefusal("member \(node.rawValue) does not vote")
        }
        let known = candidates.sorted { $0.voter.node < $1.voter.node }
        let heirs = known.filter { $0.voter.node != node }
        let isWanted = settings.target.map { roster.voters.count <= $0 } ?? false
        if isWanted, let next = replace(gone, of: roster, heirs) { return next }
        guard roster.voters.count > 1 else {
            throw VoterRefusal(
                "member \(node.rawValue) is the only voter, and no other member can take its place")
        }
        let own = known.first { $0.voter.id == roster.voters[gone].id }
        guard !isWanted || own?.condition != .healthy || own?.isEligible != true else {
            throw VoterRefusal(
                "no other member can vote in its place, so the mesh would make "
                    + "\(node.rawValue) a voter again: its brokers keep \(settings.target ?? 0) "
                    + "(voters.target). Set voters.target to fixed, or leave voter out of the "
                    + "roles of \(node.rawValue), and restart")
        }
        return roster.voters.filter { $0.node != node }
    }

    private static let underWay = VoterRefusal(
        "a change of the voters is under way: see gossamer paxos roster")
}

extension Mesh {
    /// Begins what an operator wishes; what comes of it is seen in `lastRosterOutcome`.
    mutating func changeVoters(_ token: UInt64, _ change: VoterChange) {
        do throws(VoterRefusal) {
            let (goal, target) = try goal(for: change)
            out.append(.votersAnswer(token: token, .begun(target.map(\.node))))
            drive(driver: .start(goal))
        } catch {
            out.append(.votersAnswer(token: token, .refused(error.reason)))
        }
    }

    private func goal(
        for change: VoterChange
    ) throws(VoterRefusal) -> (RosterDriver.Goal, [Voter]) {
        guard early == nil, let roster = proposer.roster else {
            throw VoterRefusal("this broker is still starting: ask again")
        }
        guard isVoter(identity.node) else {
            let voters = roster.voters.map { "\($0.node.rawValue)" }.joined(separator: ", ")
            throw VoterRefusal("this broker does not vote: ask one that does (\(voters))")
        }
        guard driver.isIdle else {
            throw VoterRefusal(
                "this broker is changing the voters already: see gossamer paxos roster")
        }
        switch change {
        case .add(let node):
            let next = try watch.policy.adding(node, to: roster, voterCandidates())
            return (.change(to: next, from: roster.generation), next)
        case .remove(let node):
            let next = try watch.policy.removing(node, from: roster, voterCandidates())
            return (.change(to: next, from: roster.generation), next)
        case .finish:
            guard let next = roster.next else { throw Self.nothingUnderWay }
            return (.finish, next)
        case .rollBack:
            guard roster.next != nil else { throw Self.nothingUnderWay }
            return (.rollBack, roster.voters)
        }
    }

    private static let nothingUnderWay = VoterRefusal("no change of the voters is under way")

    /// What became of the last change that this broker drove, and when; nil where it drove none.
    public var lastRosterOutcome: (outcome: RosterOutcome, at: Instant)? { watch.ended }

    /// What this broker's operator set about who votes.
    public var voterSettings: VoterSettings { watch.policy.settings }
}
