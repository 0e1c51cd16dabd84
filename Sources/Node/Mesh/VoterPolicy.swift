import Model
import Paxos

/// What an operator set about who votes.
public struct VoterSettings: Hashable, Sendable {
    /// How many voters the mesh grows to as brokers join; nil leaves all of it to the operator.
    /// A roster that has more is not made smaller: brokers with different settings would undo each
    /// other's changes for ever.
    public var target: Int?
    /// How long a voter may be away before another takes its place.
    public var replaceAfterMilliseconds: Int64

    /// - Parameter replaceAfterMilliseconds: a machine is repaired, or restarted for long, within
    ///   ten minutes; copying registers is cheap, but a voter that comes back after it was replaced
    ///   is one that somebody has to think about.
    public init(target: Int? = 3, replaceAfterMilliseconds: Int64 = 600_000) {
        self.target = target
        self.replaceAfterMilliseconds = replaceAfterMilliseconds
    }
}

/// Decides who should vote: as many brokers as the target says, of as many racks as there are, and
/// somebody else for a voter that is gone for good.
///
/// A wish and no decision: the roster changes by Paxos alone, so two brokers with different wishes
/// do no harm. Odd sizes only, because an even one more voter makes a majority larger and survives
/// no more failures. Pure and without memory; owned by the control loop. Source: section 2 of the
/// design, section 8 of the Paxos reference.
struct VoterPolicy {
    /// A broker that is admitted, as far as its voting goes.
    struct Candidate: Hashable {
        let voter: Voter
        /// Empty where it has none.
        let rack: String
        let condition: Condition
        /// It may be made a voter; one that only serves clients is none.
        var isEligible = true
    }

    /// What gossip says of a broker.
    enum Condition: Hashable {
        case healthy
        /// Suspected, or just heard of: no reason to add it and none to replace it.
        case doubtful
        case absent(since: Instant)
    }

    var settings = VoterSettings()
    /// Between two changes that nobody asked for, but for the first promotion.
    var pauseMilliseconds: Int64 = 60_000

    /// The voters that should be; nil where the roster is as it should be, or must wait.
    func wish(
        for roster: Roster, _ candidates: [Candidate], lastChange: Instant?, now: Instant
    ) -> [Voter]? {
        guard let target = settings.target, roster.next == nil else { return nil }
        let known = candidates.sorted { $0.voter.node < $1.voter.node }
        let states = roster.voters.map { voter in known.first { $0.voter.id == voter.id } }
        let healthy = states.count { $0?.condition == .healthy }
        let isRested = lastChange.map { now.milliseconds(since: $0) >= pauseMilliseconds } ?? false
        if healthy == roster.voters.count {
            return promotion(
                roster, known, to: target, isRested: isRested || roster.voters.count == 1)
                ?? (isRested ? exchange(roster, states, known) : nil)
        }
        guard healthy * 2 > roster.voters.count else { return nil }
        if let restored = restoration(roster, states, known) { return restored }
        return isRested ? replacement(roster, states, known, now: now) : nil
    }

    /// A voter's disk is gone and its broker is there again with a new one.
    ///
    /// Without a pause, unlike other changes: until then the mesh has one voter fewer than it
    /// seems, and the next disk may be the one too many. It can't go back and forth, because each
    /// such change takes an admission of its own.
    private func restoration(
        _ roster: Roster, _ states: [Candidate?], _ known: [Candidate]
    ) -> [Voter]? {
        let gone = roster.voters.indices.first { index in
            states[index] == nil
                && spares(known, beside: []).contains {
                    $0.voter.node == roster.voters[index].node
                }
        }
        return gone.flatMap { replace($0, of: roster, known) }
    }

    /// Only while all voters are well: a change that begins with a sick one may not end.
    private func promotion(
        _ roster: Roster, _ known: [Candidate], to target: Int, isRested: Bool
    ) -> [Voter]? {
        guard isRested else { return nil }
        var voters = roster.voters
        let spare = spares(known, beside: voters)
        let room = min(target, voters.count + spare.count)
        let size = room % 2 == 1 ? room : room - 1
        guard size > voters.count else { return nil }
        var racks = known.filter { site in voters.contains { $0.id == site.voter.id } }.map(\.rack)
        var left = spare
        while voters.count < size, let next = pick(from: left, beside: racks) {
            voters.append(left[next].voter)
            racks.append(left[next].rack)
            left.remove(at: next)
        }
        return voters
    }

    /// One at a time: the first that is away for long, or whose disk is another now.
    private func replacement(
        _ roster: Roster, _ states: [Candidate?], _ known: [Candidate], now: Instant
    ) -> [Voter]? {
        let gone = roster.voters.indices.first { index in
            switch states[index]?.condition {
            case .healthy, .doubtful: false
            case .absent(let since):
                now.milliseconds(since: since) >= settings.replaceAfterMilliseconds
            // Admitted under another store: these promises are lost for good.
            case nil: true
            }
        }
        return gone.flatMap { replace($0, of: roster, known) }
    }

    /// A voter that its operator wants to vote no more, where another can.
    private func exchange(
        _ roster: Roster, _ states: [Candidate?], _ known: [Candidate]
    ) -> [Voter]? {
        let unwilling = states.firstIndex { $0?.isEligible == false }
        return unwilling.flatMap { replace($0, of: roster, known) }
    }

    /// The voters with another in the place of one; nil where nobody else can vote.
    func replace(_ gone: Int, of roster: Roster, _ known: [Candidate]) -> [Voter]? {
        var rest = roster.voters
        let former = rest.remove(at: gone)
        let racks = known.filter { site in rest.contains { $0.id == site.voter.id } }.map(\.rack)
        let spare = spares(known, beside: rest)
        // The same broker with its new disk, before any other.
        let heir =
            spare.firstIndex { $0.voter.node == former.node } ?? pick(from: spare, beside: racks)
        return heir.map { rest + [spare[$0].voter] }
    }

    private func spares(_ known: [Candidate], beside voters: [Voter]) -> [Candidate] {
        known.filter { candidate in
            candidate.condition == .healthy && candidate.isEligible
                && !voters.contains { $0.node == candidate.voter.node }
        }
    }

    /// One of a rack that no voter is in, before the others.
    private func pick(from spare: [Candidate], beside racks: [String]) -> Int? {
        spare.firstIndex { $0.rack.isEmpty || !racks.contains($0.rack) } ?? spare.indices.first
    }
}
